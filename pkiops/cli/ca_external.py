"""``pkiops ca adopt``, ``ca csr``, ``ca install``: CAs that were made elsewhere, and those that are signed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.ca import AllowEndpoint, app
from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, OverwriteOption, YesOption, option
from pkiops.cli.output import ask, emit, emit_json, note, note_plan
from pkiops.cli.wiring import factory_of, progress_of
from pkiops.errors import InputError

if TYPE_CHECKING:
    from pkiops.ca.adopt import Adoption
    from pkiops.ca.desired import DesiredAuthority
    from pkiops.ca.index import IndexPublisher
    from pkiops.factory import Factory


MAX_CHAIN_BYTES = 4 * 1024 * 1024  # twice of what the service takes, so that a chain that is too large is judged
SignedAuthority = Annotated[
    str, typer.Argument(metavar="AUTHORITY", help="The authority in the file whose issuer is kept elsewhere.")
]


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


@app.command("csr")
def csr_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    authority: SignedAuthority,
    output: Annotated[
        Path | None,
        option("--output", "-o", metavar="FILE", help="Write the request there, and what goes with it beside it."),
    ] = None,
    overwrite: OverwriteOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Give out a CA's request, with a sheet for whoever signs it elsewhere. Reads only."""
    from pkiops.ca.signing import signing_request
    from pkiops.ca.signing_sheet import sheet_files, sheet_json, sheet_text
    from pkiops.cli.files import check_targets, write_files
    from pkiops.cli.signing_files import signing_outputs

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    wanted = _wanted(factory, authority)
    files = sheet_files(output or Path(f"{wanted.label}.csr"))
    if output is not None:
        check_targets(signing_outputs(output, files), overwrite=overwrite)
    signing = signing_request(factory.environment, wanted, factory.backend, factory.clock)
    if output is not None:
        made = signing_outputs(output, files, signing)
        write_files(made, overwrite=overwrite)
        note("wrote " + ", ".join(str(one.path) for one in made))
    if format_ is Format.JSON:
        emit_json("ca-csr", environment, factory.clock.now(), sheet_json(signing))
    else:
        emit(sheet_text(signing, files) + ("" if output else "\n" + signing.request.pem.decode("ascii")))


@app.command("install")
def install_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    authority: SignedAuthority,
    certificate: Annotated[
        str, typer.Argument(metavar="CERT", help="What was signed, PEM or DER; - is standard input.")
    ],
    chain: Annotated[
        str | None,
        option("--chain", metavar="FILE", help="The CAs above it, the issuer first, the root last; else in CERT."),
    ] = None,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Bring back what was signed elsewhere: judge it by every rule, then install it. Another certificate for the same key is a renewal."""
    from pkiops.ca.install import Installation, pin_line, read_signed
    from pkiops.ca.report import render_plan
    from pkiops.cli.ca_plans import show_applied
    from pkiops.cli.cert_files import MAX_CERTIFICATE_BYTES, read_bounded
    from pkiops.environment.homes import home_of

    own = read_bounded(certificate, MAX_CERTIFICATE_BYTES)
    signed = read_signed(own, read_bounded(chain, MAX_CHAIN_BYTES) if chain else None)
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    wanted = _wanted(factory, authority)
    installation = Installation(factory.environment, wanted, factory.backend, _index(factory), factory.clock)
    plan = installation.plan(signed)
    if plan.pending:
        note_plan(render_plan(plan))
        ask(f"Install this in {home_of(factory.environment, authority)}?", yes=yes)
    done = installation.apply(plan, signed, progress=progress_of(ctx))
    show_applied(plan, done, factory.clock.now(), as_json=format_ is Format.JSON)
    line = pin_line(wanted, signed)
    if line is not None:
        note(line)


def _adoption(factory: Factory, authority: str) -> Adoption:
    from pkiops.ca.adopt import Adoption

    return Adoption(factory.environment, _wanted(factory, authority), factory.backend, _index(factory))


def _wanted(factory: Factory, authority: str) -> DesiredAuthority:
    """The authority as the file declares it, in an account that was checked."""
    from pkiops.ca.desired import desired_state

    factory.check_account()
    desired = desired_state(factory.environment, factory.backend, factory.buckets)
    wanted = next((one for one in desired.authorities if one.label == authority), None)
    if wanted is None:
        known = ", ".join(one.label for one in desired.authorities)
        raise InputError(
            f"the file declares no authority {authority!r}", hint=f"it declares {known}", code="usage.authority"
        )
    return wanted


def _index(factory: Factory) -> IndexPublisher:
    from pkiops.ca.index import IndexPublisher

    return IndexPublisher(factory.environment, factory.backend, factory.trust_store)
