"""``pkiops cert revoke`` for several certificates: what is wanted, the plan, one question, and what came of each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.cli.cert_files import MAX_CERTIFICATE_BYTES, STDIN, read_bounded
from pkiops.cli.options import Format
from pkiops.cli.output import ask, emit, emit_json, iso, note, table
from pkiops.errors import InputError, PartialApply, PkiopsError

if TYPE_CHECKING:
    from pkiops.backends.interface import RevocationReason
    from pkiops.cert.revoke import Revocation, Target
    from pkiops.cert.revoke_list import BadRow, Wanted
    from pkiops.cert.revoke_many import PlannedRow, RowOutcome
    from pkiops.cli.cert_revoke_wait import Waiting
    from pkiops.factory import Factory
    from pkiops.ledger.interface import Ledger
    from pkiops.progress import Progress


def wanted_rows(
    words: Sequence[str],
    list_: str | None,
    names: Sequence[str],
    reason: RevocationReason,
    read_word: Callable[[str], Target],
) -> list[Wanted | BadRow]:
    """The rows of the arguments and then those of the list; names are looked up later.

    Raises:
        InputError: nothing is named, the list cannot be read or has none, or stdin would be read twice.
    """
    from pkiops.cert.revoke_list import MAX_LIST_BYTES, argument_rows, list_rows

    if not words and list_ is None and not names:
        raise InputError(
            "no certificate is named", hint="give serials or files, --from LIST or --name NAME", code="usage.arguments"
        )
    if [*words, list_].count(STDIN) > 1:
        raise InputError("stdin can be read once: - is given twice", code="usage.arguments")
    rows: list[Wanted | BadRow] = []
    if list_ is not None:
        data, name = read_bounded(list_, MAX_LIST_BYTES)
        folder = Path() if list_ == STDIN else Path(list_).parent
        name = "stdin" if list_ == STDIN else name
        rows += list_rows(data, name, folder, reason, lambda path: read_bounded(path, MAX_CERTIFICATE_BYTES))
    return [*argument_rows(words, reason, read_word), *rows]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a command names: rows, names to look up, the reason of rows without one, and the label of the CA."""

    rows: Sequence[Wanted | BadRow]
    names: Sequence[str]
    reason: RevocationReason
    authority: str | None


def revoke_many(
    factory: Factory,
    use_case: Revocation,
    selection: Selection,
    waiting: Waiting,
    format_: Format,
    *,
    yes: bool,
    progress: Progress,
) -> None:
    """Show what would be revoked, ask once, revoke, and say what came of each.

    Raises:
        PartialApply: code ``cert.revoke-partial``, not every row is revoked; ``cert.revoke-not-listed``, the wait was too short.
        PkiopsError: none is; what the first of them failed by.
        GuardRefused: nobody can be asked, or the answer was not yes.
    """
    from pkiops.cert.revoke_many import named_rows, plan_rows, revoke_rows
    from pkiops.progress import Counted

    with _kept_open(factory.ledger):
        by_name = list(named_rows(use_case, selection.names, selection.reason, note))
        planned = plan_rows(use_case, [*selection.rows, *by_name], authority=selection.authority)
        open_ = _show_plan(planned)
        waiting.check([one.plan for one in planned if one.plan])
        if open_:
            ask(f"Revoke {_certificates(open_)} for good?", yes=yes)
        counted = Counted(progress, factory.clock, "revoke", open_)
        outcomes = []
        for outcome in revoke_rows(use_case, planned, counted):
            outcomes.append(outcome)
            if outcome.problem is not None and outcome.row.problem is None:
                note(f"{outcome.row.source}: {outcome.status}: {outcome.problem.message}")
    _say_outcomes(factory, outcomes, waiting, format_)


def _kept_open(ledger: Ledger) -> contextlib.AbstractContextManager[None]:
    from pkiops.ledger.interface import KeepsOpen

    return ledger.kept_open() if isinstance(ledger, KeepsOpen) else contextlib.nullcontext()


def _certificates(number: int) -> str:
    return f"{number:,} certificate{'' if number == 1 else 's'}"


def _show_plan(planned: Sequence[PlannedRow]) -> int:
    """Show every row to the person, and say how many certificates would be revoked."""
    cells = []
    for row in planned:
        plan = row.plan
        if plan is None:
            continue
        known = plan.known_revocation
        ends = iso(plan.not_after) if plan.not_after else "not known here"
        what = f"revoked already ({known.reason})" if known else plan.reason.value
        names = ", ".join(plan.names) or plan.subject or "not known here"
        cells.append([plan.serial, names, plan.profile or "-", ends, plan.requester or "-", plan.authority, what])
    if cells:
        note(table(["serial", "names", "profile", "valid until", "requester", "authority", "reason"], cells))
    for row in planned:
        if row.problem is not None:
            note(f"{row.source}: {row.status}: {row.problem.message}")
    return sum(row.status is None for row in planned)


def _say_outcomes(factory: Factory, outcomes: Sequence[RowOutcome], waiting: Waiting, format_: Format) -> None:
    from pkiops.cert.revoke_many import RevokeStatus, counts_of, outcome_json

    counts = counts_of(outcomes)
    summary = ", ".join(f"{number:,} {status}" for status, number in counts.items() if number)
    environment = factory.environment.environment
    if format_ is Format.TEXT:
        emit(f"{len(outcomes):,} row{'' if len(outcomes) == 1 else 's'}: {summary}")
    urls = sorted({one.row.plan.crl_url for one in outcomes if one.in_crl_by and one.row.plan and one.row.plan.crl_url})
    if urls:
        note(f"the CRLs list them in about half an hour, as the service says: {', '.join(urls)}")
        note(f"then hand them to your servers: pkiops crl publish {environment}")
    revoked = {RevokeStatus.REVOKED, RevokeStatus.ALREADY}
    waiting.wait([one.row.plan for one in outcomes if one.status in revoked and one.row.plan])
    if format_ is Format.JSON:
        rows = [outcome_json(number, one) for number, one in enumerate(outcomes, 1)]
        body = {"counts": counts, "rows": rows, **waiting.json()}
        emit_json("cert-revoke-list", environment, factory.clock.now(), body)
    _end(outcomes, waiting, summary, counts)


def _end(outcomes: Sequence[RowOutcome], waiting: Waiting, summary: str, counts: dict[str, int]) -> None:
    from pkiops.cert.revoke_many import RevokeStatus

    failed = [one.problem for one in outcomes if one.status is RevokeStatus.FAILED and one.problem is not None]
    if failed and len(failed) == len(outcomes):
        raise failed[0]
    try:
        waiting.end()
    except PkiopsError as error:
        if not failed:
            raise
        note(f"{error.message}{f'; {error.hint}' if error.hint else ''}")
    if failed:
        raise PartialApply(
            f"not every row is revoked ({summary}), the first for this: {failed[0].message}",
            hint="correct the rows that failed and run the same command again: what is revoked is passed over",
            code="cert.revoke-partial",
            details=counts,
        )
