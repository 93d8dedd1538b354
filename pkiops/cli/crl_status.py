"""``pkiops crl status``: the alarm about published CRLs, as a table, as JSON, or as metrics for Prometheus."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.crl import AllowEndpoint, ConnectRules, app
from pkiops.cli.crl_probe import points_json, points_text, probe_points, probe_rules, service_of
from pkiops.cli.options import EnvironmentArgument, OverwriteOption, option
from pkiops.cli.output import emit, iso, json_text, note, printable, table
from pkiops.cli.wiring import factory_of, progress_of
from pkiops.errors import ChangesPending, InputError, VerificationFailed

if TYPE_CHECKING:
    from pkiops.crl.reach import ProbedPoint
    from pkiops.crl.status import Thresholds
    from pkiops.crl.status_facts import AuthorityStatus, CrlStatus


class StatusFormat(StrEnum):
    """How the state of the CRLs is written."""

    TEXT = "text"
    JSON = "json"
    PROMETHEUS = "prometheus"


class FailOn(StrEnum):
    """From which severity on ``crl status`` exits with 5; ``never``: not even an expired CRL makes it fail."""

    WARNING = "warning"
    CRITICAL = "critical"
    NEVER = "never"


@app.command("status")
def status_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    *,
    output: Annotated[
        Path | None,
        option(
            "--output",
            metavar="FILE",
            help="Write it there, at once, instead of to stdout (-); metrics replace metrics.",
        ),
    ] = None,
    warn: Annotated[
        str | None,
        option("--warn", metavar="DURATION", help="Warn of less time left (2d); else a third of the lifetime."),
    ] = None,
    critical: Annotated[
        str | None, option("--critical", metavar="DURATION", help="Critical below that (12h); else an eighth.")
    ] = None,
    fail_on: Annotated[
        FailOn | None,
        option(
            "--fail-on",
            help="Exit with 5 if anything so bad is found; never: with 0 even if a CRL is expired or invalid.",
        ),
    ] = None,
    ledger: Annotated[
        bool, option("--ledger/--no-ledger", help="Compare with what the ledger knows as revoked.")
    ] = True,
    grace: Annotated[
        str, option("--grace", metavar="DURATION", help="How long a revocation may take to be on a published CRL.")
    ] = "1h",
    probe: Annotated[
        bool, option("--probe", help="Fetch every distribution point too, as a relying party would.")
    ] = False,
    connect_to: ConnectRules = [],  # noqa: B006 - typer copies it
    overwrite: OverwriteOption = False,
    format_: Annotated[
        StatusFormat,
        option("--format", help="text for people, json for programs, prometheus for a textfile collector."),
    ] = StatusFormat.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Look at the published CRLs: age, time left, size, and what is wrong. Reads only; needs no more than the trust bucket.

    With --probe, and require_reachable in the file, the publisher also records which hosts have answered.
    """
    from pkiops.crl.status import judge
    from pkiops.crl.status_read import StatusReader

    rules = probe_rules(connect_to, probe=probe)
    thresholds, patience = _thresholds(warn, critical), _duration(grace, "--grace") or timedelta(0)
    if output is not None and str(output) == "-":
        output = None
    if output is not None:
        _check_target(output, format_, overwrite=overwrite)
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    entries = factory.known_entries() if ledger else None
    reader = StatusReader(
        factory.environment,
        factory.trust_store,
        lambda: service_of(factory),
        factory.clock.now,
        entries=entries,
        no_entries="no ledger was begun here" if ledger and entries is None else None,
        grace=patience,
        progress=progress_of(ctx),
    )
    status = judge(reader.read(), factory.clock.now(), thresholds)
    status, probed = probe_points(factory, status, rules) if probe else (status, None)
    _show(status, format_, output, probed)
    _exit(status, fail_on, _where(status.environment, format_, output))


def _thresholds(warn: str | None, critical: str | None) -> Thresholds:
    from pkiops.crl.status import Thresholds

    found = Thresholds(_duration(warn, "--warn"), _duration(critical, "--critical"))
    if found.warn is not None and found.critical is not None and found.warn < found.critical:
        raise InputError(
            f"--warn {warn} is less than --critical {critical}",
            hint="a warning comes before it is critical",
            code="usage.arguments",
        )
    return found


def _duration(text: str | None, flag: str) -> timedelta | None:
    from pkiops.x509.duration import Duration

    if text is None:
        return None
    try:
        return timedelta(seconds=Duration.parse(text).approximate_seconds())
    except ValueError as error:
        raise InputError(f"{flag} {text}: {error}", code="usage.arguments") from error


def _check_target(path: Path, format_: StatusFormat, *, overwrite: bool) -> None:
    """Refuse a target before anything is asked; metrics of ours are replaced as a collector wants it."""
    from pkiops.cli.files import FileToWrite, check_targets
    from pkiops.crl.status_metrics import FIRST

    ours = False
    if format_ is StatusFormat.PROMETHEUS and path.is_file():
        try:
            with path.open("rb") as stream:
                ours = stream.read(len(FIRST)) == FIRST.encode()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}", code="usage.output") from error
    check_targets([FileToWrite(path, b"")], overwrite=overwrite or ours)


