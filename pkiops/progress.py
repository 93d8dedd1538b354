"""Progress of long work, with a default that does nothing.

Use cases report steps; who shows them, and how, is decided by ``pkiops.cli``. Work of many like parts is counted, and told only where it takes so
long that somebody wonders.
"""

from __future__ import annotations

import threading
from typing import Protocol

from pkiops.clock import Clock

_FIRST_TOLD_S = 2.0
_TOLD_EVERY_S = 5.0


class Progress(Protocol):
    """Receives what is being done right now."""

    def step(self, message: str) -> None:
        """A step begins; ``message`` is one short line in the present tense. May be called by any thread."""


class NoProgress:
    """Progress that nobody watches."""

    def step(self, message: str) -> None:
        del message


class Counted:
    """Many like parts of one piece of work: how many are done, how fast, and how long the rest will take. Safe to share between threads.

    Args:
        progress: is told, after two seconds and every five from then on.
        clock: measures.
        what: what is being done, in the present tense.
        total: how many parts there are.
    """

    def __init__(self, progress: Progress, clock: Clock, what: str, total: int) -> None:
        self._progress = progress
        self._clock = clock
        self._what = what
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self._began = clock.monotonic()
        self._tell_at = self._began + _FIRST_TOLD_S

    def one_done(self) -> None:
        """One part is done."""
        with self._lock:
            self._done += 1
            now = self._clock.monotonic()
            if now < self._tell_at or self._done == self._total:
                return
            self._tell_at = now + _TOLD_EVERY_S
            rate = self._done / (now - self._began)
            left = (self._total - self._done) / rate
            line = f"{self._what}: {self._done:,} of {self._total:,}, {rate:.0f} a second, {left:.0f} s left"
        self._progress.step(line)
