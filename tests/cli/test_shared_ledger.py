"""``ledger: {type: dynamodb}``: runners without a disk of their own issue, see and revoke the same certificates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.clock import ManualClock
from pkiops.sandbox.faults import fault
from pkiops.sandbox.traffic import Hindrances
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.sandbox_server import RunningSandbox, running_sandbox

SAMPLE = Path(__file__).parents[2] / "environments" / "dev.yaml"
NAME = "orders.svc.dev.example.com"


class Runner:
    """pkiops in folders of its own, one for each call; or always ``here``."""

    here: Path | None = None

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.calls = 0
        (folder / "environments").mkdir()
        text = SAMPLE.read_text()
        (line,) = [line for line in text.splitlines() if line.startswith("ledger:")]
        start = text.index(line)
        end = text.index("\npublication:", start)
        (folder / "environments" / "dev.yaml").write_text(
            text[:start] + "ledger: {type: dynamodb, table: dev-ledger}" + text[end:]
        )
        (folder / "a.csr").write_bytes(builders.csr({"common_name": NAME}, sans=(f"dns:{NAME}",)))

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        self.calls += 1
        here = self.here or self.folder / str(self.calls)
        here.mkdir(exist_ok=True)
        os.chdir(here)
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        settings |= {"PKIOPS_SANDBOX_URL": self.sandbox.url}
        words = [word.replace("@", f"{self.folder}/") for word in arguments]
        command = ["--environments", str(self.folder / "environments"), *words]
        return CliRunner().invoke(app, command, input=stdin, env=settings, prog_name="pkiops")

    def done(self, *arguments: str) -> Result:
        result = self.run(*arguments)
        assert result.exit_code == 0, (arguments, result.output)
        return result

    def issue(self, output: str, *more: str) -> Result:
        return self.run(
            "cert", "issue", "dev", "--profile", "service", "--csr", "@a.csr", "--output", f"@{output}", *more
        )


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    before = Path.cwd()
    with running_sandbox() as sandbox:
        yield Runner(tmp_path, sandbox)
    os.chdir(before)


def test_runners_without_a_disk_share_what_was_issued(runner: Runner) -> None:
    runner.done("ca", "apply", "dev", "--yes")
    assert runner.issue("one.pem").exit_code == 0
    assert runner.issue("two.pem").exit_code == 0
    assert (runner.folder / "one.pem").read_bytes() == (runner.folder / "two.pem").read_bytes()
    found = json.loads(runner.done("inventory", "export", "dev", "--format", "json").stdout)
    assert [one["state"] for one in found["certificates"]] == ["issued"]
    source = found["sources"]["certificates"]
    assert (source["type"], source["table"], source["exists"]) == ("dynamodb", "dev-ledger", True)
    runner.done("cert", "revoke", "dev", "@one.pem", "--reason", "keyCompromise", "--yes")
    refused = runner.issue("three.pem")
    assert refused.exit_code == 4, refused.output
    assert list(runner.folder.rglob("*.db")) == []


def test_machines_with_one_certificate_renew_it_once(runner: Runner) -> None:
    runner.done("ca", "apply", "dev", "--yes")
    key = builders.key()
    (runner.folder / "a.key").write_bytes(private_key_pem(key))
    (runner.folder / "a.csr").write_bytes(builders.csr({"common_name": NAME}, sans=(f"dns:{NAME}",), private_key=key))
    for machine in ("one", "two"):
        assert runner.issue(f"{machine}", "--key", f"{runner.folder}/a.key").exit_code == 0
    assert isinstance(runner.sandbox.clock, ManualClock)
    runner.sandbox.clock.advance(timedelta(days=25))
    command = [
        sys.executable,
        "-m",
        "pkiops",
        "--environments",
        str(runner.folder / "environments"),
        "cert",
        "renew",
        "dev",
    ]
    settings = {**runner.sandbox.environment, "PYTHONPATH": str(SAMPLE.parents[1]), "PATH": "/usr/bin:/bin"}
    runs = [
        subprocess.Popen(
            [*command, str(runner.folder / name), "--key", str(runner.folder / "a.key"), "--due"],
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for name in ("one", "two")
    ]
    answers = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], answers
    assert (runner.folder / "one").read_bytes() == (runner.folder / "two").read_bytes()
    found = json.loads(runner.done("cert", "list", "dev", "--format", "json").stdout)
    assert [one["state"] for one in found["entries"]] == ["issued"] * 2


def test_a_lost_answer_is_resolved_by_another_runner(runner: Runner) -> None:
    runner.done("ca", "apply", "dev", "--yes")
    # the intent is written, the CA is asked, and its answer cannot be written any more
    runner.sandbox.hinder(Hindrances(faults=(fault("PutItem:2:before:AccessDeniedException"),)))
    assert runner.issue("one.pem").exit_code == 6
    assert isinstance(runner.sandbox.clock, ManualClock)
    runner.sandbox.clock.advance(timedelta(minutes=10))
    assert runner.issue("one.pem").exit_code == 9
    resolved = json.loads(runner.done("cert", "resolve", "dev", "--format", "json").stdout)
    assert (resolved["counts"]["issued"], resolved["counts"]["entries"]) == (1, 1)
    assert runner.issue("one.pem").exit_code == 0
    assert json.loads(runner.done("cert", "resolve", "dev", "--format", "json").stdout)["counts"]["entries"] == 0
    found = json.loads(runner.done("cert", "list", "dev", "--state", "issued", "--format", "json").stdout)
    assert [one["attempt"] for one in found["entries"]] == [1]


def test_without_its_table_nothing_is_issued(runner: Runner) -> None:
    runner.done("ca", "apply", "dev", "--yes")
    table = runner.sandbox.client("dynamodb")
    table.update_table(TableName="dev-ledger", DeletionProtectionEnabled=False)
    table.delete_table(TableName="dev-ledger")
    refused = runner.issue("one.pem")
    assert refused.exit_code == 2, refused.output
    assert "there is no ledger table dev-ledger" in refused.stderr
    assert not (runner.folder / "one.pem").exists()
    assert runner.run("ca", "plan", "dev").exit_code == 0


def test_a_job_whose_disk_vanishes_is_told_before_anything_else() -> None:
    settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("PKIOPS_", "AWS_"))}
    command = [
        "--environments",
        str(SAMPLE.parent),
        "cert",
        "issue",
        "staging",
        "--profile",
        "service",
        "--csr",
        "none",
    ]
    for job in ({"GITHUB_ACTIONS": "true"}, {"GITHUB_ACTIONS": None}):
        result = CliRunner().invoke(app, command, env={**settings, **job}, prog_name="pkiops")
        assert result.exit_code == 2, result.output
        assert ("this is a GitHub Actions job" in result.stderr) == (job["GITHUB_ACTIONS"] is not None)
