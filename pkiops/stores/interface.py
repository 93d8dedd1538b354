"""Named bytes with conditional writes.

Keys are relative and plain: letters, digits, ``.``, ``_`` and ``-`` in segments that do not start with a dot; a store refuses
others. Every write says under which condition it holds, so that two writers cannot overwrite each other unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pkiops.errors import InputError

# what the Sid of every statement of ours in a bucket's policy begins with
OUR_SIDS = "Pkiops"
# a segment never starts with a dot, so that no key is "..", and none meets a lock or a temporary file
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_MAX_KEY = 512


def is_key(key: str) -> bool:
    """Whether every store takes this key."""
    return len(key) <= _MAX_KEY and _KEY.fullmatch(key) is not None


def checked_key(key: str) -> str:
    """The key itself.

    Raises:
        InputError: no store takes it.
    """
    if not is_key(key):
        raise InputError(f"not a key of a store: {key!r}", code="store.key")
    return key


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store holds under one key.

    ``version`` is the store's own tag of these exact bytes (an ETag), ``age_s`` how many seconds ago they were written, by the store's own clock.
    """

    key: str
    data: bytes = field(repr=False)
    version: str
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Condition:
    """When a write holds: ``absent`` if nothing may be there, ``version`` if exactly that version must be; neither: always."""

    absent: bool = False
    version: str | None = None


ALWAYS = Condition()
IF_ABSENT = Condition(absent=True)


@runtime_checkable
class Store(Protocol):
    """Named bytes. Every call may raise a BackendError."""

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        """The object, or None when there is none.

        Raises:
            VerificationFailed: it is larger than ``max_bytes``.
        """

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        """Write the object and return its new version.

        Raises:
            AlreadyExists: the condition does not hold.
        """

    def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        """The keys that start with ``prefix`` and come after ``after``, sorted; the first ``limit`` of them."""

    def describe(self) -> str:
        """The store's name for people, such as ``s3://bucket``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketSettings:
    """How a bucket of ours should be: private, versioned, encrypted, owned by the bucket's owner, with these policy statements.

    ``statements`` each carry a Sid of their own; statements of others in the same policy stay as they are. ``manage`` False: it is checked only.
    """

    name: str
    region: str
    owner: str
    statements: tuple[Mapping[str, Any], ...]
    tags: Mapping[str, str]
    manage: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedBucket:
    """A bucket as it is; every field but ``name`` and ``exists`` is empty when it does not exist.

    ``empty`` is only looked for where there are no tags.
    ``encryption_key`` is the KMS key it names, None where AWS's own is taken.
    """

    name: str
    exists: bool
    empty: bool = True
    region: str | None = None
    public_access_blocked: bool = False
    versioning: bool = False
    owner_enforced: bool = False
    encryption: str | None = None
    encryption_key: str | None = None
    statements: tuple[Mapping[str, Any], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_aws_managed_key(self) -> bool:
        """Whether its objects are encrypted with the key ``aws/s3``, which no service can use in its own name."""
        key = self.encryption_key
        return (self.encryption or "").startswith("aws:kms") and (key is None or key.endswith("alias/aws/s3"))


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketRights:
    """What somebody may do with one bucket; keys end in ``*`` where everything below a prefix is meant.

    Args:
        keep: make it and change its settings.
        look: read its settings.
        find: tell that an object is not there from not being allowed to read it.
        read: keys that may be read.
        write: keys that may be written.
    """

    bucket: str
    keep: bool = False
    look: bool = False
    find: bool = False
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """Keys of a bucket that nobody but the named principals (ARNs) may write, whatever their own policies say.

    ``name`` tells it from others of the bucket; ``elsewhere`` turns it round: these principals may write nowhere but there.
    """

    name: str
    keys: tuple[str, ...]
    principals: tuple[str, ...]
    elsewhere: bool = False


@runtime_checkable
class Buckets(Protocol):
    """Buckets that ``ca apply`` makes and keeps. Every call may raise a BackendError."""

    def observe_bucket(self, name: str) -> ObservedBucket:
        """The bucket as it is; only reads."""

    def ensure_bucket(self, settings: BucketSettings) -> bool:
        """Create the bucket, or bring it to its settings; returns whether anything was changed."""

    def trust_bucket_policy(self, bucket: str) -> tuple[dict[str, Any], ...]:
        """The statements of a bucket that relying parties read: everything over TLS."""

    def holding_policy(self, bucket: str, holdings: Sequence[Holding]) -> tuple[dict[str, Any], ...]:
        """The statements of a bucket's policy that hold writers to their keys. Makes no call."""

    def bucket_permissions(self, rights: Sequence[BucketRights]) -> tuple[dict[str, Any], ...]:
        """The statements of an identity-based policy, each with a Sid of its own. Makes no call."""


def stale_statements(
    found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any], ...]:
    """Statements that pkiops wrote, by their Sids, and that are wanted no more; those of others never are."""
    sids = {one["Sid"] for one in wanted}
    return tuple(one for one in found if str(one.get("Sid", "")).startswith(OUR_SIDS) and one["Sid"] not in sids)


def same_statement(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether two policy statements mean the same: IAM takes a one-element list for its element, and order does not matter."""
    return found is not None and _meaning(found) == _meaning(wanted)


def _meaning(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _meaning(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = sorted((_meaning(item) for item in value), key=repr)
        return items[0] if len(items) == 1 else items
    return str(value).lower() if isinstance(value, bool) else value
