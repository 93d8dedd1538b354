"""The folder of a certificate on disk: a version is written beside the others, then the link ``current`` is moved to it.

What this module decides: key and chain change in one step; a folder is taken over only if it is new, empty or, by its manifest, pkiops' own for the
same certificate and unchanged; a version that was replaced stays until the next replacement, for whoever is reading it. Nothing that pkiops did not
write is ever removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.cli.files import reported
from pkiops.cli.kept_access import access_of, keep_access
from pkiops.errors import GuardRefused, InputError

if TYPE_CHECKING:
    from pkiops.cert.server_folder import FolderFile, FolderManifest, Owner

_VERSION = re.compile(r"version-[0-9a-f]{32}")
# of ours as well: what a renewal keeps between two runs
RENEWAL = ".renewal"
_TEMPORARY = (".new-", ".link-", RENEWAL)
_MAX_FILE = 1_048_576


def check_folder(folder: Path, owner: Owner, *, overwrite: bool) -> None:
    """Ask, without writing, whether the certificate of ``owner`` may be written to a folder.

    Raises:
        GuardRefused: something lies there that pkiops did not write for this certificate, and ``overwrite`` is off.
        InputError: it cannot be written.
    """
    from pkiops.cert.server_folder import CURRENT, check_location

    check_location(str(folder.resolve()))
    if not os.path.lexists(folder):
        if not folder.parent.is_dir():
            raise InputError(f"folder {folder.parent} does not exist", hint=f"mkdir -p {folder}", code="usage.output")
        if not os.access(folder.parent, os.W_OK):
            raise InputError(f"folder {folder.parent} is not writable", code="usage.output")
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", code="usage.output")
    if not os.access(folder, os.W_OK):
        raise InputError(f"folder {folder} is not writable", code="usage.output")
    current = folder / CURRENT
    if current.is_dir() and not current.is_symlink():
        raise InputError(f"{current} is a folder, and should be a link", code="usage.output")
    # what a run that was killed left behind is no reason to stop
    left = [one for one in folder.iterdir() if not one.name.startswith(_TEMPORARY)]
    if overwrite or not left:
        return
    found = [_read_current(current)] if os.path.lexists(current) else [_read_version(one) for one in left]
    known = found[0]
    if known is None or None in found:
        raise GuardRefused(
            f"{folder} holds something that pkiops did not write, or that was changed since",
            hint="choose another folder, or add --overwrite",
            code="guard.overwrite",
        )
    if known.owner != owner:
        names = ", ".join(known.owner.names)
        raise GuardRefused(
            f"{folder} holds the certificate of {names} (profile {known.owner.profile})",
            hint="choose another folder, or add --overwrite",
            code="guard.overwrite",
        )


def current_version(folder: Path) -> tuple[FolderManifest, Path]:
    """What a folder's manifest says, and the folder of its current version, unchanged since pkiops wrote it.

    Raises:
        GuardRefused: it is not that.
    """
    from pkiops.cert.server_folder import CURRENT

    with contextlib.suppress(OSError):
        known = _read_current(folder / CURRENT)
        if known is not None:
            return known, (folder / CURRENT).resolve()
    raise GuardRefused(
        f"{folder} is not a folder that pkiops wrote (cert issue --output folder=DIR), or was changed since",
        hint="issue into it again with --overwrite, or renew where it was issued",
        code="guard.folder",
    )


def stage_version(folder: Path, files: Sequence[FolderFile]) -> Path:
    """Write a version beside the current one, where nobody reads it yet. Where it is.

    Raises:
        InputError: it cannot be written.
    """
    from pkiops.cert.server_folder import version_name

    version = folder / version_name(files)
    with reported(folder):
        folder.mkdir(exist_ok=True)
        if _read_version(version) is not None:
            return version
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder, ignore_cleanup_errors=True) as temporary:
            made = Path(temporary) / "version"
            made.mkdir()
            before = _replaced(folder)
            for file in files:
                _write(made / file.name, file, access_of(before / file.name, within=folder) if before else None)
            if before:
                _keep_folder(made, access_of(before, within=folder))
            if os.path.lexists(
                version
            ):  # a version that somebody changed: moved out of the way, and away with the rest
                os.rename(version, Path(temporary) / "damaged")
            os.rename(made, version)
    return version


def switch(version: Path) -> bool:
    """Make a staged version the current one. Whether that changed anything.

    Raises:
        InputError: the link cannot be moved.
    """
    from pkiops.cert.server_folder import CURRENT

    folder, current = version.parent, version.parent / CURRENT
    before = os.readlink(current) if current.is_symlink() else None
    if before == version.name:
        return False
    with reported(current), tempfile.TemporaryDirectory(prefix=".link-", dir=folder) as temporary:
        link = Path(temporary) / CURRENT
        link.symlink_to(version.name)
        os.replace(link, current)
    for old in folder.iterdir():
        ours = _VERSION.fullmatch(old.name) and old.name not in {version.name, before}
        if ours and _read_version(old) is not None:
            shutil.rmtree(old, ignore_errors=True)
    return True


def _replaced(folder: Path) -> Path | None:
    """The folder of the version that is current now, whatever is in it."""
    from pkiops.cert.server_folder import CURRENT

    link = folder / CURRENT
    if not link.is_symlink() or not _VERSION.fullmatch(os.readlink(link)):
        return None
    version = folder / os.readlink(link)
    return None if version.is_symlink() else version


def _keep_folder(made: Path, kept: os.stat_result | None) -> None:
    if kept is not None:
        descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            keep_access(descriptor, kept, private=False)
        finally:
            os.close(descriptor)


def _write(path: Path, file: FolderFile, kept: os.stat_result | None) -> None:
    # created with its mode: a key is never readable by others, not even for a moment
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if file.private or kept else 0o644
    )
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.data)
        if kept is not None:
            keep_access(descriptor, kept, private=file.private)
        stream.flush()
        os.fsync(stream.fileno())


def _read_current(link: Path) -> FolderManifest | None:
    # the version itself is no link: it is in this folder
    version = _replaced(link.parent)
    return None if version is None else _read_version(version)


def _read_version(path: Path) -> FolderManifest | None:
    """The manifest of a version whose files are exactly those that it names, unchanged; else None."""
    from pkiops.cert.server_folder import MANIFEST, read_folder_manifest

    with contextlib.suppress(OSError):
        known = read_folder_manifest(_read(path / MANIFEST))
        if known is None or {one.name for one in path.iterdir()} != {*known.files, MANIFEST}:
            return None
        if all(hashlib.sha256(_read(path / name)).hexdigest() == digest for name, digest in known.files.items()):
            return known
    return None


def _read(path: Path) -> bytes:
    # a pipe or a link put in place of a file must neither make us wait nor lead us away
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(_MAX_FILE)
