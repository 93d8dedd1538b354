"""moto's IAM as plain data, for the state file: roles, users with their access keys, groups, and the policies they hold.

What this module decides: what is kept: paths, trust policies, inline and attached policies (all versions of one's own), boundaries, tags,
members. What is not kept: instance profiles, passwords, certificates, MFA devices, identity providers, aliases of accounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import moto.iam.models
from moto.iam.models import AWSManagedPolicy, Group, PolicyVersion, iam_backends

NAMES = {
    "moto.iam.models": (
        "AWSManagedPolicy",
        "Group",
        "ManagedPolicy.attach_to",
        "PolicyVersion",
        "Role",
        "User.create_access_key",
        "iam_backends",
    )
}
_models: Any = moto.iam.models  # several of its classes are abstract to mypy and made all the same
_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)  # IAM API reference: names of roles, users, groups and policies


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy of one's own; each version is its number, its document, and whether it is the default."""

    name: str
    identifier: str
    path: str
    description: str
    tags: dict[str, Any]
    next_version: int
    versions: tuple[tuple[str, str, bool, datetime], ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of a user."""

    identifier: str
    secret: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds policies: a role, a user or a group; ``attached`` are ARNs."""

    kind: str
    name: str
    identifier: str
    path: str
    created_at: datetime
    policies: dict[str, str]
    attached: tuple[str, ...]
    trust: str = ""
    description: str | None = None
    boundary: str | None = None
    longest_session: Any = None
    service: str | None = None
    tags: Any = None
    keys: tuple[AccessKey, ...] = ()
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identities:
    """The IAM of one account in one partition."""

    account: str
    partition: str
    policies: tuple[StoredPolicy, ...]
    holders: tuple[Holder, ...]


def stored() -> list[Identities]:
    """Every account of this process's moto that has something of its own."""
    found = [
        Identities(account, partition, tuple(_policies(backend)), tuple(_holders(backend)))
        for account, backends in sorted(iam_backends.items())
        for partition, backend in sorted(backends.items())
    ]
    return [each for each in found if each.policies or each.holders]


def _policies(backend: Any) -> Iterator[StoredPolicy]:
    for policy in backend.managed_policies.values():
        if isinstance(policy, AWSManagedPolicy):
            continue
        yield StoredPolicy(
            name=policy.name,
            identifier=policy.id,
            path=policy.path,
            description=policy.description,
            tags=policy.tags,
            next_version=policy.next_version_num,
            versions=tuple((v.version_id, v.document, v.is_default, _aware(v.create_date)) for v in policy.versions),
            created_at=_aware(policy.create_date),
            updated_at=_aware(policy.update_date),
        )


def _holders(backend: Any) -> Iterator[Holder]:
    for user in backend.users.values():
        keys = tuple(
            AccessKey(k.access_key_id, k.secret_access_key, k.status, _aware(k.create_date)) for k in user.access_keys
        )
        tags = backend.tagger.list_tags_for_resource(user.arn)["Tags"]
        yield Holder("user", **_common(user), tags=tags, keys=keys)
    for group in backend.groups.values():
        yield Holder("group", **_common(group), members=tuple(user.name for user in group.users))
    for role in backend.roles.values():
        yield Holder(
            "role",
            **_common(role),
            trust=role.assume_role_policy_document,
            description=role.description,
            boundary=role.permissions_boundary_arn,
            longest_session=role.max_session_duration,
            service=role._linked_service,
            tags=role.tags,
        )


def _common(holder: Any) -> dict[str, Any]:
    return {
        "name": holder.name,
        "identifier": holder.id,
        "path": holder.path,
        "created_at": _aware(holder.create_date),
        "policies": dict(holder.policies),
        "attached": tuple(holder.managed_policies),
    }


def restore(accounts: Iterable[Identities]) -> None:
    """Make everything, in a moto that has none of it.

    Raises:
        ValueError: a name that nothing in IAM can have.
        LookupError: a policy or a user that does not exist is spoken of.
    """
    for kept in accounts:
        backend: Any = iam_backends[kept.account][kept.partition]
        for policy in kept.policies:
            made = _policy(backend, policy)
            backend.managed_policies[made.arn] = made
        for holder in kept.holders:
            _hold(backend, holder)


def _policy(backend: Any, kept: StoredPolicy) -> Any:
    policy = _models.ManagedPolicy(
        _named(kept.name),
        account_id=backend.account_id,
        region=backend.region_name,
        description=kept.description,
        path=kept.path,
        tags=kept.tags,
    )
    policy.id, policy.next_version_num = kept.identifier, kept.next_version
    policy.versions = [
        PolicyVersion(policy.arn, document, is_default, version, _naive(created_at))
        for version, document, is_default, created_at in kept.versions
    ]
    policy.default_version_id = next(version for version, _, is_default, _ in kept.versions if is_default)
    policy.create_date, policy.update_date = _naive(kept.created_at), _naive(kept.updated_at)
    return policy


def _hold(backend: Any, kept: Holder) -> None:
    made = {"user": _user, "group": _group, "role": _role}[kept.kind](backend, kept)
    made.id, made.create_date, made.policies = kept.identifier, _naive(kept.created_at), dict(kept.policies)
    for arn in kept.attached:
        backend.managed_policies[arn].attach_to(made)


def _user(backend: Any, kept: Holder) -> Any:
    user = _models.User(backend.account_id, backend.region_name, _named(kept.name), kept.path)
    backend.users[kept.name] = user
    backend.tagger.tag_resource(user.arn, kept.tags or [])
    for each in kept.keys:
        key = user.create_access_key(prefix="AKIA", status=each.status)
        key.access_key_id, key.secret_access_key = each.identifier, each.secret
        key.create_date = _naive(each.created_at)
        backend.access_keys[each.identifier] = key
    return user


def _group(backend: Any, kept: Holder) -> Any:
    group: Any = Group(backend.account_id, backend.region_name, _named(kept.name), kept.path)
    backend.groups[kept.name] = group
    group.users = [backend.users[member] for member in kept.members]
    return group


def _role(backend: Any, kept: Holder) -> Any:
    role = _models.Role(
        account_id=backend.account_id,
        partition=backend.partition,
        role_id=kept.identifier,
        name=_named(kept.name),
        assume_role_policy_document=kept.trust,
        path=kept.path,
        permissions_boundary=kept.boundary,
        description=kept.description,
        tags=kept.tags or [],
        max_session_duration=kept.longest_session,
        linked_service=kept.service,
    )
    backend.roles[kept.identifier] = role
    return role


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("something in IAM has a name that it cannot have")
    return name


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