def _show(
    status: CrlStatus, format_: StatusFormat, output: Path | None, probed: tuple[ProbedPoint, ...] | None
) -> None:
    from pkiops.crl.status_metrics import metrics_text

    if format_ is StatusFormat.JSON:
        text = json_text("crl-status", status.environment, status.at, _json(status) | points_json(probed)) + "\n"
    elif format_ is StatusFormat.PROMETHEUS:
        text = metrics_text(status)
    else:
        text = points_text(probed) + _text(status) + "\n"
    if output is None:
        emit(text)
        return
    from pkiops.cli.files import FileToWrite, write_files

    write_files([FileToWrite(output, printable(text).encode())], overwrite=True)
    note(f"written: {output}")


def _where(environment: str, format_: StatusFormat, output: Path | None) -> str:
    """Where a reader of the error finds the findings: metrics only count them."""
    if format_ is StatusFormat.PROMETHEUS:
        return f"pkiops crl status {environment} names each"
    return f"each is in {output}, with a hint" if output is not None else "each has a hint above"


def _exit(status: CrlStatus, fail_on: FailOn | None, where: str) -> None:
    """Say by exit code what was found; an expired or invalid CRL comes first.

    Raises:
        VerificationFailed: a CRL must not be used.
        ChangesPending: something of the severity that was asked for, or worse.
    """
    from pkiops.crl.status_facts import Severity

    if fail_on is FailOn.NEVER:
        return
    if status.unusable:
        first = status.unusable[0]
        more = f" (and {len(status.unusable) - 1} more)" if len(status.unusable) > 1 else ""
        raise VerificationFailed(f"{first.message}{more}", hint=first.hint, code=first.code)
    if fail_on is None:
        return
    least = Severity[fail_on.value.upper()]
    worst = [one for one in status.findings if one.severity >= least]
    if worst:
        severity = "critical" if least is Severity.CRITICAL else f"{fail_on.value} or worse"
        raise ChangesPending(
            f"{status.environment}: {len(worst)} finding{'s' if len(worst) > 1 else ''} of severity {severity}",
            hint=where,
            code="crl.findings",
        )


def _text(status: CrlStatus) -> str:
    from pkiops.environment.finding import one_line

    headings = ("CA", "STATE", "NUMBER", "AGE", "NEXT UPDATE", "LEFT", "OF ITS LIFE", "REVOKED", "BYTES")
    lines = [table(headings, [_row(one) for one in status.authorities])]
    for finding in status.findings:
        lines.append(one_line(f"{finding.severity.word} {finding.code}: {finding.message}"))
        lines.append(f"    hint: {finding.hint}")
    for skipped in status.skipped:
        whose = f" of {skipped.authority}" if skipped.authority else ""
        lines.append(one_line(f"not looked at: {skipped.check}{whose}: {skipped.reason}"))
    return "\n".join(lines)


def _row(one: AuthorityStatus) -> tuple[str, ...]:
    from pkiops.crl.status import span

    published = one.facts.published
    if published is None or one.age is None or one.remaining is None or one.remaining_ratio is None:
        # that a CA has issued nothing is no fault, and still nothing there is ok
        state = "awaited" if one.facts.silent and one.state == "ok" else one.state
        return (one.facts.name, state, "none", *["-"] * 6)
    record = published.record
    return (
        one.facts.name,
        one.state if published.verified or published.problem else f"{one.state}, not verified",
        str(record.number),
        span(one.age),
        iso(record.next_update),
        span(one.remaining),
        f"{one.remaining_ratio:.0%}",
        str(record.entries),
        "-" if published.size is None else str(published.size),
    )


def _json(status: CrlStatus) -> dict[str, Any]:
    return {
        "manifest_sha256": status.manifest_sha256,
        "crls": [_crl_json(one) for one in status.authorities],
        "findings": [{**asdict(one), "severity": one.severity.word} for one in status.findings],
        "skipped": [asdict(one) for one in status.skipped],
    }


def _crl_json(one: AuthorityStatus) -> dict[str, Any]:
    facts, published = one.facts, one.facts.published
    body: dict[str, Any] = {
        "authority": facts.label,
        "generation": facts.generation,
        "name": facts.name,
        "scope": published.record.scope if published else None,
        "state": one.state,
        "published": published is not None,
        "own_number": facts.own.number if facts.own else None,
        "history": {**asdict(facts.history), "gap": facts.history.gap} if facts.history else None,
        "ledger": asdict(facts.ledger) if facts.ledger else None,
    }
    if published is None or one.age is None or one.remaining is None or one.remaining_ratio is None:
        return body
    record = published.record
    return {
        **body,
        "verified": published.verified,
        "number": record.number,
        "this_update": record.this_update,
        "next_update": record.next_update,
        "age_seconds": int(one.age.total_seconds()),
        "remaining_seconds": int(one.remaining.total_seconds()),
        "remaining_ratio": round(one.remaining_ratio, 6),
        "entries": record.entries,
        "size_bytes": published.size,
        "sha256": record.sha256,
    }
