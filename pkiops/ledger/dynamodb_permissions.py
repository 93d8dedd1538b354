"""The permissions that the calls of ``dynamodb.py`` and ``dynamodb_table.py`` need. Pure.

Source: "Actions, resources, and condition keys for Amazon DynamoDB" of the Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pkiops.ledger.dynamodb_items import (
    BY_AUTHORITY,
    BY_ENVIRONMENT,
    BY_EXPIRY,
    BY_FINGERPRINT,
    BY_KEY,
    BY_OPEN,
    BY_SERIAL,
)
from pkiops.ledger.tables import TableRights

_LOOK = ("dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:ListTagsOfResource")
_KEEP = (
    "dynamodb:CreateTable",
    "dynamodb:TagResource",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
)
_READ = "dynamodb:BatchGetItem"
_RECORD = ("dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:PutItem")


def table_permissions(rights: TableRights, arn: str) -> Iterator[dict[str, Any]]:
    """The statements of an identity-based policy for the table with that ARN. No right deletes: the ledger deletes nothing."""
    looks = (*_LOOK, *(_KEEP if rights.keep else ())) if rights.look or rights.keep else ()
    reads = (_READ,) if rights.lists or rights.counts or rights.searches or rights.issues or rights.revokes else ()
    records = _RECORD if rights.issues else ("dynamodb:PutItem",) if rights.revokes else ()
    if rights.searches and not rights.issues:
        records = (*records, "dynamodb:GetItem")
    if looks:
        yield _allow("KeepLedgerTable" if rights.keep else "LookAtLedgerTable", looks, [arn])
    if reads or records:
        yield _allow("UseLedger", (*reads, *records), [arn])
    asked = {
        f"{arn}/index/{BY_ENVIRONMENT.name}": rights.lists,
        f"{arn}/index/{BY_AUTHORITY.name}": rights.searches or rights.resolves,
        f"{arn}/index/{BY_EXPIRY.name}": rights.searches or rights.counts,
        f"{arn}/index/{BY_OPEN.name}": rights.searches or rights.resolves,
        f"{arn}/index/{BY_SERIAL.name}": rights.searches or rights.revokes,
        f"{arn}/index/{BY_FINGERPRINT.name}": rights.issues,
        f"{arn}/index/{BY_KEY.name}": rights.issues,
        arn: rights.searches or rights.issues,
    }
    queried = [one for one, is_asked in asked.items() if is_asked]
    if queried:
        yield _allow("QueryLedger", ("dynamodb:Query",), queried)


def _allow(sid: str, actions: tuple[str, ...], resources: list[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(actions) if len(actions) > 1 else actions[0],
        "Resource": resources if len(resources) > 1 else resources[0],
    }
