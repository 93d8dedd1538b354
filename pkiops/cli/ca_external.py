"""``pkiops ca adopt``: CAs that were made elsewhere become what the file declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.ca import AllowEndpoint, app
from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, YesOption
from pkiops.cli.output import ask, note_plan
from pkiops.cli.wiring import factory_of, progress_of
from pkiops.errors import InputError

if TYPE_CHECKING:
    from pkiops.ca.adopt import Adoption
    from pkiops.factory import Factory


@app.command("adopt")
def adopt_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    authority: Annotated[str, typer.Argument(metavar="AUTHORITY", help="The authority in the file that it shall be.")],
    reference: Annotated[str, typer.Argument(metavar="ARN", help="The CA that exists.")],
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Take an existing CA for one that the file declares: check that it is, then tag it."""
    from pkiops.ca.report import render_plan
    from pkiops.cli.ca_plans import show_applied
    from pkiops.environment.homes import home_of

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    adoption = _adoption(factory, authority)
    plan = adoption.plan(reference)
    if plan.pending:
        note_plan(render_plan(plan))
        ask(f"Tag this CA of {home_of(factory.environment, authority)}?", yes=yes)
    done = adoption.apply(plan, reference, progress=progress_of(ctx))
    show_applied(plan, done, factory.clock.now(), as_json=format_ is Format.JSON)


def _adoption(factory: Factory, authority: str) -> Adoption:
    from pkiops.ca.adopt import Adoption
    from pkiops.ca.desired import desired_state
    from pkiops.ca.index import IndexPublisher

    factory.check_account()
    desired = desired_state(factory.environment, factory.backend, factory.buckets)
    wanted = next((one for one in desired.authorities if one.label == authority), None)
    if wanted is None:
        known = ", ".join(one.label for one in desired.authorities)
        raise InputError(
            f"the file declares no authority {authority!r}", hint=f"it declares {known}", code="usage.authority"
        )
    return Adoption(
        factory.environment,
        wanted,
        factory.backend,
        IndexPublisher(factory.environment, factory.backend, factory.trust_store),
    )
