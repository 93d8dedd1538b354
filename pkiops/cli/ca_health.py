"""``pkiops ca cost`` and ``ca doctor``: what the CAs of an environment cost, and what is wrong with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pkiops.cli.ca import AllowEndpoint, PricesOption, app
from pkiops.cli.options import Format, FormatOption
from pkiops.cli.output import emit, emit_json
from pkiops.cli.wiring import factory_of


@app.command("cost")
def cost_command(
    ctx: typer.Context,
    environments: Annotated[
        list[str], typer.Argument(metavar="ENV...", help="Environments: stems of files in the environments folder.")
    ],
    prices: PricesOption = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Show what the CAs cost a month, and what they would cost otherwise."""
    from pkiops.ca.cost import cost, cost_text, prices_text

    bills = []
    for name in environments:
        factory = factory_of(ctx, name, allow_endpoint=allow_endpoint, prices=prices)
        factory.check_account()
        entries = factory.known_entries()
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
    lines = [cost_text(one, listed) for one in bills]
    if len(bills) > 1:
        lines.append(f"all: USD {total:.2f} a month")
    emit("\n\n".join([*lines, prices_text(listed)]))
