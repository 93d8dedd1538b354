"""A store over a folder: every object a file, every write a rename, conditions held under a lock.

What this module decides: how the promises of ``pkiops.stores.interface`` are kept on a file system. A version is the
SHA-256 of the bytes (as S3 derives an ETag from them); writers of all threads and processes take turns on one lock
file, readers need none. Content types and cache headers have no place in a folder and are dropped.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pkiops.clock import Clock, SystemClock
from pkiops.errors import AlreadyExists, BackendError, VerificationFailed
from pkiops.stores.interface import ALWAYS, Condition, StoredObject, checked_key, is_key

_LOCK = ".lock"


class LocalStore:
    """A store over one folder, which is made when the first object is written.

    Args:
        folder: where the objects live; keys become paths below it.
        clock: the one that files are stamped by, the machine's unless told.
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        """See ``Store.get``."""
        path = self._folder / checked_key(key)
        try:
            with path.open("rb") as stream:
                data = stream.read(max_bytes + 1)
                written = os.fstat(stream.fileno()).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise BackendError(f"cannot read {path}: {error.strerror}") from error
        if len(data) > max_bytes:
            raise VerificationFailed(f"{path} is larger than {max_bytes} bytes", code="store.too-big")
        return StoredObject(key, data, _version(data), age_s=max(0.0, self._clock.now().timestamp() - written))

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        """See ``Store.put``."""
        del content_type, cache_control
        path = self._folder / checked_key(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._writing():
                self._require(condition, path)
                _replace(path, data)
        except OSError as error:
            raise BackendError(f"cannot write {path}: {error.strerror}") from error
        return _version(data)

    def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        """See ``Store.list_keys``."""
        found = (path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file())
        return tuple(sorted(key for key in found if key.startswith(prefix) and key > after and is_key(key))[:limit])

    def describe(self) -> str:
        """See ``Store.describe``."""
        return str(self._folder)

    def _require(self, condition: Condition, path: Path) -> None:
        """Refuse the write unless its condition holds; the caller holds the lock."""
        if condition.absent and os.path.lexists(path):
            raise AlreadyExists(f"{path} exists already", code="store.condition")
        if condition.version is None:
            return
        if not path.is_file() or _version(path.read_bytes()) != condition.version:
            raise AlreadyExists(f"{path} is no longer the version that was read", code="store.condition")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the one lock; every caller opens the file anew, so threads exclude each other as processes do."""
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
