"""Find an environment file, read it, and say everything that is wrong with it.

What this module decides: where files are looked for, that a name is checked before it becomes a path, and the order of
the steps: bytes, YAML (``document.py``), shape (``models.py``, ``translate.py``), sense (``checks.py``). The problems of
all steps are reported together, in the order of the file.
"""

from __future__ import annotations

import functools
import gc
import re
import stat
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pkiops.environment.checks import check
from pkiops.environment.document import MAX_BYTES, Document, read_document
from pkiops.environment.finding import Finding, KeyPath, listed, nearest, shown
from pkiops.environment.models import NAME_PATTERN, Environment
from pkiops.errors import EnvironmentFileError, GuardRefused, InputError, Problem

SUFFIX = ".yaml"
MAX_NAME = 40
MAX_PROBLEMS = 100


def environment_names(folder: Path) -> tuple[str, ...]:
    """The environments of a folder, sorted; a missing folder has none."""
    return tuple(sorted(path.stem for path in _entries(folder) if path.suffix == SUFFIX and _is_name(path.stem)))


def ignored_files(folder: Path) -> tuple[str, ...]:
    """YAML files of the folder that are no environment because of their name (``Prod.yaml``, ``dev.yml``), sorted."""
    known = {name + SUFFIX for name in environment_names(folder)}
    return tuple(
        sorted(p.name for p in _entries(folder) if p.suffix.lower() in {".yaml", ".yml"} and p.name not in known)
    )


def environment_path(name: str, folder: Path) -> Path:
    """Where the file of an environment is or would be.

    Raises:
        InputError: ``name`` cannot be the name of an environment, and so never becomes a path.
    """
    if not _is_name(name):
        raise InputError(
            f"'{shown(name)}' cannot be the name of an environment",
            hint=f"use lower-case letters, digits and single inner hyphens, starting with a letter, at most {MAX_NAME}",
            code="env.name",
        )
    return folder / f"{name}{SUFFIX}"


def load_environment(name: str, folder: Path) -> Environment:
    """Read the environment ``name`` from ``folder``.

    Raises:
        InputError: the name is none, or there is no such file; the hint names those that exist.
        GuardRefused: the file is a link that leads out of the folder.
        EnvironmentFileError: the file is wrong; all of its problems.
    """
    path = environment_path(name, folder)
    if not path.is_file() and not path.exists():
        raise _missing(name, folder)
    _refuse_link_out(path, folder)
    return load_file(path)


def load_file(path: Path) -> Environment:
    """Read one environment file.

    Raises:
        InputError: it cannot be read.
        EnvironmentFileError: it is wrong; all of its problems.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path} is not a file", code="env.unreadable")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise InputError(f"cannot read {path}: {reason}", code="env.unreadable") from error
    return load_bytes(data, str(path), path.stem)


def load_bytes(data: bytes, file: str, stem: str) -> Environment:
    """Read an environment out of memory.

    Args:
        data: YAML, UTF-8.
        file: the name used in messages.
        stem: what ``environment`` must be.

    Raises:
        EnvironmentFileError: all problems, in the order of the file.
    """
    document = read_document(data, file)
    problems = list(document.problems)
    if document.value is None:
        raise _failure(problems)
    environment, findings = _environment(document, document.value, stem)
    problems += [document.locate(finding) for finding in findings]
    if problems or environment is None:
        raise _failure(problems)
    return environment


@functools.cache
def adapter() -> TypeAdapter[Environment]:
    """The validator of environment files; built once, because building costs more than validating.

    What building makes lives as long as the process. Collecting garbage meanwhile, and once more at exit, finds nothing and
    costs a sixth of the time of `env validate`; so the collector pauses, and then leaves these objects alone.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return TypeAdapter(Environment)
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def _environment(
    document: Document, value: Mapping[str, Any], stem: str
) -> tuple[Environment | None, Sequence[Finding]]:
    environment, findings = _validated(value)
    findings = [finding for finding in findings if not _below(finding.path, document.spoiled)]
    if environment is not None and not document.problems:
        return environment, check(environment, stem)
    from pkiops.environment.salvage import salvage  # only wrong files pay for it

    sound = salvage(value, [*(f.path for f in findings), *document.spoiled], stem)
    rest = _validated(sound)[0] if sound is not None else None
    return None, [*findings, *(check(rest, stem) if rest is not None else ())]


def _validated(value: Mapping[str, Any]) -> tuple[Environment | None, list[Finding]]:
    try:
        return adapter().validate_python(value), []
    except ValidationError as error:
        from pkiops.environment.translate import findings_of

        return None, list(findings_of(error, value, adapter().json_schema))


def _below(path: KeyPath, spoiled: Set[KeyPath]) -> bool:
    return any(path[:length] in spoiled for length in range(len(path) + 1))


def _failure(problems: list[Problem]) -> EnvironmentFileError:
    problems.sort(key=lambda problem: (problem.line, problem.column))
    kept = problems[:MAX_PROBLEMS]
    if len(problems) > MAX_PROBLEMS:
        last = kept[-1]
        message = f"and {len(problems) - MAX_PROBLEMS} more problems; correct these first"
        kept.append(Problem(last.file, last.line, last.column, "", message, "env.more"))
    return EnvironmentFileError(kept, hint="`pkiops env schema` prints the JSON Schema for your editor")


def _refuse_link_out(path: Path, folder: Path) -> None:
    """Refuse a link to a file that nobody reviewed here: whatever else is on this machine is no environment."""
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise GuardRefused(
            f"{path} is a link out of the folder, to {shown(str(path.resolve()))}",
            hint="put the file itself into the folder, or name its folder with --environments",
            code="guard.environment-link",
        )


def _missing(name: str, folder: Path) -> InputError:
    names = environment_names(folder)
    close = nearest(name, names)
    if (folder / f"{name}.yml").is_file():
        hint = f"rename {name}.yml to {name}{SUFFIX}"
    elif close:
        hint = f"did you mean {close}? There {'is' if len(names) == 1 else 'are'} {', '.join(names[:20])}"
    elif names:
        hint = f"write {listed(names[:20])}, or make it with `pkiops env init {name}`"
    else:
        hint = f"make it with `pkiops env init {name}`, or say where the files are with --environments DIR"
    return InputError(
        f"there is no environment {name} in {folder}", hint=hint, code="env.not-found", details={"environments": names}
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []


def _is_name(text: str) -> bool:
    return len(text) <= MAX_NAME and re.fullmatch(NAME_PATTERN.strip("^$"), text) is not None
