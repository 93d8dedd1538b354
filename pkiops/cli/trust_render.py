"""``pkiops trust render``: the files that relying parties need, and what is said about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, OverwriteOption, option
from pkiops.cli.output import emit, emit_json, note, table
from pkiops.cli.trust import AllowEndpoint, BundleOption, TargetOption, app
from pkiops.cli.wiring import factory_of, progress_of
from pkiops.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    from pkiops.trust.render import RenderedTarget, RenderOutcome


@app.command("render")
def render_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    to: Annotated[Path, option("--to", metavar="DIR", help="Folder for DIR/BUNDLE/TARGET/.")],
    bundle: BundleOption = None,
    target: TargetOption = None,
    path: Annotated[
        str | None,
        option("--path", metavar="DIR", help="Where DIR will be on the relying party's machine; here unless given."),
    ] = None,
    overwrite: OverwriteOption = False,
    allow_removal: Annotated[
        bool,
        option("--allow-removal", guard=True, help="Let a CA leave a bundle though certificates below it live."),
    ] = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Write the files that relying parties need to verify clients."""
    from pkiops.trust.render import Choice, Destination, render_trust

    location = _location(path, to)
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    factory.check_account()
    destination = Destination(folder=to, location=location, overwrite=overwrite, allow_removal=allow_removal)
    progress_of(ctx).step(f"render the trust bundles of {environment}")
    outcome = render_trust(
        factory.environment,
        factory.backend,
        factory.trust_store,
        destination,
        Choice(bundle=bundle, target=target, environments=ctx.obj.environments),
        at=factory.clock.now(),
        live_entries=factory.live_entries(),
    )
    _show(environment, outcome, format_, factory.clock.now())


def _location(path: str | None, to: Path) -> str:
    """Where the folder will be: files name each other by it, and every program would take a relative one from a folder of its own."""
    if path is None:
        return str(to.resolve())
    if not path.startswith("/"):
        raise InputError(
            f"--path {path} does not begin with /",
            hint="write the whole path of the folder on the relying party's machine, such as /etc/pki/trust",
            code="usage.arguments",
        )
    return path.rstrip("/")


def _show(environment: str, outcome: RenderOutcome, format_: Format, now: datetime) -> None:
    from pkiops.trust.removal import as_data

    for one in outcome.skipped:
        note(f"in no bundle: {one.name}: {one.reason}")
    for name in outcome.unpinned:
        note(f"not pinned: anchor {name} is taken as the CA backend has it (sha256 of the authority pins it)")
    for removal in outcome.removals:
        note(removal.describe())
    if format_ is Format.TEXT:
        rows = [(f"{t.bundle.name}/{t.target}", t.change, *_counts(t), str(t.path)) for t in outcome.targets]
        emit(table(("TARGET", "FOLDER", "ANCHORS", "INTERMEDIATES", "CRLS", "PATH"), rows))
        return
    body = {
        "targets": [_target_json(one) for one in outcome.targets],
        "skipped": [{"authority": one.name, "reason": one.reason} for one in outcome.skipped],
        "unpinned_anchors": list(outcome.unpinned),
        "removals": [as_data(one) for one in outcome.removals],
    }
    emit_json("trust-render", environment, now, body)


def _counts(one: RenderedTarget) -> tuple[str, str, str]:
    return str(len(one.bundle.anchors)), str(len(one.bundle.intermediates)), str(len(one.bundle.crls))


def _target_json(one: RenderedTarget) -> dict[str, Any]:
    return {
        "bundle": one.bundle.name,
        "target": one.target,
        "path": str(one.path),
        "change": one.change,
        "content_sha256": one.content_sha256,
        "files": list(one.files),
    }
