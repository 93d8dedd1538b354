"""The report of ``pkiops cert bulk``: a line of JSON for each row.

What this module decides: what a report may replace, which is said before the first call is made, and that it appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pkiops.cert.output_formats import OutputFormat
from pkiops.cli.cert_bulk_files import ENDINGS
from pkiops.cli.cert_files import STDIN
from pkiops.cli.output import iso
from pkiops.errors import GuardRefused, InputError

if TYPE_CHECKING:
    from pkiops.cert.bulk_results import RowResult

_MOST_OF_A_LINE = 1 << 20
_ALWAYS_THERE = {"row", "source", "status"}


def check_report(
    path: Path | None, manifest: str, folder: Path, formats: Sequence[OutputFormat], *, overwrite: bool
) -> None:
    """Ask whether the report of a run may be written, before anything else is done.

    Args:
        path: where, None for no report.
        manifest: what the run reads, ``-`` for stdin.
        folder: where its results go.
        formats: of the results.
        overwrite: anything but the manifest may be replaced.

    Raises:
        InputError: it is the manifest, named like a result, or no place for a file.
        GuardRefused: code ``guard.overwrite``, a file is there that is no report of an earlier run.
    """
    if path is None:
        return
    if path.parent.resolve() == folder.resolve() and path.name.endswith(tuple(ENDINGS[one] for one in formats)):
        raise InputError(
            f"--report {path} is named like a result of a row", hint="give it another name", code="usage.output"
        )
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot write {path}: {reason}", code="usage.output") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"--report {path} is there, and not a file", code="usage.output")
    if (read := _status_of(manifest)) is not None and os.path.samestat(read, found):
        raise InputError(f"--report {path} is the manifest", hint="give it another name", code="usage.output")
    if not overwrite and not _is_report(path):
        raise GuardRefused(
            f"{path} exists, and is not the report of a bulk run",
            hint="give another name with --report, or --overwrite to replace it",
            code="guard.overwrite",
        )


def _status_of(manifest: str) -> os.stat_result | None:
    """What the manifest is for the file system; None where that is not known."""
    try:
        return os.fstat(sys.stdin.fileno()) if manifest == STDIN else os.stat(manifest)
    except (OSError, ValueError):
        return None


def _is_report(path: Path) -> bool:
    """Whether a file is empty, or begins like a report."""
    try:
        with path.open("rb") as stream:
            line = stream.readline(_MOST_OF_A_LINE)
        first = json.loads(line) if line else dict.fromkeys(_ALWAYS_THERE)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and first.keys() >= _ALWAYS_THERE


@contextlib.contextmanager
def report_file(path: Path | None) -> Iterator[Callable[[RowResult], None]]:
    """Takes results and writes each as a line of JSON; the file is there when all are, and when the run was interrupted once.

    Raises:
        InputError: it cannot be written; where only its last step failed, it is kept under the name that the hint says.
    """
    if path is None:
        yield lambda _: None
        return
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", code="usage.output") from error
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: Path(name).unlink(missing_ok=True))
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            yield lambda result: _write_line(stream, path, result)
            try:
                stream.flush()
                os.fchmod(descriptor, 0o644 & ~_umask())
                os.replace(name, path)
            except OSError as error:
                # what the rows came to is said nowhere else
                stack.pop_all()
                with contextlib.suppress(OSError):
                    stream.close()
                reason, hint = error.strerror, f"as far as it could be written it is {name}"
                raise InputError(f"cannot write {path}: {reason}", hint=hint, code="usage.output") from error


def _write_line(stream: IO[str], path: Path, result: RowResult) -> None:
    from pkiops.cert.bulk_results import row_json

    try:
        stream.write(json.dumps(row_json(result), default=_jsonable) + "\n")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", code="usage.output") from error


def _jsonable(value: object) -> Any:
    from datetime import datetime

    return iso(value) if isinstance(value, datetime) else str(value)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
