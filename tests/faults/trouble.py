"""What can go wrong with a call, how that looks to the caller, and which calls of a run it strikes.

Decided here: the six kinds, their answers (as the service that was called writes them), and that a call which is struck stays struck when its
client repeats it, because a repeat that gets through would hide what the kind is about. When something is struck is the proxy's part.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pkiops.sandbox.calls import Call, Refused, refused


class Fault(StrEnum):
    """The kinds of trouble."""

    LOST_REQUEST = "lost request"
    LOST_ANSWER = "lost answer"
    THROTTLED = "throttle"
    FAILED = "500"
    DENIED = "access denied"
    KILLED = "kill"


# a merely busy service, or network: whoever repeats the call gets through
PASSING = (Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.THROTTLED, Fault.FAILED)
_CODES = {
    "s3": {Fault.THROTTLED: "SlowDown", Fault.FAILED: "InternalError", Fault.DENIED: "AccessDenied"},
    "query": {Fault.THROTTLED: "Throttling", Fault.FAILED: "InternalFailure", Fault.DENIED: "AccessDenied"},
    "json": {
        Fault.THROTTLED: "ThrottlingException",
        Fault.FAILED: "InternalFailure",
        Fault.DENIED: "AccessDeniedException",
    },
}
_TEXTS = {
    Fault.THROTTLED: "Rate exceeded",
    Fault.FAILED: "An internal error occurred",
    Fault.DENIED: "User: arn:aws:iam::123456789012:user/test is not authorized to perform this",
}
_LOOKS = ("Get", "List", "Head", "Describe", "BatchGet", "Query")


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request: ``number`` counts from 1; requests with equal ``identity`` are the same call, repeated."""

    number: int
    call: Call
    identity: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether its operation may change anything."""
        return not self.call.operation.startswith(_LOOKS)

    @property
    def name(self) -> str:
        """Service and operation."""
        return f"{self.call.service}:{self.call.operation}"


def answer_of(fault: Fault, call: Call) -> Refused | None:
    """How the service says so; None where nothing is said."""
    code = _CODES[call.wire].get(fault)
    return refused(call, code, _TEXTS[fault]) if code else None


class Trouble(Protocol):
    """Decides which calls are struck by what."""

    def strikes(self, arrived: Arrived) -> Fault | None:
        """What strikes this one."""

    def after(self, fault: Fault) -> None:
        """The service has carried it out, and its answer is lost."""


@dataclass
class StrikesOne:
    """The call that is the ``number``-th to arrive, and every repeat of it.

    ``kill`` ends the process that makes it.
    """

    number: int
    fault: Fault
    kill: Callable[[], None] = lambda: None
    struck: Arrived | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, arrived: Arrived) -> Fault | None:
        with self._lock:
            if arrived.number == self.number:
                self.struck = arrived
            return self.fault if self.struck and self.struck.identity == arrived.identity else None

    def after(self, fault: Fault) -> None:
        if fault is Fault.KILLED:
            self.kill()


@dataclass
class StrikesEachOnce:
    """Every call the first time, none that is repeated."""

    fault: Fault
    seen: set[tuple[str, ...]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, arrived: Arrived) -> Fault | None:
        with self._lock:
            if arrived.identity in self.seen:
                return None
            self.seen.add(arrived.identity)
            return self.fault

    def after(self, fault: Fault) -> None:
        pass
