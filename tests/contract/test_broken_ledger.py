"""Entries that somebody else broke, in each ledger: an error names them, and a list goes on without them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pkiops.cert.listing import Search, find_entries
from pkiops.clock import ManualClock
from pkiops.errors import BackendError
from pkiops.ledger import dynamodb_items
from pkiops.ledger.interface import Entry, Ledger
from tests.builders import AT
from tests.contract.test_ledger import LEDGERS, TABLE, clients_at, intent

BROKEN: list[tuple[str, Any]] = [
    ("sans", "x"),
    ("sans", [["dns", 5]]),
    ("sans", [["host", "a.example.com"]]),
    ("sans", 5),
    ("state", "lost"),
    ("created_at", "yesterday"),
    ("created_at", None),
    ("subject", [["common_name"]]),
    ("subject", [[1, 2]]),
    ("chain", ["!"]),
    ("usages", 7),
    ("findings", ["a"]),
]


class World:
    """A ledger of three entries, of which the second can be broken."""

    def __init__(self, name: str, folder: Path, ledger: Ledger, clock: ManualClock) -> None:
        self._name, self._folder, self.ledger = name, folder, ledger
        self.entries: list[Entry] = []
        for number in range(3):
            clock.advance(timedelta(seconds=1))
            self.entries.append(ledger.begin(replace(intent(), request_key=f"{number}" * 64), 1)[0])

    @contextmanager
    def broken(self, field: str, value: Any) -> Iterator[None]:
        entry = self.entries[1]
        if self._name == "sqlite":
            stored = value if field in {"state", "created_at"} or value == "x" else json.dumps(value)
            with closing(sqlite3.connect(self._folder / "ledger" / "test.db", isolation_level=None)) as db:
                db.execute("PRAGMA ignore_check_constraints = ON")
                [(sound,)] = db.execute(f"SELECT {field} FROM entries WHERE id = ?", (entry.id,))  # noqa: S608
                update = f"UPDATE entries SET {field} = ? WHERE id = ?"  # noqa: S608
                db.execute(update, (stored or "", entry.id))
                yield
                db.execute(update, (sound, entry.id))
            return
        item = dynamodb_items.entry_item(entry, 2, "somebody")
        document = {**json.loads(item["document"]["S"]), field: value}
        client = clients_at(self.ledger._clients.access.endpoint_urls["dynamodb"]).dynamodb()  # type: ignore[attr-defined]
        client.put_item(TableName=TABLE, Item={**item, "document": {"S": json.dumps(document)}})
        yield
        client.put_item(TableName=TABLE, Item=item)


@pytest.mark.parametrize("name", sorted(LEDGERS))
def test_a_broken_entry_is_named_and_left_out_of_a_list(tmp_path: Path, name: str) -> None:
    clock = ManualClock(AT)
    with LEDGERS[name](tmp_path, clock) as ledger:
        world = World(name, tmp_path, ledger, clock)
        for field, value in BROKEN:
            with world.broken(field, value):
                look(ledger, *world.entries)
        assert list(ledger.entries("test")) == world.entries


def look(ledger: Ledger, first: Entry, broken: Entry, last: Entry) -> None:
    for read in (
        lambda: ledger.get(broken.id),
        lambda: ledger.latest(str(broken.request_key)),
        lambda: list(ledger.entries("test")),
    ):
        with pytest.raises(BackendError, match=broken.id) as caught:
            read()
        assert (caught.value.code, caught.value.exit_code) == ("ledger.unreadable-entry", 6)
        assert not caught.value.retryable
    for search in (Search(), Search(name="a.example.com"), Search(authority="clients")):
        page = find_entries(ledger, "test", search, limit=10)
        assert [one.id for one in page.entries] == [first.id, last.id]
        assert [one.details["entry"] for one in page.unreadable] == [broken.id]
