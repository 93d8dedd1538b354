"""Many certificates, revoked one after the other: what each is, what would be done, and what came of it.

What this module decides:

- every row is looked up before the first is revoked; one that cannot be is reported and stops no other;
- what has expired, or is named a second time, is skipped; what the ledger knows as revoked needs no call;
- a second row for the same certificate with another reason is an error: the first reason goes into the CRL for good;
- a CA that denies, throttles past all patience or does not answer is given up: its other rows would only end the same way;
- nothing is kept between runs: what was revoked and not recorded because a run was killed is revoked already for the next run, which records it.

How fast the service is asked is decided below this (``pacing``), consent by the caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pkiops.backends.interface import RevocationReason
from pkiops.cert.revoke import CertificateReference, Revocation, RevocationPlan
from pkiops.cert.revoke_list import BadRow, Wanted
from pkiops.errors import AccessDenied, BackendError, InputError, NotFound, PkiopsError, Throttled, Unreachable
from pkiops.ledger.interface import Entry
from pkiops.ledger.transitions import is_open
from pkiops.progress import Counted

_GIVEN_UP = (AccessDenied, Throttled, Unreachable)


class RevokeStatus(StrEnum):
    """What came of a row: ALREADY was revoked before; SKIPPED need not be revoked here."""

    REVOKED = "revoked"
    ALREADY = "already"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRow:
    """A row before anything is done: its plan, or how it ended without one, and why."""

    source: str
    text: str
    plan: RevocationPlan | None = None
    status: RevokeStatus | None = None
    problem: PkiopsError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RowOutcome:
    """What came of a row. ``in_crl_by`` is when the CRL lists it, as the service states it, None where nothing was asked."""

    row: PlannedRow
    status: RevokeStatus
    problem: PkiopsError | None = None
    in_crl_by: datetime | None = None


def named_rows(
    use_case: Revocation, names: Sequence[str], reason: RevocationReason, warn: Callable[[str], None]
) -> Iterator[Wanted | BadRow]:
    """Every certificate in the ledger that has one of the names and has not expired; ``warn`` hears of requests that may have led to another.

    Raises:
        VerificationFailed: what names the CAs cannot be trusted.
        BackendError: the CAs cannot be found, or the ledger cannot be read.
    """
    environment = use_case.environment.environment
    if names:
        _ = use_case.authorities  # the clock may follow the server's answer
    now = use_case.clock.now()
    for name in names:
        source = f"--name {name}"
        entries = use_case.ledger.find_by_name(environment, name)
        living = [one for one in entries if one.serial and one.authority_reference and _lives(one, now)]
        unclear = sum(is_open(one) for one in entries)
        if unclear:
            warn(
                f"{unclear} requests for {name} have no known answer and may have led to certificates that are not here: "
                f"pkiops cert resolve {environment}"
            )
        if not living:
            what = f"the ledger of {environment} has no unexpired certificate with the name {name}"
            yield BadRow(source, name, NotFound(what, hint="names are whole, in any case", code="cert.unknown-name"))
        for one in living:
            reference = CertificateReference(str(one.authority_reference), int(str(one.serial), 16))
            yield Wanted(source, name, reference, reason)


def _lives(entry: Entry, now: datetime) -> bool:
    return entry.not_after is not None and entry.not_after > now


def plan_rows(
    use_case: Revocation, rows: Iterable[Wanted | BadRow], *, authority: str | None = None
) -> tuple[PlannedRow, ...]:
    """What would be done about each row, in their order; nothing is revoked yet.

    Args:
        use_case: finds and revokes.
        rows: what is wanted.
        authority: the label of the CA, as for a single one.

    Raises:
        NotSupported: the backend cannot revoke.
        VerificationFailed: what names the CAs cannot be trusted.
        BackendError: the CAs cannot be found, or nobody answers.
    """
    planned: list[PlannedRow] = []
    seen: dict[tuple[str, str], PlannedRow] = {}
    _ = use_case.authorities  # what no row can do without is said once
    for row in rows:
        if isinstance(row, BadRow):
            planned.append(_failed(row, row.error))
            continue
        try:
            plan = use_case.plan(row.target, reason=row.reason, authority=authority)
        except _GIVEN_UP:
            raise
        except PkiopsError as error:
            expired = error.code == "cert.expired"
            planned.append(_skipped(row, error) if expired else _failed(row, error))
            continue
        key = (plan.authority_reference, plan.serial)
        if key in seen:
            planned.append(_repeated(row, plan, seen[key]))
            continue
        already = RevokeStatus.ALREADY if plan.known_revocation else None
        seen[key] = PlannedRow(source=row.source, text=row.text, plan=plan, status=already)
        planned.append(seen[key])
    return tuple(planned)


def _failed(row: Wanted | BadRow, error: PkiopsError) -> PlannedRow:
    return PlannedRow(source=row.source, text=row.text, status=RevokeStatus.FAILED, problem=error)


def _skipped(row: Wanted, error: PkiopsError) -> PlannedRow:
    return PlannedRow(source=row.source, text=row.text, status=RevokeStatus.SKIPPED, problem=error)


def _repeated(row: Wanted, plan: RevocationPlan, first: PlannedRow) -> PlannedRow:
    before = first.plan
    if before is not None and before.known_revocation is None and before.reason is not plan.reason:
        error = InputError(
            f"certificate {plan.serial}: {first.source} says {before.reason.value}, and {row.source} {plan.reason.value}",
            hint="the first counts, and cannot be changed once it is done",
            code="revoke-list.contradiction",
        )
        return _failed(row, error)
    return _skipped(row, InputError(f"named before, by {first.source}", code="revoke-list.repeated"))


def revoke_rows(use_case: Revocation, rows: Sequence[PlannedRow], counted: Counted) -> Iterator[RowOutcome]:
    """Revoke what is left to be revoked, and say what came of each row, in their order."""
    given_up: dict[str, PkiopsError] = {}
    for row in rows:
        if row.plan is None or row.status is not None:
            yield RowOutcome(row=row, status=row.status or RevokeStatus.FAILED, problem=row.problem)
            continue
        reference = row.plan.authority_reference
        if reference in given_up:
            yield RowOutcome(row=row, status=RevokeStatus.FAILED, problem=_not_tried(row.plan, given_up[reference]))
            continue
        try:
            revoked = use_case.revoke(row.plan)
        except PkiopsError as error:
            if isinstance(error, _GIVEN_UP):
                given_up[reference] = error
            yield RowOutcome(row=row, status=RevokeStatus.FAILED, problem=error)
            continue
        finally:
            counted.one_done()
        status = RevokeStatus.ALREADY if revoked.already_revoked else RevokeStatus.REVOKED
        until = use_case.clock.now() + timedelta(seconds=revoked.in_crl_after_seconds)
        yield RowOutcome(row=row, status=status, in_crl_by=until)


def _not_tried(plan: RevocationPlan, error: PkiopsError) -> BackendError:
    return BackendError(
        f"not tried: {plan.environment}/ca/{plan.authority} failed before: {error.message}",
        hint=error.hint,
        code="revoke-list.not-tried",
    )


def counts_of(outcomes: Iterable[RowOutcome]) -> dict[str, int]:
    """How many rows came to what, every status named."""
    found = Counter(one.status for one in outcomes)
    return {status.value: found[status] for status in RevokeStatus}


def outcome_json(number: int, outcome: RowOutcome) -> dict[str, Any]:
    """What came of a row as JSON-ready data; what is not known is null."""
    row, plan, problem = outcome.row, outcome.row.plan, outcome.problem
    reason = None
    if plan is not None:
        reason = plan.known_revocation.reason if plan.known_revocation else plan.reason.value
    return {
        "row": number,
        "source": row.source,
        "text": row.text,
        "status": outcome.status.value,
        "reason": reason,
        "serial": plan.serial if plan else None,
        "authority": plan.authority if plan else None,
        "authority_reference": plan.authority_reference if plan else None,
        "subject": plan.subject if plan else None,
        "names": list(plan.names) if plan else [],
        "profile": plan.profile if plan else None,
        "not_after": plan.not_after if plan else None,
        "requester": plan.requester if plan else None,
        "crl_url": plan.crl_url if plan else None,
        "in_crl_by": outcome.in_crl_by,
        "problem": None
        if problem is None
        else {"code": problem.code, "message": problem.message, "hint": problem.hint},
    }
