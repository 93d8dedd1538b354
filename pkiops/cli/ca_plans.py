"""Plans on stdout and in files: text, JSON and markdown, saved plans, and what an apply did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pkiops.ca.report import render_markdown, render_plan
from pkiops.cli.files import FileToWrite, write_files
from pkiops.cli.output import FORMAT_VERSION, emit, emit_json, emit_plan, iso, json_text
from pkiops.errors import ChangesPending, InputError
from pkiops.plan import MAX_SAVED_BYTES, Action, Plan, read_saved_plan, refuse_stale


def show_plans(plans: Sequence[tuple[Plan, datetime]], format_: str) -> None:
    """Write plans, each with the moment it was computed at, as one result."""
    if format_ == "markdown":
        emit("\n\n".join(render_markdown(plan) for plan, _ in plans))
    elif format_ == "text":
        emit_plan("\n\n".join(render_plan(plan) for plan, _ in plans))
    elif len(plans) == 1:
        ((plan, at),) = plans
        emit_json("ca-plan", plan.environment, at, _body(plan))
    else:
        bodies = [
            {"format_version": FORMAT_VERSION, "kind": "ca-plan", "generated_at": iso(at), **_body(plan)}
            for plan, at in plans
        ]
        emit_json("ca-plans", None, plans[-1][1], {"plans": bodies})


def write_plan(made: tuple[Plan, datetime], path: Path, *, overwrite: bool) -> None:
    """Save a plan as ``--format json`` shows it.

    Raises:
        GuardRefused: the file exists.
        InputError: it cannot be written.
    """
    plan, at = made
    text = json_text("ca-plan", plan.environment, at, _body(plan))
    write_files([FileToWrite(path, text.encode() + b"\n")], overwrite=overwrite)


def refuse_if_stale(path: Path, current: Plan) -> None:
    """Refuse to apply what is not exactly the saved plan.

    Raises:
        InputError: the file is no saved plan of this environment.
        GuardRefused: the world moved since.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SAVED_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", code="usage.file") from error
    refuse_stale(read_saved_plan(data, str(path)), current)


def raise_pending(plans: Sequence[Plan]) -> None:
    """Say by exit code that there is something to do (``--detailed-exitcode``).

    Raises:
        ChangesPending: there is.
    """
    waiting = [plan.environment for plan in plans if plan.blocked]
    pending = [plan.environment for plan in plans if plan.pending]
    if waiting:
        count = sum(len(plan.blocked) for plan in plans)
        raise ChangesPending(
            f"{', '.join(waiting)}: {count} waiting for a decision",
            hint="decide, change the file or the account, and plan again",
        )
    unsigned = [f"{plan.environment}: {one.reason}" for plan in plans for one in plan.waiting]
    if unsigned and not pending:
        raise ChangesPending("; ".join(unsigned), hint="then pkiops ca install brings what was signed")
    if pending:
        raise ChangesPending(f"{', '.join(pending)}: changes pending", hint=f"pkiops ca apply {pending[0]}")


def show_applied(plan: Plan, done: Sequence[Action], at: datetime, *, as_json: bool) -> None:
    """Write what an apply did."""
    if as_json:
        body = {**_body(plan), "done": [{"kind": a.kind.value, "address": a.address} for a in done]}
        del body["digest"]
        emit_json("ca-apply", plan.environment, at, body)
    elif not plan.pending:
        emit_plan(render_plan(plan))
    else:
        lines = [f"done: {a.kind.value} {a.address}" for a in done]
        lines += [f"waiting: {a.address}: {a.reason}" for a in plan.waiting]
        emit("\n".join([*lines, f"{plan.environment}: applied"]))


def _body(plan: Plan) -> dict[str, Any]:
    return {**plan.as_json(), "digest": plan.digest()}
