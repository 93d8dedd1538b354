"""The only reads of time and randomness.

What this module decides: that every moment inside pkiops is an aware UTC datetime of whole seconds, and that both time and
randomness are collaborators handed to constructors, so that tests and the sandbox can move the one and fix the other.

- ``SystemClock`` is the machine's clock; ``ManualClock`` stands still until it is told to move.
- ``ServerClock`` follows the ``Date`` header of a server whose clock is not ours: the sandbox's can be moved, a shared ledger's
  is that of all who use it.
- ``SystemRandomness`` is the operating system's; ``SeededRandomness`` repeats itself and is for tests and rehearsals only.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """The current moment, aware, UTC, truncated to whole seconds."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""

    def sleep(self, seconds: float) -> None:
        """Wait; a clock that stands still moves forward instead."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told: by ``advance``, or by what sleeps on it.

    Args:
        start: an aware datetime.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC).replace(microsecond=0)
        self._elapsed = 0.0

    def now(self) -> datetime:
        return (self._now + timedelta(seconds=self._elapsed)).replace(microsecond=0)

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        self._elapsed += seconds

    def advance(self, by: timedelta) -> None:
        """Move the clock forward."""
        self._elapsed += by.total_seconds()


class ServerClock:
    """Another clock, corrected by the last moment a server told us.

    Waiting stays real: only ``now`` is shifted.
    """

    def __init__(self, base: Clock) -> None:
        self._base = base
        self._offset = timedelta()

    def follow(self, server_time: datetime) -> None:
        """Take ``server_time`` (aware) as the current moment."""
        self._offset = server_time.astimezone(UTC).replace(microsecond=0) - self._base.now()

    def now(self) -> datetime:
        return self._base.now() + self._offset

    def monotonic(self) -> float:
        return self._base.monotonic()

    def sleep(self, seconds: float) -> None:
        self._base.sleep(seconds)


class Randomness(Protocol):
    """A source of unpredictable bytes."""

    def token_bytes(self, count: int) -> bytes:
        """``count`` random octets."""

    def uuid4(self) -> uuid.UUID:
        """A random (version 4) UUID."""


class SystemRandomness:
    """The operating system's randomness."""

    def token_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(bytes=self.token_bytes(16), version=4)


class SeededRandomness:
    """Repeatable bytes for tests and rehearsals; never for keys."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, see the class

    def token_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(bytes=self.token_bytes(16), version=4)
