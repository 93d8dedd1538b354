"""How many live certificates hang below what a plan changes: counted in the ledger, only where the answer matters to a decision.

A certificate is live while it is neither expired nor revoked. The ledger knows what was issued through pkiops; what a CA issued to others is in its
audit report, which ``ca delete`` reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pkiops.ledger.interface import Entry, EntryState
from pkiops.plan import Action, ActionKind, Plan

_COUNTED = {ActionKind.BLOCKED, ActionKind.UPDATE, ActionKind.DISABLE, ActionKind.DELETE, ActionKind.RENEW}


def needs_counts(plan: Plan) -> bool:
    """Whether any action of a plan is one that those below would notice."""
    return any(_is_counted(action) for action in plan.actions)


def live_by_authority(entries: Iterable[Entry], now: datetime) -> Counter[str]:
    """Live certificates by the label of their authority."""
    return Counter(
        entry.authority
        for entry in entries
        if entry.authority
        and entry.state is EntryState.ISSUED
        and entry.revocation is None
        and entry.not_after is not None
        and entry.not_after > now
    )


def with_counts(plan: Plan, live: Counter[str], issuers: dict[str, str | None]) -> Plan:
    """The plan with the number of live certificates at each action that those below would notice.

    Args:
        plan: the plan.
        live: live certificates by label.
        issuers: the issuer's label of every authority; what hangs below a CA below counts too.
    """
    below = Counter[str]()
    for label, count in live.items():
        seen: set[str] = set()
        above: str | None = label
        while above is not None and above not in seen:
            below[above] += count
            seen.add(above)
            above = issuers.get(above)
    return replace(plan, actions=tuple(_counted(action, below) for action in plan.actions))


def _counted(action: Action, below: Counter[str]) -> Action:
    count = below[action.address.split("/")[2]] if _is_counted(action) else None
    # an update is harmless where nothing is below; of a decision that is worth knowing
    return (
        action
        if count is None or (action.kind is ActionKind.UPDATE and not count)
        else replace(action, live_certificates=count)
    )


def _is_counted(action: Action) -> bool:
    return action.address.split("/")[1] == "ca" and action.kind in _COUNTED
