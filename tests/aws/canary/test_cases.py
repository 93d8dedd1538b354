"""Every case against the sandbox: it answers what the case expects, nothing is left, and the file tells nothing of the account."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.aws.canary.scene import clients, scene, workbench
from tests.canary.buckets import TAG
from tests.canary.case import Case
from tests.canary.cases import CASES, WITHOUT_CASE
from tests.canary.phases import CERTIFICATES_EACH, enter
from tests.canary.runner import run
from tests.sandbox_server import ACCOUNT, REGION, START

# section 13 of the project's reference on AWS Private CA
OPEN_POINTS = {
    "second audit report within 30 minutes (error code)",
    "same token with different parameters",
    "IDP CRLs in ALB/NLB/Roles Anywhere",
    "DER CRL in ELBv2",
    "partial RevocationConfiguration in Update",
    "import into a DISABLED CA",
    "subordinate templates in short-lived mode",
    "7-day limit relative to NotBefore",
    "S3 rights of the audit caller",
    "intermediate-only anchors in ALB",
    "current certificate price tiers and OCSP price",
    "value of quota L-5D3ECC67",
}


@dataclass
class Whole:
    """What is left of a run of all cases; ``sent`` are the bodies of its calls by operation."""

    code: int
    text: str
    left: list[str]
    journals: list[Path]
    deleted: dict[str, int]
    sent: dict[str, list[bytes]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    sent: dict[str, list[bytes]] = {}

    def record(name: str, body: bytes) -> bytes:
        sent.setdefault(name.rpartition(".")[2] if name.startswith("ACMPrivateCA") else name, []).append(body)
        return body

    with scene(tmp_path_factory.mktemp("canary")) as here:
        here.proxy.request = record
        code = here.run()
        listed = clients(here.sandbox).pca.list_certificate_authorities()["CertificateAuthorities"]
        windows = {each["Arn"]: (each["RestorableUntil"] - here.clock.now()).days for each in listed}
        return Whole(code, here.output.read_text(), here.left(), here.journals, windows, sent)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_sandbox_answers_what_a_case_expects(case: Case, whole: Whole) -> None:
    found = json.loads(whole.text)["cases"][case.name]
    assert found == {"outcome": "same", "expected": case.expected, "observed": case.expected}


def test_a_whole_run_leaves_nothing(whole: Whole) -> None:
    assert whole.code == 0
    assert whole.left == []
    assert whole.journals == []
    assert len(whole.deleted) == 2
    assert all(days <= 7 for days in whole.deleted.values())


def test_everything_is_tagged_and_locked(whole: Whole) -> None:
    run = next(name for name in whole.sent if name.startswith("PUT /pkiops-canary-"))[len("PUT /pkiops-canary-") :][:23]
    for body in whole.sent["CreateCertificateAuthority"]:
        assert json.loads(body)["Tags"] == [{"Key": TAG, "Value": run}]
        assert json.loads(body)["UsageMode"] == "SHORT_LIVED_CERTIFICATE"
    for kind in ("open", "closed", "service"):
        bucket = f"PUT /pkiops-canary-{run}-{kind}"
        assert run.encode() in whole.sent[f"{bucket}?tagging"][0]
        assert whole.sent[f"{bucket}?publicAccessBlock"][0].count(b">true<") == 4


def test_every_creating_call_has_an_idempotency_token_but_those_of_one_case(whole: Whole) -> None:
    created = [json.loads(body) for body in whole.sent["CreateCertificateAuthority"]]
    assert sum("IdempotencyToken" not in body for body in created) == 2
    assert all("IdempotencyToken" in json.loads(body) for body in whole.sent["IssueCertificate"])


def test_the_file_tells_nothing_of_account_or_run(whole: Whole) -> None:
    found = json.loads(whole.text)
    assert {key: found[key] for key in ("version", "date", "region")} == {
        "version": 1,
        "date": f"{START:%Y-%m-%d}",
        "region": REGION,
    }
    assert list(found["cases"]) == sorted(case.name for case in CASES)
    for word in (ACCOUNT, "arn:", "pkiops-canary-", "testing"):
        assert word not in whole.text


def test_names_are_unique_and_every_open_point_has_a_case_or_a_reason() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    asked = {case.open_point for case in CASES if case.open_point}
    assert asked | set(WITHOUT_CASE) == OPEN_POINTS
    assert not asked & set(WITHOUT_CASE)


def test_no_case_makes_more_than_it_says_and_the_journal_tells_of_everything(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        workspace, bill, journal = workbench(here)
        setting_up = 0
        for case in CASES:
            before = bill.counts
            enter(workspace, case.phase)
            ready = bill.counts
            setting_up += ready[1] - before[1]
            assert [result.outcome for result in run([case], workspace, print)] == ["same"]
            authorities, certificates = (after - then for after, then in zip(bill.counts, ready, strict=True))
            assert authorities <= case.authorities, case.name
            assert certificates <= case.certificates, case.name
        assert setting_up <= CERTIFICATES_EACH
        assert workspace.shared_so_far == 1
        made = journal.read()
        assert made is not None
        listed = workspace.pca.list_certificate_authorities()["CertificateAuthorities"]
        assert set(made.authorities) == {each["Arn"] for each in listed}
        assert set(made.buckets) == {each["Name"] for each in workspace.s3.list_buckets()["Buckets"]}
        assert made.unanswered == 0
