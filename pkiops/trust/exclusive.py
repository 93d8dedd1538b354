"""One writer at a time below a folder, and the order restored that a killed one left.

What this module decides: that writers of one bundle's folders are kept apart by a lock on the folder above them, which goes with the process that
held it; and what becomes of hidden folders of a run that was killed. Where Linux exchanges two folders in one step, they are what was replaced or
was never put in place, and go. Elsewhere a kill between two renames leaves a place empty: the folder that stood there is put back, so that nobody
compares with nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pkiops.errors import GuardRefused, InProgress, InputError

NEW, OLD = "new", "old"
# what tempfile.mkdtemp appends
_LEFT = re.compile(r"(?P<kind>new|old)-[a-z0-9_]{8}")
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}


def hidden_prefix(name: str, kind: str) -> str:
    """How the name of a hidden folder beside ``name`` begins: ``NEW`` is being written, ``OLD`` is being replaced."""
    return f".{name}.{kind}-"


@contextlib.contextmanager
def exclusive(folders: Sequence[Path]) -> Iterator[None]:
    """Keep other writers of these folders away, after putting right what a killed one left beside them.

    On file systems without locks nobody is kept away, and nothing is touched.

    Raises:
        GuardRefused: the folder above one of them is a link.
        InProgress: somebody else is writing there.
        InputError: it cannot be looked at.
    """
    with contextlib.ExitStack() as stack:
        for parent in sorted({folder.parent for folder in folders}):
            if parent.is_symlink():
                raise GuardRefused(
                    f"{parent} is a link: what it leads to may be another bundle's",
                    hint="choose another folder with --to, or replace the link by a folder",
                    code="guard.overwrite",
                )
            if not parent.is_dir() or not _lock(parent, stack):
                continue
            for folder in folders:
                if folder.parent == parent:
                    _restore(folder)
        yield


def _lock(parent: Path, stack: contextlib.ExitStack) -> bool:
    try:
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InProgress(
            f"another run is writing below {parent}", hint="run the same command again", code="trust.busy"
        ) from error
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise InputError(f"cannot look at {parent}: {error.strerror}", code="usage.output") from error
    return True


def _restore(folder: Path) -> None:
    left = _left_beside(folder)
    try:
        if not os.path.lexists(folder):
            for old in (path for path, kind in left if kind == OLD):
                if any(old.iterdir()):
                    os.rename(old, folder)
                    break
    except OSError as error:
        raise InputError(f"cannot put {folder} back: {error.strerror}", code="usage.output") from error
    for path, _ in left:
        shutil.rmtree(path, ignore_errors=True)


def _left_beside(folder: Path) -> list[tuple[Path, str]]:
    start = f".{folder.name}."
    found: list[tuple[Path, str]] = []
    for path in sorted(folder.parent.iterdir()):
        match = _LEFT.fullmatch(path.name.removeprefix(start)) if path.name.startswith(start) else None
        if match and path.is_dir() and not path.is_symlink():
            found.append((path, match["kind"]))
    return found
