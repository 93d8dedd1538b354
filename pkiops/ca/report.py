"""A plan as text for people, and as markdown for a merge request. Pure."""

from __future__ import annotations

from pkiops.environment.finding import one_line
from pkiops.plan import Action, ActionKind, Plan

MARKS = {
    ActionKind.CREATE: "+",
    ActionKind.ACTIVATE: "+",
    ActionKind.UPDATE: "~",
    ActionKind.ADOPT: "~",
    ActionKind.ENABLE: "~",
    ActionKind.RESTORE: "+",
    ActionKind.RENEW: "~",
    ActionKind.DISABLE: "-",
    ActionKind.DELETE: "-",
    ActionKind.NO_OP: "=",
    ActionKind.BLOCKED: "!",
    ActionKind.WAITING: ">",
}
_ALWAYS_COUNTED = (ActionKind.CREATE, ActionKind.ACTIVATE, ActionKind.UPDATE)
# who has hundreds of CAs wants to know that, not to scroll past them; JSON has them all
_UNMANAGED_SHOWN = 10


def render_plan(plan: Plan) -> str:
    """Where it acts, one block per action, what is not managed, and a line of totals."""
    lines = [f"{plan.environment}: {plan.place}"] if plan.place else []
    lines += [line for action in plan.actions for line in _action_lines(action)]
    lines += [f"? unmanaged {one.reference}: {one.what}; {one.why}" for one in plan.unmanaged[:_UNMANAGED_SHOWN]]
    if len(plan.unmanaged) > _UNMANAGED_SHOWN:
        lines.append(f"? unmanaged: {len(plan.unmanaged) - _UNMANAGED_SHOWN} more, all of them with --format json")
    # a name or a tag with a line break in it must not look like an action of its own
    return "\n".join([*map(one_line, lines), "", totals(plan)])


def _action_lines(action: Action) -> list[str]:
    lines = [f"{MARKS[action.kind]} {action.kind.value} {action.address}: {action.reason}"]
    for change in action.changes:
        before = "" if change.before is None else f"{change.before} -> "
        lines.append(f"    {change.field}: {before}{change.after}")
    return lines + [f"    {line}" for line in _consequences(action)]


def _consequences(action: Action) -> list[str]:
    lines = []
    if action.live_certificates is not None:
        lines.append(f"live certificates below it: {action.live_certificates}")
    if action.monthly_cost_usd > 0:
        since = "again" if action.kind is ActionKind.RESTORE else "from creation on"
        lines.append(f"costs USD {action.monthly_cost_usd:.0f} a month {since} (nothing on the sandbox)")
    if action.monthly_cost_usd < 0:
        lines.append(f"saves USD {-action.monthly_cost_usd:.0f} a month")
    if action.irreversible:
        lines.append("irreversible: " + "; ".join(action.warnings))
    else:
        lines.extend(action.warnings)
    return lines


def totals(plan: Plan) -> str:
    """The line that says how much there is to do, and what it adds to the bill."""
    if not plan.pending and not plan.blocked:
        rest = (
            f", {len(plan.waiting)} waiting for a signature elsewhere"
            if plan.waiting
            else ", everything is as declared"
        )
        return f"{plan.environment}: nothing to do{rest}"
    counts = {kind: sum(action.kind is kind for action in plan.actions) for kind in ActionKind}
    shown = [kind for kind in ActionKind if kind in _ALWAYS_COUNTED or counts[kind]]
    idle = {ActionKind.NO_OP, ActionKind.BLOCKED, ActionKind.WAITING}
    parts = [f"{counts[kind]} to {kind.value}" for kind in shown if kind not in idle]
    parts += [f"{counts[ActionKind.NO_OP]} unchanged"]
    if plan.waiting:
        parts += [f"{len(plan.waiting)} waiting for a signature elsewhere"]
    if counts[ActionKind.BLOCKED]:
        parts += [f"{counts[ActionKind.BLOCKED]} waiting for a decision"]
    cost = f"; USD {plan.monthly_cost_usd:+.0f} a month" if plan.monthly_cost_usd else ""
    return f"{plan.environment}: {', '.join(parts)}{cost}"


def render_markdown(plan: Plan) -> str:
    """The plan as a table for a merge request, what matters most first: totals, then decisions, then changes."""
    lines = [f"### `pkiops ca plan {plan.environment}`", "", f"**{_escaped(totals(plan))}**", ""]
    if plan.place:
        lines += [_escaped(str(plan.place)), ""]
    shown = [*plan.blocked, *plan.waiting, *plan.pending]
    if shown:
        lines += ["| | Action | Object | Why | Changes |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(action) for action in shown]
        lines.append("")
    if plan.unmanaged:
        lines += [f"<details><summary>{len(plan.unmanaged)} unmanaged CAs, never touched</summary>", ""]
        lines += [f"- {_code(one.reference)}: {_escaped(one.what)}; {_escaped(one.why)}" for one in plan.unmanaged]
        lines += ["", "</details>", ""]
    lines.append(f"Digest `{plan.digest()}`")
    return "\n".join(lines)


def _row(action: Action) -> str:
    changes = [f"{_escaped(c.field)}: {_code(c.before or 'none')} → {_code(c.after or 'none')}" for c in action.changes]
    changes += [_escaped(line) for line in _consequences(action)]
    kind = {ActionKind.BLOCKED: "**waits for a decision**", ActionKind.WAITING: "**waits for a signature**"}.get(
        action.kind, action.kind.value
    )
    cells = (_code(MARKS[action.kind]), kind, _code(action.address), _escaped(action.reason), "<br>".join(changes))
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Text that markdown shows as it is; it comes from tags and certificates too."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#!~@" else c for c in plain)


def _code(text: str) -> str:
    # a backtick or a bar would end the code span or the cell
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', '¦')}`"
