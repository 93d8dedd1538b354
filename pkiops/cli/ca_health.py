"""``pkiops ca cost`` and ``ca doctor``: what the CAs of an environment cost, and what is wrong with them."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from pkiops.cli.ca import AllowEndpoint, DeepOption, PricesOption, app
from pkiops.cli.options import EnvironmentsArgument, Format, FormatOption, option
from pkiops.cli.output import emit, emit_json, note
from pkiops.cli.wiring import factory_of
from pkiops.errors import InputError


@app.command("cost")
def cost_command(
    ctx: typer.Context,
    environments: EnvironmentsArgument,
    prices: PricesOption = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Show what the CAs cost a month, and what they would cost otherwise."""
    from pkiops.ca.cost import cost, cost_text, prices_text

    bills, rehearsed = [], []
    for name in environments:
        factory = factory_of(ctx, name, allow_endpoint=allow_endpoint, prices=prices)
        factory.check_account()
        entries = factory.known_entries()
        if factory.environment.backend.sandbox:
            rehearsed.append(name)
        observed = factory.backend.list_authorities()
        listed = factory.backend.prices
        bills.append(cost(factory.environment, observed, listed, entries() if entries else None, factory.clock.now()))
    total = sum(one.usd_month for one in bills)
    if format_ is Format.JSON:
        body = {"environments": [{**asdict(one), "usd_month": one.usd_month} for one in bills]}
        only = bills[0].environment if len(bills) == 1 else None
        body_prices = {"prices": asdict(listed), "usd_month": total}
        emit_json("ca-cost", only, factory.clock.now(), {**body, **body_prices})
        return
    for name in rehearsed:
        note(f"note: {name} is on the sandbox, which bills nothing: these are the prices of AWS")
    lines = [cost_text(one, listed) for one in bills]
    if len(bills) > 1:
        lines.append(f"all: USD {total:.2f} a month")
    emit("\n\n".join([*lines, prices_text(listed)]))


class FailOn(StrEnum):
    """From which severity on ``ca doctor`` exits with 5."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@app.command("doctor")
def doctor_command(
    ctx: typer.Context,
    environment: Annotated[
        str | None, typer.Argument(metavar="ENV", help="Environment: the stem of a file in the environments folder.")
    ] = None,
    list_checks: Annotated[
        bool, option("--list-checks", help="Print every check there is, and look at nothing.")
    ] = False,
    fail_on: Annotated[
        FailOn | None, option("--fail-on", help="Exit with 5 if anything of this severity, or worse, is found.")
    ] = None,
    probe: Annotated[
        bool, option("--probe/--no-probe", help="Ask the CRL distribution points, as relying parties do.")
    ] = True,
    connect_to: Annotated[
        str | None,
        option("--connect-to", metavar="HOST:PORT", help="Connect there instead of to the distribution points' hosts."),
    ] = None,
    deep: DeepOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Look for what is wrong with the CAs, or will be: before AWS or a relying party says so. Reads only."""
    from pkiops.cli import ca_findings

    if list_checks:
        ca_findings.show_catalogue(as_json=format_ is Format.JSON)
        return
    if environment is None:
        raise InputError("which environment?", hint="pkiops ca doctor ENV, or --list-checks", code="usage.arguments")
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    found = ca_findings.examine(factory, probe=probe, connect_to=connect_to, deep=deep)
    ca_findings.show(environment, found, factory.clock.now(), as_json=format_ is Format.JSON)
    if fail_on is not None:
        ca_findings.raise_found(environment, found, fail_on.value)
