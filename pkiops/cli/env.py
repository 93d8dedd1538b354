"""``pkiops env``: start, check and read environment files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, option
from pkiops.cli.output import emit, emit_json, note, table

if TYPE_CHECKING:
    from pathlib import Path

    from pkiops.environment.models import Environment
    from pkiops.errors import Problem

app = typer.Typer(name="env", help="Environment files: what should exist.", no_args_is_help=True, rich_markup_mode=None)


@app.command("init")
def init(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    sandbox: Annotated[bool, option("--sandbox", help="For the sandbox on this machine.")] = False,
    account: Annotated[
        str | None, option("--account", metavar="DIGITS", help="AWS account; required without --sandbox.")
    ] = None,
    region: Annotated[str, option("--region", metavar="REGION", help="AWS region.")] = "eu-west-1",
) -> None:
    """Write a complete, commented environment file to start from."""
    import os

    from pkiops.cli.files import FileToWrite, write_files
    from pkiops.environment.load import environment_path
    from pkiops.environment.skeleton import skeleton
    from pkiops.errors import GuardRefused, InputError

    path = environment_path(environment, ctx.obj.environments)
    if os.path.lexists(path):
        raise GuardRefused(f"{path} exists", hint="edit it, or choose another name", code="guard.overwrite")
    text = skeleton(environment, sandbox=sandbox, account=account, region=region)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make folder {path.parent}: {error.strerror}", code="usage.output") from error
    write_files([FileToWrite(path, text.encode())], overwrite=False)
    emit(str(path))
    note(f"edit names and the CRL host, then: pkiops env validate {environment}, pkiops ca plan {environment}")


@app.command("validate")
def validate(
    ctx: typer.Context,
    environments: Annotated[
        list[str] | None, typer.Argument(metavar="[ENV]...", help="Environments; all of the folder when none is named.")
    ] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Check environment files; every problem of every file at once."""
    from pkiops.environment.load import environment_names, ignored_files, load_environment
    from pkiops.errors import EnvironmentFileError, InputError

    folder = ctx.obj.environments
    names = tuple(dict.fromkeys(environments or environment_names(folder)))
    if not environments:
        for file in ignored_files(folder):
            note(f"note: {folder / file} is no environment: its name must be lower-case and end in .yaml")
    if not names:
        raise InputError(f"there is no environment file in {folder}", hint="pkiops env init NAME", code="env.not-found")
    loaded: list[Environment] = []
    problems: list[Problem] = []
    hint = None
    for name in names:
        try:
            environment = load_environment(name, folder)
        except EnvironmentFileError as error:
            problems.extend(error.problems)
            hint = error.hint
            continue
        loaded.append(environment)
        problems.extend(_own_target_problems(environment, folder))
    if problems:
        raise EnvironmentFileError(problems, hint=hint)
    _report_valid(loaded, format_)


def _own_target_problems(environment: Environment, folder: Path) -> tuple[Problem, ...]:
    bundles = environment.trust.bundles.values()
    if not any(target.folder is not None for bundle in bundles for target in bundle.targets.values()):
        return ()  # what reads targets takes time to load
    from pkiops.trust.targets.own_problems import own_target_problems

    return own_target_problems(environment, folder)


def _report_valid(loaded: list[Environment], format_: Format) -> None:
    from pkiops.environment.endpoints import foreign_endpoints

    for one in loaded:
        for endpoint in foreign_endpoints(one):
            note(f"note: {one.environment}: {endpoint} is neither AWS nor this machine; commands need --allow-endpoint")
    if format_ is Format.TEXT:
        emit("\n".join(f"{one.environment}: ok ({', '.join(_counts(one))})" for one in loaded))
        return
    from pkiops.clock import SystemClock

    rows = [{**_summary(one), "foreign_endpoints": list(foreign_endpoints(one))} for one in loaded]
    emit_json("environment-validation", None, SystemClock().now(), {"environments": rows})


@app.command("list")
def list_(ctx: typer.Context, format_: FormatOption = Format.TEXT) -> None:
    """Show the environments of the folder, broken ones included."""
    from pkiops.clock import SystemClock
    from pkiops.environment.load import environment_names, load_environment
    from pkiops.errors import EnvironmentFileError, GuardRefused, InputError

    folder = ctx.obj.environments
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}",
            hint="say where the environment files are: --environments DIR; pkiops env init makes the first",
            code="usage.environments",
        )
    rows: list[dict[str, Any]] = []
    for name in environment_names(folder):
        try:
            rows.append({**_summary(load_environment(name, folder)), "status": "ok", "problems": 0})
        except EnvironmentFileError as error:
            rows.append({"environment": name, "status": "invalid", "problems": len(error.problems)})
        except (InputError, GuardRefused):
            rows.append({"environment": name, "status": "unreadable", "problems": 0})
    if format_ is Format.JSON:
        emit_json("environment-list", None, SystemClock().now(), {"environments": rows})
        return
    for row in rows:
        row["backend"] = "sandbox" if row.get("sandbox") else row.get("account", "-")
    columns = ("environment", "backend", "region", "authorities", "profiles", "bundles", "status")
    emit(table([c.upper() for c in columns], [[str(row.get(c, "-")) for c in columns] for row in rows]))
    if not rows:
        note(f"note: there is no environment file in {folder}; `pkiops env init NAME` writes one")


@app.command("show")
def show(ctx: typer.Context, environment: EnvironmentArgument, format_: FormatOption = Format.TEXT) -> None:
    """Show an environment with every default filled in."""
    from pkiops.clock import SystemClock
    from pkiops.environment.load import load_environment
    from pkiops.environment.plain import as_data, as_yaml

    loaded = load_environment(environment, ctx.obj.environments)
    if format_ is Format.JSON:
        emit_json("environment", environment, SystemClock().now(), {"declared": as_data(loaded)})
    else:
        emit(as_yaml(loaded))


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of an environment file, for editors."""
    import json

    from pkiops.environment.schema import json_schema

    emit(json.dumps(json_schema(), indent=2))


def _summary(environment: Environment) -> dict[str, Any]:
    backend = environment.backend
    return {
        "environment": environment.environment,
        "account": backend.account,
        "sandbox": backend.sandbox,
        "region": backend.region,
        "authorities": len(environment.authorities),
        "profiles": len(environment.profiles),
        "bundles": len(environment.trust.bundles),
    }


def _counts(environment: Environment) -> list[str]:
    counted = (
        (len(environment.authorities), "authority", "authorities"),
        (len(environment.profiles), "profile", "profiles"),
        (len(environment.trust.bundles), "bundle", "bundles"),
    )
    return [f"{count} {one if count == 1 else many}" for count, one, many in counted]
