"""``pkiops cert bulk``: certificates for many requests, what came of each, and how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cert.output_formats import OutputFormat
from pkiops.cli.cert import AllowEndpoint, app, duration_of
from pkiops.cli.cert_bulk_files import ENDINGS, RowFiles, check_places, open_manifest
from pkiops.cli.cert_bulk_report import check_report, report_file
from pkiops.cli.cert_files import STDIN
from pkiops.cli.issuance import issuance_of_many
from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, OverwriteOption, option
from pkiops.cli.output import emit, emit_json, note
from pkiops.cli.wiring import factory_of, progress_of
from pkiops.errors import InputError, Interrupted, PartialApply

if TYPE_CHECKING:
    from pkiops.cert.bulk import Ended
    from pkiops.cert.bulk_parts import Interruption
    from pkiops.cert.bulk_results import RowResult
    from pkiops.factory import Factory
    from pkiops.ledger.interface import Ledger

_MOST_TOLD = 1000  # rows in the JSON on stdout; the report has all


@app.command("bulk")
def bulk_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    *,
    manifest: Annotated[
        str, option("--manifest", metavar="FILE|DIR|-", help="CSV or JSON Lines, a folder of requests, or stdin.")
    ],
    output_dir: Annotated[
        Path, option("--output-dir", metavar="DIR", help="Folder in which the certificates go, one name a row.")
    ],
    profile: Annotated[
        str | None, option("--profile", metavar="PROFILE", help="Profile of the rows that name none.")
    ] = None,
    validity: Annotated[
        str | None, option("--validity", metavar="DURATION", help="Of the rows that name none; else the profile's.")
    ] = None,
    output_format: Annotated[
        list[str],
        option("--output-format", metavar="FORMAT", help=f"{', '.join(ENDINGS)}; repeat for more; else fullchain."),
    ] = [],  # noqa: B006 - typer copies it
    report: Annotated[
        Path | None, option("--report", metavar="FILE", help="What came of each row, as JSON Lines.")
    ] = None,
    issue_rate: Annotated[
        float, option("--issue-rate", metavar="N", min=0.1, max=10_000, help="Certificates a second to begin with.")
    ] = 25.0,
    in_flight: Annotated[
        int, option("--in-flight", metavar="N", min=1, max=10_000, help="Rows on their way at the same moment.")
    ] = 500,
    overwrite: OverwriteOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Issue for every row of a manifest, as fast as the account allows; the same command again goes on where it was."""
    from pkiops.cert.bulk import BulkIssuance
    from pkiops.cert.bulk_parts import Interruption

    formats, life = _formats(output_format), duration_of(validity)
    check_places(manifest, output_dir)
    check_report(report, manifest, output_dir, formats, overwrite=overwrite)
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    if warning := factory.ledger_warning():
        note(warning)
    _check_run(factory, manifest, profile)
    told = _Told(interruption := Interruption())
    with (
        open_manifest(manifest, profile, life, lambda: interruption.times > 0) as rows,
        report_file(report) as into_report,
        _kept_open(factory.ledger),
        told.listening(),
    ):
        bulk = BulkIssuance(
            issuance=issuance_of_many(ctx, factory),
            delivery=RowFiles(environment, output_dir, formats, factory.ledger, overwrite),
            clock=factory.clock,
            report=told.also(into_report),
            interruption=interruption,
            issue_rate=issue_rate,
            get_rate=max(75.0, 3 * issue_rate),
            most_in_flight=in_flight,
            progress=progress_of(ctx),
            read=rows.read,
        )
        ended = bulk.run(rows.rows)
    _say_ended(factory, ended, told, format_)


def _check_run(factory: Factory, manifest: str, profile: str | None) -> None:
    """What every row would fail by is said once, before the first.

    Raises:
        InputError: there is no such profile, the rows of a folder have none, or the ledger has no table.
    """
    from pkiops.cert.prepare import profile_of

    if profile is not None:
        profile_of(factory.environment, profile)
    elif manifest != STDIN and Path(manifest).is_dir():
        raise InputError(
            "the requests of a folder say nothing of a profile", hint="add --profile PROFILE", code="usage.arguments"
        )
    factory.ledger.latest("0" * 64)


