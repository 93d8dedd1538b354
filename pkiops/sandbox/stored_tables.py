"""moto's DynamoDB as plain data, for the state file.

What this module decides: what of a table is kept: schema, capacity, indexes, time to live, tags, protection, and every item as the API writes
it. What is not kept: backups, exports, resource policies, and the records of streams (a stream goes on, empty).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import moto.dynamodb.models.table
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item

NAMES = {
    "moto.dynamodb.models": ("DynamoDBBackend.create_table", "dynamodb_backends"),
    "moto.dynamodb.models.dynamo_type": ("DynamoType.is_list", "DynamoType.is_map", "Item"),
    "moto.dynamodb.models.table": ("Table.has_range_key",),
}
_PLAIN = (
    "throughput",
    "warm_throughput",
    "billing_mode",
    "tags",
    "ttl",
    "continuous_backups",
    "sse_specification",
    "deletion_protection_enabled",
    "latest_stream_label",
)
_models: Any = moto.dynamodb.models.table  # its tables are abstract to mypy and made all the same
_TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,255}")


@dataclass(frozen=True, slots=True)
class StoredTable:
    """One table; ``items`` holds attributes by name, each as type and value."""

    account: str
    region: str
    name: str
    schema: list[dict[str, str]]
    attributes: list[dict[str, str]]
    indexes: list[dict[str, Any]]
    global_indexes: list[dict[str, Any]]
    stream: dict[str, Any]
    created_at: datetime
    plain: dict[str, Any]
    items: list[dict[str, Any]]


def stored() -> list[StoredTable]:
    """Every table of this process's moto."""
    return [
        _table(account, region, table)
        for account, backends in sorted(dynamodb_backends.items())
        for region, backend in sorted(backends.items())
        for table in backend.tables.values()
    ]


def _table(account: str, region: str, table: Any) -> StoredTable:
    rows = table.items.values()
    items = [item for row in rows for item in row.values()] if table.has_range_key else list(rows)
    return StoredTable(
        account=account,
        region=region,
        name=table.name,
        schema=table.schema,
        attributes=table.attr,
        indexes=[_index(index) for index in table.indexes],
        global_indexes=[
            {
                **_index(index),
                "ProvisionedThroughput": index.throughput,
                "WarmThroughput": index.warm_throughput,
            }
            for index in table.global_indexes
        ],
        stream=table.stream_specification or {},
        created_at=table.created_at.replace(tzinfo=UTC),
        plain={name: getattr(table, name) for name in _PLAIN},
        items=[{name: _plain(value) for name, value in item.attrs.items()} for item in items],
    )


def _index(index: Any) -> dict[str, Any]:
    return {"IndexName": index.name, "KeySchema": index.schema, "Projection": index.projection}


def _plain(value: Any) -> dict[str, Any]:
    """An attribute's value as the API writes it, with bytes as they are."""
    content = value.value
    if value.is_list():
        content = [_plain(each) for each in content]
    elif value.is_map():
        content = {name: _plain(each) for name, each in content.items()}
    elif value.is_set():
        content = list(content)
    return {value.type: content}


def restore(tables: Iterable[StoredTable]) -> None:
    """Make the tables, in a moto that has none.

    Raises:
        ValueError: a name that no table can have.
    """
    for kept in tables:
        if not _TABLE_NAME.fullmatch(kept.name):
            raise ValueError("a DynamoDB table has a name that it cannot have")
        backend: Any = dynamodb_backends[kept.account][kept.region]
        table = _models.Table(
            kept.name,
            account_id=kept.account,
            region=kept.region,
            schema=kept.schema,
            attr=kept.attributes,
            indexes=kept.indexes,
            global_indexes=kept.global_indexes,
            streams=dict(kept.stream),
        )
        for name in _PLAIN:
            if name in kept.plain:
                setattr(table, name, kept.plain[name])
        table.created_at = kept.created_at.astimezone(UTC).replace(tzinfo=None)
        backend.tables[kept.name] = table
        for attributes in kept.items:
            _put(table, attributes)


def _put(table: Any, attributes: dict[str, Any]) -> None:
    hash_key = DynamoType(attributes[table.hash_key_attr])
    if not table.has_range_key:
        table.items[hash_key] = Item(hash_key, None, attributes)
        return
    range_key = DynamoType(attributes[table.range_key_attr])
    table.items[hash_key][range_key] = Item(hash_key, range_key, attributes)
