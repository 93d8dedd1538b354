"""An inventory as JSON-ready data, lossless.

What this module decides: the keys (those of the records), the sources each table names, and the counts. Wrapping it as a document is the caller's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pkiops.inventory.records import Inventory

LEDGER_NOTE = (
    "what was asked for through pkiops with this ledger; what was issued or revoked outside pkiops is not in the ledger"
)
SERVICE_NOTE = (
    "as the service lists them: tagged with this environment, or DELETED with the subject of a declared one; "
    "those that are EXTERNAL stand above these"
)


def inventory_body(inventory: Inventory, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The body of the JSON document.

    Args:
        inventory: the records; a table that was not read is left out.
        sources: where each table (``authorities``, ``certificates``) was read from.
    """
    tables: dict[str, Sequence[Any] | None] = {
        "authorities": inventory.authorities,
        "certificates": inventory.certificates,
        "requests": inventory.requests,
    }
    read = {name: records for name, records in tables.items() if records is not None}
    return {
        "sources": {
            name: {**source, "note": SERVICE_NOTE if name == "authorities" else LEDGER_NOTE}
            for name, source in sources.items()
            if name in read
        },
        "summary": {name: _counts(name, records) for name, records in read.items()},
        **{name: [_plain(one) for one in records] for name, records in read.items()},
        "skipped": [_plain(one) for one in inventory.skipped],
    }


def _counts(table: str, records: Sequence[Any]) -> dict[str, Any]:
    counts: dict[str, Any] = {"total": len(records)}
    if table == "authorities":
        counts["by_status"] = _count(one.status or "missing" for one in records)
        counts["by_position"] = _count(one.position for one in records)
        return counts
    counts["by_state"] = _count(one.state for one in records)
    if table == "certificates":
        counts["by_validity"] = _count(one.validity or "unknown" for one in records)
    return counts


def _count(values: Iterable[str]) -> dict[str, int]:
    return {str(name): count for name, count in sorted(Counter(values).items())}


def _plain(value: Any) -> Any:
    """A record as a dictionary; its values are JSON-ready but for moments."""
    if not is_dataclass(value):
        return value
    return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
