"""``pkiops sandbox``: AWS Private CA on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pkiops.cli.options import Format, FormatOption, option

app = typer.Typer(name="sandbox", help="AWS Private CA on this machine: no account, no bill.", no_args_is_help=True)

PortOption = Annotated[int, option("--port", metavar="PORT", min=0, max=65535, help="Loopback port it listens on.")]
_PORT = 4599


@app.command()
def up(
    port: PortOption = _PORT,
    detach: Annotated[bool, option("--detach", help="Run in the background.")] = False,
) -> None:
    """Start it; prints the variables to export. State lives in memory and ends with it. Port 0: a free one."""
    from pkiops.cli.output import note
    from pkiops.clock import SystemClock
    from pkiops.sandbox import process

    if detach:
        status = process.start_detached(port, SystemClock())
        _print_exports(status.url)
        note(
            f"sandbox listens on {status.url} (process {status.pid}); end it with: pkiops sandbox down --port {status.url.rpartition(':')[2]}"
        )
        return

    def ready(url: str) -> None:
        _print_exports(url)
        note(f"sandbox listens on {url}; Ctrl-C ends it, and everything in it is gone")

    process.run(port, SystemClock(), ready)
    note("sandbox ended")


def _print_exports(url: str) -> None:
    from pkiops.cli.output import emit
    from pkiops.sandbox.process import environment_variables

    emit("\n".join(f"export {name}={value}" for name, value in environment_variables(url).items()))
    sys.stdout.flush()


@app.command()
def down(port: PortOption = _PORT) -> None:
    """End the one that listens on a port, if you started it."""
    from pkiops.cli.output import emit, note
    from pkiops.clock import SystemClock
    from pkiops.sandbox import process

    status = process.stop(port, SystemClock())
    if status is None:
        note(f"no sandbox is running on port {port}")
        return
    emit(f"sandbox on port {port} (process {status.pid}) ended")


@app.command()
def status(port: PortOption = _PORT, format: FormatOption = Format.TEXT) -> None:
    """Say whether one listens on a port, and what is in it."""
    from datetime import UTC, datetime

    from pkiops.cli.output import emit, emit_json, iso, table
    from pkiops.clock import SystemClock
    from pkiops.sandbox import process

    found = process.ask(port)
    sandbox_time = datetime.fromtimestamp(found.time, UTC) if found else None
    if format is Format.JSON:
        body = {
            "running": found is not None,
            "port": port,
            "url": found.url if found else None,
            "pid": found.pid if found else None,
            "version": found.version if found else None,
            "sandbox_time": sandbox_time,
            "authorities": [vars(item) for item in found.authorities] if found else [],
        }
        emit_json("sandbox-status", None, SystemClock().now(), body)
        return
    if found is None or sandbox_time is None:
        emit(f"no sandbox is running on port {port}")
        return
    emit(f"sandbox {found.version} on {found.url}, process {found.pid}, its time is {iso(sandbox_time)}")
    if found.authorities:
        rows = [(item.account, item.region, str(item.count)) for item in found.authorities]
        emit(table(("ACCOUNT", "REGION", "AUTHORITIES"), rows))
