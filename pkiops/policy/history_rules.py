"""The rules about what was issued before: reuse of a key, how many for a name and in a run, and how early again.

What this module decides: whether one more certificate is granted, given what the ledger knows as data (``LedgerFacts``). They are asked only where
a new certificate would be made: the same request again gets the certificate that it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pkiops.policy.findings import Finding, LedgerFacts, passed, refuse
from pkiops.policy.renewal import due_at
from pkiops.policy.rules import Profile
from pkiops.x509.names import printable

_SHOWN = 5


def needs_ledger(profile: Profile) -> bool:
    """Whether a rule of the profile asks what was issued before."""
    return (
        profile.key_reuse == "refuse"
        or profile.renewal_window is not None
        or profile.limits.per_name is not None
        or profile.limits.per_run is not None
    )


def judge_history(profile: Profile, facts: LedgerFacts, names: frozenset[str], now: datetime) -> Iterator[Finding]:
    """Judge one more certificate.

    Args:
        profile: the rules.
        facts: what the ledger knows.
        names: the names that the certificate would have, in lower case.
        now: aware.
    """
    yield from _judge_key_reuse(profile, facts, names)
    yield from _judge_per_name(profile, facts, names, now)
    yield from _judge_per_run(profile, facts)
    yield from _judge_renewal(profile, facts, names, now)


def _judge_key_reuse(profile: Profile, facts: LedgerFacts, names: frozenset[str]) -> Iterator[Finding]:
    if profile.key_reuse == "allow":
        yield passed("key-reuse-allowed", "key_reuse", "", "the profile lets a key be certified under several names")
        return
    others = sorted(facts.names_of_key - names)
    shown = _listed(others)
    if others:
        message = f"the key is certified under other names already: {shown}"
        yield refuse("key-reuse", "key_reuse", shown, message, "make a new key, and a request with it")
    else:
        yield passed("key-reuse-none", "key_reuse", "", "the key is not certified under other names")


def _judge_per_name(profile: Profile, facts: LedgerFacts, names: frozenset[str], now: datetime) -> Iterator[Finding]:
    most, window = profile.limits.per_name, profile.limits.window
    if most is None:
        return
    span = timedelta(seconds=window.approximate_seconds())
    for name in sorted(names):
        shown = printable(name)
        counted = sorted(moment for moment in facts.asked_at.get(name, ()) if moment > now - span)
        if len(counted) < most:
            message = f"{len(counted)} of at most {most} certificates for {shown} within {window}"
            yield passed("limit-per-name-kept", "limits.per_name", shown, message)
        else:
            # the next one is possible when so many have left the window that there is room for one
            again = counted[len(counted) - most] + span
            message = f"{len(counted)} certificates for {shown} within {window}, {most} are allowed"
            suggestion = f"ask again from {again:%Y-%m-%dT%H:%M:%SZ}, or use one of those that there are"
            yield refuse("limit-per-name", "limits.per_name", shown, message, suggestion)


def _judge_per_run(profile: Profile, facts: LedgerFacts) -> Iterator[Finding]:
    most, count = profile.limits.per_run, facts.others_in_run
    if most is None:
        return
    if count < most:
        message = f"{count} others of at most {most} certificates in one run"
        yield passed("limit-per-run-kept", "limits.per_run", str(count), message)
    else:
        message = f"this run has asked for {count} certificates already, {most} are allowed"
        yield refuse("limit-per-run", "limits.per_run", str(count), message, "ask for the rest in another run")


def _judge_renewal(profile: Profile, facts: LedgerFacts, names: frozenset[str], now: datetime) -> Iterator[Finding]:
    if profile.renewal_window is None:
        return
    key = "renewal_window"
    early = [
        (due_at(one.not_before, one.not_after, profile.renewal_window), one)
        for one in facts.living
        if one.names == names and one.not_after > now
    ]
    waiting = [(due, one) for due, one in early if due > now]
    if not waiting:
        yield passed(
            "renewal-due", key, str(profile.renewal_window), "no other certificate for these names has long to live"
        )
        return
    due, one = max(waiting, key=lambda pair: (pair[0], pair[1].serial))
    end = f"{one.not_after:%Y-%m-%dT%H:%M:%SZ}"
    message = f"certificate {one.serial} for these names lives until {end}; it may be followed {profile.renewal_window} before"
    suggestion = f"ask again from {due:%Y-%m-%dT%H:%M:%SZ}, or use that one; revoke it if its key is lost"
    yield refuse("renewal-too-early", key, one.serial, message, suggestion)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(printable(name) for name in names[:_SHOWN]) + more
