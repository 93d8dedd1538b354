"""``pkiops ca``: stdout, stderr, exit codes, over the sandbox."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.sandbox.faults import fault
from pkiops.sandbox.traffic import Hindrances
from tests.faults.hierarchy import assert_one_hierarchy
from tests.sandbox_server import RunningSandbox, running_sandbox

SAMPLES = Path(__file__).parents[2] / "environments"


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "environments").mkdir()
    shutil.copy(SAMPLES / "dev.yaml", tmp_path / "environments" / "dev.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pkiops(folder: Path, sandbox: RunningSandbox) -> Any:
    del folder

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env={"PKIOPS_SANDBOX_URL": sandbox.url, **environment})

    return run


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "environments" / "dev.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_plan_apply_plan_show(pkiops: Any, sandbox: RunningSandbox) -> None:
    planned = pkiops("ca", "plan", "dev", "--detailed-exitcode")
    assert planned.exit_code == 5
    assert "+ create dev/ca/root" in planned.stdout
    assert "USD +800 a month" in planned.stdout
    assert sandbox.client("s3").list_buckets()["Buckets"] == []

    applied = pkiops("ca", "apply", "dev", "--yes")
    assert applied.exit_code == 0, applied.stderr
    assert applied.stdout.endswith("dev: applied\n")
    assert "sha256:" in applied.stderr
    assert_one_hierarchy(sandbox)

    again = pkiops("ca", "plan", "dev", "--detailed-exitcode")
    assert (again.exit_code, again.stderr) == (0, "")
    assert "nothing to do" in again.stdout

    shown = pkiops("ca", "show", "dev")
    assert shown.exit_code == 0
    assert shown.stdout.count("ACTIVE") == 2
    assert "└── root (generation 1)" in shown.stdout
    assert "    └── clients (generation 1)" in shown.stdout


def test_json_is_one_object_with_the_contract_s_keys(pkiops: Any) -> None:
    plan = json.loads(pkiops("ca", "plan", "dev", "--format", "json").stdout)
    assert (plan["format_version"], plan["kind"], plan["environment"]) == ("1.0", "ca-plan", "dev")
    assert plan["generated_at"] == "2026-11-25T12:00:00Z"  # the sandbox's clock, not ours
    assert len(plan["actions"]) == 7
    assert len(plan["digest"]) == 64
    applied = json.loads(pkiops("ca", "apply", "dev", "--yes", "--format", "json").stdout)
    assert [one["address"] for one in applied["done"]][-2:] == ["dev/ca/clients", "dev/index/authorities"]
    shown = json.loads(pkiops("ca", "show", "dev", "--format", "json").stdout)
    assert [one["authority"] for one in shown["authorities"]] == ["root", "clients"]
    assert all(one["status"] == "ACTIVE" and len(one["sha256"]) == 64 for one in shown["authorities"])


def test_apply_without_a_terminal_and_without_yes_does_nothing(pkiops: Any, sandbox: RunningSandbox) -> None:
    result = pkiops("ca", "apply", "dev")
    assert result.exit_code == 9
    assert result.stdout == ""
    assert "--yes" in result.stderr
    assert sandbox.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize("verb", [("plan",), ("apply", "--yes"), ("show",)])
def test_another_account_is_refused(pkiops: Any, folder: Path, sandbox: RunningSandbox, verb: tuple[str, ...]) -> None:
    edit(folder, '"123456789012"', '"999988887777"')
    result = pkiops("ca", verb[0], "dev", *verb[1:])
    assert result.exit_code == 9
    assert "belongs to account 999988887777" in result.stderr
    assert sandbox.client("s3").list_buckets()["Buckets"] == []


def test_an_endpoint_that_is_neither_aws_nor_this_machine_needs_a_word(pkiops: Any, folder: Path) -> None:
    edit(folder, "sandbox: true", "endpoint_urls: {sts: 'https://sts.attacker.example'}")
    result = pkiops("ca", "plan", "dev")
    assert result.exit_code == 9
    assert "--allow-endpoint" in result.stderr


def test_an_endpoint_from_the_shell_is_said(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    edit(folder, "sandbox: true ", "sandbox: false")
    result = pkiops("ca", "plan", "dev", AWS_ENDPOINT_URL=sandbox.url)
    assert result.exit_code == 0, result.stderr
    assert f"acm-pca calls go to {sandbox.url} (AWS_ENDPOINT_URL)" in result.stderr


def test_nobody_listening_is_one_clear_error(folder: Path) -> None:
    del folder
    result = CliRunner().invoke(app, ["ca", "plan", "dev"], env={"PKIOPS_SANDBOX_URL": "http://127.0.0.1:9"})
    assert result.exit_code == 6
    assert "pkiops sandbox up" in result.stderr
    assert "Traceback" not in result.stderr


def test_errors_are_json_when_json_was_asked_for(pkiops: Any, folder: Path) -> None:
    edit(folder, '"123456789012"', '"999988887777"')
    result = pkiops("ca", "plan", "dev", "--format", "json")
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "guard.account"
    assert error["hint"]
    missing = json.loads(pkiops("ca", "plan", "nowhere", "--format", "json").stderr)["error"]
    assert missing["message"]


def test_crl_drift_is_updated_and_a_changed_subject_is_not(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    edit(folder, "crl: {validity: 7d}", "crl: {validity: 3d}")
    updated = pkiops("ca", "apply", "dev", "--yes")
    assert updated.stdout.startswith("done: update dev/ca/clients")
    days = {
        one["Type"]: one["RevocationConfiguration"]["CrlConfiguration"]["ExpirationInDays"]
        for one in sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    }
    assert days == {"ROOT": 90, "SUBORDINATE": 3}
    edit(folder, "Example Dev Clients CA G1", "Example Dev Other CA G1")
    blocked = pkiops("ca", "apply", "dev", "--yes")
    assert blocked.exit_code == 9
    assert "needs a new generation" in blocked.stderr
    assert len(sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]) == 2


def test_the_line_that_pins_the_root_is_printed_beside_json_too(pkiops: Any) -> None:
    applied = pkiops("ca", "apply", "dev", "--yes", "--format", "json")
    assert json.loads(applied.stdout)["kind"] == "ca-apply"
    assert "pin the root by a reviewed commit, in authorities.root:  sha256: " in applied.stderr


def test_a_pin_that_is_another_certificate_is_no_declared_state(pkiops: Any, folder: Path) -> None:
    applied = pkiops("ca", "apply", "dev", "--yes")
    pin = applied.stderr.rsplit("sha256: ", 1)[1].strip()
    edit(folder, "    path_length: 1", f"    path_length: 1\n    sha256: {pin}\n   ")
    assert "nothing to do" in pkiops("ca", "apply", "dev").stdout
    assert f"sha256 {pin}  as pinned" in pkiops("ca", "show", "dev").stdout

    edit(folder, pin, "ab" * 32)
    planned = pkiops("ca", "plan", "dev", "--detailed-exitcode")
    assert planned.exit_code == 5
    assert "does not have the certificate that the file pins" in planned.stdout
    assert f"sha256: {pin} -> {'ab' * 32}" in planned.stdout
    assert "hint: decide" in planned.stderr
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 9
    assert "NOT AS PINNED" in pkiops("ca", "show", "dev").stdout


def test_a_new_generation_is_a_second_ca_beside_the_first(pkiops: Any, folder: Path) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    edit(folder, "common_name: Example Dev Clients CA G1", "common_name: Example Dev Clients CA G2")
    edit(folder, "    issuer: root\n", "    issuer: root\n    generation: 2\n")
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    shown = json.loads(pkiops("ca", "show", "dev", "--format", "json").stdout)["authorities"]
    assert [(one["authority"], one["generation"], one["declared"]) for one in shown] == [
        ("root", 1, True),
        ("clients", 2, True),
        ("clients", 1, False),
    ]


def test_a_last_look_that_fails_does_not_make_a_failure_of_what_was_done(pkiops: Any, sandbox: RunningSandbox) -> None:
    # the index reads both certificates, and then apply reads the root's, to say how it is pinned
    sandbox.hinder(Hindrances(faults=(fault("GetCertificateAuthorityCertificate:3:before:AccessDeniedException"),)))
    result = pkiops("ca", "apply", "dev", "--yes")
    assert result.exit_code == 0
    assert "done, but what is there now cannot be looked at: GetCertificateAuthorityCertificate" in result.stderr
    assert_one_hierarchy(sandbox)


def test_a_public_bucket_of_ours_is_closed_again(pkiops: Any, sandbox: RunningSandbox) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    sandbox.client("s3").delete_public_access_block(Bucket="example-pki-dev-trust")
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 5
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    assert_one_hierarchy(sandbox)


def test_a_statement_of_others_in_a_bucket_policy_stays(pkiops: Any, sandbox: RunningSandbox) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    s3 = sandbox.client("s3")
    policy = json.loads(s3.get_bucket_policy(Bucket="example-pki-dev-crl")["Policy"])
    cdn = {
        "Sid": "Cdn",
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
    }
    policy["Statement"] = [{**cdn, "Resource": "arn:aws:s3:::example-pki-dev-crl/crl/*"}]
    s3.put_bucket_policy(Bucket="example-pki-dev-crl", Policy=json.dumps(policy))
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    sids = [one["Sid"] for one in json.loads(s3.get_bucket_policy(Bucket="example-pki-dev-crl")["Policy"])["Statement"]]
    assert sids == ["Cdn", "PkiopsPrivateCaWritesCrls", "PkiopsWritesNeedTls"]


def test_a_three_tier_hierarchy_is_built(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    edit(folder, "path_length: 1 ", "path_length: 2 ")
    policy = """  policy:
    issuer: root
    subject: {common_name: Example Dev Policy CA G1, organization: Example Ltd, country: GB}
    validity: 10y
    crl: {validity: 30d}
  clients:
    issuer: policy
