"""Waiting for answers that are not final yet.

What this module decides: which refusals are no answers (throttling, a change under way), and for how long something that is only consistent
in the end is asked for again: a minute, unless a case says otherwise. All waiting is on the clock that was handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from pkiops.clock import Clock

T = TypeVar("T")
PATIENCE = 60.0  # seconds
_SETTLING = 20.0
_NOT_YET = frozenset({"ThrottlingException", "TooManyRequestsException", "SlowDown", "ConcurrentModificationException"})


class Unsettled(Exception):
    """A case could not be asked: what it needs first did not come about."""


def code_of(error: ClientError) -> str:
    """The AWS error code."""
    return str(error.response["Error"]["Code"])


class Patience:
    """Repeats calls on a clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def now(self) -> datetime:
        """The service's time."""
        return self.clock.now()

    def patiently(self, call: Callable[[], Any], also: frozenset[str] = frozenset()) -> Any:
        """The answer of a call, repeated while it says that it is no answer yet.

        Raises:
            ClientError: a refusal, or a minute is over.
        """
        deadline, pause = self.clock.monotonic() + PATIENCE, 0.1
        while True:
            try:
                return call()
            except ClientError as error:
                if code_of(error) not in _NOT_YET | also or self.clock.monotonic() > deadline:
                    raise
            self.clock.sleep(pause)
            pause = min(pause * 2, 2.0)

    def came(self, condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
        """Whether a condition comes about within so many seconds."""
        deadline, pause = self.clock.monotonic() + patience, 0.1
        while not condition():
            if self.clock.monotonic() > deadline:
                return False
            self.clock.sleep(pause)
            pause = min(pause * 2, max(2.0, patience / 100))
        return True

    def until(self, condition: Callable[[], bool], otherwise: str, patience: float = PATIENCE) -> None:
        """Wait for a condition.

        Raises:
            Unsettled: it does not come about; ``otherwise`` says what is so instead.
        """
        if not self.came(condition, patience):
            raise Unsettled(f"{otherwise} after {patience:.0f} seconds")

    def settled(self, read: Callable[[], T], expected: T) -> T:
        """What is read, read again for some seconds while it is not what is expected: a change may take that long to show."""
        last = [read()]

        def same() -> bool:
            last.append(read())
            return last[-1] == expected

        if last[-1] != expected:
            self.came(same, _SETTLING)
        return last[-1]

    def wait_until(self, moment: datetime) -> None:
        """Wait until a moment is over, by the service's clock."""
        self.clock.sleep(max(0.0, (moment - self.now()).total_seconds()) + 1)
