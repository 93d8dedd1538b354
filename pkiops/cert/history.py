"""What the ledger knows that bears on one more certificate, as facts for the policy.

What this module decides: which entries count (those with a certificate, and those that may have led to one), and that each question goes through an
index of the ledger and is asked only if a rule of the profile needs its answer. What follows from the facts is ``policy``'s. Two runs at the same
moment may each read before the other writes: limits hold for what the ledger knew when it was asked. Within one run they hold in any case.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pkiops.ledger.interface import Entry, EntryState, Ledger, LedgerIntent
from pkiops.policy.engine import names_of
from pkiops.policy.findings import LedgerFacts, LivingCertificate
from pkiops.policy.rules import Profile
from pkiops.x509.duration import Duration

_MAY_EXIST = frozenset({EntryState.PENDING, EntryState.ISSUED, EntryState.UNKNOWN})
_T = TypeVar("_T")


class RunTally:
    """What a run has let through, before the ledger may tell of it: so that orders in flight at once are held against each other. Safe for threads.

    It remembers names and keys only under profiles whose rules ask for them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: set[str] = set()
        # name -> request -> when; key -> request -> its names
        self._asked: dict[str, dict[str, datetime]] = {}
        self._names: dict[str, dict[str, frozenset[str]]] = {}

    def judged(self, record: LedgerIntent, known: History, now: datetime, judge: Callable[[LedgerFacts], _T]) -> _T:
        """Call ``judge`` with what is known, of the ledger and of this run; unless it raises, the request is let through. Again it counts once."""
        own, names = record.request_key, names_of(record.subject, record.sans)
        with self._lock:
            answer = judge(self._with_own(record, known, names))
            self._requests.add(own)
            if known.asked is not None:
                for name in names:
                    self._asked.setdefault(name, {})[own] = now
            if known.names_of_key is not None:
                self._names.setdefault(record.spki_sha256, {})[own] = names
            return answer

    def _with_own(self, record: LedgerIntent, known: History, names: frozenset[str]) -> LedgerFacts:
        own = record.request_key
        asked_at: dict[str, tuple[datetime, ...]] = {}
        for name in names if known.asked is not None else ():
            told = (known.asked or {}).get(name, ())
            seen = {request for request, _ in told} | {own}
            here = self._asked.get(name, {})
            asked_at[name] = (
                *(moment for _, moment in told),
                *(m for request, m in here.items() if request not in seen),
            )
        of_run = (some for request, some in self._names.get(record.spki_sha256, {}).items() if request != own)
        return LedgerFacts(
            names_of_key=(known.names_of_key or frozenset()).union(*of_run),
            asked_at=asked_at,
            living=known.living,
            others_in_run=len(self._requests) - (own in self._requests),
        )


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger knows: None where no rule asks. ``asked`` tells for each name which requests were made, and when (aware UTC)."""

    names_of_key: frozenset[str] | None = None
    asked: Mapping[str, tuple[tuple[str, datetime], ...]] | None = None
    living: tuple[LivingCertificate, ...] = ()


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
    return History(of_key, asked, living)


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