"""
    edit(folder, "  clients:\n    issuer: root\n", policy)
    result = pkiops("ca", "apply", "dev", "--yes")
    assert result.exit_code == 0, result.stderr
    found = sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    assert sorted(one["Status"] for one in found) == ["ACTIVE"] * 3


def test_a_wrong_file_is_exit_3_and_no_call_is_made(pkiops: Any, folder: Path) -> None:
    edit(folder, "validity: 20y", "validity: forever")
    result = pkiops("ca", "apply", "dev", "--yes", PKIOPS_SANDBOX_URL="http://127.0.0.1:9")
    assert result.exit_code == 3
    assert "dev.yaml:" in result.stderr


def test_roles_named_under_access_hold_the_buckets_until_they_are_named_no_more(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    access = (
        "access: {"
        + ", ".join(
            f"{name}: 'arn:aws:iam::123456789012:role/{name}'" for name in ("provisioner", "revoker", "publisher")
        )
        + "}\n\nledger: {"
    )
    edit(folder, "ledger: {", access)
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0
    assert held(sandbox) == {"PkiopsOnlyTheServiceWritesCrls", "PkiopsOnlyProvisioner", "PkiopsOnlyPublisher"}

    edit(folder, access, "ledger: {")
    planned = pkiops("ca", "plan", "dev", "--detailed-exitcode")
    assert planned.exit_code == 5
    assert "policy statement PkiopsOnlyPublisher" in planned.stdout
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    assert held(sandbox) == set()
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0


def held(sandbox: RunningSandbox) -> set[str]:
    s3 = sandbox.client("s3")
    policies = [json.loads(s3.get_bucket_policy(Bucket=f"example-pki-dev-{one}")["Policy"]) for one in ("crl", "trust")]
    return {one["Sid"] for policy in policies for one in policy["Statement"] if "Only" in one["Sid"]}
