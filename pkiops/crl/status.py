"""What is wrong with the published CRLs of an environment, or soon will be. Pure.

What this module decides: what counts as a finding, how bad it is, and whether it makes a CRL one that must not be used. How the facts are read is
left to ``status_read.py``; how findings become text, metrics and exit codes to the command.

Thresholds, unless given: AWS Private CA writes the next CRL at half of the lifetime (its user guide, CRL planning), so less than a third left means
that a publisher or the service has failed for a while; less than an eighth, or the hour below which nothing is published, that it is nearly too late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pkiops.crl.check import MIN_REMAINING
from pkiops.crl.manifest import CrlRecord
from pkiops.crl.status_beside import history_findings, ledger_findings
from pkiops.crl.status_facts import (
    AuthorityFacts,
    AuthorityStatus,
    CrlStatus,
    Finding,
    OwnCrl,
    Severity,
    StatusFacts,
)

# AWS Private CA dates a CRL an hour before it writes it; a publisher that runs every hour is behind for no longer than the other one
PUBLISHER_GRACE = timedelta(hours=2)
_WARN_SHARE = 3
_CRITICAL_SHARE = 8
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much time left is too little; None is derived from each CRL's own lifetime."""

    warn: timedelta | None = None
    critical: timedelta | None = None

    def of(self, lifetime: timedelta) -> tuple[timedelta, timedelta]:
        """The times left below which there is a warning and a critical finding, for a CRL that lives so long."""
        warn = self.warn if self.warn is not None else max(lifetime / _WARN_SHARE, MIN_REMAINING)
        critical = self.critical if self.critical is not None else max(lifetime / _CRITICAL_SHARE, MIN_REMAINING)
        if self.warn is not None:
            return warn, min(warn, critical)
        return max(warn, critical), critical


def judge(facts: StatusFacts, at: datetime, thresholds: Thresholds) -> CrlStatus:
    """What the facts mean at a moment (aware)."""
    per_authority = [(one, list(_authority_findings(facts, one, at, thresholds))) for one in facts.authorities]
    findings = [*_set_findings(facts), *(finding for _, found in per_authority for finding in found)]
    return CrlStatus(
        environment=facts.environment,
        at=at,
        manifest_sha256=facts.manifest_sha256,
        authorities=tuple(_status(facts, one, found, at) for one, found in per_authority),
        findings=tuple(sorted(findings, key=lambda one: -one.severity)),
        skipped=facts.skipped,
    )


def _status(facts: StatusFacts, one: AuthorityFacts, found: list[Finding], at: datetime) -> AuthorityStatus:
    worst = max((finding.severity for finding in found), default=Severity.INFO)
    if one.published is None and not one.silent and (facts.manifest_sha256 is None or facts.set_problem):
        worst = Severity.CRITICAL  # said once, of the set
    state = "ok" if worst is Severity.INFO else worst.word
    if one.published is None:
        return AuthorityStatus(facts=one, state=state)
    record = one.published.record
    lifetime, left = record.next_update - record.this_update, record.next_update - at
    return AuthorityStatus(
        facts=one,
        state=state,
        age=at - record.this_update,
        remaining=left,
        remaining_ratio=left / lifetime if lifetime > timedelta(0) else 0.0,
    )


def _set_findings(facts: StatusFacts) -> Iterator[Finding]:
    if facts.index_problem is not None:
        yield Finding(
            code=facts.index_problem.code,
            severity=Severity.CRITICAL,
            authority=None,
            message=facts.index_problem.message,
            hint=f"pkiops ca doctor {facts.environment} looks at the CAs; only ca verbs write the index: find out who else did, and apply anew",
        )
    if facts.set_problem is not None:
        yield Finding(
            code=facts.set_problem.code,
            severity=Severity.CRITICAL,
            authority=None,
            message=facts.set_problem.message,
            hint="the bucket keeps older versions: find out who wrote this one, and restore the last good version",
            unusable=facts.set_problem.proven,
        )
    elif facts.manifest_sha256 is None:
        yield Finding(
            code="crl.never-published",
            severity=Severity.CRITICAL,
            authority=None,
            message=f"no CRL of {facts.environment} was ever published",
            hint=f"pkiops crl publish {facts.environment}, and run it on a schedule",
        )
    unverified = [one.name for one in facts.authorities if one.published and not one.published.is_judged]
    if unverified:
        yield Finding(
            code="crl.unverified",
            severity=Severity.WARNING,
            authority=None,
            message=f"nobody vouches for the published CRL of {_some(unverified)}: no certificate of the CA is at hand",
            hint="pin the root in the file (sha256), so that the index counts, or allow the service to be asked (env iam-policy)",
        )


