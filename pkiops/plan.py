"""Plans: what would be done and why, as frozen data that is printed, digested and carried out.

What this module decides: the shape of an action and of a plan, the plan's digest, what a saved plan is, and how a plan is run: in order, stopping
at the first failure, with what was done reported. Which actions there are is decided by the pure planners (``pkiops.ca.plan``);
how one is carried out, by the callable each gives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pkiops.errors import GuardRefused, InputError, PartialApply, PkiopsError
from pkiops.progress import NoProgress, Progress

_MOVED_SHOWN = 5
MAX_SAVED_BYTES = 16 * 1024 * 1024


class ActionKind(StrEnum):
    """What an action does. BLOCKED waits for a decision of a person, and nothing is carried out before; WAITING for what somebody does elsewhere."""

    CREATE = "create"
    ACTIVATE = "activate"
    UPDATE = "update"
    ADOPT = "adopt"
    ENABLE = "enable"
    DISABLE = "disable"
    DELETE = "delete"
    RESTORE = "restore"
    RENEW = "renew"
    NO_OP = "no-op"
    BLOCKED = "blocked"
    WAITING = "waiting"


_NEVER_CARRIED_OUT = frozenset({ActionKind.NO_OP, ActionKind.BLOCKED, ActionKind.WAITING})


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: ``before`` as it is, ``after`` as the file says."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan; ``address`` is ENV/noun/name (``prod/ca/clients``).

    ``live_certificates`` is how many unexpired, unrevoked end entity certificates are known to hang below what changes, None where nobody counted.
    """

    kind: ActionKind
    address: str
    reason: str
    changes: tuple[Change, ...] = ()
    irreversible: bool = False
    monthly_cost_usd: float = 0.0
    warnings: tuple[str, ...] = ()
    live_certificates: int | None = None


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """Something that exists and that no environment file of ours speaks of: reported, never touched."""

    reference: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Site:
    """An account and region with the roles that may be assumed there."""

    account: str
    region: str
    role_arns: tuple[str, ...] = ()

    def __str__(self) -> str:
        through = f", through role {' or '.join(self.role_arns)}" if self.role_arns else ""
        return f"account {self.account}, {self.region}{through}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plan acts: the sites, the default first; ``endpoint_urls`` are what the file puts in the place of AWS's own."""

    sites: tuple[Site, ...]
    endpoint_urls: tuple[tuple[str, str], ...] = ()
    sandbox: bool = False

    def __str__(self) -> str:
        sites = "; ".join(str(site) for site in self.sites)
        parts = [*(["the sandbox"] if self.sandbox else []), sites]
        return ", ".join([*parts, *(f"{service} at {url}" for service, url in self.endpoint_urls)])


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions that bring what exists to what the file says, in the order they are carried out."""

    environment: str
    actions: tuple[Action, ...]
    unmanaged: tuple[Unmanaged, ...] = ()
    place: Place | None = None

    @property
    def pending(self) -> tuple[Action, ...]:
        """The actions that change something."""
        return tuple(a for a in self.actions if a.kind not in _NEVER_CARRIED_OUT)

    @property
    def blocked(self) -> tuple[Action, ...]:
        """The actions that wait for a person."""
        return tuple(a for a in self.actions if a.kind is ActionKind.BLOCKED)

    @property
    def waiting(self) -> tuple[Action, ...]:
        """The actions that wait for what somebody does elsewhere; the others go on without them."""
        return tuple(a for a in self.actions if a.kind is ActionKind.WAITING)

    @property
    def monthly_cost_usd(self) -> float:
        """What carrying the plan out adds to the monthly bill."""
        return sum(action.monthly_cost_usd for action in self.pending)

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical plan: equal digests mean the same actions for the same reasons.

        What only informs is left out: other people's CAs and the number of certificates change while nothing of the plan does, and a role is a
        way to the place and not the place.
        """
        actions = [_action_json(action) for action in self.actions]
        for action in actions:
            del action["live_certificates"]
        place = (
            [*([site.account, site.region] for site in self.place.sites), self.place.sandbox] if self.place else None
        )
        canonical = json.dumps([self.environment, place, actions], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON-ready data."""
        return {
            "environment": self.environment,
            "place": _place_json(self.place),
            "actions": [_action_json(action) for action in self.actions],
            "unmanaged": [{"reference": u.reference, "what": u.what, "why": u.why} for u in self.unmanaged],
            "monthly_cost_usd": self.monthly_cost_usd,
        }


def _place_json(place: Place | None) -> dict[str, Any] | None:
    return None if place is None else {**asdict(place), "endpoint_urls": dict(place.endpoint_urls)}


def _action_json(action: Action) -> dict[str, Any]:
    return {
        "kind": action.kind.value,
        "address": action.address,
        "reason": action.reason,
        "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in action.changes],
        "irreversible": action.irreversible,
        "monthly_cost_usd": action.monthly_cost_usd,
        "warnings": list(action.warnings),
        "live_certificates": action.live_certificates,
    }


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What is kept of a plan between being reviewed and being carried out: it is never executed, only compared."""

    environment: str
    digest: str
    actions: tuple[Any, ...] = ()


def read_saved_plan(data: bytes, source: str) -> SavedPlan:
    """A plan as ``ca plan --out`` or ``--format json`` wrote it.

    Raises:
        InputError: it is not one.
    """
    problem = InputError(
        f"{source} is not a saved plan", hint="write one with: pkiops ca plan ENV --out FILE", code="plan.file"
    )
    if len(data) > MAX_SAVED_BYTES:
        raise problem
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise problem from error
    if not isinstance(body, dict) or body.get("kind") != "ca-plan":
        raise problem
    environment, digest = body.get("environment"), body.get("digest")
    if not isinstance(environment, str) or not isinstance(digest, str):
        raise problem
    actions = body.get("actions")
    return SavedPlan(environment, digest, tuple(actions) if isinstance(actions, list) else ())


def refuse_stale(saved: SavedPlan, current: Plan) -> None:
    """Refuse a saved plan that is not what would be planned now.

    Raises:
        InputError: it is of another environment.
        GuardRefused: what it was computed from has changed (code ``plan.stale``).
    """
    if saved.environment != current.environment:
        raise InputError(
            f"the plan is of environment {saved.environment!r}, not of {current.environment}", code="plan.environment"
        )
    if saved.digest != current.digest():
        raise GuardRefused(
            f"{current.environment}: the account or the file has changed since that plan was saved{_what_moved(saved, current)}; nothing was done",
            hint=f"look at it again: pkiops ca plan {current.environment} --out FILE",
            code="plan.stale",
            details={"saved": saved.digest, "current": current.digest()},
        )


def _what_moved(saved: SavedPlan, current: Plan) -> str:
    """The objects for which other actions are planned now, as far as the saved plan tells; nothing of its text is repeated."""
    then = [_for_comparison(action) for action in saved.actions if isinstance(action, dict)]
    now = {
        action.address: [_for_comparison(_action_json(a)) for a in current.actions if a.address == action.address]
        for action in current.actions
    }
    moved = [where for where, planned in now.items() if planned != [a for a in then if a.get("address") == where]]
    gone = len({str(action.get("address")) for action in then} - now.keys())
    parts = [*moved[:_MOVED_SHOWN], *([f"{len(moved) - _MOVED_SHOWN} more"] if len(moved) > _MOVED_SHOWN else [])]
    parts += [f"{gone} that the plan does not speak of any more"] if gone else []
    return f" ({', '.join(parts)})" if parts else ""


def _for_comparison(action: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in action.items() if key != "live_certificates"}


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
