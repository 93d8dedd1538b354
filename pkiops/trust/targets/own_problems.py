"""What is wrong with the targets of the user's own that an environment declares, found without rendering anything.

What this module decides: that a mistake in such a folder is a problem of the environment, told with file and line like those of its file. What is
one is decided where the folder is read (``registry.py`` and those behind it), the first in each.
"""

from __future__ import annotations

from pathlib import Path

from pkiops.environment.models import Environment
from pkiops.errors import InputError, Problem
from pkiops.trust.targets.description import FILE
from pkiops.trust.targets.registry import OWN_FOLDER, target_of


def own_target_problems(environment: Environment, folder: Path) -> tuple[Problem, ...]:
    """The problems of every folder that a target names, in the order of the file, each once.

    Args:
        environment: which environment.
        folder: that of the environment files.
    """
    found: dict[str, Problem] = {}
    for name, bundle in environment.trust.bundles.items():
        for target, declared in bundle.targets.items():
            if declared.folder is None:
                continue
            try:
                target_of(bundle, name, target, folder)
            except InputError as error:
                where = f"trust.bundles.{name}.targets.{target}.folder"
                problem = _problem(error, folder / OWN_FOLDER, declared.folder, where)
                found.setdefault(f"{problem.file}:{problem.line}: {problem.message}", problem)
    return tuple(found.values())


def _problem(error: InputError, targets: Path, own: str, where: str) -> Problem:
    file, line = error.details.get("file"), error.details.get("line", 1)
    path = targets / own / FILE if file is None else targets / str(file)
    return Problem(str(path), int(line), 1, where, error.message, error.code)