def _authority_findings(
    facts: StatusFacts, one: AuthorityFacts, at: datetime, thresholds: Thresholds
) -> Iterator[Finding]:
    published = one.published
    if published is None:
        if facts.manifest_sha256 is not None and facts.set_problem is None:
            yield _missing(facts.environment, one, at)
        return
    where = f"the published CRL of {facts.environment}/ca/{one.name}"
    if published.problem is not None:
        yield Finding(
            code=published.problem.code,
            severity=Severity.CRITICAL,
            authority=one.name,
            message=published.problem.message,
            hint="find out who wrote it; pkiops crl publish puts a damaged folder right",
            unusable=published.problem.proven,
        )
    yield from _time_findings(one.name, where, published.record, at, thresholds)
    if one.own is not None:
        yield from _own_findings(facts.environment, one, published.record, one.own, at)
    if one.history is not None:
        yield from history_findings(facts.environment, one.name, published.record, one.history)
    if one.ledger is not None:
        yield from ledger_findings(facts.environment, one.name, one.ledger)


def _missing(environment: str, one: AuthorityFacts, at: datetime) -> Finding:
    name = f"{environment}/ca/{one.name}"
    own = one.own if one.part else None  # a CA begins new parts whenever it likes
    if own is not None and own.this_update is not None and at - own.this_update <= PUBLISHER_GRACE:
        return Finding(
            code="crl.publisher-behind",
            severity=Severity.INFO,
            authority=one.name,
            message=f"the CA has written {name} ({_moment(own.this_update)}), and it is not published yet",
            hint=f"does pkiops crl publish {environment} run on its schedule?",
        )
    if one.silent:
        return Finding(
            code="crl.awaited",
            severity=Severity.INFO,
            authority=one.name,
            message=f"{name} has issued nothing yet, and so has no CRL yet",
            hint="publish once it has issued its first certificate, and before clients use that",
        )
    if one.kept_elsewhere:
        return Finding(
            code="crl.not-brought",
            severity=Severity.WARNING,
            authority=one.name,
            message=f"{name} is kept elsewhere, and no current CRL of it is in the published set",
            hint=f"pkiops crl publish {environment} --external-crl FILE: bundles with revocation: chain need it",
        )
    return Finding(
        code="crl.not-in-set",
        severity=Severity.CRITICAL,
        authority=one.name,
        message=f"no CRL of {name} is in the published set; relying parties that check CRLs refuse every client below it",
        hint=f"pkiops crl publish {environment} says what is missing",
    )


def _time_findings(name: str, where: str, record: CrlRecord, at: datetime, thresholds: Thresholds) -> Iterator[Finding]:
    left = record.next_update - at
    warn, critical = thresholds.of(record.next_update - record.this_update)
    hint = "has the CA written a newer one (pkiops ca doctor), and does pkiops crl publish run on its schedule?"
    if record.this_update > at:
        yield Finding(
            code="crl.not-yet-valid",
            severity=Severity.CRITICAL,
            authority=name,
            message=f"{where} is not valid before {_moment(record.this_update)}",
            hint="check the clock of this machine",
            unusable=True,
        )
    elif left < timedelta(0):
        yield Finding(
            code="crl.expired",
            severity=Severity.CRITICAL,
            authority=name,
            message=f"{where} expired on {_moment(record.next_update)}; relying parties now refuse every certificate of this CA",
            hint=hint,
            unusable=True,
        )
    elif left < warn:
        yield Finding(
            code="crl.expires-soon",
            severity=Severity.CRITICAL if left < critical else Severity.WARNING,
            authority=name,
            message=f"{where} expires on {_moment(record.next_update)}, in {span(left)}",
            hint=hint,
        )


def _own_findings(
    environment: str, one: AuthorityFacts, record: CrlRecord, own: OwnCrl, at: datetime
) -> Iterator[Finding]:
    name = f"{environment}/ca/{one.name}"
    if own.problem is not None or own.number is None or own.this_update is None:
        yield Finding(
            code="crl.own-invalid",
            severity=Severity.WARNING,
            authority=one.name,
            message=own.problem or f"the CRL that {name} wrote has no number",
            hint="pkiops crl publish will refuse it: find out who else writes into the CRL bucket",
        )
    elif own.number > record.number:
        behind = at - own.this_update > PUBLISHER_GRACE
        yield Finding(
            code="crl.publisher-behind",
            severity=Severity.WARNING if behind else Severity.INFO,
            authority=one.name,
            message=f"{name} wrote CRL number {own.number} ({_moment(own.this_update)}), published is number {record.number}",
            hint=f"does pkiops crl publish {environment} run on its schedule?",
        )
    elif own.number < record.number:
        yield Finding(
            code="crl.own-went-back",
            severity=Severity.CRITICAL,
            authority=one.name,
            message=f"in the CRL bucket is CRL number {own.number} of {name}, older than the published number {record.number}",
            hint="an old CRL came back, and crl publish will refuse it: look at the versions of the object, and who wrote the newest",
        )


def span(time: timedelta) -> str:
    """A length of time for people, in its two largest units: ``3d 4h``, ``12m``; negative ones with a minus."""
    seconds = int(abs(time.total_seconds()))
    sign = "-" if time < timedelta(0) and seconds else ""
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{sign}{days}d {hours}h"
    if hours:
        return f"{sign}{hours}h {minutes}m"
    return f"{sign}{minutes}m" if minutes else f"{sign}{seconds}s"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
