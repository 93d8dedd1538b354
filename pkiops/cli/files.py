"""Writing files: all targets checked before the first write, each by a temporary file and a rename.

- Nothing that exists is replaced without consent.
- A private key gets mode 0600 from its first byte on; everything else 0644 less the umask. What is replaced hands on its owner, group and mode
  (``kept_access``).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pkiops.cli.kept_access import access_of, keep_access
from pkiops.errors import GuardRefused, InputError


@dataclass(frozen=True)
class FileToWrite:
    """One file: where, what, and whether only its owner may read it."""

    path: Path
    data: bytes = field(repr=False)
    private: bool = False


def check_targets(files: Sequence[FileToWrite], *, overwrite: bool) -> None:
    """Check that every file can be written, without writing any.

    Raises:
        GuardRefused: a target exists and ``overwrite`` is off.
        InputError: a folder is missing or not writable, a target is no plain file, or two files share one path.
    """
    seen: set[Path] = set()
    for file in files:
        folder = file.path.parent
        # two ways to one folder are one file; the name is not followed, because a link there would be replaced
        real = folder.resolve() / file.path.name
        if real in seen:
            raise InputError(f"{file.path} is named twice as an output", code="usage.output")
        seen.add(real)
        if file.path.is_dir():
            raise InputError(f"{file.path} is a folder, not a file", code="usage.output")
        if _is_special(file.path):
            raise InputError(f"{file.path} is a device or a pipe, not a file", code="usage.output")
        if not folder.is_dir():
            raise InputError(f"folder {folder} does not exist", hint=f"mkdir -p {folder}", code="usage.output")
        if not os.access(folder, os.W_OK):
            raise InputError(f"folder {folder} is not writable", code="usage.output")
        if os.path.lexists(file.path) and not overwrite:
            raise GuardRefused(
                f"{file.path} exists", hint="choose another name, or add --overwrite", code="guard.overwrite"
            )


def _is_special(path: Path) -> bool:
    """Whether a rename onto ``path`` would put a file in place of a device, a pipe, a socket or a link of /dev."""
    return (path.exists() and not path.is_file()) or path.parent.resolve() == Path("/dev")


def write_files(files: Sequence[FileToWrite], *, overwrite: bool) -> None:
    """Write all files or, if a target is refused, none.

    Raises:
        GuardRefused: a target exists and ``overwrite`` is off.
        InputError: a target cannot be written.
    """
    check_targets(files, overwrite=overwrite)
    temporary: list[tuple[str, FileToWrite]] = []
    try:
        for file in files:
            with reported(file.path):
                temporary.append((_write_beside(file), file))
        while temporary:
            name, file = temporary[0]
            with reported(file.path):
                os.replace(name, file.path)
            temporary.pop(0)
    finally:
        for name, _ in temporary:
            with contextlib.suppress(OSError):
                os.unlink(name)


@contextlib.contextmanager
def reported(target: Path) -> Iterator[None]:
    """Say of what the file system refuses which target it was for: a full disk names no file, and a temporary name says nothing to anybody.

    Raises:
        InputError: code ``usage.output``, it refused.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}", code="usage.output") from error


def _write_beside(file: FileToWrite) -> str:
    # mkstemp creates with 0600: a key is never readable by others, not even for a moment
    descriptor, name = tempfile.mkstemp(prefix=f".{file.path.name}.", dir=file.path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(file.data)
            _set_access(descriptor, file)
            stream.flush()
            os.fsync(descriptor)
    except BaseException:
        os.unlink(name)
        raise
    return name


def _set_access(descriptor: int, file: FileToWrite) -> None:
    kept = access_of(file.path, within=file.path.parent)
    if kept is not None:
        keep_access(descriptor, kept, private=file.private)
    elif not file.private:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(descriptor, 0o644 & ~mask)
