"""The file of a SQLite ledger."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from pkiops.clock import ManualClock, SeededRandomness
from pkiops.errors import InputError
from pkiops.ledger.interface import EntryState, Rejection
from pkiops.ledger.sqlite import SqliteLedger
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
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
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
    db.execute("PRAGMA user_version = 2")
    db.commit()
    db.close()
    with pytest.raises(InputError) as caught:
        ledger_at(path).latest("x")
    assert caught.value.code == "ledger.version"


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
