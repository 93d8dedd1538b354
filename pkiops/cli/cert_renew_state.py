"""What a renewal keeps beside its target between two runs: a lock, the key that comes next, and a hook that is still to run.

What this module decides: that one process at a time renews a target; that a key is on disk before a certificate for it is asked for, so that who is
killed goes on with the same one; and that a hook is noted before the files change, so that it is run once they have changed, in this run or a later
one. Everything is in a folder of its own (0700), which the programs that use the certificate never look into. One that is a link, another user's or
open to others is refused; and only plain files with names of ours are removed from it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pkiops.cli.files import FileToWrite, write_files
from pkiops.clock import Clock
from pkiops.errors import GuardRefused, InputError, Unreachable

_LOCK, _HOOK, _KEY = "lock", "hook.json", "next.key"
# what ``write_files`` writes beside those two before it renames it
_LEFT = re.compile(r"\.(hook\.json|next\.key)\.[a-z0-9_]{8}")
_PAUSE_S, _PATIENCE_S = 0.2, 600.0
_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class RenewalState:
    """The state of one target, in ``folder``; nothing is made before it is needed."""

    folder: Path
    clock: Clock

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the target; whoever comes second waits. A process that is killed lets go.

        Raises:
            Unreachable: another process held it for ten minutes.
            GuardRefused: the folder is not as a renewal makes it: somebody put another one there.
            OSError: the lock cannot be made.
        """
        folder = self._opened()
        try:
            descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
            try:
                self._wait(descriptor)
                _remove_left(folder)
                yield
            finally:
                os.close(descriptor)
        finally:
            os.close(folder)

    def _opened(self) -> int:
        """The folder, made if it is not there: a real one, of this user, that nobody else looks into."""
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(mode=0o700)
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                raise self._not_ours("is no folder, or a link") from error
            raise
        found = os.fstat(folder)
        # a folder above with the set-group-ID bit hands that on
        if found.st_uid == os.geteuid() and found.st_mode & 0o777 == 0o700:
            return folder
        os.close(folder)
        raise self._not_ours("belongs to another user, or others may look into it")

    def _not_ours(self, why: str) -> GuardRefused:
        return GuardRefused(
            f"{self.folder} {why}: it is where a renewal keeps the key that comes next",
            hint="if a copy or another user's run made it so, remove it: it holds nothing but the state of a run that did not end",
            code="guard.renewal-state",
        )

    def _wait(self, descriptor: int) -> None:
        started = self.clock.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self.clock.monotonic() - started > _PATIENCE_S:
                    raise Unreachable(
                        f"{self.folder}: another process has been renewing for ten minutes",
                        hint="look what it does, then run again",
                        code="cert.renewal-busy",
                    ) from None
            else:
                return
            self.clock.sleep(_PAUSE_S)

    def next_key(self, replaces: str) -> bytes | None:
        """The key (PEM) that was made to come after the certificate with that SHA-256; None without one."""
        known = self._read(_KEY)
        mark = f"{replaces}\n".encode("ascii")
        return known.removeprefix(mark) if known is not None and known.startswith(mark) else None

    def keep_key(self, replaces: str, key_pem: bytes) -> None:
        """Keep a key until ``forget_key``; one that was kept for another certificate is of no use any more."""
        self._write(_KEY, f"{replaces}\n".encode("ascii") + key_pem)

    def forget_key(self) -> None:
        """The key is where it belongs."""
        self._remove(_KEY)

    def expect_hook(self, replaces: str) -> None:
        """Note that a hook is to be run once the certificate with that SHA-256 is replaced."""
        self._write(_HOOK, json.dumps({"replaces": replaces}).encode("ascii") + b"\n")

    def is_hook_due(self, current: str) -> bool:
        """Whether a hook was noted whose files have changed since: the certificate with that SHA-256 is another one than then."""
        known = self._read(_HOOK)
        if known is None:
            return False
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(known)
            if isinstance(document, dict):
                return document.get("replaces") != current
        # a note that cannot be read: rather once too often
        return True

    def hook_done(self) -> None:
        """The hook was run."""
        self._remove(_HOOK)

    def _read(self, name: str) -> bytes | None:
        try:
            descriptor = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"cannot read {error.filename}: {error.strerror}", code="usage.input-file") from error
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(_MAX_BYTES)

    def _write(self, name: str, data: bytes) -> None:
        write_files([FileToWrite(self.folder / name, data, private=True)], overwrite=True)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.folder / name).unlink()


def _remove_left(folder: int) -> None:
    """Remove what a run that was killed was about to write."""
    for name in os.listdir(folder):
        if _LEFT.fullmatch(name) and stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
