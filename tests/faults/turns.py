"""Threads that take turns: each makes one call when it is told to, and waits before the next, so that a test chooses how they interleave.

What becomes of a call is chosen, too. Decided here: a client that hears nothing repeats its call once, as botocore does, and the repeat may
find that its own first attempt was carried out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from pkiops.errors import Throttled, Unreachable

_T = TypeVar("_T")
_PATIENCE_S = 30.0


class Fate(StrEnum):
    """What becomes of a call."""

    DONE = "done"
    REPEATED = "carried out, its answer lost, and repeated"
    LOST = "carried out, and its answer lost for good"
    THROTTLED = "throttled"
    KILLED_BEFORE = "the process killed before it"
    KILLED_AFTER = "the process killed when it was carried out"


class Killed(BaseException):
    """Stands for kill -9: nothing that is caught catches it."""


class Turn:
    """A thread that runs ``run``, and stops before every call that goes through ``call``."""

    def __init__(self, run: Callable[[], object]) -> None:
        self.result: object = None
        self.error: BaseException | None = None
        self.ended = False
        self.calls = 0
        self._run = run
        self._fate = Fate.DONE
        self._go = threading.Semaphore(0)
        self._waits = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._work, daemon=True)

    def begin(self) -> None:
        """Run up to the first call."""
        self._thread.start()
        self._await()

    def step(self, fate: Fate = Fate.DONE) -> None:
        """Let the next call have this fate, and run up to the one after it, or to the end. Once it has ended, nothing happens."""
        if self.ended:
            return
        self._fate = fate
        self._go.release()
        self._await()

    def finish(self) -> None:
        """Run to the end."""
        while not self.ended:
            self.step()

    def call(self, do: Callable[[], _T]) -> _T:
        """Make a call when it is time; only in the thread itself."""
        self._waits.release()
        if not self._go.acquire(timeout=_PATIENCE_S):
            raise Killed
        self.calls += 1
        fate = self._fate
        if fate is Fate.KILLED_BEFORE:
            raise Killed
        if fate is Fate.THROTTLED:
            raise Throttled("the service asks for patience")
        answer = do()
        if fate is Fate.KILLED_AFTER:
            raise Killed
        if fate is Fate.LOST:
            raise Unreachable("no answer")
        return do() if fate is Fate.REPEATED else answer

    def _await(self) -> None:
        assert self._waits.acquire(timeout=_PATIENCE_S), "it does not go on"
        if self.ended:
            self._thread.join(timeout=_PATIENCE_S)

    def _work(self) -> None:
        try:
            self.result = self._run()
        except BaseException as error:
            self.error = error
        self.ended = True
        self._waits.release()
