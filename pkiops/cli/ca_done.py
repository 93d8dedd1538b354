"""What the verbs about one CA show before they ask, and print when they are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkiops.ca.report import render_plan
from pkiops.cli.output import emit, emit_json, note, note_plan
from pkiops.errors import BackendError, NotFound
from pkiops.plan import Action, ActionKind, Plan

if TYPE_CHECKING:
    from pkiops.backends.interface import ReadsAuthorities
    from pkiops.ca.deletion import Look
    from pkiops.ca.target import Target


def announce(plan: Plan) -> None:
    """Show a plan that has something to do to the person at the keyboard."""
    if plan.pending:
        note_plan(render_plan(plan))


def show_done(
    kind: str, plan: Plan, done: Sequence[Action], at: datetime, facts: Mapping[str, Any], *, as_json: bool
) -> None:
    """Write what was done, or why there was nothing to do, and the facts about what is there now."""
    if as_json:
        body = plan.as_json()
        del body["environment"], body["unmanaged"]
        finished = [{"kind": one.kind.value, "address": one.address} for one in done]
        emit_json(kind, plan.environment, at, {**body, "done": finished, **facts})
        return
    lines = [f"done: {one.kind.value} {one.address}" for one in done]
    for one in plan.actions:
        if one.kind is ActionKind.NO_OP:
            lines += [f"nothing to do: {one.address}: {one.reason}", *one.warnings]
    lines += [f"{name.replace('_', ' ')}: {value}" for name, value in facts.items() if value is not None]
    emit("\n".join(lines) or f"{plan.environment}: nothing was left to do")


def looked_at(look: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Facts about what is there now; what was asked for is done even if they cannot be read, which is said."""
    try:
        return look()
    except BackendError as error:
        note(f"done, but what is there now cannot be looked at: {error.message}")
        return {}


def deleted(backend: ReadsAuthorities, look: Look, folder: Path) -> dict[str, Any]:
    """Where what it issued is kept, and until when a deleted CA can be restored."""
    one = look.target.authority
    archived = any(change.field == "archive" for action in look.plan.actions for change in action.changes)
    until = _restorable(backend, one.reference)
    return {
        "reference": one.reference,
        "archive": str(folder) if archived else None,
        "restorable_until": f"{until:%Y-%m-%dT%H:%M:%SZ}" if until else None,
        "restore_with": f"pkiops ca restore {look.target.words} --arn {one.reference}" if until else None,
    }


def _restorable(backend: ReadsAuthorities, reference: str) -> datetime | None:
    try:
        return backend.describe_authority(reference).restorable_until
    except NotFound:
        return None  # it never came to be, and is gone at once


def restored(target: Target) -> dict[str, Any]:
    """The state in which a CA came back, and what lets it issue again."""
    from pkiops.backends.interface import AuthorityStatus

    status = target.authority.status
    return {
        "reference": target.authority.reference,
        "status": status.value,
        "enable_with": f"pkiops ca enable {target.words}" if status is AuthorityStatus.DISABLED else None,
    }
