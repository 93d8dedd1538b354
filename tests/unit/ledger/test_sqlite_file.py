"""The file of a SQLite ledger."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from pkiops.clock import ManualClock, SeededRandomness
from pkiops.errors import InputError
from pkiops.ledger.interface import EntryState, Rejection
from pkiops.ledger.sqlite import SqliteLedger
from pkiops.ledger.sqlite_file import OPEN
from pkiops.x509.san import parse_san
from tests.builders import AT

REJECTION = Rejection(state=EntryState.REFUSED, environment="test", profile="p", code="c", message="m")


def ledger_at(path: Path) -> SqliteLedger:
    return SqliteLedger(path, ManualClock(AT), SeededRandomness(1))


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    ledger_at(tmp_path / "a" / "b.db")
    assert list(tmp_path.iterdir()) == []


def test_reading_makes_nothing_and_finds_nothing(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path / "a" / "b.db")
    assert (ledger.find_by_serial("test", "1"), ledger.outputs("k"), list(ledger.entries("test"))) == ((), {}, [])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_looked_into_is_said(tmp_path: Path) -> None:
    # a name too long to look up fails for root too, as a forbidden folder does for others
    with pytest.raises(InputError) as caught:
        ledger_at(tmp_path / ("a" * 300) / "b.db").find_by_serial("test", "1")
    assert caught.value.code == "ledger.unwritable"


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.db"
    ledger_at(path).record_rejection(REJECTION)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["c.db"]


def test_it_writes_ahead_and_knows_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    ledger_at(path).record_rejection(REJECTION)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
    db.close()


@pytest.mark.parametrize("content", [b"", b"hello\n", b"SQLite format 3\x00 and then nothing", b"\x00" * 4096])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.db"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        ledger_at(path).record_rejection(REJECTION)
    assert caught.value.code == "ledger.not-ours"
    assert path.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["c.db"]


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE entries (id)")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        ledger_at(path).record_rejection(REJECTION)
    assert caught.value.code == "ledger.not-ours"
    assert path.read_bytes() == before


def test_a_ledger_of_the_future_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    ledger_at(path).record_rejection(REJECTION)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 3")
    db.commit()
    db.close()
    with pytest.raises(InputError) as caught:
        ledger_at(path).latest("x")
    assert caught.value.code == "ledger.version"


def test_kept_open_it_is_written_by_everybody_and_closed_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    one, other = ledger_at(path), ledger_at(path)
    with one.kept_open():
        written = {one.record_rejection(REJECTION).id}
        assert {entry.id for entry in other.entries("test")} == written
        assert (tmp_path / "ledger.db-wal").exists()
    assert {entry.id for entry in other.entries("test")} == written
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"]


def test_what_is_no_ledger_is_not_kept_open(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("notes")
    with pytest.raises(InputError), ledger_at(tmp_path / "ledger.db").kept_open():
        pass
    assert (tmp_path / "ledger.db").read_text() == "notes"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        ledger_at(tmp_path / "file" / "c.db").latest("x")
    assert caught.value.code == "ledger.unwritable"


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "c.db").mkdir()
    with pytest.raises(InputError) as caught:
        ledger_at(tmp_path / "c.db").latest("x")
    assert caught.value.code == "ledger.unwritable"


def test_a_ledger_of_version_1_is_brought_up_once(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    names = (parse_san("dns:A.example.com"), parse_san("uri:spiffe://x.example/E"))
    told = ledger_at(path).record_rejection(
        replace(REJECTION, subject=(("common_name", "ÄB"), ("organization", "Q")), sans=names)
    )
    db = sqlite3.connect(path)
    for statement in (
        "DROP TABLE names",
        *(f"DROP INDEX entries_{one}" for one in ("by_authority", "by_key", "by_expiry", "open")),
    ):
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    # a reader may be the first
    for name in ("a.EXAMPLE.com", "spiffe://x.EXAMPLE/e", "äb"):
        assert ledger_at(path).find_by_name("test", name) == (told,)
    assert ledger_at(path).find_by_name("test", "q") == ()
    assert list(ledger_at(path).find_open("test")) == []
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
    db.close()


_OPEN = f"SELECT * FROM entries WHERE entries.environment = 'a' AND {OPEN}"  # noqa: S608 - a constant


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (f"{_OPEN} AND (created_at, id) > ('', '') ORDER BY created_at, id", "entries_open"),
        (
            "SELECT * FROM entries WHERE environment = 'a' AND authority = 'b' AND (created_at, id) > ('', '') ORDER BY created_at, id",
            "entries_by_authority",
        ),
        (
            "SELECT * FROM entries WHERE environment = 'a' AND spki_sha256 = 'b' AND (created_at, id) > ('', '') ORDER BY created_at, id",
            "entries_by_key",
        ),
        (
            "SELECT * FROM entries WHERE environment = 'a' AND serial IS NOT NULL AND not_after >= '' AND not_after < '3' "
            "AND (not_after, id) > ('', '') ORDER BY not_after, id",
            "entries_by_expiry",
        ),
    ],
)
def test_a_search_goes_through_its_index_in_order(tmp_path: Path, query: str, index: str) -> None:
    path = tmp_path / "c.db"
    ledger_at(path).record_rejection(REJECTION)
    with sqlite3.connect(path) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
    db.close()
    assert len(plan) == 1, plan
    assert index in plan[0]


def test_a_search_by_name_looks_at_the_entries_of_that_name_only(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    ledger_at(path).record_rejection(REJECTION)
    query = (
        "SELECT * FROM entries WHERE id IN (SELECT entry_id FROM names WHERE environment = 'a' AND name = 'b') AND created_at >= ''"
        " ORDER BY created_at, id"
    )
    with sqlite3.connect(path) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
    db.close()
    assert not any(step.startswith("SCAN") for step in plan), plan
