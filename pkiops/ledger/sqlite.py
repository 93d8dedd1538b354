"""A ledger in one SQLite file, safe for any number of threads and processes of one machine.

What this module decides: how records become rows, and that every method is one transaction of its own connection, so that nothing is shared between
threads and nothing is left open. The file itself is ``sqlite_file.py``'s.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from pkiops.clock import Clock, Randomness
from pkiops.errors import BackendError, InternalError
from pkiops.ledger import transitions
from pkiops.ledger.interface import (
    Entry,
    EntryState,
    LedgerIntent,
    Output,
    Position,
    Rejection,
    Report,
    RevocationRecord,
)
from pkiops.ledger.sqlite_file import OPEN, kept_open, transaction
from pkiops.ledger.values import moment_of, moment_text, read_from, require_sound, searched_names, utf8
from pkiops.x509.san import SanKind, SubjectAltName

_PAGE = 500
_SELECT = """
SELECT entries.*, revocations.reason, revocations.revoked_at, revocations.revoked_by
FROM entries LEFT JOIN revocations USING (environment, authority_reference, serial)
"""


class SqliteLedger:
    """The ledger in ``path``; the file is made by the first write, and looked at by nobody before.

    Args:
        path: the file.
        clock: says when an entry is made or changed.
        randomness: ids of rejections.
    """

    def __init__(self, path: Path, clock: Clock, randomness: Randomness) -> None:
        self._path = path
        self._clock = clock
        self._randomness = randomness
        self._report: Report | None = None

    def leaving_out(self, report: Report) -> SqliteLedger:
        """See ``Ledger.leaving_out``."""
        other = copy(self)
        other._report = report
        return other

    def kept_open(self) -> AbstractContextManager[None]:
        """See ``KeepsOpen``."""
        return kept_open(self._path)

    def begin(self, intent: LedgerIntent, attempt: int) -> tuple[Entry, bool]:
        """See ``Ledger.begin``."""
        entry_id = f"{intent.request_key}-{attempt}"
        with transaction(self._path, write=True) as db:
            existing = _find(db, entry_id)
            if existing is not None:
                return existing, False
            values = {one.name: getattr(intent, one.name) for one in fields(intent)}
            self._insert(db, {**values, "id": entry_id, "attempt": attempt, "state": EntryState.PENDING})
            return _require(db, entry_id), True

    def latest(self, request_key: str) -> Entry | None:
        """See ``Ledger.latest``."""
        return self._one("WHERE request_key = ? ORDER BY attempt DESC LIMIT 1", request_key)

    def get(self, entry_id: str) -> Entry | None:
        """See ``Ledger.get``."""
        return self._one("WHERE id = ?", entry_id)

    def record_reference(self, entry_id: str, reference: str) -> Entry:
        """See ``Ledger.record_reference``."""
        return self._change(entry_id, lambda entry: transitions.with_reference(entry, reference))

    def record_issued(self, entry_id: str, chain: Sequence[bytes]) -> Entry:
        """See ``Ledger.record_issued``."""
        return self._change(entry_id, lambda entry: transitions.issued(entry, chain))

    def record_failed(
        self, entry_id: str, code: str, message: str, *, reference: str | None, chain: Sequence[bytes] = ()
    ) -> Entry:
        """See ``Ledger.record_failed``."""
        return self._change(entry_id, lambda entry: transitions.failed(entry, code, message, reference, chain))

    def record_unknown(self, entry_id: str, doubt: str) -> Entry:
        """See ``Ledger.record_unknown``."""
        return self._change(entry_id, lambda entry: transitions.unknown(entry, doubt))

    def record_rejection(self, rejection: Rejection) -> Entry:
        """See ``Ledger.record_rejection``."""
        entry_id = str(self._randomness.uuid4())
        with transaction(self._path, write=True) as db:
            self._insert(db, {**{one.name: getattr(rejection, one.name) for one in fields(rejection)}, "id": entry_id})
            return _require(db, entry_id)

    def record_revoked(self, environment: str, authority_reference: str, serial: str, record: RevocationRecord) -> None:
        """See ``Ledger.record_revoked``."""
        with transaction(self._path, write=True) as db:
            db.execute(
                "INSERT OR IGNORE INTO revocations VALUES (?, ?, ?, ?, ?, ?)",
                (environment, authority_reference, serial, record.reason, moment_text(record.at), record.requester),
            )

    def record_outputs(self, entry_id: str, outputs: Sequence[Output]) -> None:
        """See ``Ledger.record_outputs``."""
        with transaction(self._path, write=True) as db:
            rows = [(entry_id, utf8(one.path), one.sha256) for one in outputs]
            db.executemany("INSERT OR IGNORE INTO outputs VALUES (?, ?, ?)", rows)

    def outputs(self, request_key: str) -> Mapping[str, frozenset[str]]:
        """See ``Ledger.outputs``."""
        with transaction(self._path, write=False) as db:
            rows = db.execute(
                "SELECT path, sha256 FROM outputs JOIN entries ON entries.id = entry_id WHERE request_key = ?",
                (request_key,),
            )
            found: dict[str, set[str]] = {}
            for row in rows:
                found.setdefault(row["path"], set()).add(row["sha256"])
        return {path: frozenset(digests) for path, digests in found.items()}

    def find_by_serial(self, environment: str, serial: str) -> tuple[Entry, ...]:
        """See ``Ledger.find_by_serial``."""
        with transaction(self._path, write=False) as db:
            where = "WHERE entries.environment = ? AND entries.serial = ? ORDER BY created_at, id"
            return tuple(self._read(db.execute(_SELECT + where, (environment, serial))))

    def find_by_fingerprint(self, certificate_sha256: str) -> Entry | None:
        """See ``Ledger.find_by_fingerprint``."""
        return self._one("WHERE certificate_sha256 = ? ORDER BY created_at, id LIMIT 1", certificate_sha256)

    def find_compromised(self, environment: str, spki_sha256: str) -> Entry | None:
        """See ``Ledger.find_compromised``."""
        # CROSS: from the few revocations to their entries, for which there is an index
        where = (
            "WHERE id IN (SELECT id FROM revocations AS r CROSS JOIN entries AS e USING (environment, serial, authority_reference)"
            " WHERE r.environment = ? AND r.reason = 'keyCompromise' AND e.spki_sha256 = ?) ORDER BY created_at, id LIMIT 1"
        )
        with transaction(self._path, write=False) as db:
            row = db.execute(_SELECT + where, (environment, spki_sha256)).fetchone()
            return _entry(row) if row else None

    def entries(self, environment: str, *, after: Position | None = None) -> Iterator[Entry]:
        """See ``Ledger.entries``."""
        return self._paged("entries.environment = ?", (environment,), after)

    def find_open(self, environment: str) -> Iterator[Entry]:
        """See ``Ledger.find_open``."""
        # in the words of the partial index, or it is not used
        return self._paged(f"entries.environment = ? AND {OPEN}", (environment,))

    def find_by_name(self, environment: str, name: str, *, since: datetime | None = None) -> tuple[Entry, ...]:
        """See ``Ledger.find_by_name``."""
        where = (
            "WHERE id IN (SELECT entry_id FROM names WHERE environment = ? AND name = ?) AND created_at >= ?"
            " ORDER BY created_at, id"
        )
        values = (environment, utf8(name).lower(), "" if since is None else moment_text(since))
        with transaction(self._path, write=False) as db:
            return tuple(self._read(db.execute(_SELECT + where, values)))

    def find_by_key(self, environment: str, spki_sha256: str) -> Iterator[Entry]:
        """See ``Ledger.find_by_key``."""
        return self._paged("entries.environment = ? AND spki_sha256 = ?", (environment, spki_sha256))

    def find_by_authority(self, environment: str, authority: str, *, after: Position | None = None) -> Iterator[Entry]:
        """See ``Ledger.find_by_authority``."""
        return self._paged("entries.environment = ? AND authority = ?", (environment, authority), after)

    def find_expiring(
        self, environment: str, start: datetime, end: datetime, *, after: Position | None = None
    ) -> Iterator[Entry]:
        """See ``Ledger.find_expiring``."""
        where = "entries.environment = ? AND entries.serial IS NOT NULL AND not_after >= ? AND not_after < ?"
        return self._paged(where, (environment, moment_text(start), moment_text(end)), after, by="not_after")

    def _paged(
        self, where: str, values: tuple[str, ...], after: Position | None = None, by: str = "created_at"
    ) -> Iterator[Entry]:
        last = (moment_text(after.moment), after.entry_id) if after else ("", "")
        where = f"WHERE {where} AND ({by}, id) > (?, ?) ORDER BY {by}, id LIMIT {_PAGE}"
        while True:
            # Page by page, so that no transaction is open while the caller works.
            with transaction(self._path, write=False) as db:
                page = db.execute(_SELECT + where, (*values, *last)).fetchall()
            yield from self._read(page)
            if len(page) < _PAGE:
                return
            last = page[-1][by], page[-1]["id"]

    def _read(self, rows: Iterable[sqlite3.Row]) -> Iterator[Entry]:
        for row in rows:
            try:
                entry = _entry(row)
            except BackendError as error:
                if self._report is None:
                    raise
                self._report(error)
            else:
                yield entry

    def _one(self, where: str, value: str) -> Entry | None:
        with transaction(self._path, write=False) as db:
            row = db.execute(_SELECT + where, (value,)).fetchone()
            return _entry(row) if row else None

    def _insert(self, db: sqlite3.Connection, values: Mapping[str, Any]) -> None:
        now = self._clock.now()
        columns = {
            name: _stored(name, value) for name, value in {**values, "created_at": now, "updated_at": now}.items()
        }
        marks = ", ".join("?" * len(columns))
        db.execute(f"INSERT INTO entries ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))  # noqa: S608
        names = searched_names(values.get("subject", ()), values.get("sans", ()))
        rows = [(columns["environment"], name, columns["id"]) for name in sorted(names)]
        db.executemany("INSERT INTO names VALUES (?, ?, ?)", rows)

    def _change(self, entry_id: str, change: Callable[[Entry], transitions.Changes]) -> Entry:
        with transaction(self._path, write=True) as db:
            entry = _require(db, entry_id)
            changes = change(entry)
            if not changes:
                return entry
            columns = {
                name: _stored(name, value) for name, value in {**changes, "updated_at": self._clock.now()}.items()
            }
            assignments = ", ".join(f"{name} = ?" for name in columns)
            db.execute(f"UPDATE entries SET {assignments} WHERE id = ?", (*columns.values(), entry_id))  # noqa: S608
            return _require(db, entry_id)


def _find(db: sqlite3.Connection, entry_id: str) -> Entry | None:
    row = db.execute(_SELECT + "WHERE id = ?", (entry_id,)).fetchone()
    return _entry(row) if row else None


def _require(db: sqlite3.Connection, entry_id: str) -> Entry:
    entry = _find(db, entry_id)
    if entry is None:
        raise InternalError(f"ledger entry {entry_id} does not exist")
    return entry


def _stored(name: str, value: Any) -> Any:
    """A field's value as SQLite keeps it: moments as text that sorts, lists as JSON, DER in base64."""
    if isinstance(value, datetime):
        return moment_text(value)
    if name == "chain":
        return json.dumps([base64.b64encode(der).decode("ascii") for der in value])
    if name == "sans":
        return json.dumps([[san.kind.value, san.value] for san in value])
    if name in {"subject", "usages", "findings", "doubts"}:
        return json.dumps(value)
    return utf8(value) if isinstance(value, str) else value


def _entry(row: sqlite3.Row) -> Entry:
    with read_from(str(row["id"])):
        return require_sound(_parsed(row))


def _parsed(row: sqlite3.Row) -> Entry:
    values: dict[str, Any] = {one.name: row[one.name] for one in fields(Entry) if one.name != "revocation"}
    for name in ("created_at", "updated_at", "not_before", "not_after"):
        values[name] = moment_of(values[name]) if values[name] else None
    values["state"] = EntryState(values["state"])
    values["subject"] = tuple((field, value) for field, value in json.loads(row["subject"]))
    values["sans"] = tuple(SubjectAltName(SanKind(kind), value) for kind, value in json.loads(row["sans"]))
    values["chain"] = tuple(base64.b64decode(text, validate=True) for text in json.loads(row["chain"]))
    for name in ("usages", "findings", "doubts"):
        values[name] = tuple(json.loads(row[name]))
    if row["reason"] is not None:
        values["revocation"] = RevocationRecord(
            reason=row["reason"], at=moment_of(row["revoked_at"]), requester=row["revoked_by"]
        )
    return Entry(**values)
