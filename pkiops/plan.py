"""Plans: what would be done and why, as frozen data that is printed, digested and carried out.

What this module decides: the shape of an action and of a plan, the plan's digest, and how a plan is run: in order, stopping
at the first failure, with what was done reported. Which actions there are is decided by the pure planners (``pkiops.ca.plan``);
how one is carried out, by the callable each gives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pkiops.errors import PartialApply, PkiopsError
from pkiops.progress import NoProgress, Progress


class ActionKind(StrEnum):
    """What an action does. BLOCKED waits for a decision of a person and is never carried out."""

    CREATE = "create"
    ACTIVATE = "activate"
    UPDATE = "update"
    NO_OP = "no-op"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: ``before`` as it is, ``after`` as the file says."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan; ``address`` is ENV/noun/name (``prod/ca/clients``)."""

    kind: ActionKind
    address: str
    reason: str
    changes: tuple[Change, ...] = ()
    irreversible: bool = False
    monthly_cost_usd: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions that bring what exists to what the file says, in the order they are carried out."""

    environment: str
    actions: tuple[Action, ...]

    @property
    def pending(self) -> tuple[Action, ...]:
        """The actions that change something."""
        return tuple(a for a in self.actions if a.kind not in {ActionKind.NO_OP, ActionKind.BLOCKED})

    @property
    def blocked(self) -> tuple[Action, ...]:
        """The actions that wait for a person."""
        return tuple(a for a in self.actions if a.kind is ActionKind.BLOCKED)

    @property
    def monthly_cost_usd(self) -> float:
        """What carrying the plan out adds to the monthly bill."""
        return sum(action.monthly_cost_usd for action in self.pending)

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical plan: equal digests mean the same actions for the same reasons."""
        canonical = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON-ready data."""
        return {
            "environment": self.environment,
            "actions": [
                {
                    "kind": action.kind.value,
                    "address": action.address,
                    "reason": action.reason,
                    "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in action.changes],
                    "irreversible": action.irreversible,
                    "monthly_cost_usd": action.monthly_cost_usd,
                    "warnings": list(action.warnings),
                }
                for action in self.actions
            ],
            "monthly_cost_usd": self.monthly_cost_usd,
        }


def run_plan(
    plan: Plan,
    perform: Mapping[str, Callable[[Action], bool]],
    *,
    progress: Progress | None = None,
    resume: str,
) -> tuple[Action, ...]:
    """Carry out a plan's pending actions in order; return those that changed something.

    Args:
        plan: the plan.
        perform: for the second part of an address (``ca``, ``bucket``), what carries an action out; it returns whether it changed anything
            (another run may have been faster).
        progress: is told of each step.
        resume: the command that continues after a failure, for the error's hint.

    Raises:
        PkiopsError: the first action that failed, as it is, when nothing had been changed before.
        PartialApply: an action failed after others had changed something.
    """
    watch = progress or NoProgress()
    done: list[Action] = []
    for action in plan.pending:
        watch.step(f"{action.kind.value} {action.address}")
        try:
            if perform[action.address.split("/")[1]](action):
                done.append(action)
        except PkiopsError as error:
            if not done:
                raise
            raise _partial(plan, done, action, error, resume) from error
    return tuple(done)


def _partial(plan: Plan, done: Sequence[Action], failed: Action, error: PkiopsError, resume: str) -> PartialApply:
    finished = ", ".join(f"{a.kind.value} {a.address}" for a in done)
    hint = f"{error.hint}; " if error.hint else ""
    return PartialApply(
        f"{failed.kind.value} {failed.address} failed: {error.message}; done before that: {finished}",
        hint=f"{hint}then run {resume} again: it continues from here",
        details={
            "environment": plan.environment,
            "done": [f"{a.kind.value} {a.address}" for a in done],
            "failed": f"{failed.kind.value} {failed.address}",
            "cause": {"code": error.code, "message": error.message, **error.details},
        },
    )
