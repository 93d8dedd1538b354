"""What every command knows about the call it is part of: the global options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Invocation:
    """The global options of one call; typer carries it as ``ctx.obj``.

    ``arguments`` are the raw arguments after the program's name.
    """

    environments: Path
    verbosity: int = 0
    debug: bool = False
    arguments: tuple[str, ...] = ()
