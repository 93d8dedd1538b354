"""The table of a ledger in DynamoDB: observed, made whole in one call, and protected.

What this module decides: what such a table is (keys, indexes, on-demand capacity, deletion protection, point-in-time recovery, tags), and how one
gets there; keys and indexes are made with the table and never changed after. DynamoDB encrypts every table at rest; its own key is left in place,
because a KMS key would be one more right of everybody who issues.

Every call is safe to repeat, and whoever is killed between two of them leaves a table that the next run finishes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from pkiops.aws import AwsClients
from pkiops.aws_errors import translated
from pkiops.clock import Clock
from pkiops.errors import InProgress, NotFound, Unreachable
from pkiops.homes import partition_of
from pkiops.ledger import dynamodb_permissions
from pkiops.ledger.dynamodb_items import INDEXES, Index
from pkiops.ledger.tables import ObservedTable, TableRights, TableSettings

_SETTLING_S = 300.0  # a table with indexes takes up to minutes
_KEYS = ("pk", "sk")


class DynamoDbTables:
    """The ledger tables of one account and region.

    Args:
        clients: of that account and region.
        clock: waits by it.
    """

    def __init__(self, clients: AwsClients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock

    def observe_table(self, name: str) -> ObservedTable:
        """The table as it is (DescribeTable, DescribeContinuousBackups, ListTagsOfResource).

        Raises:
            BackendError: it cannot be looked at.
        """
        try:
            table = self._call("DescribeTable", name, self._db().describe_table, TableName=name)["Table"]
            backups = self._call(
                "DescribeContinuousBackups", name, self._db().describe_continuous_backups, TableName=name
            )
            tags = self._tags(name, table["TableArn"])
        except NotFound:
            return ObservedTable(name=name, exists=False)
        recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return ObservedTable(
            name=name,
            exists=True,
            active=table.get("TableStatus") == "ACTIVE",
            shape=_shape(table),
            missing_indexes=_missing_indexes(table),
            deletion_protection=bool(table.get("DeletionProtectionEnabled")),
            recovery=recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
            tags=tags,
        )

    def ensure_table(self, settings: TableSettings) -> bool:
        """Make the table or bring its settings to what they should be; True if anything was changed.

        Raises:
            Unreachable: it was not ready in time.
        """
        observed = self.observe_table(settings.name)
        changed = False
        if not observed.exists:
            with contextlib.suppress(InProgress):  # another run was faster
                self._call("CreateTable", settings.name, self._db().create_table, **_creation(settings))
            changed = True
        observed = self._ready(settings.name)
        name = {"TableName": settings.name}
        steps: list[tuple[bool, str, Callable[[], object]]] = [
            (
                not settings.tags.items() <= dict(observed.tags).items(),
                "TagResource",
                lambda: self._db().tag_resource(ResourceArn=self._arn(settings.name), Tags=_tag_list(settings.tags)),
            ),
            (
                not observed.deletion_protection,
                "UpdateTable",
                lambda: self._db().update_table(**name, DeletionProtectionEnabled=True),
            ),
            (
                not observed.recovery,
                "UpdateContinuousBackups",
                lambda: self._db().update_continuous_backups(
                    **name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
                ),
            ),
        ]
        for needed, operation, call in steps:
            if needed:
                self._settled(operation, settings.name, call)
                changed = True
        self._ready(settings.name)
        return changed

    def table_permissions(self, rights: TableRights) -> tuple[dict[str, Any], ...]:
        """The statements that allow what ``rights`` say."""
        access = self._clients.access
        arn = f"arn:{partition_of(access.region)}:dynamodb:{access.region}:{access.account}:table/{rights.table}"
        return tuple(dynamodb_permissions.table_permissions(rights, arn))

    def _ready(self, name: str) -> ObservedTable:
        started = self._clock.monotonic()
        while True:
            observed = self.observe_table(name)
            if observed.active:
                return observed
            if self._clock.monotonic() - started > _SETTLING_S:
                raise Unreachable(
                    f"ledger table {name} was not ready within {_SETTLING_S:.0f} seconds",
                    hint="run the same command again: it continues",
                    code="ledger.table-not-ready",
                )
            self._clock.sleep(2.0)

    def _settled(self, operation: str, name: str, call: Callable[[], object]) -> None:
        """Call, and again for a while if another change of the table is under way."""
        started = self._clock.monotonic()
        while True:
            try:
                self._call(operation, name, call)
            except (InProgress, NotFound):
                if self._clock.monotonic() - started > _SETTLING_S:
                    raise
            else:
                return
            self._clock.sleep(2.0)

    def _tags(self, name: str, arn: str) -> dict[str, str]:
        found: dict[str, str] = {}
        parameters = {"ResourceArn": arn}
        while True:
            answer = self._call("ListTagsOfResource", name, self._db().list_tags_of_resource, **parameters)
            found.update({tag["Key"]: tag["Value"] for tag in answer["Tags"]})
            if not answer.get("NextToken"):
                return found
            parameters["NextToken"] = answer["NextToken"]

    def _arn(self, name: str) -> str:
        arn: str = self._call("DescribeTable", name, self._db().describe_table, TableName=name)["Table"]["TableArn"]
        return arn

    def _call(self, operation: str, name: str, call: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        with translated(operation, f"ledger table {name}"):
            answer: Mapping[str, Any] = call(**parameters)
            return answer

    def _db(self) -> Any:
        return self._clients.dynamodb()


def _creation(settings: TableSettings) -> dict[str, Any]:
    attributes = dict.fromkeys((*_KEYS, *(name for index in INDEXES for name in (index.partition, index.order))))
    return {
        "TableName": settings.name,
        "KeySchema": _schema(*_KEYS),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in attributes],
        "GlobalSecondaryIndexes": [_index(one) for one in INDEXES],
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
        "Tags": _tag_list(settings.tags),
    }


def _schema(partition: str, order: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": order, "KeyType": "RANGE"}]


def _index(index: Index) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": "KEYS_ONLY"}
    if index.included:
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.included)}
    return {"IndexName": index.name, "KeySchema": _schema(index.partition, index.order), "Projection": projection}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _shape(table: Mapping[str, Any]) -> bool:
    types = {one["AttributeName"]: one["AttributeType"] for one in table.get("AttributeDefinitions", [])}
    return _same_schema(table, *_KEYS) and all(types.get(name) == "S" for name in _KEYS)


def _missing_indexes(table: Mapping[str, Any]) -> tuple[str, ...]:
    found = {one["IndexName"]: one for one in table.get("GlobalSecondaryIndexes", [])}
    return tuple(one.name for one in INDEXES if one.name not in found or not _fits(found[one.name], one))


def _fits(found: Mapping[str, Any], index: Index) -> bool:
    projection = found.get("Projection", {})
    held = set(projection.get("NonKeyAttributes", ()))
    holds = projection.get("ProjectionType") == "ALL" or set(index.included) <= held
    return holds and _same_schema(found, index.partition, index.order)


def _same_schema(found: Mapping[str, Any], partition: str, order: str) -> bool:
    schema = {one["KeyType"]: one["AttributeName"] for one in found.get("KeySchema", [])}
    return schema == {"HASH": partition, "RANGE": order}
