"""Faults on purpose: fail the k-th call, before or after it takes effect.

What this module decides: how a fault is written (``IssueCertificate:3:after:drop``) and which call it hits. Written as four words joined by
colons:

    OPERATION  the name of an AWS operation of any service, or * for every call
    K          which of those calls, counted from 1 since the fault was set; repeats of a client count
    WHEN       before (the call has no effect) or after (it has, but nobody is told)
    WHAT       drop (the connection is closed without an answer), stop (the server ends there and then), an AWS error code,
               or an HTTP status from 400 to 599

Each fault hits once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pkiops.errors import InputError

DROP, STOP = "drop", "stop"
_WRITTEN = re.compile(
    r"(\*|[A-Za-z][A-Za-z0-9]{0,99}):([1-9][0-9]{0,8}):(before|after):([45][0-9]{2}|[A-Za-z][A-Za-z0-9.]{0,99})",
    re.ASCII,
)


class When(StrEnum):
    """On which side of the effect a fault lies."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; ``what`` is ``drop``, ``stop``, an error code or an HTTP status."""

    operation: str
    call: int
    when: When
    what: str

    def __str__(self) -> str:
        return f"{self.operation}:{self.call}:{self.when}:{self.what}"


def fault(text: str) -> Fault:
    """Read one fault.

    Raises:
        InputError: it is not written as the module says.
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise InputError(
            f"{text!r} is not a fault",
            hint="write OPERATION:K:before|after:WHAT, for example IssueCertificate:3:after:drop or *:7:before:ThrottlingException",
            code="sandbox.fault",
        )
    return Fault(match[1], int(match[2]), When(match[3]), match[4])


class Faults:
    """The faults that are still to come."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._waiting: list[tuple[Fault, int]] = [(each, 0) for each in faults]

    @property
    def pending(self) -> tuple[Fault, ...]:
        """Those that have hit nothing yet."""
        return tuple(each for each, _ in self._waiting)

    def hit(self, operation: str) -> Fault | None:
        """Count one call, and take out the fault it runs into; the first one given, if it runs into several."""
        hit: Fault | None = None
        waiting: list[tuple[Fault, int]] = []
        for each, seen in self._waiting:
            counted = seen + (each.operation in {"*", operation})
            if counted == each.call and counted > seen:
                hit = hit or each
            else:
                waiting.append((each, counted))
        self._waiting = waiting
        return hit
