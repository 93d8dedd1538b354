"""``pkiops sandbox``: AWS Private CA on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.options import Format, FormatOption, option

if TYPE_CHECKING:
    from pkiops.sandbox.status import SandboxStatus

app = typer.Typer(name="sandbox", help="AWS Private CA on this machine: no account, no bill.", no_args_is_help=True)

PortOption = Annotated[int, option("--port", metavar="PORT", min=0, max=65535, help="Loopback port it listens on.")]
OwnPortOption = Annotated[
    int | None,
    option(
        "--port",
        metavar="PORT",
        min=1,
        max=65535,
        help="Loopback port it listens on.",
        show_default="that of PKIOPS_SANDBOX_URL, or 4599",
    ),
]
_PORT = 4599


def _port(given: int | None) -> int:
    """The port of the sandbox that is meant: the one given, or the one that the shell was told of by ``up``."""
    import os

    from pkiops.sandbox.status import port_of

    url = os.environ.get("PKIOPS_SANDBOX_URL")
    return given or (port_of(url) if url else _PORT)


@app.command()
def up(
    port: PortOption = _PORT,
    detach: Annotated[bool, option("--detach", help="Run in the background.")] = False,
    *,
    state: Annotated[
        Path | None,
        option("--state", dir_okay=False, help="File that keeps everything, private keys too, over restarts."),
    ] = None,
    latency: Annotated[str, option("--latency", metavar="DURATION", help="Wait before every answer: 40ms.")] = "0s",
    quotas: Annotated[
        bool, option("--quotas", help="Hold calls of AWS Private CA to the service's default request quotas.")
    ] = False,
    enforce_iam: Annotated[
        bool,
        option(
            "--enforce-iam",
            help="Hold callers to their IAM policies; the credentials it prints are the administrator's.",
        ),
    ] = False,
    quota: Annotated[
        list[str] | None,
        option("--quota", metavar="OPERATION=RATE", help="Quota in calls per second: IssueCertificate=25. Repeatable."),
    ] = None,
    crl_delay: Annotated[
        str, option("--crl-delay", metavar="DURATION", help="From a revocation to its CRL; about 30m on AWS.")
    ] = "0s",
    issue_delay: Annotated[
        str | None,
        option(
            "--issue-delay",
            metavar="DURATION",
            help="Until an issued certificate can be fetched: 3s.",
            show_default="one poll",
        ),
    ] = None,
    seed: Annotated[int | None, option("--seed", help="Make identifiers and serials repeatable; never keys.")] = None,
    fault: Annotated[
        list[str] | None,
        option(
            "--fault",
            metavar="OPERATION:K:WHEN:WHAT",
            help="Fail the K-th call of an operation (or * for all), before or after it takes effect, with an error code, an HTTP "
            "status, drop (no answer) or stop (the server ends): IssueCertificate:3:after:drop. Repeatable.",
        ),
    ] = None,
) -> None:
    """Start it; prints the variables to export. State lives in memory, and ends with it, unless --state names a file. Port 0: a free one."""
    from pkiops.cli.output import note
    from pkiops.clock import SystemClock
    from pkiops.sandbox import process
    from pkiops.sandbox.options import Options

    options = Options(
        latency, quotas, tuple(quota or ()), crl_delay, issue_delay, seed, tuple(fault or ()), state, enforce_iam
    )
    if detach:
        status = process.start_detached(port, SystemClock(), options)
        _print_exports(status.url)
        note(
            f"sandbox listens on {status.url} (process {status.pid}); end it with: pkiops sandbox down --port {status.url.rpartition(':')[2]}"
        )
        return

    def ready(url: str) -> None:
        _print_exports(url)
        fate = f"its state stays in {state}" if state else "everything in it is gone"
        note(f"sandbox listens on {url}; Ctrl-C ends it, and {fate}")

    process.run(port, SystemClock(), ready, options)
    note("sandbox ended")


def _print_exports(url: str) -> None:
    from pkiops.cli.output import emit
    from pkiops.sandbox.process import environment_variables

    emit("\n".join(f"export {name}={value}" for name, value in environment_variables(url).items()))
    sys.stdout.flush()


@app.command()
def down(port: OwnPortOption = None) -> None:
    """End the one that listens on a port, if you started it."""
    from pkiops.cli.output import emit, note
    from pkiops.clock import SystemClock
    from pkiops.sandbox import process

    number = _port(port)
    ended = process.stop(number, SystemClock())
    if ended is None:
        note(f"no sandbox is running on port {number}")
        return
    emit(f"sandbox on port {number} (process {ended.pid}) ended")


@app.command()
def advance(
    by: Annotated[str, typer.Argument(metavar="DURATION", help="45s, 15m, 12h, 300d or 10y (calendar years).")],
    port: OwnPortOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Move its clock ahead: certificates and CAs expire, CRLs are made again, restore windows close."""
    from datetime import UTC, datetime

    from pkiops.cli.output import emit, emit_json, iso
    from pkiops.clock import SystemClock
    from pkiops.sandbox.status import advance as move_clock

    number = _port(port)
    found = move_clock(number, by)
    sandbox_time = datetime.fromtimestamp(found.time, UTC)
    if format is Format.JSON:
        body = {"port": number, "sandbox_time": sandbox_time, "ahead_seconds": found.ahead_seconds}
        emit_json("sandbox-time", None, SystemClock().now(), body)
        return
    emit(f"the sandbox's time is {iso(sandbox_time)}, {_ahead(found.ahead_seconds)}")


