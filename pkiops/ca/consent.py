"""What a person was shown is all that may be done: nothing that waits for a decision, and nothing more than was said. Pure.

Whoever computes a plan, shows it and computes it again (``apply.py``) asks here before the first change.
"""

from __future__ import annotations

from pkiops.errors import GuardRefused
from pkiops.plan import ActionKind, Plan


def refuse_blocked(shown: Plan) -> None:
    """Refuse to carry out a plan of which parts wait for a person.

    Raises:
        GuardRefused: there are such parts.
    """
    if shown.blocked:
        lines = [f"{action.address}: {action.reason}" for action in shown.blocked]
        raise GuardRefused(
            "nothing was done, because this waits for a decision:\n" + "\n".join(f"  {line}" for line in lines),
            hint="decide, change the file or the account, and plan again",
            code="plan.blocked",
            details={"blocked": [{"address": a.address, "reason": a.reason} for a in shown.blocked]},
        )


def refuse_moved(shown: Plan, current: Plan) -> None:
    """Refuse to go on if ``current`` does anything that ``shown`` did not say; having less to do is fine.

    A bucket that was to be created may be there in part by now, and the index follows from the authorities.

    Raises:
        GuardRefused: what exists has changed since (code ``plan.moved``).
    """
    said = {(action.kind, action.address, action.changes) for action in shown.pending}
    begun = {action.address for action in shown.pending if action.address.split("/")[1] != "ca"}
    moved = [
        action
        for action in (*current.blocked, *current.pending)
        if (action.kind, action.address, action.changes) not in said
        and action.address.split("/")[1] != "index"
        and not (action.address in begun and action.kind is not ActionKind.BLOCKED)
    ]
    if moved:
        lines = "\n".join(f"  {action.kind.value} {action.address}: {action.reason}" for action in moved)
        raise GuardRefused(
            f"nothing was done: what exists has changed since the plan was computed, and now asks for\n{lines}",
            hint=f"look at it again: pkiops ca plan {shown.environment}",
            code="plan.moved",
            details={"moved": [{"kind": a.kind.value, "address": a.address, "reason": a.reason} for a in moved]},
        )
