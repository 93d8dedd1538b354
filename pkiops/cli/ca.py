"""``pkiops ca``: plan, apply and show CA hierarchies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, YesOption, option
from pkiops.cli.output import ask, emit, emit_json, note
from pkiops.cli.wiring import factory_of, progress_of

if TYPE_CHECKING:
    from pkiops.ca.apply import Hierarchy
    from pkiops.factory import Factory

app = typer.Typer(name="ca", help="Certificate authorities: plan, apply, show.", no_args_is_help=True)

AllowEndpoint = Annotated[
    bool, option("--allow-endpoint", guard=True, help="Accept an endpoint that is neither AWS nor this machine.")
]


@app.command("plan")
def plan_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    format_: FormatOption = Format.TEXT,
    detailed_exitcode: Annotated[
        bool, option("--detailed-exitcode", help="Exit with 5 when there is something to do.")
    ] = False,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Show what apply would do, and why. Reads only."""
    from pkiops.ca.report import render_plan
    from pkiops.errors import ChangesPending

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    plan = _hierarchy(factory).plan()
    if format_ is Format.JSON:
        emit_json("ca-plan", environment, factory.clock.now(), {**plan.as_json(), "digest": plan.digest()})
    else:
        emit(render_plan(plan))
    if detailed_exitcode and (plan.pending or plan.blocked):
        if plan.blocked:
            raise ChangesPending(
                f"{environment}: {len(plan.blocked)} waiting for a decision",
                hint="decide, change the file or the account, and plan again",
            )
        raise ChangesPending(f"{environment}: changes pending", hint=f"pkiops ca apply {environment}")


@app.command("apply")
def apply_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Create and activate what the file declares; run it again and it changes nothing."""
    from pkiops.ca.apply import refuse_blocked
    from pkiops.ca.report import render_plan

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    hierarchy = _hierarchy(factory)
    plan = hierarchy.plan()
    if plan.pending or plan.blocked:
        note(render_plan(plan))
    refuse_blocked(plan)
    if plan.pending:
        ask(f"Apply this to account {factory.identity.account}?", yes=yes)
    done = hierarchy.apply(plan, progress=progress_of(ctx))
    if format_ is Format.JSON:
        body = {**plan.as_json(), "done": [{"kind": a.kind.value, "address": a.address} for a in done]}
        emit_json("ca-apply", environment, factory.clock.now(), body)
        return
    if not plan.pending:
        emit(render_plan(plan))
        return
    emit("\n".join([*(f"done: {a.kind.value} {a.address}" for a in done), f"{environment}: applied"]))
    for line in _unpinned(factory):
        note(line)


@app.command("show")
def show_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Draw the hierarchy as it is: status, validity, keys, CRL."""
    from pkiops.ca.desired import desired_state
    from pkiops.ca.show import as_json, read_fingerprints, render_tree, shown_authorities

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    factory.check_account()
    desired = desired_state(factory.environment, factory.backend, factory.buckets)
    observed = factory.backend.list_authorities()
    fingerprints, unreadable = read_fingerprints(factory.backend, observed, environment)
    for line in unreadable:
        note(line)
    shown = shown_authorities(desired, observed, fingerprints)
    if format_ is Format.JSON:
        emit_json("ca-show", environment, factory.clock.now(), {"authorities": as_json(shown)})
    else:
        emit(render_tree(environment, shown, factory.clock.now()))


def _hierarchy(factory: Factory) -> Hierarchy:
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
    )


def _unpinned(factory: Factory) -> list[str]:
    """The lines that pin roots which the file does not pin yet."""
    from pkiops.backends.identity import require_authority
    from pkiops.ca.observe import fingerprint

    environment = factory.environment
    loose = [name for name, one in environment.authorities.items() if one.issuer is None and one.sha256 is None]
    observed = factory.backend.list_authorities() if loose else ()
    lines = []
    for name in loose:
        root = require_authority(observed, environment.environment, name, environment.authorities[name].generation)
        digest = fingerprint(factory.backend, root.reference)
        lines.append(f"pin the root by a reviewed commit, in authorities.{name}:  sha256: {digest}")
    return lines