def _kept_open(ledger: Ledger) -> contextlib.AbstractContextManager[None]:
    from pkiops.ledger.interface import KeepsOpen

    return ledger.kept_open() if isinstance(ledger, KeepsOpen) else contextlib.nullcontext()


def _formats(words: list[str]) -> tuple[OutputFormat, ...]:
    known = {one.value: one for one in ENDINGS}
    wrong = [word for word in words if word not in known]
    if wrong or len(set(words)) < len(words):
        what = f"no such format here: {', '.join(wrong)}" if wrong else "one is given twice"
        raise InputError(
            f"--output-format: {what}",
            hint=f"there are {', '.join(known)}; what holds a private key is made by cert issue, beside the key",
            code="usage.output-format",
        )
    return tuple(known[word] for word in words) or (OutputFormat.FULLCHAIN,)


class _Told:
    """What the person at the keyboard hears of while it runs, and says: each row that is not good, and Ctrl-C."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self.problems: list[dict[str, Any]] = []

    def also(self, into_report: Callable[[RowResult], None]) -> Callable[[RowResult], None]:
        """Takes results for both the report and the person."""

        def take(result: RowResult) -> None:
            into_report(result)
            self._say(result)

        return take

    def _say(self, result: RowResult) -> None:
        from pkiops.cert.bulk_results import RowStatus, row_json

        if result.status.is_good or result.error is None:
            return
        if len(self.problems) < _MOST_TOLD:
            self.problems.append(row_json(result))
            if result.status is not RowStatus.NOT_TRIED:  # the counts say how many, and the report which
                note(f"{result.source}: {result.status}: {result.error.message}")

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Ctrl-C and termination end the run in order: once to finish what is on its way, twice to leave it."""
        kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in kept:
            signal.signal(number, self._heard)
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _heard(self, number: int, frame: object) -> None:
        del number, frame
        self._interruption.once_more()
        if self._interruption.times == 1:
            # not by sys.stderr: it may be in the middle of a line when a signal comes
            os.write(
                2,
                b"ending: nothing new is asked for, what was asked for is fetched; Ctrl-C once more leaves that too\n",
            )


def _say_ended(factory: Factory, ended: Ended, told: _Told, format_: Format) -> None:
    from pkiops.cert.bulk_results import RowStatus

    tally = ended.tally
    counts = {one.value: tally.counts[one] for one in RowStatus}
    if format_ is Format.JSON:
        body: dict[str, Any] = {
            "rows": tally.rows,
            "counts": counts,
            "calls": ended.calls,
            "seconds": round(ended.seconds, 3),
        }
        body |= {"interrupted": ended.interrupted, "problems": sorted(told.problems, key=lambda one: one["row"])}
        body["problems_left_out"] = max(0, tally.rows - tally.good - len(told.problems))
        emit_json("cert-bulk", factory.environment.environment, factory.clock.now(), body)
    else:
        emit(f"{tally}; {ended.calls:,} calls in {ended.seconds:.1f} s")
    again = "run the same command again: it goes on where it was"
    if ended.interrupted:
        raise Interrupted(f"interrupted: {tally}", hint=again, details=counts)
    if ended.gave_up:
        authorities, last = ", ".join(sorted(ended.gave_up)), next(iter(ended.gave_up.values()))
        if not tally.good:
            raise last
        raise PartialApply(f"gave up {authorities} ({tally}): {last.message}", hint=last.hint, details=counts)
    if not tally.rows:
        raise InputError(
            "the manifest has no rows", hint="an empty one is taken for a mistake", code="manifest.no-rows"
        )
    if tally.good < tally.rows:
        wrong = counts["invalid"] + counts["refused"]
        hints = ["pkiops cert resolve finds what is unknown"] if counts["unknown"] else []
        hints += ["correct the rows that are invalid or refused: --report FILE says what would pass"] if wrong else []
        hints += [again] if tally.rows - tally.good > wrong else []
        raise PartialApply(
            f"not every row has its certificate: {tally}",
            hint="; ".join(hints),
            code="cert.bulk-partial",
            details=counts,
        )
