"""The folder in which everything is kept that a CA has issued: files written once, and a manifest with SHA-256 at the end.

What this module decides: the form of the folder, that each file appears complete or not at all and is readable by its owner only, that an archive
which was interrupted is continued, and that a folder which is anything else is never touched. What goes into it is ``deletion.py``.

    manifest.json      whose archive this is; ``complete`` once everything is there, with the SHA-256 of SHA256SUMS
    SHA256SUMS         the SHA-256 of every other file, as ``sha256sum --check`` reads it
    authority.pem, chain.pem, audit-report.json, crl/NAME.crl, certificates/SERIAL.pem
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pkiops.errors import GuardRefused, InputError

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
_KIND = "ca-archive"
_MAX_MANIFEST = 1024 * 1024
_BLOCK = 1024 * 1024
_UNFINISHED = ".new-"
_WHOSE = ("environment", "authority", "generation", "reference")


class Archive:
    """One archive folder.

    Args:
        folder: where; its parent must exist.
        whose: environment, authority, generation and reference of the CA.
    """

    def __init__(self, folder: Path, whose: Mapping[str, Any]) -> None:
        self.folder = folder
        self._whose = {"format_version": 1, "kind": _KIND, **{key: whose[key] for key in _WHOSE}}

    def check(self) -> None:
        """See that the folder can be this archive, without making it.

        Raises:
            GuardRefused: it is something else already (code ``guard.archive``).
            InputError: it cannot be made or read.
        """
        with _reported(self.folder):
            if not self.folder.parent.is_dir():
                raise InputError(f"folder {self.folder.parent} does not exist", code="usage.output")
            if not os.path.lexists(self.folder):
                return
            for folder in self._folders():
                # a repository can hold a link of the name that is the default; what is archived goes nowhere but here
                if folder.is_symlink():
                    raise GuardRefused(
                        f"{folder} is a symbolic link",
                        hint="remove it, or choose another folder: --archive DIR",
                        code="guard.archive",
                    )
            if not self.folder.is_dir():
                raise InputError(f"{self.folder} is no folder", code="usage.output")
            found = self._manifest()
            if found is None and not any(self.folder.iterdir()):
                return
            if found is None or any(found.get(key) != value for key, value in self._whose.items()):
                raise GuardRefused(
                    f"{self.folder} exists and is not the archive of {self._whose['reference']}",
                    hint="choose another folder: --archive DIR",
                    code="guard.archive",
                )

    def begin(self) -> None:
        """Make the folder, or continue what was begun.

        Raises:
            GuardRefused: it is something else already.
            InputError: it cannot be written.
        """
        self.check()
        with _reported(self.folder):
            for folder in self._folders():
                folder.mkdir(mode=0o700, exist_ok=True)
            for left in self.folder.rglob(f"{_UNFINISHED}*"):
                left.unlink()
        self._write_manifest({"complete": False})

    def read(self, name: str) -> bytes | None:
        """What is in a file of the archive already; None if it is not there, or is a link to something else."""
        path = self.folder / name
        with _reported(self.folder), contextlib.suppress(FileNotFoundError):
            return None if path.is_symlink() else path.read_bytes()
        return None

    def pieces(self, name: str) -> Iterator[bytes]:
        """A file of the archive in pieces."""
        with _reported(self.folder), (self.folder / name).open("rb") as stream:
            while piece := stream.read(_BLOCK):
                yield piece

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write one file, complete or not at all.

        Raises:
            InputError: it cannot be written.
        """

        def copy(stream: IO[bytes]) -> None:
            for piece in pieces:
                stream.write(piece)

        self._write(name, copy)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Sum up every file, and say in the manifest that everything is there.

        Raises:
            InputError: it cannot be read or written.
        """
        count = 0

        def sums(stream: IO[bytes]) -> None:
            nonlocal count
            for name in sorted(self._files()):
                digest = hashlib.sha256()
                for piece in self.pieces(name):
                    digest.update(piece)
                stream.write(f"{digest.hexdigest()}  {name}\n".encode())
                count += 1

        self._write(SUMS, sums)
        digest = hashlib.sha256()
        for piece in self.pieces(SUMS):
            digest.update(piece)
        self._write_manifest({**facts, "files": count, "sums_sha256": digest.hexdigest(), "complete": True})

    def _files(self) -> Iterator[str]:
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            if (
                path.is_file()
                and not path.is_symlink()
                and name not in {MANIFEST, SUMS}
                and not path.name.startswith(_UNFINISHED)
            ):
                yield name

    def _folders(self) -> tuple[Path, ...]:
        return self.folder, self.folder / "certificates", self.folder / "crl"

    def _manifest(self) -> Mapping[str, Any] | None:
        try:
            with (self.folder / MANIFEST).open("rb") as stream:
                found = json.loads(stream.read(_MAX_MANIFEST))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def _write_manifest(self, facts: Mapping[str, Any]) -> None:
        text = json.dumps({**self._whose, **facts}, indent=2, sort_keys=True) + "\n"
        self.write(MANIFEST, (text.encode(),))

    def _write(self, name: str, fill: Callable[[IO[bytes]], None]) -> None:
        path = self.folder / name
        with _reported(path):
            # mkstemp makes it readable by its owner only
            descriptor, temporary = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    fill(stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error.

    Raises:
        InputError: it refused.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot read or write {error.filename or path}: {error.strerror}", code="usage.output"
        ) from error
