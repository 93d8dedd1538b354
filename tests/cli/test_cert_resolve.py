"""``pkiops cert resolve``: requests whose answer was lost are found out, over HTTP against the sandbox."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pkiops.clock import ManualClock
from pkiops.sandbox.faults import fault
from pkiops.sandbox.traffic import Hindrances
from tests.cli.estate import ENVIRONMENTS, Estate
from tests.sandbox_server import running_sandbox

FORGET = "UPDATE entries SET state = 'pending', serial = NULL, certificate_sha256 = NULL, chain = '[]', certificate_reference = NULL WHERE id = ?"


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    monkeypatch.chdir(tmp_path)
    with running_sandbox() as sandbox:
        made = Estate(tmp_path, sandbox)
        made.done("ca", "apply", "dev", "--yes")
        yield made


def advance(estate: Estate, **by: float) -> None:
    assert isinstance(estate.sandbox.clock, ManualClock)
    estate.sandbox.clock.advance(timedelta(**by))


def lose(estate: Estate, name: str = "orders") -> str:
    """A run that was killed when the CA had heard of it, and nobody had written that down."""
    estate.issue(name)
    entry = f"{issued(estate, name)['request_key']}-1"
    with sqlite3.connect(estate.folder / ".pkiops" / "dev.db") as db:
        db.execute(FORGET, (entry,))
    db.close()
    return entry


def issued(estate: Estate, name: str) -> dict[str, Any]:
    words = ("--profile", "service", "--csr", f"@{name}.csr", "--format", "json")
    body: dict[str, Any] = json.loads(estate.done("cert", "issue", "dev", *words).stdout)
    return body


def again(estate: Estate, name: str = "orders", *more: str) -> tuple[int, str]:
    result = estate.run(
        "cert", "issue", "dev", "--profile", "service", "--csr", f"@{name}.csr", "--format", "json", *more
    )
    return result.exit_code, result.output


def test_a_lost_certificate_is_found_and_handed_out(estate: Estate) -> None:
    entry = lose(estate)
    serial = (estate.folder / "orders.pem").read_bytes()
    advance(estate, minutes=10)
    code, output = again(estate)
    assert code == 9
    assert f"pkiops cert resolve dev --entry {entry}" in output
    body = json.loads(estate.done("cert", "resolve", "dev", "--format", "json").stdout)
    assert (body["kind"], body["environment"]) == ("cert-resolve", "dev")
    assert body["counts"]["issued"] == body["counts"]["entries"] == 1
    (told,) = body["entries"]
    assert (told["entry"], told["outcome"], told["state"]) == (entry, "issued", "issued")
    assert body["reports"][0]["where"].startswith("s3://example-pki-dev-crl/audit-report/")
    served = issued(estate, "orders")
    assert served["certificate"].encode() == serial[: len(served["certificate"])]
    assert served["serial"] == told["serial"]
    assert "nothing is open" in estate.done("cert", "resolve", "dev").stdout
    assert "was made, and is recorded" in estate.done("cert", "resolve", "dev", "--entry", entry).stdout


def test_a_request_that_never_arrived_is_made_again(estate: Estate) -> None:
    estate.issue("first")
    words = (
        "cert",
        "request",
        "dev",
        "--profile",
        "service",
        "--san",
        "dns:orders.svc.dev.example.com",
        "--key",
        "@o.key",
    )
    estate.done(*words, "--csr", "@orders.csr")
    with sqlite3.connect(estate.folder / ".pkiops" / "dev.db") as db:
        # killed between writing the intent and asking
        columns = [row[1] for row in db.execute("PRAGMA table_info(entries)")]
        (row,) = db.execute(f"SELECT {', '.join(columns)} FROM entries").fetchall()  # noqa: S608 - names of the table
        values = dict(zip(columns, row, strict=True)) | {"request_key": "f" * 64, "id": f"{'f' * 64}-1"}
        values |= {"spki_sha256": "e" * 64, "csr_sha256": "d" * 64}
        db.execute(f"INSERT INTO entries VALUES ({', '.join('?' * len(columns))})", [values[name] for name in columns])  # noqa: S608
        db.execute(FORGET, (values["id"],))
    db.close()
    advance(estate, minutes=6)
    early = estate.run("cert", "resolve", "dev")
    assert early.exit_code == 6
    # to some seconds: our clock goes on between two answers of one that stands still
    assert re.search(r"not known yet, from 2026-11-25T12:(09:5|10:0)\dZ on", early.stdout)
    assert "hint: run the same command again after" in early.stderr
    advance(estate, minutes=4)
    body = json.loads(estate.done("cert", "resolve", "dev", "--format", "json").stdout)
    assert (body["counts"]["never_made"], body["entries"][0]["state"]) == (1, "failed")


def test_what_was_issued_again_keeps_its_doubt_until_it_is_known(estate: Estate) -> None:
    entry = lose(estate)
    advance(estate, minutes=10)
    code, output = again(estate, "orders", "--reissue")
    assert code == 0, output
    body = json.loads(estate.done("cert", "resolve", "dev", "--format", "json").stdout)
    (told,) = body["entries"]
    assert (told["entry"], told["outcome"]) == (entry, "issued")
    assert "--reissue" in told["doubts"][0]
    assert issued(estate, "orders")["attempt"] == 2


def test_without_the_right_to_make_reports_it_says_exactly_that(estate: Estate) -> None:
    lose(estate)
    advance(estate, minutes=11)
    estate.sandbox.hinder(
        Hindrances(faults=(fault("CreateCertificateAuthorityAuditReport:1:before:AccessDeniedException"),))
    )
    refused = estate.run("cert", "resolve", "dev")
    assert refused.exit_code == 6
    assert "what came of 1 request to dev/ca/clients stays unknown" in refused.stderr
    assert "acm-pca:CreateCertificateAuthorityAuditReport" in refused.stderr
    assert estate.run("cert", "resolve", "dev").exit_code == 0


def test_an_entry_that_is_not_there(estate: Estate) -> None:
    result = estate.run("cert", "resolve", "dev", "--entry", "none")
    assert (result.exit_code, result.stdout) == (2, "")


def test_two_at_once_end_the_same(estate: Estate) -> None:
    entries = {lose(estate, "orders"), lose(estate, "billing")}
    advance(estate, minutes=10)
    command = [
        sys.executable,
        "-m",
        "pkiops",
        "--environments",
        str(ENVIRONMENTS),
        "cert",
        "resolve",
        "dev",
        "--format",
        "json",
    ]
    settings = {**estate.sandbox.environment, "PYTHONPATH": str(ENVIRONMENTS.parent), "PATH": "/usr/bin:/bin"}
    runs = [
        subprocess.Popen(command, cwd=estate.folder, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], answers
    with sqlite3.connect(estate.folder / ".pkiops" / "dev.db") as db:
        found = dict(db.execute("SELECT id, state || doubts FROM entries"))
    db.close()
    assert found == dict.fromkeys(entries, "issued[]")
