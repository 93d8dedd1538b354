"""How a bucket differs from what it should be, and what that leads to. Pure.

Rules:

- a bucket is changed only if it carries our tag, or is empty and carries none (a run that was killed right after creating it);
- one that belongs to other tooling (``manage: false``, or no tag of ours) is checked, never changed: what is wrong is said as the setting or the
  statement to add where it is declared. There any encryption is taken that can work, and any policy that grants what is needed and denies what
  is meant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from pkiops.backends.identity import TAG_ENVIRONMENT
from pkiops.plan import Action, ActionKind, Change
from pkiops.stores.interface import BucketSettings, ObservedBucket, same_statement, stale_statements

_OURS = "AES256"
_THEIRS = {"AES256", "aws:kms", "aws:kms:dsse"}
_KMS = (
    "encrypted with a KMS key: the CA service can use a customer-managed key only, whose policy lets acm-pca.amazonaws.com "
    "do kms:GenerateDataKey and kms:Decrypt, and nobody reads a CRL from there without a right to the key"
)


def bucket_action(environment: str, wanted: BucketSettings, found: ObservedBucket) -> Action:
    """What a bucket needs."""
    where = f"{environment}/bucket/{wanted.name}"
    if found.exists and found.region not in {None, wanted.region}:
        change = Change("region", found.region, wanted.region)
        return Action(ActionKind.BLOCKED, where, "a bucket never moves: use another name", (change,))
    if not wanted.manage:
        return _foreign(where, wanted, found)
    if not found.exists:
        # who may write there is the file's word, and says more about it than anything else
        held = tuple(
            Change(f"policy statement {one['Sid']}", None, _compact(one))
            for one in wanted.statements
            if "aws:PrincipalArn" in json.dumps(one.get("Condition", {}))
        )
        return Action(ActionKind.CREATE, where, f"does not exist; holds {wanted.tags['pkiops:purpose']}", held)
    changes = _own_changes(wanted, found)
    if not changes:
        return Action(ActionKind.NO_OP, where, "as declared")
    if found.tags.get(TAG_ENVIRONMENT) == wanted.tags[TAG_ENVIRONMENT]:
        return Action(ActionKind.UPDATE, where, "differs from what pkiops made", changes)
    if found.empty and not found.tags:
        return Action(ActionKind.UPDATE, where, "empty and untagged: taken over", changes)
    reason = (
        "belongs to other tooling (no tag of this environment) and does not fit: write manage: false and change it "
        "there, or use another name"
    )
    return Action(ActionKind.BLOCKED, where, reason, changes)


def _foreign(where: str, wanted: BucketSettings, found: ObservedBucket) -> Action:
    if not found.exists:
        return Action(ActionKind.BLOCKED, where, "does not exist, and manage: false: make it where it is declared")
    changes = [
        *_switches(found),
        *_foreign_encryption(wanted, found),
        *(
            Change(f"policy statement {statement['Sid']}", None, _compact(statement))
            for statement in wanted.statements
            if not any(covers(one, statement) for one in found.statements)
        ),
    ]
    if changes:
        reason = "belongs to other tooling (manage: false) and does not fit: add this where it is declared"
        return Action(ActionKind.BLOCKED, where, reason, tuple(changes))
    warnings = (_KMS,) if found.encryption != _OURS and _holds_crls(wanted) else ()
    return Action(
        ActionKind.NO_OP, where, "usable as it is; belongs to other tooling (manage: false)", warnings=warnings
    )


def _foreign_encryption(wanted: BucketSettings, found: ObservedBucket) -> list[Change]:
    if found.encryption not in _THEIRS:
        return [Change("encryption", found.encryption, _OURS)]
    if _holds_crls(wanted) and found.has_aws_managed_key:
        return [Change("encryption", f"{found.encryption} with the key aws/s3", f"{_OURS}, or a key of your own")]
    return []


def _holds_crls(wanted: BucketSettings) -> bool:
    return wanted.tags["pkiops:purpose"] == "crl"


def _own_changes(wanted: BucketSettings, found: ObservedBucket) -> tuple[Change, ...]:
    changes = []
    if not wanted.tags.items() <= dict(found.tags).items():
        changes.append(Change("tags", _tags(found.tags), _tags(wanted.tags)))
    changes += _switches(found)
    if found.encryption != _OURS:
        changes.append(Change("encryption", found.encryption, _OURS))
    have = {statement.get("Sid"): statement for statement in found.statements}
    changes.extend(
        Change(
            f"policy statement {statement['Sid']}",
            _compact(have.get(statement["Sid"])) or "missing",
            _compact(statement),
        )
        for statement in wanted.statements
        if not same_statement(have.get(statement["Sid"]), statement)
    )
    changes.extend(
        Change(f"policy statement {one['Sid']}", _compact(one), "none: not declared any more")
        for one in stale_statements(found.statements, wanted.statements)
    )
    return tuple(changes)


def _compact(statement: Mapping[str, Any] | None) -> str | None:
    return None if statement is None else json.dumps(statement, separators=(",", ":"))


def _switches(found: ObservedBucket) -> list[Change]:
    pairs = (
        ("block public access", found.public_access_blocked),
        ("bucket owner enforced", found.owner_enforced),
        ("versioning", found.versioning),
    )
    return [Change(name, "off", "on") for name, is_right in pairs if not is_right]


def covers(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a statement of somebody else's policy says at least what ``wanted`` does.

    The same principal, all of its actions and resources; the same conditions, or, for a grant, fewer of them.
    """
    if found.get("Effect") != wanted["Effect"] or not _same(found.get("Principal"), wanted["Principal"]):
        return False
    for key in ("Action", "Resource"):
        have = [str(one) for one in _list(found.get(key))]
        if not all(any(_matches(one, pattern, key) for pattern in have) for one in _list(wanted[key])):
            return False
    conditions, needed = found.get("Condition") or {}, wanted.get("Condition") or {}
    if wanted["Effect"] == "Deny":
        return _same(conditions, needed)
    return all(
        _same(value, needed.get(operator, {}).get(key))
        for operator, tests in conditions.items()
        for key, value in tests.items()
    )


def _matches(text: str, pattern: str, key: str) -> bool:
    if key == "Action":
        text, pattern = text.lower(), pattern.lower()
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def _same(one: Any, other: Any) -> bool:
    return same_statement({"": _everybody(one)}, {"": _everybody(other)})


def _everybody(value: Any) -> Any:
    return {"AWS": "*"} if value == "*" else value


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "none"
