"""What a behaviour case is: one question to the service, and the answer that the sandbox gives.

What this module decides: the data of a case, the states in which a case finds the one CA that they share, and how a refusal is written
down. What the questions are is said in the modules of ``cases``; who answers is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tests.canary.workspace import Workspace

Observation: TypeAlias = "str | int | bool | list[Observation] | dict[str, Observation] | None"
ACCEPTED: dict[str, Observation] = {"accepted": True}


class Phase(StrEnum):
    """The state of the shared CA when a case runs, in the order in which it lives through them."""

    PENDING = "PENDING_CERTIFICATE"
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    DISABLED = "DISABLED"
    DELETED = "DELETED"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One question.

    Args:
        name: stable, in kebab case; results are joined by it.
        operation: of AWS Private CA.
        phase: the state of the shared CA that it needs, and leaves.
        settles: one sentence: what is known once it has run on AWS.
        source: what the documentation says, or where it is silent.
        section: of the project's reference on AWS Private CA.
        open_point: its words in the reference's list of open points (section 13), or None: a rule or a guess outside that list.
        expected: the observation, written by hand: what the sandbox does.
        observe: asks.
        certificates: how many it issues at most.
        authorities: how many CAs it may add to the shared one, should AWS answer otherwise.
        wait_seconds: how long it waits besides the usual seconds.
    """

    name: str
    operation: str
    phase: Phase
    settles: str
    source: str
    section: str
    open_point: str | None = None
    expected: Observation
    observe: Callable[[Workspace], Observation]
    certificates: int = 0
    authorities: int = 0
    wait_seconds: int = 0


def refused(code: str) -> dict[str, Observation]:
    """The observation of a call that fails with an AWS error code."""
    return {"error": code}
