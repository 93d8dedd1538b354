"""Folders of rendered files: replaced as a whole, never half written, and read back within bounds.

What this module decides: a folder is written beside its place under a hidden name and moved there; several are
checked before the first is moved, and put back when one cannot be. A folder that exists is replaced only if its
manifest says that pkiops wrote it and nothing else lies in it, or with consent.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pkiops.errors import GuardRefused, InputError, VerificationFailed
from pkiops.trust import manifest
from pkiops.trust.exchange import exchange
from pkiops.trust.exclusive import NEW, OLD, hidden_prefix
from pkiops.trust.targets.interface import RenderedFile

_MAX_ENTRIES = 20_000


@dataclass(frozen=True, slots=True)
class FolderToWrite:
    """One folder and all that will be in it."""

    path: Path
    files: tuple[RenderedFile, ...]


@dataclass(frozen=True, slots=True)
class WrittenFolder:
    """What became of a folder: ``created``, ``replaced`` or ``unchanged``."""

    path: Path
    change: str


def write_folders(
    folders: Sequence[FolderToWrite], *, overwrite: bool, swap: Callable[[Path, Path], bool] = exchange
) -> tuple[WrittenFolder, ...]:
    """Write all folders or, if one is refused or fails, none. Files are 0644, folders 0755, whatever the umask: servers of other users read them.

    ``swap`` exchanges two folders in one step, or says that it cannot.

    Raises:
        GuardRefused: a folder exists that pkiops did not write, and ``overwrite`` is off.
        InputError: a folder cannot be written, or is given twice.
    """
    places = [folder.path.parent.resolve() / folder.path.name for folder in folders]
    if len(set(places)) < len(places):
        raise InputError("two targets would be written into one folder", code="usage.output")
    changes = [_change(folder, overwrite=overwrite) for folder in folders]
    work = [folder for folder, change in zip(folders, changes, strict=True) if change != "unchanged"]
    prepared: list[tuple[Path, Path]] = []
    writing: Path | None = None  # a full disk names no file
    try:
        for folder in work:
            writing = folder.path
            folder.path.parent.mkdir(parents=True, exist_ok=True)
            prepared.append((_write_beside(folder), folder.path))
        _swap(prepared, swap)
    except OSError as error:
        raise InputError(f"cannot write {error.filename or writing}: {error.strerror}", code="usage.output") from error
    finally:
        for temporary, _ in prepared:
            shutil.rmtree(temporary, ignore_errors=True)
    return tuple(WrittenFolder(folder.path, change) for folder, change in zip(folders, changes, strict=True))


def list_files(folder: Path) -> tuple[str, ...]:
    """The paths of everything in a folder that is no folder itself, relative and sorted; links are not followed.

    Raises:
        InputError: it is no folder, or holds far too much.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", code="usage.input")
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        found.extend((Path(parent) / name).relative_to(folder).as_posix() for name in (*files, *linked))
        if len(found) > _MAX_ENTRIES:
            raise InputError(f"{folder} holds more than {_MAX_ENTRIES} files", code="usage.input")
    return tuple(sorted(found))


def read_file(folder: Path, path: str, *, max_bytes: int) -> bytes | None:
    """The bytes of a file of a folder, None if it is not there.

    Raises:
        VerificationFailed: it is a link, no plain file, or larger than ``max_bytes``.
        InputError: it cannot be read.
    """
    full = folder / path
    try:
        # a pipe put in place of the file must not make us wait
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {full}: {error.strerror}", code="usage.input") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not full.is_file():
            raise VerificationFailed(f"{full} is not a plain file", code="trust.file-kind")
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise VerificationFailed(f"{full} is larger than {max_bytes} bytes", code="trust.file-too-big")
    return data


def _change(folder: FolderToWrite, *, overwrite: bool) -> str:
    path = folder.path
    if not os.path.lexists(path):
        return "created"
    if path.is_dir() and not path.is_symlink():
        present = list_files(path)
        if not present and not any(path.iterdir()):
            return "replaced"
        ours = _written_by_us(path, present)
        if ours and _same(folder, present):
            return "unchanged"
        if ours or overwrite:
            return "replaced"
        raise GuardRefused(
            f"{path} exists, and holds files that pkiops did not write",
            hint="choose another folder with --to, or add --overwrite: the whole folder is replaced",
            code="guard.overwrite",
        )
    raise GuardRefused(
        f"{path} exists and is not a folder", hint="choose another folder with --to", code="guard.overwrite"
    )


def _written_by_us(path: Path, present: Sequence[str]) -> bool:
    try:
        data = read_file(path, manifest.NAME, max_bytes=manifest.MAX_BYTES)
        if data is None:
            return False
        known = manifest.read_manifest(data, str(path / manifest.NAME)).files
    except VerificationFailed:
        return False
    return set(present) <= {*known, manifest.NAME}


def _same(folder: FolderToWrite, present: Sequence[str]) -> bool:
    if set(present) != {file.path for file in folder.files}:
        return False
    try:
        return all(read_file(folder.path, f.path, max_bytes=len(f.data)) == f.data for f in folder.files)
    except (VerificationFailed, InputError):
        return False  # larger than ours, a link or a pipe


def _write_beside(folder: FolderToWrite) -> Path:
    temporary = Path(tempfile.mkdtemp(prefix=hidden_prefix(folder.path.name, NEW), dir=folder.path.parent))
    try:
        for file in folder.files:
            path = temporary / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as stream:
                stream.write(file.data)
                stream.flush()
                os.fchmod(stream.fileno(), 0o644)
                os.fsync(stream.fileno())
        for inner in (*(path for path in temporary.rglob("*") if path.is_dir()), temporary):
            inner.chmod(0o755)
            _sync(inner)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return temporary


def _sync(folder: Path) -> None:
    """Make what is in a folder outlast a power failure, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(prepared: Sequence[tuple[Path, Path]], swap: Callable[[Path, Path], bool]) -> None:
    """Move every prepared folder to its place; if one cannot be, put back all that was there."""
    undo = contextlib.ExitStack()
    with undo:
        replaced: list[Path] = []
        for temporary, path in prepared:
            if os.path.lexists(path):
                if swap(temporary, path):
                    undo.callback(swap, temporary, path)
                    replaced.append(temporary)
                    continue
                old = Path(tempfile.mkdtemp(prefix=hidden_prefix(path.name, OLD), dir=path.parent))
                os.rename(path, old)  # an empty folder is replaced by a rename
                undo.callback(os.rename, old, path)
                replaced.append(old)
            os.rename(temporary, path)
            undo.callback(os.rename, path, temporary)
        for parent in {path.parent for _, path in prepared}:
            _sync(parent)
        undo.pop_all()
    for old in replaced:
        shutil.rmtree(old, ignore_errors=True)