@app.command()
def status(port: OwnPortOption = None, format: FormatOption = Format.TEXT) -> None:
    """Say whether one listens on a port, and what is in it; exit code 6 if none does."""
    from datetime import UTC, datetime

    from pkiops.cli.output import emit, emit_json
    from pkiops.clock import SystemClock
    from pkiops.sandbox.status import ask, not_running

    number = _port(port)
    found = ask(number)
    if format is Format.JSON:
        body = {
            "running": found is not None,
            "port": number,
            "url": found.url if found else None,
            "pid": found.pid if found else None,
            "version": found.version if found else None,
            "sandbox_time": datetime.fromtimestamp(found.time, UTC) if found else None,
            "ahead_seconds": found.ahead_seconds if found else None,
            "state_file": found.state_file if found else None,
            "authorities": [vars(item) for item in found.authorities] if found else [],
            "calls": [vars(item) for item in found.calls] if found else [],
            "faults_pending": list(found.faults_pending) if found else [],
        }
        emit_json("sandbox-status", None, SystemClock().now(), body)
    elif found is not None:
        emit(_status_text(found))
    if found is None:
        raise not_running(number)


def _status_text(found: SandboxStatus) -> str:
    from datetime import UTC, datetime

    from pkiops.cli.output import iso, table

    sandbox_time = iso(datetime.fromtimestamp(found.time, UTC))
    lines = [f"sandbox {found.version} on {found.url}, process {found.pid}"]
    lines.append(f"its time is {sandbox_time}, {_ahead(found.ahead_seconds)}")
    lines.append(f"its state is kept in {found.state_file or 'memory only'}")
    if found.authorities:
        rows = [
            (
                item.account,
                item.region,
                ", ".join(f"{count} {state}" for state, count in item.states.items()),
                str(item.certificates),
                str(item.crls),
            )
            for item in found.authorities
        ]
        lines += ["", table(("ACCOUNT", "REGION", "AUTHORITIES", "CERTIFICATES", "CRLS"), rows)]
    if found.calls:
        calls = [(item.service, item.operation, str(item.count)) for item in found.calls]
        lines += ["", table(("SERVICE", "OPERATION", "CALLS"), calls)]
    if found.faults_pending:
        lines += ["", "faults to come:", *(f"  {each}" for each in found.faults_pending)]
    return "\n".join(lines)


def _ahead(seconds: int) -> str:
    """How far the clock was moved, for people."""
    if not seconds:
        return "the machine's"
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    parts = ((days, "d"), (hours, "h"), (rest // 60, "m"), (rest % 60, "s"))
    return f"{' '.join(f'{number}{unit}' for number, unit in parts if number)} ahead of the machine's"
