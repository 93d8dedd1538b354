"""A table that holds a ledger, as a resource: what it should be, what it is, and the Protocol of what keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class TableSettings:
    """The table a ledger needs; ``manage`` is False where other tooling keeps it."""

    name: str
    tags: Mapping[str, str]
    manage: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedTable:
    """A table as it is; ``shape`` says that its keys are a ledger's, ``missing_indexes`` names those that are absent or not what they should be."""

    name: str
    exists: bool
    active: bool = False
    shape: bool = False
    missing_indexes: tuple[str, ...] = ()
    deletion_protection: bool = False
    recovery: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRights:
    """What somebody does with a table: keeps it, looks at its settings, lists entries, counts those that live, searches them, issues (records
    and renews them), resolves those that are open, revokes.
    """

    table: str
    keep: bool = False
    look: bool = False
    lists: bool = False
    counts: bool = False
    searches: bool = False
    issues: bool = False
    resolves: bool = False
    revokes: bool = False


class Tables(Protocol):
    """The tables of one account and region. Every call may raise a BackendError."""

    def observe_table(self, name: str) -> ObservedTable:
        """The table as it is."""

    def ensure_table(self, settings: TableSettings) -> bool:
        """Make the table or bring it to its settings, and wait until it can be used; True if anything was changed."""

    def table_permissions(self, rights: TableRights) -> tuple[dict[str, Any], ...]:
        """The statements of an identity-based policy that allow what ``rights`` say."""
