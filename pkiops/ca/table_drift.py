"""How the ledger's table differs from what it should be, and what that leads to. Pure.

Rules, those of buckets (``bucket_drift.py``): a table is changed only if it carries our tag; one that belongs to other tooling (``manage: false``, or
no tag of ours) is checked, never changed. Keys and indexes are made with a table: where they do not fit, a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from pkiops.backends.identity import TAG_ENVIRONMENT
from pkiops.ledger.tables import ObservedTable, TableSettings
from pkiops.plan import Action, ActionKind, Change

_UNPROTECTED = "{} is off: turn it on where the table is declared"


def table_action(environment: str, wanted: TableSettings, found: ObservedTable) -> Action:
    """What a table needs."""
    where = f"{environment}/table/{wanted.name}"
    ours = found.tags.get(TAG_ENVIRONMENT) == wanted.tags[TAG_ENVIRONMENT]
    if not found.exists:
        if not wanted.manage:
            return Action(ActionKind.BLOCKED, where, "does not exist, and manage: false: make it where it is declared")
        return Action(ActionKind.CREATE, where, "does not exist; holds the ledger")
    if wrong := misfits(found):
        return Action(
            ActionKind.BLOCKED, where, "is no table of a ledger, or of another version; use another name", wrong
        )
    off = switches(found)
    if not wanted.manage:
        warnings = tuple(_UNPROTECTED.format(one.field) for one in off)
        reason = "usable as it is; belongs to other tooling (manage: false)"
        return Action(ActionKind.NO_OP, where, reason, warnings=warnings)
    changes = off
    if not wanted.tags.items() <= dict(found.tags).items():
        changes = (Change("tags", _tags(found.tags), _tags(wanted.tags)), *off)
    if not ours:
        reason = "belongs to other tooling (no tag of this environment): write manage: false, or use another name"
        return Action(ActionKind.BLOCKED, where, reason, changes)
    if not found.active:
        return Action(ActionKind.UPDATE, where, "is still being made: waited for", changes)
    if changes:
        return Action(ActionKind.UPDATE, where, "differs from what pkiops made", changes)
    return Action(ActionKind.NO_OP, where, "as declared")


def misfits(found: ObservedTable) -> tuple[Change, ...]:
    """The keys and indexes that are not a ledger's."""
    keys = () if found.shape else (Change("keys", "others", "pk, sk"),)
    return (*keys, *(Change(f"index {name}", "missing or different", name) for name in found.missing_indexes))


def switches(found: ObservedTable) -> tuple[Change, ...]:
    """What protects the table and is off."""
    pairs = (("deletion protection", found.deletion_protection), ("point-in-time recovery", found.recovery))
    return tuple(Change(name, "off", "on") for name, is_right in pairs if not is_right)


def _tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "none"
