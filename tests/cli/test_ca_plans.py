"""Plans on the command line: saved and stale ones, markdown, several environments, unmanaged CAs, what hangs below."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from pkiops.cli.output import coloured
from tests.cli.test_ca import edit, folder, pkiops, sandbox
from tests.sandbox_server import RunningSandbox

__all__ = ["folder", "pkiops", "sandbox"]


def authorities(sandbox: RunningSandbox) -> list[Any]:
    found: list[Any] = sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    return found


def test_a_saved_plan_is_carried_out_once(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    assert pkiops("ca", "plan", "dev", "--out", "dev.plan").exit_code == 0
    saved = json.loads((folder / "dev.plan").read_text())
    assert (saved["kind"], saved["environment"]) == ("ca-plan", "dev")
    assert pkiops("ca", "plan", "dev", "--out", "dev.plan").exit_code == 9
    assert pkiops("ca", "apply", "dev", "--plan", "dev.plan", "--yes").exit_code == 0
    assert len(authorities(sandbox)) == 2
    again = pkiops("ca", "apply", "dev", "--plan", "dev.plan", "--yes")
    assert again.exit_code == 9
    assert "has changed since that plan was saved (dev/bucket/example-pki-dev-crl, " in again.stderr
    assert "1 that the plan does not speak of any more" in again.stderr  # the index


def test_a_saved_plan_is_refused_when_the_file_or_the_account_moved(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    assert pkiops("ca", "plan", "dev", "--out", "dev.plan").exit_code == 0
    edit(folder, "crl: {validity: 7d}", "crl: {validity: 3d}")
    refused = pkiops("ca", "apply", "dev", "--plan", "dev.plan", "--yes")
    assert refused.exit_code == 9
    assert "since that plan was saved (dev/ca/clients); nothing was done" in refused.stderr
    edit(folder, "crl: {validity: 3d}", "crl: {validity: 7d}")
    sandbox.client("s3").create_bucket(
        Bucket="example-pki-dev-crl", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    assert pkiops("ca", "apply", "dev", "--plan", "dev.plan", "--yes").exit_code == 9
    assert authorities(sandbox) == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "[" * 100_000, '{"kind": "ca-plan"}', '{"kind": "ca-plan", "environment": 1, "digest": "x"}'],
)
def test_what_is_no_saved_plan_is_refused(pkiops: Any, folder: Path, text: str) -> None:
    (folder / "x.plan").write_text(text)
    result = pkiops("ca", "apply", "dev", "--plan", "x.plan", "--yes")
    assert result.exit_code == 2
    assert "is not a saved plan" in result.stderr
    assert pkiops("ca", "apply", "dev", "--plan", "missing", "--yes").exit_code == 2


def test_a_plan_of_another_environment_is_refused(pkiops: Any, folder: Path) -> None:
    (folder / "x.plan").write_text('{"kind": "ca-plan", "environment": "prod", "digest": "x"}')
    result = pkiops("ca", "apply", "dev", "--plan", "x.plan", "--yes")
    assert result.exit_code == 2
    assert "of environment 'prod'" in result.stderr


def second_environment(folder: Path) -> None:
    text = (folder / "environments" / "dev.yaml").read_text()
    text = text.replace("environment: dev", "environment: test").replace("pki-dev", "pki-test")
    (folder / "environments" / "test.yaml").write_text(text.replace("Example Dev", "Example Test"))


def test_several_environments_in_one_call(pkiops: Any, folder: Path) -> None:
    second_environment(folder)
    assert pkiops("ca", "apply", "test", "--yes").exit_code == 0
    both = pkiops("ca", "plan", "test", "dev", "--detailed-exitcode")
    assert both.exit_code == 5
    assert "test: nothing to do" in both.stdout
    assert "dev: 4 to create" in both.stdout
    assert "dev: changes pending" in both.stderr
    document = json.loads(pkiops("ca", "plan", "test", "dev", "--format", "json").stdout)
    assert document["kind"] == "ca-plans"
    assert [(one["kind"], one["environment"]) for one in document["plans"]] == [("ca-plan", "test"), ("ca-plan", "dev")]
    assert pkiops("ca", "plan", "test", "dev", "--out", "x").exit_code == 2


def test_unmanaged_cas_are_reported_and_change_no_digest(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    before = json.loads(pkiops("ca", "plan", "dev", "--format", "json").stdout)
    subject = {"CommonName": "Somebody's `CA` | <b>"}
    arn = sandbox.client("acm-pca").create_certificate_authority(
        CertificateAuthorityType="ROOT",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": subject,
        },
    )["CertificateAuthorityArn"]
    second_environment(folder)
    after = json.loads(pkiops("ca", "plan", "dev", "--format", "json").stdout)
    assert [one["reference"] for one in after["unmanaged"]] == [arn]
    assert after["digest"] == before["digest"]
    text = pkiops("ca", "plan", "dev", "--detailed-exitcode")
    assert text.exit_code == 0
    assert f"? unmanaged {arn}: Somebody's `CA` | <b>" in text.stdout
    markdown = pkiops("ca", "plan", "dev", "--format", "markdown").stdout
    assert "Somebody's \\`CA\\` \\| &lt;b&gt;" in markdown


def test_an_authority_that_left_the_file_is_reported_not_touched(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    path = folder / "environments" / "dev.yaml"
    text = path.read_text()
    path.write_text(
        text.replace("  clients:\n", "  others:\n")
        .replace("authority: clients", "authority: others")
        .replace("Clients CA", "Others CA")
    )
    planned = pkiops("ca", "plan", "dev")
    assert "the file declares no such authority" in planned.stdout
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    assert len(authorities(sandbox)) == 3


def test_markdown_is_a_table_of_what_changes(pkiops: Any, folder: Path) -> None:
    text = pkiops("ca", "plan", "dev", "--format", "markdown").stdout
    assert text.startswith("### `pkiops ca plan dev`\n\n**dev: 4 to create")
    assert "| `+` | create | `dev/ca/root` | does not exist |" in text
    assert all(line.count(" | ") == 4 for line in text.splitlines() if line.startswith("| `"))


def test_a_blocked_change_says_how_many_live_certificates_hang_below(pkiops: Any, folder: Path) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    request = ("cert", "request", "dev", "--profile", "service", "--san", "dns:a.svc.dev.example.com")
    assert pkiops(*request, "--key", "a.key", "--csr", "a.csr").exit_code == 0
    issued = pkiops("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", "--output", "a.pem")
    assert issued.exit_code == 0, issued.output
    edit(folder, "common_name: Example Dev Root CA G1", "common_name: Example Dev Root CA G9")
    planned = json.loads(pkiops("ca", "plan", "dev", "--format", "json").stdout)
    counts = {one["address"]: one["live_certificates"] for one in planned["actions"] if one["kind"] == "blocked"}
    assert counts == {"dev/ca/root": 1, "dev/ca/clients": 1}
    assert "live certificates below it: 1" in pkiops("ca", "plan", "dev").stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    text = "+ create x\n    field: \x1b[31m\n! blocked y\n\ndev: 1 to create"
    painted = coloured(text, Terminal())
    assert "\x1b[32m+ create x\x1b[0m" in painted
    assert "field: \\x1b[31m" in painted
    assert painted.endswith("\x1b[1mdev: 1 to create\x1b[0m")
    assert "\x1b" not in coloured(text, io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in coloured(text, Terminal())


def test_the_bill_of_environments_and_prices_of_ones_own(pkiops: Any, folder: Path) -> None:
    second_environment(folder)
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    both = pkiops("ca", "cost", "dev", "test")
    assert both.exit_code == 0
    assert "dev/ca/root generation 1  GENERAL_PURPOSE  ACTIVE  USD 400.00 a month" in both.stdout
    assert "all: USD 1600.00 a month" in both.stdout
    assert "checked 2026-" in both.stdout
    (folder / "own.json").write_text('{"authority_month": {"GENERAL_PURPOSE": 10}}')
    own = json.loads(pkiops("ca", "cost", "dev", "--prices", "own.json", "--format", "json").stdout)
    assert (own["kind"], own["environment"], own["usd_month"]) == ("ca-cost", "dev", 20)
    assert own["prices"]["source"] == "own.json"
    assert "USD +20 a month" in pkiops("ca", "plan", "test", "--prices", "own.json").stdout
    (folder / "own.json").write_text("{")
    assert pkiops("ca", "cost", "dev", "--prices", "own.json").exit_code == 2
    assert pkiops("ca", "cost", "dev", "--prices", "missing.json").exit_code == 2
