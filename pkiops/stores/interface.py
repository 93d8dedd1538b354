"""Named bytes with conditional writes.

Keys are relative, use ``/`` and hold no ``..``; a store refuses others. Every write says under which condition it holds, so that two
writers cannot overwrite each other unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store holds under one key; ``version`` is the store's own tag of these exact bytes (an ETag)."""

    key: str
    data: bytes = field(repr=False)
    version: str


@dataclass(frozen=True, slots=True)
class Condition:
    """When a write holds: ``absent`` if nothing may be there, ``version`` if exactly that version must be; neither: always."""

    absent: bool = False
    version: str | None = None


ALWAYS = Condition()
IF_ABSENT = Condition(absent=True)


@runtime_checkable
class Store(Protocol):
    """Named bytes. Every call may raise a BackendError."""

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        """The object, or None when there is none.

        Raises:
            VerificationFailed: it is larger than ``max_bytes``.
        """

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        """Write the object and return its new version.

        Raises:
            AlreadyExists: the condition does not hold.
        """

    def list_keys(self, prefix: str) -> tuple[str, ...]:
        """The keys that start with ``prefix``, sorted."""

    def describe(self) -> str:
        """The store's name for people, such as ``s3://bucket``."""
