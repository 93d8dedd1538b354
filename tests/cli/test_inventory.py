"""``pkiops inventory export``: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.cli.inventory import TableChoice
from pkiops.inventory.collect import Table
from pkiops.x509.certificate import load_certificate, view
from tests import builders
from tests.sandbox_server import RunningSandbox, running_sandbox

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
NAME = "orders.svc.dev.example.com"


@dataclass
class Shell:
    """Runs pkiops in a folder of its own, against a sandbox."""

    folder: Path
    sandbox: RunningSandbox

    def run(self, *arguments: str) -> Result:
        cleared = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        settings: dict[str, str | None] = {**cleared, "PKIOPS_SANDBOX_URL": self.sandbox.url}
        command = ["--environments", str(ENVIRONMENTS), *arguments]
        return CliRunner().invoke(app, command, env=settings, prog_name="pkiops")

    def export(self, *arguments: str) -> Result:
        return self.run("inventory", "export", "dev", *arguments)

    def json(self, *arguments: str) -> Any:
        result = self.export(*arguments)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def files(self) -> set[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file() and ".pkiops" not in path.parts)
        return {str(path.relative_to(self.folder)) for path in found}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    with running_sandbox() as sandbox:
        yield Shell(tmp_path, sandbox)


@pytest.fixture
def shell(empty: Shell) -> Shell:
    """With ``dev`` applied."""
    assert empty.run("ca", "apply", "dev", "--yes").exit_code == 0
    return empty


def issue(shell: Shell, *extra: str) -> Result:
    request = shell.folder / "a.csr"
    request.write_bytes(builders.csr({"common_name": NAME}, sans=[f"dns:{NAME}"]))
    result = shell.run("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", *extra)
    request.unlink()
    return result


def test_tells_what_was_issued_refused_and_revoked(shell: Shell) -> None:
    issued = issue(shell)
    certificate = view(load_certificate(issued.stdout.encode(), "issued"))
    assert issue(shell, "--validity", "400d").exit_code == 4
    revoked = shell.run("cert", "revoke", "dev", certificate.serial, "--reason", "superseded", "--yes")
    assert revoked.exit_code == 0, revoked.stderr
    body = shell.json()
    assert (body["kind"], body["environment"], body["format_version"]) == ("inventory", "dev", "1.0")
    assert [(one["authority"], one["status"], one["position"]) for one in body["authorities"]] == [
        ("root", "ACTIVE", "root"),
        ("clients", "ACTIVE", "issuing"),
    ]
    assert body["authorities"][1]["issuer_reference"] == body["authorities"][0]["reference"]
    (one,) = body["certificates"]
    assert (one["serial"], one["sha256"]) == (certificate.serial, certificate.sha256)
    assert (one["validity"], one["revocation_reason"]) == ("revoked", "superseded")
    assert one["sans"] == [f"dns:{NAME}"]
    (refused,) = body["requests"]
    assert (refused["state"], refused["code"]) == ("refused", "policy.validity-too-long")
    assert body["summary"]["requests"]["by_state"] == {"refused": 1}
    assert body["sources"]["certificates"]["path"] == ".pkiops/dev.db"
    assert body["sources"]["authorities"]["account"] == "123456789012"
    assert body["skipped"] == []


def test_csv_goes_to_stdout_one_table_at_a_time(shell: Shell) -> None:
    issue(shell)
    authorities = shell.export("--format", "csv")
    assert "--table certificates is the other" in authorities.stderr
    assert authorities.stdout_bytes.count(b"\r\n") == 3
    rows = list(csv.DictReader(authorities.stdout_bytes.decode().splitlines()))
    assert [row["authority"] for row in rows] == ["root", "clients"]
    assert "written" not in authorities.stdout
    rows = list(csv.DictReader(shell.export("--format", "csv", "--table", "certificates").stdout.splitlines()))
    assert [row["sans"] for row in rows] == [f"dns:{NAME}"]


def test_a_dash_is_stdout(shell: Shell) -> None:
    asked, unasked = shell.export("--output", "-"), shell.export()
    assert asked.exit_code == 0
    assert json.loads(asked.stdout)["authorities"] == json.loads(unasked.stdout)["authorities"]
    assert not shell.files()


def test_csv_goes_to_a_folder_a_file_per_table(shell: Shell) -> None:
    issue(shell)
    (shell.folder / "out").mkdir()
    result = shell.export("--format", "csv", "--output", "out")
    assert (result.exit_code, result.stdout) == (0, "")
    assert shell.files() == {"out/authorities.csv", "out/certificates.csv"}
    assert shell.export("--format", "csv", "--output", "out/", "--table", "certificates").exit_code == 9
    assert shell.export("--format", "csv", "--output", "out/", "--overwrite").exit_code == 0


def test_json_goes_to_a_file(shell: Shell) -> None:
    result = shell.export("--output", "a.json", "--table", "authorities")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "written: a.json" in result.stderr
    body = json.loads((shell.folder / "a.json").read_bytes())
    assert len(body["authorities"]) == 2
    assert "certificates" not in body


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--output", "mine"), 9),
        (("--format", "csv", "--output", "mine"), 9),
        (("--output", "folder"), 2),
        (("--format", "csv", "--output", "missing/"), 2),
        (("--output", "missing/"), 2),
        (("--format", "text", "--output", "folder"), 2),
        (("--output", "missing/a.json"), 2),
        (("--format", "xml"), 2),
        (("--table", "keys"), 2),
    ],
)
def test_refuses_before_it_asks_anything(empty: Shell, arguments: tuple[str, ...], code: int) -> None:
    (empty.folder / "mine").write_bytes(b"mine")
    (empty.folder / "folder").mkdir()
    offline = Shell(empty.folder, RunningSandbox("http://127.0.0.1:9", 9, empty.sandbox.clock))
    result = offline.export(*arguments)
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    assert empty.files() == {"mine"}
    assert (empty.folder / "mine").read_bytes() == b"mine"


def test_without_a_ledger_says_so_and_makes_none(shell: Shell) -> None:
    result = shell.export()
    assert "there is no ledger at .pkiops/dev.db" in result.stderr
    body = json.loads(result.stdout)
    assert body["certificates"] == []
    assert body["sources"]["certificates"]["exists"] is False
    assert not (shell.folder / ".pkiops").exists()


def test_an_empty_account_is_a_list_of_what_is_missing(empty: Shell) -> None:
    body = empty.json("--table", "authorities")
    assert [(one["authority"], one["exists"]) for one in body["authorities"]] == [("root", False), ("clients", False)]


def test_a_deleted_authority_stays_in_the_inventory(shell: Shell) -> None:
    reference = shell.json()["authorities"][1]["reference"]
    client = shell.sandbox.client("acm-pca")
    client.update_certificate_authority(CertificateAuthorityArn=reference, Status="DISABLED")
    client.delete_certificate_authority(CertificateAuthorityArn=reference, PermanentDeletionTimeInDays=7)
    result = shell.export()
    rest = [one for one in json.loads(result.stdout)["authorities"] if one["authority"] == "clients"]
    assert [(one["status"], one["exists"], one["tags"]) for one in rest] == [
        ("DELETED", True, None),
        (None, False, None),
    ]
    assert rest[0]["restorable_until"]
    assert reference in result.stderr


def test_text_is_an_overview(shell: Shell) -> None:
    issue(shell)
    result = shell.export("--format", "text")
    assert result.exit_code == 0
    assert "ACTIVE" in result.stdout
    assert f"dns:{NAME}" in result.stdout


def test_an_account_that_does_not_answer_is_a_backend_error(empty: Shell) -> None:
    offline = Shell(empty.folder, RunningSandbox("http://127.0.0.1:9", 9, empty.sandbox.clock))
    result = offline.export("--format", "json")
    assert result.exit_code == 6
    assert json.loads(result.stderr)["error"]["code"] == "backend.unreachable"
    assert result.stdout == ""


def test_the_command_offers_every_table() -> None:
    assert [one.value for one in TableChoice] == [one.value for one in Table]
