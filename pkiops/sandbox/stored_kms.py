"""moto's KMS keys as plain data, for the state file: without them a bucket that is encrypted with one could not be written after a restart.

What this module decides: what of a key is kept: its material, so that what it encrypted can be read and its signatures verify; policy, state,
aliases, grants, rotations and tags. Keys that services make for themselves (``alias/aws/s3``) are kept like all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import moto.kms.models
from moto.kms.models import Grant, kms_backends
from moto.kms.utils import ECDSAPrivateKey, KeySpec, RSAPrivateKey

NAMES = {
    "moto.kms.models": ("Alias", "Grant", "Key", "KmsBackend.list_keys"),
    "moto.kms.utils": ("ECDSAPrivateKey", "KeySpec.ecc_key_specs", "RSAPrivateKey"),
}
# attributes of moto's keys that are plain values, and those that only some keys have
_PLAIN = (
    "arn",
    "policy",
    "key_usage",
    "key_state",
    "description",
    "enabled",
    "multi_region",
    "multi_region_configuration",
    "key_rotation_status",
    "creation_date",
    "key_material",
    "origin",
    "key_manager",
    "rotations",
)
_models: Any = moto.kms.models  # its keys and aliases are abstract to mypy and made all the same
_IDENTIFIER = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """One grant of a key."""

    identifier: str
    token: str
    name: str | None
    grantee: str | None
    retiring: str | None
    operations: list[Any]
    constraints: Any


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key; ``private_key`` is what it signs with, whether it is asked to or not."""

    account: str
    region: str
    identifier: str
    spec: str
    private_key: Any
    aliases: tuple[str, ...]
    grants: tuple[KeyGrant, ...]
    tags: dict[str, str]
    deletion_at: datetime | None
    plain: dict[str, Any]


def stored() -> list[StoredKey]:
    """Every key of this process's moto."""
    return [
        _key(account, region, backend, key)
        for account, backends in sorted(kms_backends.items())
        for region, backend in sorted(backends.items())
        for key in backend.keys.values()
    ]


def _key(account: str, region: str, backend: Any, key: Any) -> StoredKey:
    return StoredKey(
        account=account,
        region=region,
        identifier=key.id,
        spec=key.key_spec,
        private_key=key.private_key.private_key,
        aliases=tuple(key.aliases),
        grants=tuple(_grants(key)),
        tags=backend.tagger.get_tag_dict_for_resource(key.id),
        deletion_at=None if key.deletion_date is None else key.deletion_date.replace(tzinfo=UTC),
        plain={name: getattr(key, name) for name in _PLAIN if hasattr(key, name)},
    )


def _grants(key: Any) -> Iterator[KeyGrant]:
    for grant in key.grants.values():
        yield KeyGrant(
            grant.id,
            grant.token,
            grant.name,
            grant.grantee_principal,
            grant.retiring_principal,
            list(grant.operations or ()),
            grant.constraints,
        )


def restore(keys: Iterable[StoredKey]) -> None:
    """Make the keys, in a moto that has none.

    Raises:
        ValueError: an identifier that no key can have.
    """
    for kept in keys:
        if not _IDENTIFIER.fullmatch(kept.identifier):
            raise ValueError("a KMS key has an identifier that it cannot have")
        backend: Any = kms_backends[kept.account][kept.region]
        # every key makes a pair when it is made; this kind is the quickest, and replaced below
        key = _models.Key(None, "SIGN_VERIFY", KeySpec.ECC_NIST_P256, "", kept.account, kept.region)
        key.id, key.key_spec, key.private_key = kept.identifier, kept.spec, _pair(kept)
        for name in _PLAIN:
            if name in kept.plain:
                setattr(key, name, kept.plain[name])
        key.deletion_date = None if kept.deletion_at is None else kept.deletion_at.astimezone(UTC).replace(tzinfo=None)
        key.aliases = {name: _models.Alias(kept.account, kept.region, name, key) for name in kept.aliases}
        key.grants = {each.identifier: _grant(key, each) for each in kept.grants}
        backend.keys[key.id] = key
        if kept.tags:
            backend.tagger.tag_resource(key.id, [{"TagKey": k, "TagValue": v} for k, v in kept.tags.items()])


def _grant(key: Any, kept: KeyGrant) -> Any:
    operations, principals = list(kept.operations), (kept.grantee, kept.retiring)
    grant: Any = Grant(key.id, "", "", operations, constraints=kept.constraints, retiring_principal="")
    grant.id, grant.token, grant.name = kept.identifier, kept.token, kept.name
    grant.grantee_principal, grant.retiring_principal = principals
    return grant


def _pair(kept: StoredKey) -> Any:
    pair: Any
    if kept.spec in KeySpec.ecc_key_specs():
        pair = ECDSAPrivateKey(kept.spec)
    else:
        pair = RSAPrivateKey.__new__(
            RSAPrivateKey
        )  # its constructor would take a tenth of a second to make another key
        pair.key_size = kept.private_key.key_size
    pair.private_key = kept.private_key
    return pair
