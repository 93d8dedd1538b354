"""A plan as text for people. Pure."""

from __future__ import annotations

from pkiops.plan import Action, ActionKind, Plan

_MARKS = {
    ActionKind.CREATE: "+",
    ActionKind.ACTIVATE: "+",
    ActionKind.UPDATE: "~",
    ActionKind.NO_OP: "=",
    ActionKind.BLOCKED: "!",
}


def render_plan(plan: Plan) -> str:
    """One block per action and a line of totals."""
    lines = [line for action in plan.actions for line in _action_lines(action)]
    return "\n".join([*lines, "", _totals(plan)])


def _action_lines(action: Action) -> list[str]:
    lines = [f"{_MARKS[action.kind]} {action.kind.value} {action.address}: {action.reason}"]
    for change in action.changes:
        before = "" if change.before is None else f"{change.before} -> "
        lines.append(f"    {change.field}: {before}{change.after}")
    if action.monthly_cost_usd:
        lines.append(f"    costs USD {action.monthly_cost_usd:.0f} a month from creation on (nothing on the sandbox)")
    if action.irreversible:
        lines.append("    irreversible: " + "; ".join(action.warnings))
    return lines


def _totals(plan: Plan) -> str:
    if not plan.pending and not plan.blocked:
        return f"{plan.environment}: nothing to do, everything is as declared"
    counts = {kind: sum(action.kind is kind for action in plan.actions) for kind in ActionKind}
    parts = [f"{counts[kind]} to {kind.value}" for kind in (ActionKind.CREATE, ActionKind.ACTIVATE, ActionKind.UPDATE)]
    parts += [f"{counts[ActionKind.NO_OP]} unchanged"]
    if counts[ActionKind.BLOCKED]:
        parts += [f"{counts[ActionKind.BLOCKED]} waiting for a decision"]
    cost = f"; USD {plan.monthly_cost_usd:+.0f} a month" if plan.monthly_cost_usd else ""
    return f"{plan.environment}: {', '.join(parts)}{cost}"
