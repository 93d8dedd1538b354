"""The permissions that the calls of ``s3.py`` and ``s3_buckets.py`` need, and the bucket policies that hold writers to their keys.

What this module decides: the actions of S3 behind each right, and the statements that deny. Nobody is denied a change of the policy itself, so
that whoever may change buckets, and the account's root, can always undo one that names the wrong role. Pure.

Source: "Required permissions for Amazon S3 API operations" of the S3 user guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pkiops.stores.interface import OUR_SIDS, BucketRights, Holding

_LOOK = (
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
)
_KEEP = (
    "s3:CreateBucket",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
)
_WRITES = ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion")


def bucket_permissions(rights: Sequence[BucketRights], partition: str) -> tuple[dict[str, Any], ...]:
    """The statements of an identity-based policy, one for each kind of right, for all buckets together."""
    return tuple(_permissions(rights, f"arn:{partition}:s3:::"))


def _permissions(rights: Sequence[BucketRights], root: str) -> Iterator[dict[str, Any]]:
    kinds: tuple[tuple[str, tuple[str, ...], list[str]], ...] = (
        ("KeepBuckets", _KEEP, [root + one.bucket for one in rights if one.keep]),
        ("LookAtBuckets", _LOOK, [root + one.bucket for one in rights if one.look]),
        ("FindObjects", ("s3:ListBucket",), [root + one.bucket for one in rights if one.find]),
        ("ReadObjects", ("s3:GetObject",), [f"{root}{one.bucket}/{key}" for one in rights for key in one.read]),
        ("WriteObjects", ("s3:PutObject",), [f"{root}{one.bucket}/{key}" for one in rights for key in one.write]),
    )
    for sid, actions, resources in kinds:
        if resources:
            yield {"Sid": sid, "Effect": "Allow", "Action": _one_or_all(actions), "Resource": _one_or_all(resources)}


def holding_policy(
    bucket: str, holdings: Sequence[Holding], partition: str, account: str
) -> tuple[dict[str, Any], ...]:
    """The statements of a bucket's policy that keep everybody else, whatever their own policies say, from writing.

    What a service does in its own name is not denied; requests of nobody have no right that could be denied.
    """
    return tuple(
        _held(f"arn:{partition}:s3:::{bucket}", one, f"arn:{partition}:iam::{account}:root") for one in holdings
    )


def _held(arn: str, holding: Holding, root: str) -> dict[str, Any]:
    operator, principals = (
        ("ArnEquals", holding.principals) if holding.elsewhere else ("ArnNotEquals", (*holding.principals, root))
    )
    return {
        "Sid": f"{OUR_SIDS}{holding.name}",
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(_WRITES),
        "NotResource" if holding.elsewhere else "Resource": _one_or_all([f"{arn}/{key}" for key in holding.keys]),
        "Condition": {
            operator: {"aws:PrincipalArn": _one_or_all(sorted(set(principals)))},
            "Bool": {"aws:PrincipalIsAWSService": "false"},
            "Null": {"aws:PrincipalArn": "false"},
        },
    }


def _one_or_all(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
