"""A service that is deliberately not the sandbox: each of its differences is found, named and written, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pkiops.sandbox.engine.settings import Settings
from tests.aws.canary import other_services as other
from tests.aws.canary.scene import Scene, scene, workbench
from tests.canary.cases import CASES
from tests.canary.runner import run
from tests.sandbox_server import ACCOUNT

EXPECTED = {case.name: case.expected for case in CASES}


@dataclass(frozen=True)
class Different:
    """A way to be different, and what the canary must see of it."""

    name: str
    differing: dict[str, Any]
    answer: other.Answer | None = None
    request: other.Request | None = None
    settings: Settings | None = None


_TITLES = count(1)


def _without_token(body: dict[str, Any]) -> None:
    body.pop("IdempotencyToken", None)
    body["CertificateAuthorityConfiguration"]["Subject"]["Title"] = str(
        next(_TITLES)
    )  # never one twice: an address is reused


def _without_chain(body: dict[str, Any]) -> None:
    body.pop("CertificateChain", None)


def _lasting_less(body: dict[str, Any]) -> None:
    if "Subordinate" in body["TemplateArn"] and body["Validity"]["Type"] == "ABSOLUTE":
        body["Validity"]["Value"] -= 2 * 86400


def _hexadecimal(body: dict[str, Any]) -> None:
    authority = body["CertificateAuthority"]
    if "Serial" in authority:
        authority["Serial"] = f"{int(authority['Serial']):032X}"


def less(name: str, extension: str) -> Any:
    expected = EXPECTED[name]
    assert isinstance(expected, dict)
    return {key: value for key, value in expected.items() if key != extension}


SERVICES = (
    Different(
        "another error code",
        {"revoke-unknown-serial": {"error": "InvalidRequestException"}},
        answer=other.refusing("RevokeCertificate", "InvalidRequestException", "ResourceNotFoundException"),
    ),
    Different(
        "throttled where the sandbox refuses",
        {"audit-report-second-within-30-minutes": {"error": "ThrottlingException"}},
        answer=other.refusing("CreateCertificateAuthorityAuditReport", "ThrottlingException", "RequestFailedException"),
    ),
    Different(
        "a missing extension",
        {
            name: less(name, "authorityKeyIdentifier")
            for name in ("client-certificate-extensions", "api-extensions-criticality")
        },
        answer=other.certificates(without=x509.AuthorityKeyIdentifier),
    ),
    Different(
        "other backdating",
        {"default-not-before": "5 minutes before issuance"},
        answer=other.certificates(later=timedelta(minutes=55)),
    ),
    Different(
        "other serial numbers",
        {"certificate-arn-serial": "something else"},
        answer=other.certificates(serial=4711),
    ),
    Different(
        "another spelling of serial numbers",
        {"describe-serial-spelling": "hexadecimal, 32 digits"},
        answer=other.saying("DescribeCertificateAuthority", _hexadecimal),
    ),
    Different(
        "CRL numbers that count",
        {"crl-contents": {**EXPECTED["crl-contents"], "number": "another number"}},  # type: ignore[dict-item]
        answer=other.crls(number=17),
    ),
    Different(
        "CRLs that start at once",
        {"crl-contents": {**EXPECTED["crl-contents"], "thisUpdate": "0 minutes before generation"}},  # type: ignore[dict-item]
        answer=other.crls(later=timedelta(hours=1)),
    ),
    Different(
        "slow CRLs",
        {"crl-after-revocation": "not within 45 minutes"},
        settings=Settings(crl_delay=timedelta(hours=2)),
    ),
    Different(
        "a new CA in spite of the token",
        {"create-same-token-other-inputs": {"authority": "another"}, "create-without-token-twice": {"authorities": 2}},
        request=other.asked("CreateCertificateAuthority", _without_token),
    ),
    Different(
        "a root that takes a chain",
        {"import-chain-for-root": {"accepted": True}},
        request=other.asked("ImportCertificateAuthorityCertificate", _without_chain),
    ),
    Different(
        "subordinate CAs are cut to seven days",
        {"short-lived-subordinate-over-seven-days": {"accepted": True}},
        request=other.asked("IssueCertificate", _lasting_less),
    ),
)
_NEIGHBOURS = ("authority-csr-extensions", "leaf-while-pending", "short-lived-seven-days-exactly", "tags-while-deleted")


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_difference_is_found_and_nothing_else(service: Different, tmp_path: Path) -> None:
    with scene(tmp_path, service.settings) as here:
        here.proxy.answer = service.answer or here.proxy.answer
        here.proxy.request = service.request or here.proxy.request
        assert here.run(cases=(*service.differing, *_NEIGHBOURS)) == 0
        assert here.differing() == service.differing
        assert {case["outcome"] for case in here.cases().values()} == {"same", "differs"}
        assert {name: case["expected"] for name, case in here.cases().items()} == {
            name: EXPECTED[name] for name in here.cases()
        }
        assert here.left() == []


def test_many_differences_at_once_are_all_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scene(tmp_path) as here:
        here.proxy.answer = other.all_of(
            other.refusing("RevokeCertificate", "InvalidRequestException", "ResourceNotFoundException"),
            other.saying("DescribeCertificateAuthority", _hexadecimal),
            other.crls(number=17),
        )
        here.proxy.request = other.asked("ImportCertificateAuthorityCertificate", _without_chain)
        assert here.run() == 0
        assert set(here.differing()) == {
            "revoke-unknown-serial",
            "describe-serial-spelling",
            "crl-contents",
            "crl-partitioned",
            "import-chain-for-root",
        }
        assert here.left() == []
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    line = next(number for number, line in enumerate(lines) if line.startswith("describe-serial-spelling "))
    assert lines[line].split()[1:] == ["differs"]
    assert lines[line + 1 : line + 3] == ['    sandbox: "decimal"', '    here:    "hexadecimal, 32 digits"']
    assert f"{len(CASES) - 5} same, 5 differs, 0 not-run" in printed


def crash(here: Scene) -> dict[str, Any]:
    """The one case that was not run, and the exit code that says so."""
    assert here.run(cases=("describe-serial-spelling", *_NEIGHBOURS)) == 7
    found = here.cases()
    assert {found[name]["outcome"] for name in _NEIGHBOURS} == {"same"}
    assert here.left() == []
    return found["describe-serial-spelling"]


def _without_serial(body: dict[str, Any]) -> None:
    body["CertificateAuthority"].pop("Serial", None)


def test_a_case_that_crashes_is_not_run_and_the_others_go_on(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        here.proxy.answer = other.saying("DescribeCertificateAuthority", _without_serial)
        assert crash(here) == {
            "outcome": "not-run",
            "expected": "decimal",
            "observed": None,
            "reason": "KeyError: 'Serial'",
        }


def test_what_the_caller_may_not_ask_is_not_run(tmp_path: Path) -> None:
    message = f"User: arn:aws:iam::{ACCOUNT}:user/ada is not authorized to perform acm-pca:RevokeCertificate"
    with scene(tmp_path) as here:
        here.proxy.answer = other.refusing(
            "RevokeCertificate", "AccessDeniedException", "ResourceNotFoundException", message
        )
        assert here.run(cases=("revoke-unknown-serial", *_NEIGHBOURS)) == 7
        found = here.cases()["revoke-unknown-serial"]
        assert found["outcome"] == "not-run"
        assert found["reason"] == (
            "the caller is not allowed to ask: User: ARN is not authorized to perform acm-pca:RevokeCertificate"
        )
        assert ACCOUNT not in here.output.read_text()


def test_a_state_that_is_never_reached_costs_its_cases_only(tmp_path: Path) -> None:
    with scene(tmp_path) as here:

        def never_disabled(name: str, body: bytes) -> bytes:
            is_it = name.endswith(".UpdateCertificateAuthority") and json.loads(body).get("Status") == "DISABLED"
            return json.dumps({**json.loads(body), "Status": "ACTIVE"}).encode() if is_it else body

        here.proxy.request = never_disabled
        # nothing can be deleted here: the canary says so, keeps its journal, and a later cleaning finds it all
        assert here.run(cases=("default-not-before", "leaf-while-disabled", "leaf-while-expired")) == 6
        outcomes = {name: case["outcome"] for name, case in here.cases().items()}
        assert outcomes == {
            "default-not-before": "same",
            "leaf-while-expired": "same",
            "leaf-while-disabled": "not-run",
        }
        assert "the CA does not become DISABLED" in here.cases()["leaf-while-disabled"]["reason"]
        assert len(here.journals) == 1
        assert here.clean() == 0
        assert here.left() == []
        assert here.journals == []


def test_an_answer_that_spoils_the_state_spoils_no_other_case(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        workspace, bill, _ = workbench(here)
        cases = [case for case in CASES if case.phase == "PENDING_CERTIFICATE"]
        for result in run(cases, workspace, print):
            assert result.outcome == "same"
            workspace.import_certificate(workspace.own_certificate()) if result.case is cases[3] else None
        assert workspace.shared_so_far == 2
        assert bill.counts[0] == 2 + 3  # of two cases, which the service answered with a CA that was there
