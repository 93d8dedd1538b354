"""``pkiops ca``: plan, apply and show CA hierarchies."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.options import (
    EnvironmentArgument,
    EnvironmentsArgument,
    Format,
    FormatOption,
    OverwriteOption,
    YesOption,
    option,
)
from pkiops.cli.output import ask, emit, emit_json, note, note_plan
from pkiops.cli.wiring import factory_of, progress_of
from pkiops.errors import BackendError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkiops.ca.apply import Hierarchy
    from pkiops.factory import Factory
    from pkiops.plan import Action

app = typer.Typer(name="ca", help="Certificate authorities: plan, apply, show, renew, retire.", no_args_is_help=True)

PricesOption = Annotated[
    Path | None, option("--prices", metavar="FILE", help="Prices of your own, as JSON, in place of the listed ones.")
]
AllowEndpoint = Annotated[
    bool, option("--allow-endpoint", guard=True, help="Accept an endpoint that is neither AWS nor this machine.")
]


DeepOption = Annotated[
    bool,
    option("--deep", help="Look at the policies and permissions of all CAs, not only where the file speaks of them."),
]


class PlanFormat(StrEnum):
    """How a plan is written to stdout."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


@app.command("plan")
def plan_command(
    ctx: typer.Context,
    environments: EnvironmentsArgument,
    format_: Annotated[
        PlanFormat, option("--format", help="text for people, json for programs, markdown for a merge request.")
    ] = PlanFormat.TEXT,
    out: Annotated[
        Path | None, option("--out", metavar="FILE", help="Save the plan, for: ca apply ENV --plan FILE.")
    ] = None,
    detailed_exitcode: Annotated[
        bool, option("--detailed-exitcode", help="Exit with 5 when there is something to do.")
    ] = False,
    deep: DeepOption = False,
    overwrite: OverwriteOption = False,
    prices: PricesOption = None,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Show what apply would do, and why. Reads only."""
    from pkiops.cli.ca_plans import raise_pending, show_plans, write_plan

    if out is not None and len(environments) > 1:
        raise InputError("--out takes the plan of one environment", code="usage.arguments")
    plans = []
    for name in environments:
        factory = factory_of(ctx, name, allow_endpoint=allow_endpoint, prices=prices)
        plans.append((hierarchy_of(factory, deep=deep).plan(), factory.clock.now()))
    show_plans(plans, format_.value)
    if out is not None:
        write_plan(plans[0], out, overwrite=overwrite)
    if detailed_exitcode:
        raise_pending([plan for plan, _ in plans])


@app.command("apply")
def apply_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    plan_file: Annotated[
        Path | None, option("--plan", metavar="FILE", help="Only what this saved plan says; refused if it is stale.")
    ] = None,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    prices: PricesOption = None,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Create and activate what the file declares; run it again and it changes nothing."""
    from pkiops.ca.consent import refuse_blocked
    from pkiops.cli.ca_plans import refuse_if_stale, show_applied

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint, prices=prices)
    hierarchy = hierarchy_of(factory)
    plan = hierarchy.plan()
    if plan_file is not None:
        refuse_if_stale(plan_file, plan)
    if plan.pending or plan.blocked:
        from pkiops.ca.report import render_plan

        note_plan(render_plan(plan))
    refuse_blocked(plan)
    if plan.pending:
        accounts = factory.accounts
        ask(f"Apply this to account{'s' * (len(accounts) > 1)} {' and '.join(accounts)}?", yes=yes)
    done = hierarchy.apply(plan, progress=progress_of(ctx))
    show_applied(plan, done, factory.clock.now(), as_json=format_ is Format.JSON)
    if plan.pending:
        try:
            lines = _unpinned(factory, done)
        except BackendError as error:
            lines = [f"done, but what is there now cannot be looked at: {error.message}"]
        for line in lines:
            note(line)


@app.command("show")
def show_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    deep: DeepOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Draw the hierarchy as it is: status, validity, keys, CRL."""
    from functools import partial

    from pkiops.ca.desired import desired_state
    from pkiops.ca.settle import settled
    from pkiops.ca.show import as_json, read_fingerprints, render_tree, shown_authorities
    from pkiops.progress import Counted

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    factory.check_account()
    desired = desired_state(factory.environment, factory.backend, factory.buckets)
    observed = settled(desired.authorities, factory.backend, factory.backend.list_authorities())
    counted = partial(Counted, factory.progress, factory.clock, "reading certificates")
    fingerprints, unreadable = read_fingerprints(factory.backend, observed, environment, counted)
    for line in unreadable:
        note(line)
    details = {}
    if deep:
        from pkiops.backends.identity import Identities
        from pkiops.ca.details import read_details

        identities = Identities(observed, environment)
        wanted = [(one, identities.find(one.label, one.generation)) for one in desired.authorities]
        details = read_details(factory.backend, wanted, deep=True)
    shown = shown_authorities(desired, observed, fingerprints, details)
    if format_ is Format.JSON:
        emit_json("ca-show", environment, factory.clock.now(), {"authorities": as_json(shown)})
    else:
        emit(render_tree(environment, shown, factory.clock.now()))


def hierarchy_of(factory: Factory, *, deep: bool = False) -> Hierarchy:
    """The use case over an environment, once the account is known to be its own."""
    from pkiops.ca.apply import Hierarchy

    factory.check_account()
    return Hierarchy(
        factory.environment,
        factory.backend,
        factory.buckets,
        factory.clock,
        factory.trust_store,
        factory.caller,
        str(factory.randomness.uuid4()),
        factory.known_entries(),
        deep=deep,
        progress=factory.progress,
        tables=factory.tables,
    )


def _unpinned(factory: Factory, done: Sequence[Action]) -> list[str]:
    """The lines that pin roots which the file does not pin yet, and what was renewed."""
    from pkiops.backends.identity import find_authority
    from pkiops.ca.fingerprints import fingerprint

    environment = factory.environment
    renewed = {one.address.split("/")[2] for one in done if one.kind.value == "renew"}
    loose = [
        name
        for name, one in environment.authorities.items()
        if (one.issuer is None and one.sha256 is None) or (one.sha256 is not None and name in renewed)
    ]
    observed = factory.backend.list_authorities() if loose else ()
    lines = []
    for name in loose:
        root = find_authority(observed, environment.environment, name, environment.authorities[name].generation)
        if root is None or root.not_after is None:
            continue  # adopted a moment ago, it has no certificate yet
        digest = fingerprint(factory.backend, root.reference)
        what = "the root" if environment.authorities[name].issuer is None else name
        lines.append(f"pin {what} by a reviewed commit, in authorities.{name}:  sha256: {digest}")
    return lines
