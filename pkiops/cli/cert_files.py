"""What ``pkiops cert`` reads, and what it may replace.

What this module decides: that no input is read further than it may be long, and that a file is replaced without ``--overwrite`` only where the ledger
says that this request wrote it, exactly as it is.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pkiops.errors import GuardRefused, InputError

STDIN = "-"
MAX_CERTIFICATE_BYTES = 1_048_576
MAX_CRL_BYTES = 128 * 1024 * 1024
_LARGEST_OUTPUT = 1_048_576


def read_bounded(name: str, limit: int, *, hint: str | None = None) -> tuple[bytes, str]:
    """At most ``limit`` + 1 bytes of a file or of stdin (``-``), and what to call it; one byte too many is for the parser to refuse.

    Raises:
        InputError: it cannot be read.
    """
    if name == STDIN:
        return sys.stdin.buffer.read(limit + 1), "standard input"
    try:
        with Path(name).open("rb") as stream:
            return stream.read(limit + 1), name
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {name}: {reason}", hint=hint, code="usage.input-file") from error


def refuse_foreign(paths: Sequence[Path], written: Mapping[str, frozenset[str]]) -> None:
    """Refuse to replace what is not exactly as this request wrote it; a link is nothing that was written.

    Raises:
        GuardRefused: one of ``paths`` is there, and ``written`` (the ledger's) does not hold it as it is.
    """
    for path in paths:
        known = written.get(absolute(path), frozenset())
        if os.path.lexists(path) and not (path.is_file() and _digest(path) in known):
            raise GuardRefused(
                f"{path} was changed since it was written" if known else f"{path} exists",
                hint="choose another name, or add --overwrite",
                code="guard.overwrite",
            )


def _digest(path: Path) -> str | None:
    data, _ = read_bounded(str(path), _LARGEST_OUTPUT)
    return hashlib.sha256(data).hexdigest()


def absolute(path: Path) -> str:
    """A path as the ledger knows it."""
    # the folder is resolved, the name is not: a link in its place would be replaced, not followed
    return str(path.parent.resolve() / path.name)
