"""What is asked for: who owns it, what its own policy says, how it is tagged, in the state of moto and of our engine.

What this module decides: which kinds of resources have policies of their own here: buckets with their objects, CAs, KMS keys, and roles that are
to be assumed. Those of other services belong to whose account their ARN names and have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from pkiops.sandbox.engine.state import Region
from pkiops.sandbox.iam_callers import pairs, role_of
from pkiops.sandbox.iam_policy import ResourcePolicy, document

NAMES = {
    "moto.kms.models": ("kms_backends", "KmsBackend.get_key_id_from_alias"),
    "moto.s3.models": ("s3_backends.bucket_accounts",),
}
_KEY = re.compile(r"arn:[a-z-]+:kms:([a-z0-9-]+):(\d{12}):(alias/|key/)(.+)", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resource:
    """``arn`` is what policies are held against: a key's, where the request named an alias of it."""

    arn: str
    owner: ResourcePolicy | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def resource(arn: str, action: str, regions: Iterable[Region]) -> Resource:
    """What is known of a resource.

    Args:
        arn: as the request names it, or ``*``.
        action: what shall be done with it.
        regions: the state of AWS Private CA.
    """
    parts = arn.split(":", 5)
    service = parts[2] if len(parts) == 6 else ""
    if service == "s3":
        return Resource(arn, _of_bucket(parts[5].partition("/")[0]))
    if service == "acm-pca":
        return _authority(arn, parts[4], regions)
    if service == "kms":
        return _key(arn)
    if action.startswith("sts:"):
        role = role_of(arn)
        trust = document(role.assume_role_policy_document) if role else None
        tags = pairs(role.tags) if role else {}
        return Resource(arn, ResourcePolicy(parts[4] if service else "", trust, is_needed=True), tags)
    has_owner = bool(service and _ACCOUNT.fullmatch(parts[4]))
    return Resource(arn, ResourcePolicy(parts[4]) if has_owner else None)


def object_exists(bucket: str, key: str) -> bool:
    """Whether a bucket that exists has an object; what cannot be found out counts as there."""
    if bucket not in s3_backends.bucket_accounts:
        return True
    partition, account = s3_backends.bucket_accounts[bucket]
    return s3_backends[account][partition].get_object(bucket, key) is not None


def _of_bucket(name: str) -> ResourcePolicy | None:
    if name not in s3_backends.bucket_accounts:
        return None
    partition, account = s3_backends.bucket_accounts[name]
    bucket: Any = s3_backends[account][partition].buckets[name]
    return ResourcePolicy(account, document(bucket.policy.decode("utf-8", "replace") if bucket.policy else None))


def _authority(arn: str, account: str, regions: Iterable[Region]) -> Resource:
    found = next((region.authorities[arn] for region in regions if arn in region.authorities), None)
    owner = ResourcePolicy(account, document(found.policy) if found else None)
    return Resource(arn, owner, dict(found.tags) if found else {})


def _key(arn: str) -> Resource:
    match = _KEY.fullmatch(arn)
    if match is None:
        return Resource(arn)
    region, account, kind, name = match.groups()
    backend: Any = kms_backends[account].get(region) if account in kms_backends else None
    if backend is None:
        return Resource(arn, ResourcePolicy(account))
    key_id = backend.get_key_id_from_alias(kind + name) if kind == "alias/" else name
    key = backend.keys.get(key_id)
    if key is None:
        return Resource(arn, ResourcePolicy(account))
    tags = {str(name): str(value) for name, value in backend.tagger.get_tag_dict_for_resource(key.id).items()}
    return Resource(str(key.arn), ResourcePolicy(account, document(key.policy), is_needed=True), tags)
