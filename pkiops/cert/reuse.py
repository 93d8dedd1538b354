"""What to do about a request that the ledger may know already.

What this module decides: when a certificate of the ledger still serves, and how an entry without one goes on. Pure; carrying it out is ``issue``'s.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pkiops.errors import GuardRefused
from pkiops.ledger.interface import Entry, EntryState, LedgerIntent
from pkiops.policy.renewal import due_at
from pkiops.x509.duration import Duration

__all__ = ["ASK_AGAIN_WITHIN", "SETTLED_REFERENCE", "Step", "due_at", "is_settling", "next_step"]

# The service remembers a token for five minutes from the first call, which comes after the entry's creation. One minute is kept back: a
# call that is retried late would outlive the token and make a second certificate.
ASK_AGAIN_WITHIN = timedelta(minutes=4)
# what two clocks may differ by, as in resolve_rules.py
_CLOCKS_DIFFER = timedelta(minutes=5)
# A reference may not be known everywhere in the service as soon as it is given: that there is no such certificate means something only later.
SETTLED_REFERENCE = timedelta(seconds=60)


class Step(StrEnum):
    """How a request goes on."""

    NEW_ATTEMPT = "new attempt"
    GIVE_UP_AND_NEW_ATTEMPT = "give up the open attempt, new attempt"
    ASK_AGAIN = "ask again"
    FETCH = "fetch"
    PROVE_AGAIN = "prove again"
    SERVE = "serve"


def next_step(
    entry: Entry | None, today: LedgerIntent, *, now: datetime, reissue: bool, window: Duration | None = None
) -> Step:
    """How the request goes on whose latest entry is ``entry``.

    Args:
        entry: the latest attempt, None for the first.
        today: the certificate that policy grants today, and the CA that would issue it.
        now: aware UTC.
        reissue: somebody said that a second certificate is acceptable where it is not known whether there is a first.
        window: the profile's renewal window, None for the last third of a certificate's life.

    Raises:
        GuardRefused: code ``cert.unknown-intent``, an earlier attempt may have led to a certificate and nobody knows.
    """
    if entry is None or entry.state in {EntryState.UNKNOWN, EntryState.REFUSED}:
        return Step.NEW_ATTEMPT
    same = _is_same(entry, today)
    if entry.state is EntryState.ISSUED:
        return Step.SERVE if same and _serves(entry, now, window) else Step.NEW_ATTEMPT
    if entry.state is EntryState.FAILED:
        if not (entry.chain and same and _serves(entry, now, window)):
            return Step.NEW_ATTEMPT
        return Step.GIVE_UP_AND_NEW_ATTEMPT if reissue else Step.PROVE_AGAIN
    if same and entry.certificate_reference is not None:
        return Step.FETCH
    same = same and _is_granted(entry, today)
    if same and _is_young(entry, now):
        return Step.ASK_AGAIN
    if reissue:
        return Step.GIVE_UP_AND_NEW_ATTEMPT
    raise _unknown(entry, same=same)


def require_young(entry: Entry, now: datetime) -> None:
    """Refuse to ask for an entry, again or for the first time, that is too old by now, whatever was waited for since ``next_step``.

    Raises:
        GuardRefused: code ``cert.unknown-intent``.
    """
    if not _is_young(entry, now):
        raise _unknown(entry, same=True)


def _is_young(entry: Entry, now: datetime) -> bool:
    return abs(now - entry.created_at) < ASK_AGAIN_WITHIN


def is_settling(entry: Entry, now: datetime) -> bool:
    """Whether the reference of an open entry was recorded so lately that the service may not know it yet; ``now`` is aware UTC.

    Recording it was the last change of the entry, by whichever run.
    """
    return abs(now - entry.updated_at) < SETTLED_REFERENCE


def _serves(entry: Entry, now: datetime, window: Duration | None) -> bool:
    if entry.revocation is not None or entry.not_before is None or entry.not_after is None:
        return False
    return now < due_at(entry.not_before, entry.not_after, window)


def _is_same(entry: Entry, today: LedgerIntent) -> bool:
    """Whether the entry is about a certificate that would be issued today: same CA, names and usages, and no longer life than the rules now give."""
    return (
        entry.authority_reference == today.authority_reference
        and sorted(entry.subject) == sorted(today.subject)
        and sorted(entry.sans) == sorted(today.sans)
        and set(entry.usages) == set(today.usages)
        and entry.not_after is not None
        and (entry.policy_sha256 == today.policy_sha256 or entry.not_after <= today.not_after)
    )


def _is_granted(entry: Entry, today: LedgerIntent) -> bool:
    """Whether the validity of an entry that is asked for again is granted now, but for the minutes between: whatever else the ledger
    says, and whoever wrote it, is never signed. Names, usages and CA are held by ``_is_same``; the key is the request's, not the entry's.
    """
    return (
        entry.not_before is not None
        and entry.not_after is not None
        and today.not_before - ASK_AGAIN_WITHIN - _CLOCKS_DIFFER <= entry.not_before
        and entry.not_before <= today.not_before + _CLOCKS_DIFFER
        and entry.not_after <= today.not_after + _CLOCKS_DIFFER
    )


def _unknown(entry: Entry, *, same: bool) -> GuardRefused:
    why = (
        "its answer was lost, and the CA no longer recognises the request"
        if same
        else "it was made under other rules or by another CA, and it is not known what came of it"
    )
    return GuardRefused(
        f"attempt {entry.attempt} of this request, made on {entry.created_at:%Y-%m-%dT%H:%M:%SZ}, may have led to a certificate: {why}",
        hint=f"find out from the CA's audit report: pkiops cert resolve {entry.environment} --entry {entry.id}; "
        "if a second certificate is acceptable, run again with --reissue",
        code="cert.unknown-intent",
        details={
            "entry": entry.id,
            "request_key": entry.request_key,
            "attempt": entry.attempt,
            "created_at": entry.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "spki_sha256": entry.spki_sha256,
            "authority": entry.authority_reference,
        },
    )
