"""From the name on the command line to wired objects: the environment file, and the factory over it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pkiops.cli.output import StderrProgress, note

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from pkiops.environment.models import Environment
    from pkiops.factory import Factory


def environment_of(ctx: typer.Context, name: str) -> Environment:
    """Load the environment that a command names.

    Raises:
        EnvironmentFileError: the file is wrong.
        InputError: there is no such file.
    """
    from pkiops.environment.load import load_environment

    return load_environment(name, ctx.obj.environments)


def factory_of(ctx: typer.Context, name: str, *, allow_endpoint: bool = False, prices: Path | None = None) -> Factory:
    """The factory over the environment that a command names; ``prices`` is a file of the user's own.

    Raises:
        EnvironmentFileError: the file is wrong.
        InputError: there is no such file.
        GuardRefused: the file sends AWS calls to an endpoint that is neither AWS nor loopback.
    """
    from pkiops.factory import Factory

    factory = Factory(
        environment_of(ctx, name), allow_endpoint=allow_endpoint, prices=prices, progress=progress_of(ctx)
    )
    for line in factory.notices():
        note(line)
    return factory


def progress_of(ctx: typer.Context) -> StderrProgress:
    """Progress for people: on a terminal, or with -v."""
    return StderrProgress(shown=sys.stderr.isatty() or ctx.obj.verbosity > 0)
