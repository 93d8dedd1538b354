"""``pkiops cert list`` and ``cert show --env``: what the ledger knows, with either kind of ledger."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from pkiops.cert.listing import MOST_LISTED, ListedState
from pkiops.cli.cert_list import _MOST, StateChoice
from pkiops.clock import ManualClock
from tests import builders
from tests.cli.test_shared_ledger import Runner
from tests.sandbox_server import running_sandbox

NAMES = ("orders", "billing", "search")


@pytest.fixture(scope="module", params=["sqlite", "dynamodb"])
def runner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Three certificates, one of them revoked, and a request that was refused."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch, running_sandbox() as sandbox:
        patch.chdir(folder)
        made = Runner(folder, sandbox)
        if request.param == "sqlite":
            made.here = folder
            file = folder / "environments" / "dev.yaml"
            file.write_text(
                file.read_text().replace("{type: dynamodb, table: dev-ledger}", "{type: sqlite, path: a.db}")
            )
        made.done("ca", "apply", "dev", "--yes")
        for name in NAMES:
            host = f"{name}.svc.dev.example.com"
            (folder / f"{name}.csr").write_bytes(builders.csr({"common_name": host}, sans=(f"dns:{host}",)))
            validity = "60d" if name == "search" else "30d"
            words = (
                "--profile",
                "service",
                "--csr",
                f"@{name}.csr",
                "--validity",
                validity,
                "--output",
                f"@{name}.pem",
            )
            made.done("cert", "issue", "dev", *words)
        made.done("cert", "revoke", "dev", "@billing.pem", "--yes")
        (folder / "evil.csr").write_bytes(
            builders.csr({"common_name": "evil.example.org"}, sans=("dns:evil.example.org",))
        )
        assert made.run("cert", "issue", "dev", "--profile", "service", "--csr", "@evil.csr").exit_code == 4
        yield made


def listed(runner: Runner, *words: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(runner.done("cert", "list", "dev", "--format", "json", *words).stdout)
    assert body["kind"] == "cert-list"
    return body


def names(runner: Runner, *words: str) -> set[str]:
    return {one["sans"][0].removeprefix("dns:").split(".")[0] for one in listed(runner, *words)["entries"]}


def test_everything_and_each_filter(runner: Runner) -> None:
    assert names(runner) == {*NAMES, "evil"}
    assert names(runner, "--state", "issued") == set(NAMES)
    assert names(runner, "--state", "revoked") == {"billing"}
    assert names(runner, "--state", "refused") == {"evil"}
    assert names(runner, "--state", "open") == set()
    assert names(runner, "--name", "orders.svc.dev.example.com") == {"orders"}
    assert names(runner, "--name", "dns:evil.example.org") == {"evil"}
    assert names(runner, "--authority", "clients") == {*NAMES, "evil"}
    assert names(runner, "--authority", "root") == set()
    assert names(runner, "--profile", "service", "--requester", "arn:aws:") == set(NAMES)
    assert names(runner, "--expiring-within", "40d") == {"orders", "billing"}
    assert names(runner, "--expiring-within", "40d", "--at", "2026-12-30T00:00:00Z") == {"search"}
    assert names(runner, "--expiring-before", "2027-01-01T00:00:00Z") == {"orders", "billing"}
    assert names(runner, "--expiring-before", "2026-12-01T00:00:00Z") == set()


def test_the_clock_of_the_sandbox_counts(runner: Runner) -> None:
    assert isinstance(runner.sandbox.clock, ManualClock)
    runner.sandbox.clock.advance(timedelta(days=31))
    try:
        assert names(runner, "--expiring-within", "40d") == {"search"}
    finally:
        runner.sandbox.clock.advance(timedelta(days=-31))


def test_a_page_names_the_next(runner: Runner) -> None:
    found: list[str] = []
    after: tuple[str, ...] = ()
    for _ in range(4):
        page = listed(runner, "--limit", "1", *after)
        found += [one["entry"] for one in page["entries"]]
        after = ("--after", page["next"])
    assert page["next"] is None
    assert len(set(found)) == 4
    text = runner.done("cert", "list", "dev", "--limit", "1")
    assert f"--after {found[0]}" in text.stderr


def test_a_table_for_people(runner: Runner) -> None:
    text = runner.done("cert", "list", "dev", "--state", "issued").stdout
    assert text.splitlines()[0].split()[:5] == ["SERIAL", "OR", "ENTRY", "STATE", "NAME"]
    assert max(map(len, text.splitlines())) < 140
    (line,) = [line for line in text.splitlines() if "orders" in line]
    assert line.split()[1:] == [
        "issued",
        "dns:orders.svc.dev.example.com",
        "clients",
        "service",
        "2026-11-25",
        "12:00",
        "2026-12-25",
        "12:00",
    ]
    assert "revoked" in text
    gone = runner.done("cert", "list", "dev", "--profile", "nope")
    assert "the environment file has no profile 'nope' (any more); it has service" in gone.stderr
    nothing = runner.done("cert", "list", "dev", "--name", "nobody")
    assert (nothing.stdout, nothing.stderr) == ("", "nothing of that kind is in the ledger\n")


def test_one_is_shown_by_serial_and_by_entry(runner: Runner) -> None:
    (one,) = listed(runner, "--name", "billing.svc.dev.example.com")["entries"]
    assert [each["serial"] for each in listed(runner, "--serial", one["serial"])["entries"]] == [one["serial"]]
    for target in (one["serial"], one["entry"]):
        body = json.loads(runner.done("cert", "show", target, "--env", "dev", "--format", "json").stdout)
        (shown,) = body["entries"]
        assert (body["kind"], shown["entry"], shown["revocation_reason"]) == ("cert-show", one["entry"], "unspecified")
        assert len(shown["certificates"]) == 3
    text = runner.done("cert", "show", one["serial"], "--env", "dev").stdout
    assert f"ledger entry {one['entry']}" in text
    assert "revocation reason" in text


@pytest.mark.parametrize(
    "words",
    [
        ("cert", "list", "dev", "--serial", "no serial"),
        ("cert", "list", "dev", "--authority", "nobody"),
        ("cert", "list", "dev", "--state", "lost"),
        ("cert", "list", "dev", "--expiring-within", "soon"),
        ("cert", "list", "dev", "--expiring-before", "2026-12-01T12:00"),
        ("cert", "list", "dev", "--expiring-before", "2026-12-01T00:00:00Z", "--expiring-within", "1d"),
        ("cert", "list", "dev", "--limit", "0"),
        ("cert", "list", "dev", "--after", "none"),
        ("cert", "show", "abc", "--env", "dev"),
        ("cert", "show", "no serial", "--env", "dev"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_looked_for_is_wrong_usage(runner: Runner, words: tuple[str, ...]) -> None:
    result = runner.run(*words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output


def test_the_words_of_the_command_line_are_those_of_the_library() -> None:
    assert [one.value for one in StateChoice] == [one.value for one in ListedState]
    assert _MOST == MOST_LISTED


def test_a_broken_entry_is_named_by_a_list_and_by_an_issue(runner: Runner) -> None:
    if runner.here is None:
        return  # a table's items are broken in tests/contract
    with closing(sqlite3.connect(runner.here / "a.db", isolation_level=None)) as db:
        where = "WHERE serial IS NOT NULL AND subject LIKE '%orders%'"
        [(entry, sound)] = db.execute(f"SELECT id, sans FROM entries {where}")  # noqa: S608
        db.execute(f"UPDATE entries SET sans = 'x' {where}")  # noqa: S608
        body = listed(runner)
        shown = runner.done("cert", "list", "dev")
        again = runner.run("cert", "issue", "dev", "--profile", "service", "--csr", "@orders.csr", "--validity", "30d")
        db.execute(f"UPDATE entries SET sans = ? {where}", (sound,))  # noqa: S608
    assert [one["entry"] for one in body["unreadable"]] == [entry]
    assert entry not in {one["entry"] for one in body["entries"]}
    assert f"left out: ledger entry {entry} cannot be read" in shown.stderr
    assert "billing" in shown.stdout
    assert again.exit_code == 6
    assert f"ledger entry {entry} cannot be read" in again.output
    assert listed(runner)["unreadable"] == []
