"""What the ledger knows that bears on one more certificate, as facts for the policy.

What this module decides: which entries count (those with a certificate, and those that may have led to one), and that each question goes through an
index of the ledger and is asked only if a rule of the profile needs its answer. What follows from the facts is ``policy``'s. Two runs at the same
moment may each read before the other writes: limits hold for what the ledger knew when it was asked. Within one run they hold in any case.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pkiops.ledger.interface import Entry, EntryState, Ledger, LedgerIntent
from pkiops.policy.engine import names_of
from pkiops.policy.findings import LedgerFacts, LivingCertificate
from pkiops.policy.rules import Profile
from pkiops.x509.duration import Duration

_MAY_EXIST = frozenset({EntryState.PENDING, EntryState.ISSUED, EntryState.UNKNOWN})
_T = TypeVar("_T")


# Digests stand for what is only compared. All of it is in memory, in SQLite because its pages hold a row in a third of the room that objects take.
_TABLES = """
CREATE TABLE requests (request BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE asked (name BLOB, request BLOB, moment INTEGER, PRIMARY KEY (name, request)) WITHOUT ROWID;
CREATE TABLE certified (key BLOB, request BLOB, names TEXT, PRIMARY KEY (key, request)) WITHOUT ROWID;
"""


class RunTally:
    """What a run has let through, before the ledger may tell of it: so that orders in flight at once are held against each other. Safe for threads.

    It remembers requests, names and keys only under profiles whose rules ask for them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._opened: sqlite3.Connection | None = None

    def judged(self, record: LedgerIntent, known: History, now: datetime, judge: Callable[[LedgerFacts], _T]) -> _T:
        """Call ``judge`` with what is known, of the ledger and of this run; unless it raises, the request is let through. Again it counts once."""
        own, names = _digest(record.request_key), names_of(record.subject, record.sans)
        with self._lock:
            answer = judge(self._with_own(record, known, names))
            if known.counts_run:
                self._count += self._kept.execute("INSERT OR IGNORE INTO requests VALUES (?)", (own,)).rowcount
            if known.asked is not None:
                asked = [(_digest(record.profile, name), own, int(now.timestamp())) for name in names]
                self._kept.executemany("INSERT OR REPLACE INTO asked VALUES (?, ?, ?)", asked)
            if known.names_of_key is not None:
                certified = (_digest(record.spki_sha256), own, json.dumps(sorted(names)))
                self._kept.execute("INSERT OR REPLACE INTO certified VALUES (?, ?, ?)", certified)
            return answer

    @property
    def _kept(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._opened.executescript(_TABLES)
            weakref.finalize(self, self._opened.close)
        return self._opened

    def _with_own(self, record: LedgerIntent, known: History, names: frozenset[str]) -> LedgerFacts:
        own = _digest(record.request_key)
        asked_at: dict[str, tuple[datetime, ...]] = {}
        for name in names if known.asked is not None else ():
            told = (known.asked or {}).get(name, ())
            seen = {_digest(request) for request, _ in told} | {own}
            query = "SELECT request, moment FROM asked WHERE name = ?"
            here = self._kept.execute(query, (_digest(record.profile, name),))
            asked_at[name] = (
                *(moment for _, moment in told),
                *(datetime.fromtimestamp(moment, UTC) for request, moment in here if request not in seen),
            )
        of_key = known.names_of_key or frozenset()
        if known.names_of_key is not None:
            query = "SELECT names FROM certified WHERE key = ? AND request <> ?"
            found = self._kept.execute(query, (_digest(record.spki_sha256), own))
            of_key = of_key.union(*(json.loads(some) for (some,) in found))
        others = self._count
        if others and self._kept.execute("SELECT 1 FROM requests WHERE request = ?", (own,)).fetchone():
            others -= 1
        return LedgerFacts(names_of_key=of_key, asked_at=asked_at, living=known.living, others_in_run=others)


def _digest(*texts: str) -> bytes:
    return hashlib.blake2b("\0".join(texts).encode(errors="surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger knows: None where no rule asks. ``asked`` tells for each name which requests were made, and when (aware UTC).

    ``counts_run`` says that a rule asks how many the run lets through.
    """

    names_of_key: frozenset[str] | None = None
    asked: Mapping[str, tuple[tuple[str, datetime], ...]] | None = None
    living: tuple[LivingCertificate, ...] = ()
    counts_run: bool = False


def history_of(ledger: Ledger, profile: Profile, record: LedgerIntent, now: datetime) -> History:
    """What the ledger knows about the certificate of ``record``, a request under ``profile``.

    A living certificate is looked for as far back as the profile's longest validity: one that other rules granted for longer is not seen.
    """
    names = names_of(record.subject, record.sans)
    of_key: frozenset[str] | None = None
    if profile.key_reuse == "refuse":
        same_key = ledger.find_by_key(record.environment, record.spki_sha256)
        of_key = frozenset(name for one in same_key if _may_exist(one) for name in names_of(one.subject, one.sans))
    asked: dict[str, tuple[tuple[str, datetime], ...]] | None = None
    if profile.limits.per_name is not None:
        since = _ago(now, profile.limits.window)
        asked = {}
        for name in sorted(names):
            found = ledger.find_by_name(record.environment, name, since=since)
            counted = (one for one in found if one.profile == record.profile and _may_exist(one))
            asked[name] = tuple((one.request_key or one.id, one.created_at) for one in counted)
    living: tuple[LivingCertificate, ...] = ()
    if profile.renewal_window is not None and names:
        found = ledger.find_by_name(record.environment, min(names), since=_ago(now, profile.validity.max))
        living = tuple(one for entry in found if (one := _living(entry, record, now)) is not None)
    return History(of_key, asked, living, counts_run=profile.limits.per_run is not None)


def _may_exist(entry: Entry) -> bool:
    return entry.state in _MAY_EXIST or entry.serial is not None


def _living(entry: Entry, record: LedgerIntent, now: datetime) -> LivingCertificate | None:
    """The certificate of an entry if it lives and is of the profile and CA of ``record``: a new CA's may always follow."""
    if entry.state is not EntryState.ISSUED or entry.revocation is not None or entry.serial is None:
        return None
    if (entry.profile, entry.authority_reference) != (record.profile, record.authority_reference):
        return None
    if entry.not_before is None or entry.not_after is None or entry.not_after <= now:
        return None
    return LivingCertificate(entry.serial, names_of(entry.subject, entry.sans), entry.not_before, entry.not_after)


def _ago(now: datetime, span: Duration) -> datetime:
    return now - timedelta(seconds=span.approximate_seconds())
