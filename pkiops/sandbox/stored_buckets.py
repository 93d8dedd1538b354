"""moto's S3 as plain data, for the state file.

What this module decides: what of a bucket is kept: who owns it, its policy, versioning, Block Public Access, ownership, encryption,
object lock and tags; of an object all of its versions with their content, metadata, ACL, tags, checksums and locks. What is not kept: uploads under
way, lifecycle, notifications, websites, logging and CORS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.s3.models import FakeAcl, FakeDeleteMarker, FakeGrant, FakeGrantee, FakeKey, PublicAccessBlock, s3_backends

# attributes of moto's objects that are plain values, under the same name in the dataclasses below
_BUCKET_PLAIN = (
    "versioning_status",
    "policy",
    "encryption",
    "ownership_rule",
    "object_lock_enabled",
    "default_lock_mode",
    "default_lock_days",
    "default_lock_years",
)
_OBJECT_PLAIN = (
    "encryption",
    "kms_key_id",
    "bucket_key_enabled",
    "lock_mode",
    "lock_legal_status",
    "lock_until",
    "checksum_value",
)
_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")  # as lax as moto, which is laxer than AWS
_BLOCKS = ("block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets")


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may do what; each grantee is an id, a URI and a name."""

    grantees: tuple[tuple[str, str, str], ...]
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object; ``deletion``: it is a delete marker, and only id and moment count."""

    version_id: str
    last_modified: datetime
    deletion: bool = False
    versioned: bool = False
    content: bytes = b""
    etag: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    acl: tuple[Grant, ...] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    checksum_algorithm: str | None = None
    plain: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket with its objects."""

    name: str
    account: str
    partition: str
    region: str
    created_at: datetime
    acl: tuple[Grant, ...] | None
    blocks: tuple[bool, bool, bool, bool] | None
    tags: dict[str, str]
    plain: dict[str, Any]
    objects: dict[str, list[Version]]


def stored() -> list[Bucket]:
    """Every bucket of this process's moto."""
    return [_bucket(name, *place) for name, place in sorted(s3_backends.bucket_accounts.items())]


def _bucket(name: str, partition: str, account: str) -> Bucket:
    backend = s3_backends[account][partition]
    bucket: Any = backend.get_bucket(name)
    block = bucket.public_access_block
    return Bucket(
        name=name,
        account=account,
        partition=partition,
        region=bucket.region_name,
        created_at=bucket.creation_date,
        acl=_grants(bucket.acl),
        blocks=None if block is None else tuple(bool(getattr(block, each)) for each in _BLOCKS),  # type: ignore[arg-type]
        tags=backend.tagger.get_tag_dict_for_resource(bucket.arn),
        plain={each: getattr(bucket, each) for each in _BUCKET_PLAIN},
        objects={key: [_version(backend, v) for v in versions] for key, versions in bucket.keys.lists()},
    )


def _version(backend: Any, found: Any) -> Version:
    moment = found.last_modified.replace(tzinfo=UTC)
    if isinstance(found, FakeDeleteMarker):
        return Version(found.version_id, moment, deletion=True)
    return Version(
        version_id=found.version_id,
        last_modified=moment,
        versioned=bool(found.response_dict.get("x-amz-version-id")),
        content=bytes(found.value),
        etag=found.etag.strip('"'),
        metadata={str(k): str(v) for k, v in found.metadata.items()},
        acl=_grants(found.acl),
        tags=backend.tagger.get_tag_dict_for_resource(found.arn),
        storage_class=found.storage_class,
        checksum_algorithm=found.checksum_algorithm,
        plain={each: getattr(found, each) for each in _OBJECT_PLAIN},
    )


def _grants(acl: Any) -> tuple[Grant, ...] | None:
    if acl is None:
        return None
    return tuple(
        Grant(tuple((g.id, g.uri, g.display_name) for g in grant.grantees), tuple(grant.permissions))
        for grant in acl.grants
    )


def restore(buckets: Iterable[Bucket]) -> None:
    """Make the buckets, in a moto that has none.

    Raises:
        ValueError: a name that no bucket can have.
    """
    for kept in buckets:
        if not _BUCKET_NAME.fullmatch(kept.name):
            raise ValueError("a bucket has a name that it cannot have")
        backend: Any = s3_backends[kept.account][kept.partition]
        bucket: Any = backend.create_bucket(kept.name, kept.region)
        bucket.creation_date = kept.created_at
        bucket.acl = _acl(kept.acl)
        bucket.public_access_block = None if kept.blocks is None else PublicAccessBlock(*kept.blocks)
        for name, value in _known(kept.plain, _BUCKET_PLAIN):
            setattr(bucket, name, value)
        _tag(backend, bucket.arn, kept.tags)
        for key, versions in kept.objects.items():
            dict.__setitem__(bucket.keys, key, list(_versions(backend, kept, key, versions)))


def _versions(backend: Any, bucket: Bucket, key: str, versions: Iterable[Version]) -> Iterator[Any]:
    for kept in versions:
        made = FakeKey(
            name=key,
            value=kept.content,
            account_id=bucket.account,
            region_name=bucket.region,
            storage=kept.storage_class,
            etag=kept.etag or None,
            is_versioned=kept.versioned,
            version_id=kept.version_id,
            bucket_name=bucket.name,
            **dict(_known(kept.plain, _OBJECT_PLAIN)),
        )
        moment = kept.last_modified.astimezone(UTC).replace(tzinfo=None)
        made.last_modified = moment
        if kept.deletion:
            marker = FakeDeleteMarker(made)
            marker.last_modified, marker._version_id = moment, kept.version_id
            yield marker
            continue
        made.set_metadata(dict(kept.metadata))
        made.set_acl(_acl(kept.acl))
        made.checksum_algorithm = kept.checksum_algorithm
        _tag(backend, made.arn, kept.tags)
        yield made


def _known(plain: dict[str, Any], names: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [(name, plain[name]) for name in names if name in plain]


def _tag(backend: Any, arn: str, tags: dict[str, str]) -> None:
    if tags:
        backend.tagger.tag_resource(arn, [{"Key": k, "Value": v} for k, v in tags.items()])


def _acl(grants: tuple[Grant, ...] | None) -> FakeAcl | None:
    if grants is None:
        return None
    return FakeAcl([FakeGrant([FakeGrantee(*g) for g in each.grantees], list(each.permissions)) for each in grants])
