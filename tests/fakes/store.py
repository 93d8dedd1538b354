"""A store in memory that keeps what S3 promises: whole objects, strong reads, conditions held at the write, versions made of the bytes."""

from __future__ import annotations

import hashlib
import threading

from pkiops.errors import AlreadyExists, VerificationFailed
from pkiops.stores.interface import ALWAYS, Condition, StoredObject, checked_key


class MemoryStore:
    """Named bytes in a dictionary; ``headers`` are the content type and cache header each was last written with, ``writes`` how many writes held."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.headers: dict[str, tuple[str, str | None]] = {}
        self.writes = 0
        self._lock = threading.Lock()

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        """See ``Store.get``."""
        data = self.objects.get(checked_key(key))
        if data is None:
            return None
        if len(data) > max_bytes:
            raise VerificationFailed(f"memory/{key} is larger than {max_bytes} bytes", code="store.too-big")
        return StoredObject(key, data, _version(data))

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
        with self._lock:
            there = self.objects.get(checked_key(key))
            if condition.absent and there is not None:
                raise AlreadyExists(f"memory/{key} exists already", code="store.condition")
            if condition.version is not None and (there is None or _version(there) != condition.version):
                raise AlreadyExists(f"memory/{key} is no longer the version that was read", code="store.condition")
            self.objects[key] = data
            self.writes += 1
            self.headers[key] = (content_type, cache_control)
        return _version(data)

    def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        """See ``Store.list_keys``."""
        return tuple(sorted(key for key in self.objects if key.startswith(prefix) and key > after))[:limit]

    def describe(self) -> str:
        """See ``Store.describe``."""
        return "memory"


def _version(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
