"""``pkiops cert revoke`` with several certificates, over the sandbox."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pkiops.cli.cert_revoke import ReasonChoice
from pkiops.clock import ManualClock
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.faults import fault
from pkiops.sandbox.traffic import Hindrances
from tests import builders
from tests.cli.test_shared_ledger import Runner
from tests.sandbox_server import running_sandbox


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """``a`` to ``d``, of which ``c`` is short-lived; CRLs take half an hour, and the clock stands still."""
    monkeypatch.chdir(tmp_path)
    clock = ManualClock(builders.AT)
    with running_sandbox(clock=clock, settings=Settings(crl_delay=timedelta(minutes=30))) as sandbox:
        made = Runner(tmp_path, sandbox)
        made.here = tmp_path
        file = tmp_path / "environments" / "dev.yaml"
        file.write_text(file.read_text().replace("{type: dynamodb, table: dev-ledger}", "{type: sqlite, path: a.db}"))
        made.done("ca", "apply", "dev", "--yes")
        for name in "abcd":
            issue(made, name, "1d" if name == "c" else "30d")
        yield made


def issue(runner: Runner, name: str, validity: str) -> None:
    host = f"{name}.svc.dev.example.com"
    (runner.folder / f"{name}.csr").write_bytes(builders.csr({"common_name": host}, sans=(f"dns:{host}",)))
    words = ("--profile", "service", "--csr", f"@{name}.csr", "--validity", validity, "--output", f"@{name}.pem")
    runner.done("cert", "issue", "dev", *words)


def serial(runner: Runner, name: str) -> str:
    body = json.loads(runner.done("cert", "show", f"@{name}.pem", "--format", "json").stdout)
    return str(body["certificates"][0]["serial"])


def advance(runner: Runner, by: timedelta) -> None:
    assert isinstance(runner.sandbox.clock, ManualClock)
    runner.sandbox.clock.advance(by)


def statuses(result: Any) -> list[tuple[str, str, str | None]]:
    body = json.loads(result.stdout)
    assert body["kind"] == "cert-revoke-list"
    return [(one["source"].split("/")[-1], one["status"], one["reason"]) for one in body["rows"]]


def test_a_list_is_shown_asked_about_once_and_revoked(runner: Runner) -> None:
    advance(runner, timedelta(days=2))
    (runner.folder / "list.csv").write_text(
        f"# incident\nserial,reason\n{serial(runner, 'a')},keyCompromise\nb.pem,\nxyz,\nc.pem,superseded\n"
    )
    words = ("cert", "revoke", "dev", "d.pem", "--from", "@list.csv", "--reason", "cessationOfOperation")
    asked = runner.run(*words)
    assert asked.exit_code == 9
    assert "Revoke 3 certificates for good" in asked.stderr
    for shown in ("a.svc.dev.example.com", serial(runner, "d"), "service", "keyCompromise", "arn:aws:", "list.csv:5"):
        assert shown in asked.stderr
    revoked = runner.run(*words, "--yes", "--format", "json")
    assert revoked.exit_code == 7, revoked.output
    assert statuses(revoked) == [
        ("argument 1", "revoked", "cessationOfOperation"),
        ("list.csv:3", "revoked", "keyCompromise"),
        ("list.csv:4", "revoked", "cessationOfOperation"),
        ("list.csv:5", "failed", None),
        ("list.csv:6", "skipped", None),
    ]
    again = runner.run(*words, "--format", "json")
    assert again.exit_code == 7, "nothing is left to be asked about"
    assert [one[1] for one in statuses(again)] == ["already", "already", "already", "failed", "skipped"]
    (runner.folder / "list.csv").write_text("b.pem\n")
    assert runner.done("cert", "revoke", "dev", "--from", "@list.csv").stdout == "1 row: 1 already\n"


def test_a_name_and_stdin(runner: Runner) -> None:
    (runner.folder / "a.pem").unlink()
    issue(runner, "a", "20d")
    result = runner.done("cert", "revoke", "dev", "--name", "a.svc.dev.example.com", "--yes", "--format", "json")
    assert [one[1] for one in statuses(result)] == ["revoked", "revoked"]
    unknown = runner.run("cert", "revoke", "dev", "--name", "z.svc.dev.example.com", "--yes")
    assert unknown.exit_code == 6
    assert "no unexpired certificate with the name" in unknown.stderr
    typed = runner.run(
        "cert", "revoke", "dev", "--from", "-", "--yes", stdin=f"{serial(runner, 'b')}\nd.pem\n".encode()
    )
    assert (typed.exit_code, typed.stdout) == (0, "2 rows: 2 revoked\n"), typed.output


def test_what_cannot_be_read_at_all_is_said_before_anything_is_called(runner: Runner) -> None:
    (runner.folder / "empty").write_bytes(b"")
    runner.sandbox.hinder(Hindrances())
    for words in (
        (),
        ("--from", "@nothing"),
        ("--from", "@"),
        ("--from", "@empty"),
        ("-", "--from", "-"),
        ("-", "-"),
    ):
        result = runner.run("cert", "revoke", "dev", *words, "--yes")
        assert result.exit_code == 2, (words, result.output)
    assert runner.sandbox.server is not None
    assert runner.sandbox.server.sandbox.traffic.served == {}


def test_throttles_are_waited_out_and_a_missing_right_is_said_once(runner: Runner) -> None:
    faults = (fault("RevokeCertificate:2:before:ThrottlingException"),)
    runner.sandbox.hinder(Hindrances(faults=faults))
    result = runner.done("cert", "revoke", "dev", "a.pem", "b.pem", "--yes", "--format", "json")
    assert [one[1] for one in statuses(result)] == ["revoked", "revoked"]
    runner.sandbox.hinder(Hindrances(faults=(fault("RevokeCertificate:1:before:AccessDeniedException"),)))
    denied = runner.run("cert", "revoke", "dev", "c.pem", "d.pem", "--yes", "--format", "json")
    assert denied.exit_code == 6, denied.output
    problems = [one["problem"]["code"] for one in json.loads(denied.stdout)["rows"]]
    assert problems == ["backend.access-denied", "revoke-list.not-tried"]


def test_waiting_ends_with_the_crl_and_a_new_run_just_waits(runner: Runner) -> None:
    words = ("cert", "revoke", "dev", "a.pem", "b.pem", "--wait", "--wait-timeout", "1s", "--yes")
    late = runner.run(*words, "--format", "json")
    assert late.exit_code == 7, late.output
    assert [one[1] for one in statuses(late)] == ["revoked", "revoked"]
    assert sorted(json.loads(late.stdout)["wait"]["missing"]) == sorted([serial(runner, "a"), serial(runner, "b")])
    assert "2 of 2 not listed" in late.stderr
    for hint in ("2 of 2 revoked certificates are not on", "5 to 30 minutes", "pkiops crl publish dev"):
        assert hint in late.stderr.replace("\\n", " ")
    # the CRL comes while somebody waits
    timer = threading.Timer(0.5, advance, (runner, timedelta(minutes=31)))
    timer.start()
    result = runner.done(*words[:-2], "30s")
    timer.join()
    assert result.stdout == "2 rows: 2 already\n"
    assert "the CA's CRL lists them (2); next: pkiops crl publish dev" in result.stderr


def test_a_single_one_is_waited_for_too(runner: Runner) -> None:
    plain = json.loads(runner.done("cert", "revoke", "dev", "a.pem", "--yes", "--format", "json").stdout)
    late = runner.run("cert", "revoke", "dev", "a.pem", "--wait", "--wait-timeout", "1s")
    assert (late.exit_code, late.stdout) == (7, f"certificate {plain['serial']} was revoked already\n"), late.output
    advance(runner, timedelta(minutes=31))
    listed = json.loads(runner.done("cert", "revoke", "dev", "a.pem", "--wait", "--format", "json").stdout)
    assert set(listed) == {*plain, "wait"}
    assert (listed["kind"], listed["wait"]["listed"], listed["wait"]["missing"]) == ("cert-revoke", 1, [])


def test_a_wait_that_fails_says_that_it_is_revoked_all_the_same(runner: Runner) -> None:
    runner.sandbox.hinder(Hindrances(faults=(fault("GetObject:1:before:AccessDenied"),)))
    failed = runner.run("cert", "revoke", "dev", "a.pem", "b.pem", "--wait", "--yes", "--format", "json")
    assert failed.exit_code == 6, failed.output
    body = json.loads(failed.stdout)
    assert body["counts"]["revoked"] == 2
    assert body["wait"]["problem"]["code"] == "backend.access-denied"
    assert "revoked they are" in failed.stderr
    wrong = runner.run("cert", "revoke", "dev", "a.pem", "--wait", "--wait-timeout", "soon")
    assert wrong.exit_code == 2


def test_reasons_of_lists_and_of_the_option_are_the_same() -> None:
    from pkiops.backends.interface import RevocationReason

    assert [one.value for one in ReasonChoice] == [one.value for one in RevocationReason]
