"""``pkiops ca disable|enable|delete|restore|renew``: the end of a CA's life, and what puts it off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.ca import AllowEndpoint, app, hierarchy_of
from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, YesOption, option
from pkiops.cli.output import ask, note
from pkiops.cli.wiring import factory_of, progress_of

if TYPE_CHECKING:
    from pkiops.ca.retirement import Estate
    from pkiops.factory import Factory

AuthorityArgument = Annotated[
    str, typer.Argument(metavar="AUTHORITY", help="The authority; one that carries our tags need not be in the file.")
]
GenerationOption = Annotated[
    int | None,
    option("--generation", min=1, max=999, help="Another generation than the file's.", show_default=False),
]
ArnOption = Annotated[
    str | None, option("--arn", metavar="ARN", help="Which CA it is, where several fit or none can be told.")
]


@app.command("disable")
def disable_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    authority: AuthorityArgument,
    generation: GenerationOption = None,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Stop a CA from issuing; revoking, CRL and OCSP go on."""
    _switch(ctx, environment, authority, generation, (yes, format_, allow_endpoint), enabled=False)


@app.command("enable")
def enable_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    authority: AuthorityArgument,
    generation: GenerationOption = None,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Let a DISABLED CA issue again."""
    _switch(ctx, environment, authority, generation, (yes, format_, allow_endpoint), enabled=True)


@app.command("delete")
def delete_command(  # noqa: PLR0917 - options of the command line
    ctx: typer.Context,
    environment: EnvironmentArgument,
    authority: AuthorityArgument,
    generation: GenerationOption = None,
    arn: ArnOption = None,
    days: Annotated[int, option("--days", min=7, max=30, help="For how many days it can be restored.")] = 30,
    archive: Annotated[
        Path | None,
        option("--archive", metavar="DIR", help="Where what it issued is kept; ENV-AUTHORITY-gN-archive unless given."),
    ] = None,
    allow_live: Annotated[
        bool,
        option(
            "--allow-live-certificates",
            guard=True,
            help="Even if certificates below it are neither expired nor revoked.",
        ),
    ] = False,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Delete a DISABLED CA, after its audit report, certificates and CRL were archived."""
    from pkiops.ca.deletion import Deletion
    from pkiops.ca.target import Wish
    from pkiops.cli.ca_done import announce, deleted, looked_at, show_done

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    wish = Wish(authority, generation, arn)
    deletion = Deletion(_estate(factory), factory.backend, wish, days, archive, allow_live)
    look = deletion.look()
    announce(look.plan)
    if look.plan.pending:
        ask(f"Delete {look.target.address} ({look.target.authority.reference})?", yes=yes)
    done = deletion.apply(look, progress=progress_of(ctx))
    facts = looked_at(lambda: deleted(factory.backend, look, deletion.folder_of(look.target)))
    show_done("ca-delete", look.plan, done, factory.clock.now(), facts, as_json=format_ is Format.JSON)


@app.command("restore")
def restore_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    authority: AuthorityArgument,
    generation: GenerationOption = None,
    arn: ArnOption = None,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Bring a DELETED CA back, while it can be; it comes back DISABLED."""
    from pkiops.ca.retirement import Restoration
    from pkiops.ca.target import Wish
    from pkiops.cli.ca_done import announce, looked_at, restored, show_done

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    restoration = Restoration(_estate(factory), Wish(authority, generation, arn))
    plan = restoration.plan()
    announce(plan)
    if plan.pending:
        ask(f"Restore {plan.actions[0].address}?", yes=yes)
    done = restoration.apply(plan, progress=progress_of(ctx))
    facts = looked_at(lambda: restored(restoration.target()))
    show_done("ca-restore", plan, done, factory.clock.now(), facts, as_json=format_ is Format.JSON)


@app.command("renew")
def renew_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    authority: Annotated[str, typer.Argument(metavar="AUTHORITY", help="The authority, with renew_from in the file.")],
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Give a CA a new certificate for the same key, from the day that the file says (renew_from)."""
    from pkiops.ca.renewal import Renewal
    from pkiops.cli.ca_done import announce, looked_at, show_done

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    renewal = Renewal(hierarchy_of(factory), authority)
    plan = renewal.plan()
    announce(plan)
    if plan.pending:
        ask(f"Renew {plan.actions[0].address}?", yes=yes)
    done = renewal.apply(plan, progress=progress_of(ctx))
    facts = looked_at(lambda: {"sha256": renewal.sha256()})
    if done and facts:
        note(f"if the file pins it, pin the new one in authorities.{authority}:  sha256: {facts['sha256']}")
    show_done("ca-renew", plan, done, factory.clock.now(), facts, as_json=format_ is Format.JSON)


def _switch(
    ctx: typer.Context,
    environment: str,
    authority: str,
    generation: int | None,
    given: tuple[bool, Format, bool],
    *,
    enabled: bool,
) -> None:
    from pkiops.ca.retirement import Switch
    from pkiops.ca.target import Wish
    from pkiops.cli.ca_done import announce, show_done

    yes, format_, allow_endpoint = given
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    switch = Switch(_estate(factory), Wish(authority, generation), enabled)
    plan = switch.plan()
    announce(plan)
    if plan.pending:
        ask(f"{'Enable' if enabled else 'Disable'} {plan.actions[0].address}?", yes=yes)
    done = switch.apply(plan, progress=progress_of(ctx))
    kind = "ca-enable" if enabled else "ca-disable"
    show_done(kind, plan, done, factory.clock.now(), {}, as_json=format_ is Format.JSON)


def _estate(factory: Factory) -> Estate:
    from pkiops.ca.desired import desired_state
    from pkiops.ca.index import IndexPublisher
    from pkiops.ca.retirement import Estate

    factory.check_account()
    environment, backend = factory.environment, factory.backend
    return Estate(
        environment,
        desired_state(environment, backend, factory.buckets),
        backend,
        IndexPublisher(environment, backend, factory.trust_store),
        factory.clock,
        factory.known_entries(),
    )
