"""``pkiops cert resolve``: what came of the requests whose answer was lost."""

from __future__ import annotations

from typing import Annotated

import typer

from pkiops.cli.cert import AllowEndpoint, app
from pkiops.cli.issuance import issuance_of
from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, option
from pkiops.cli.output import emit, emit_json
from pkiops.cli.wiring import factory_of


@app.command("resolve")
def resolve_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    entry: Annotated[
        str | None,
        option("--entry", help="Only this entry of the ledger; unless given, all that are open.", metavar="ID"),
    ] = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Find out from the CA's audit report what came of requests whose answer was lost, and complete the ledger."""
    from pkiops.cert.resolve import Resolving
    from pkiops.cert.resolve_report import failure, resolved_json, resolved_text

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    resolved = Resolving(issuance=issuance_of(ctx, factory)).resolve(entry)
    if format_ is Format.JSON:
        emit_json("cert-resolve", environment, factory.clock.now(), resolved_json(resolved))
    else:
        emit(resolved_text(resolved))
    error = failure(resolved)
    if error is not None:
        raise error
