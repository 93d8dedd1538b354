"""``pkiops ca renew`` and ``renew_from`` over the sandbox: the same key, a new certificate, once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pkiops.environment.index import decode_index, trusted_entry
from pkiops.environment.load import load_file
from tests.cli.test_ca import edit, folder, pkiops, sandbox
from tests.cli.test_ca_adopt import arns
from tests.cli.test_ca_retire import issue, later, status
from tests.sandbox_server import RunningSandbox

__all__ = ["folder", "pkiops", "sandbox"]
DAY = datetime(2027, 1, 10, tzinfo=UTC)


@pytest.fixture
def cas(pkiops: Any, sandbox: RunningSandbox) -> dict[str, str]:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    return arns(sandbox)


def renew_from(folder: Path, label: str, day: str = "2027-01-10") -> None:
    before = "    path_length: 1 " if label == "root" else "    issuer: root\n"
    edit(folder, before, f'    renew_from: "{day}"\n{before}')


def certificate(sandbox: RunningSandbox, arn: str) -> x509.Certificate:
    answer = sandbox.client("acm-pca").get_certificate_authority_certificate(CertificateAuthorityArn=arn)
    return x509.load_pem_x509_certificate(answer["Certificate"].encode())


def test_a_subordinate_is_renewed_once(pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    before = certificate(sandbox, cas["clients"])
    issue(pkiops, "a")
    renew_from(folder, "clients")
    later(sandbox, timedelta(days=46))
    renewed = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert renewed.exit_code == 0, renewed.stderr
    lines = renewed.stdout.splitlines()
    assert lines[:2] == ["done: renew dev/ca/clients", "done: update dev/index/authorities"]
    assert "not after: 2031-11-25 -> 2032-01-10" in renewed.stderr
    assert "CAs and certificates below it stay valid" in renewed.stderr
    after = certificate(sandbox, cas["clients"])
    assert after.public_key() == before.public_key()
    assert after.subject == before.subject
    assert (after.not_valid_before_utc, after.not_valid_after_utc) == (DAY, DAY.replace(year=2032))
    assert after.serial_number != before.serial_number

    again = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert again.exit_code == 0
    assert "renew_from 2027-01-10 is done" in again.stdout
    assert certificate(sandbox, cas["clients"]) == after
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0
    # what was issued before still leads to the CA, and more can be issued
    leaf = x509.load_pem_x509_certificates((folder / "a.pem").read_bytes())[0]
    leaf.verify_directly_issued_by(after)
    issue(pkiops, "b")


def test_before_its_day_nothing_is_renewed(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    undeclared = pkiops("ca", "renew", "dev", "clients")
    assert undeclared.exit_code == 2
    assert 'renew_from: "2026-11-25"' in undeclared.stderr
    assert pkiops("ca", "renew", "dev", "servers").exit_code == 2
    before = certificate(sandbox, cas["clients"])
    renew_from(folder, "clients")
    early = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert early.exit_code == 0
    assert "renew_from 2027-01-10 is ahead" in early.stdout
    assert "renew_from 2027-01-10 is ahead" in pkiops("ca", "plan", "dev").stdout
    assert certificate(sandbox, cas["clients"]) == before


def test_apply_renews_what_is_due_issuers_first(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    for label in ("root", "clients"):
        renew_from(folder, label)
    later(sandbox, timedelta(days=50))
    planned = pkiops("ca", "plan", "dev")
    assert "2 to renew" in planned.stdout
    applied = pkiops("ca", "apply", "dev", "--yes")
    assert applied.exit_code == 0, applied.stderr
    assert applied.stdout.splitlines()[:2] == ["done: renew dev/ca/root", "done: renew dev/ca/clients"]
    certificate(sandbox, cas["clients"]).verify_directly_issued_by(certificate(sandbox, cas["root"]))
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0


def test_a_renewed_root_is_pinned_anew_and_everything_below_goes_on(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    old = json.loads(pkiops("ca", "show", "dev", "--format", "json").stdout)["authorities"][0]["sha256"]
    edit(folder, "    path_length: 1 ", f"    sha256: {old}\n    path_length: 1 ")
    below = certificate(sandbox, cas["clients"])
    renew_from(folder, "root")
    later(sandbox, timedelta(days=50))
    applied = pkiops("ca", "apply", "dev", "--yes")
    assert applied.exit_code == 0, applied.stderr
    new = json.loads(pkiops("ca", "show", "dev", "--format", "json").stdout)["authorities"][0]["sha256"]
    assert f"pin the root by a reviewed commit, in authorities.root:  sha256: {new}" in applied.stderr
    waiting = pkiops("ca", "plan", "dev")
    assert "if it was renewed, pin the new one" in waiting.stdout
    edit(folder, f"sha256: {old}", f"sha256: {new}")
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0
    assert certificate(sandbox, cas["clients"]) == below
    # the index leads to the root that is pinned now, though the service still keeps the chain of then
    data = sandbox.client("s3").get_object(Bucket="example-pki-dev-trust", Key="dev/index.json")["Body"].read()
    environment = load_file(folder / "environments" / "dev.yaml")
    entry = trusted_entry(decode_index(data), environment, "clients", at=sandbox.clock.now())
    assert entry.reference == cas["clients"]
    issue(pkiops, "a")
    assert pkiops("crl", "publish", "dev").exit_code == 0


def test_an_expired_ca_is_renewed_and_active_again(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    later(sandbox, timedelta(days=6 * 365))
    assert status(sandbox, cas["clients"]) == "EXPIRED"
    assert (
        "renew its certificate (renew_from: a day, then pkiops ca renew dev clients)"
        in pkiops("ca", "plan", "dev").stdout
    )
    renew_from(folder, "clients", "2032-11-20")
    renewed = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert renewed.exit_code == 0, renewed.stderr
    assert status(sandbox, cas["clients"]) == "ACTIVE"


def test_one_that_was_disabled_before_it_expired_is_disabled_again(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    pkiops("ca", "disable", "dev", "clients", "--yes")
    later(sandbox, timedelta(days=6 * 365))
    renew_from(folder, "clients", "2032-11-20")
    renewed = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert renewed.exit_code == 0, renewed.stderr
    assert status(sandbox, cas["clients"]) == "DISABLED"


@pytest.mark.parametrize(
    ("old", "new", "day", "why"),
    [
        ("validity: 5y ", "validity: 19y ", "2028-11-25", "would outlive its issuer root"),
        ("validity: 5y ", "validity: 100d ", "2026-12-01", "would have ended 2027-03-11 already"),
        ("validity: 5y ", "validity: 1y ", "2028-11-25", "before the one in place (2031-11-25)"),
    ],
)
def test_what_cannot_be_renewed_waits_for_a_decision(
    pkiops: Any,
    folder: Path,
    sandbox: RunningSandbox,
    cas: dict[str, str],
    old: str,
    new: str,
    day: str,
    why: str,
) -> None:
    before = certificate(sandbox, cas["clients"])
    edit(folder, old, new)
    renew_from(folder, "clients", day)
    later(sandbox, timedelta(days=800))
    refused = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert refused.exit_code == 9
    assert why in refused.stderr
    assert certificate(sandbox, cas["clients"]) == before


def test_a_disabled_ca_is_enabled_first(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    pkiops("ca", "disable", "dev", "clients", "--yes")
    renew_from(folder, "clients")
    edit(folder, "    issuer: root\n", "    issuer: root\n    enabled: false\n")
    later(sandbox, timedelta(days=50))
    waiting = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert waiting.exit_code == 0
    assert "it can be renewed once it is enabled" in waiting.stdout
    edit(folder, "enabled: false", "enabled: true")
    applied = pkiops("ca", "apply", "dev", "--yes")
    assert applied.exit_code == 0, applied.stderr
    assert applied.stdout.splitlines()[:2] == ["done: enable dev/ca/clients", "done: renew dev/ca/clients"]


def test_a_certificate_that_says_otherwise_is_put_right(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    edit(
        folder,
        "    issuer: root\n",
        "    issuer: root\n    name_constraints: {permitted: {dns: [svc.dev.example.com], uri: [dev.example.com]}}\n",
    )
    blocked = pkiops("ca", "plan", "dev")
    assert (
        "says otherwise: renew it (renew_from: a day, then pkiops ca renew dev clients), or declare a new generation"
        in blocked.stdout
    )
    renew_from(folder, "clients")
    later(sandbox, timedelta(days=50))
    renewed = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert renewed.exit_code == 0, renewed.stderr
    found = certificate(sandbox, cas["clients"]).extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0


def test_a_subordinate_that_would_outlive_the_present_root_waits_for_its_renewal(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    edit(folder, "validity: 5y ", "validity: 19y ")
    for label in ("root", "clients"):
        renew_from(folder, label, "2028-11-25")
    later(sandbox, timedelta(days=800))
    early = pkiops("ca", "renew", "dev", "clients", "--yes")
    assert early.exit_code == 6
    assert "renew the issuer first" in early.stderr
    assert pkiops("ca", "renew", "dev", "root", "--yes").exit_code == 0
    assert pkiops("ca", "renew", "dev", "clients", "--yes").exit_code == 0
