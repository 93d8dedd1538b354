"""Role sessions of moto's STS as plain data, for the state file: without them, a caller of another account would be nobody after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, sts_backends


@dataclass(frozen=True, slots=True)
class RoleSession:
    """One assumed role with its credentials."""

    account: str
    partition: str
    region: str
    role_arn: str
    session_name: str
    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: datetime


def stored() -> list[RoleSession]:
    """Every role session of this process's moto."""
    return [
        RoleSession(
            account=account,
            partition=partition,
            region=role.region_name,
            role_arn=role.role_arn,
            session_name=role.session_name,
            access_key_id=role.access_key_id,
            secret_access_key=role.secret_access_key,
            session_token=role.session_token,
            expires_at=role.expiration.replace(tzinfo=UTC),
        )
        for account, backends in sorted(sts_backends.items())
        for partition, backend in sorted(backends.items())
        for role in backend.assumed_roles
    ]


def restore(sessions: Iterable[RoleSession]) -> None:
    """Let the credentials of the sessions count again."""
    for kept in sessions:
        keys: Any = iam_backends[kept.account][kept.partition]
        key = keys.create_temp_access_key()
        del keys.access_keys[key.access_key_id]
        key.access_key_id, key.secret_access_key = kept.access_key_id, kept.secret_access_key
        key.role_arn = kept.role_arn
        keys.access_keys[kept.access_key_id] = key
        role: Any = AssumedRole(
            account_id=kept.account,
            region_name=kept.region,
            access_key=key,
            role_session_name=kept.session_name,
            role_arn=kept.role_arn,
            policy="",
            duration=0,
            external_id="",
        )
        role.session_token = kept.session_token
        role.expiration = kept.expires_at.astimezone(UTC).replace(tzinfo=None)
        sts_backends[kept.account][kept.partition].assumed_roles.append(role)
