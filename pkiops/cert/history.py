"""What the ledger knows that bears on one more certificate, as facts for the policy.

What this module decides: which entries count (those with a certificate, and those that may have led to one), and that each question goes through an
index of the ledger and is asked only if a rule of the profile needs its answer. What follows from the facts is ``policy``'s. Runs at the same moment
may each read before the other writes: limits hold for what the ledger knew when it was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
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
    """Which requests a run has let through; safe for threads. A request that comes again counts once."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    def judged(self, request_key: str, judge: Callable[[int], _T]) -> _T:
        """Call ``judge`` with the number of other requests that were let through; unless it raises, this one is too."""
        with self._lock:
            answer = judge(len(self._keys) - (request_key in self._keys))
            self._keys.add(request_key)
            return answer


def ledger_facts(ledger: Ledger, profile: Profile, record: LedgerIntent, now: datetime) -> LedgerFacts:
    """The facts about the certificate of ``record``, a request under ``profile``; how many the run lets through is not among them.

    A living certificate is looked for as far back as the profile's longest validity: one that other rules granted for longer is not seen.
    """
    names = names_of(record.subject, record.sans)
    of_key: frozenset[str] = frozenset()
    if profile.key_reuse == "refuse":
        same_key = ledger.find_by_key(record.environment, record.spki_sha256)
        of_key = frozenset(name for one in same_key if _may_exist(one) for name in names_of(one.subject, one.sans))
    asked_at: dict[str, tuple[datetime, ...]] = {}
    if profile.limits.per_name is not None:
        since = _ago(now, profile.limits.window)
        for name in sorted(names):
            found = ledger.find_by_name(record.environment, name, since=since)
            asked_at[name] = tuple(one.created_at for one in found if one.profile == record.profile and _may_exist(one))
    living: tuple[LivingCertificate, ...] = ()
    if profile.renewal_window is not None and names:
        found = ledger.find_by_name(record.environment, min(names), since=_ago(now, profile.validity.max))
        living = tuple(one for entry in found if (one := _living(entry, record, now)) is not None)
    return LedgerFacts(names_of_key=of_key, asked_at=asked_at, living=living)


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
