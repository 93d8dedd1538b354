"""Who calls, by the credentials of a request, and what policies that principal has in moto's IAM and STS.

What this module decides: the dummies that the sandbox tells people to export are the account's administrator; an access key is its user's; a
session is its role's, with the session policies it was made with; anything else is nobody. Secrets and signatures are not checked, because the
sandbox checks none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from moto.sts.responses import TokenResponse

from pkiops.sandbox.iam_policy import Document, Kind, Policies, Principal, document

NAMES = {
    "moto.iam.models": (
        "iam_backends",
        "IAMBackend.get_user_from_access_key_id",
        "User.get_access_key_by_id",
        "IAMBackend.get_groups_for_user",
    ),
    "moto.sts.models": ("sts_backends", "STSBackend.get_assumed_role_from_access_key"),
    "moto.sts.responses": ("TokenResponse.assume_role",),
}
# what pkiops, moto's documentation and mock_aws itself set
ADMINISTRATOR_KEYS = frozenset({"sandbox", "testing", "FOOBARKEY"})
_MANAGED = "pkiops_session_policies"
_TAGS = "pkiops_session_tags"
_ROOT_USER = "root"


class CallerUnknown(Exception):
    """No such key, or not with this token."""


class SessionExpired(Exception):
    """The credentials of a role session are past their time."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal with its policies."""

    principal: Principal
    policies: Policies


def nobody(partition: str) -> Caller:
    """Who sends a request that is not signed."""
    return Caller(Principal(Kind.ANONYMOUS, "", partition, "anonymous"), Policies())


def caller_of(key: str, token: str, account: str, partition: str, now: datetime) -> Caller:
    """Whose an access key is.

    Args:
        key: the access key's id.
        token: the session token, or an empty text.
        account: whose account the key belongs to.
        partition: of the Region of the call.
        now: what a session's end is compared with.

    Raises:
        CallerUnknown: no such key.
        SessionExpired: it was one.
    """
    if key in ADMINISTRATOR_KEYS:
        arn = f"arn:{partition}:iam::{account}:root"
        return Caller(Principal(Kind.ROOT, account, partition, arn, name=_ROOT_USER, user_id=account), Policies())
    session: Any = sts_backends[account][partition].get_assumed_role_from_access_key(key)
    if session is not None:
        if session.session_token != token:
            raise CallerUnknown
        if session.expiration.replace(tzinfo=UTC) <= now:
            raise SessionExpired
        return _session(session, account, partition)
    user: Any = iam_backends[account][partition].get_user_from_access_key_id(key)
    if user is None or token or user.get_access_key_by_id(key).status != "Active":
        raise CallerUnknown
    principal = Principal(
        Kind.USER, account, partition, user.arn, name=user.name, user_id=user.id, tags=pairs(user.tags)
    )
    groups = iam_backends[account][partition].get_groups_for_user(user.name)
    return Caller(principal, Policies(tuple(each for owner in (user, *groups) for each in _held(owner))))


def role_of(arn: str) -> Any:
    """The role of moto's IAM with an ARN, or None."""
    parts = arn.split(":", 5)
    # asking moto for an account would make it one
    if len(parts) != 6 or parts[2] != "iam" or parts[4] not in iam_backends or parts[1] not in iam_backends[parts[4]]:
        return None
    return next((role for role in iam_backends[parts[4]][parts[1]].roles.values() if role.arn == arn), None)


def _session(session: Any, account: str, partition: str) -> Caller:
    role = role_of(session.role_arn)
    tags = {**(pairs(role.tags) if role else {}), **session.__dict__.get(_TAGS, {})}
    principal = Principal(
        Kind.ROLE,
        account,
        partition,
        session.arn,
        role_arn=session.role_arn,
        name=session.session_name,
        user_id=session.user_id,
        tags=tags,
    )
    inline = [document(session.policy) or {}] if session.policy else []
    managed = [_managed(arn, account, partition) for arn in session.__dict__.get(_MANAGED, ())]
    limits = tuple(inline + managed) if inline or managed else None
    if role is None:  # deleted since
        return Caller(principal, Policies((), None, limits))
    boundary = _managed(role.permissions_boundary_arn, account, partition) if role.permissions_boundary_arn else None
    return Caller(principal, Policies(tuple(_held(role)), boundary, limits))


def _held(owner: Any) -> Iterator[Document]:
    """The inline and the attached policies of a user, group or role."""
    texts = [*owner.policies.values(), *map(_default_text, owner.managed_policies.values())]
    yield from (found for text in texts if (found := document(text)) is not None)


def _managed(arn: str, account: str, partition: str) -> Document:
    """A managed policy; one that does not exist allows nothing."""
    found = iam_backends[account][partition].managed_policies.get(arn)
    return (document(_default_text(found)) if found else None) or {}


def _default_text(policy: Any) -> str:
    return next(str(each.document) for each in policy.versions if each.version_id == policy.default_version_id)


def pairs(tags: Any) -> dict[str, str]:
    """Tags as moto has them: a list of pairs, or those by their key."""
    found = tags.values() if isinstance(tags, dict) else tags or ()
    return {str(each.get("Key", "")): str(each.get("Value", "")) for each in found}


@contextlib.contextmanager
def sessions_remember_their_policies() -> Iterator[None]:
    """While the context lasts, moto's role sessions keep the managed session policies and the tags they were made with."""
    response: Any = TokenResponse
    assume_role = response.assume_role

    def remembering(self: Any) -> Any:
        answered = assume_role(self)
        session = answered.result["Credentials"]
        arns = [str(each.get("arn", "")) for each in self._get_param("PolicyArns") or ()]
        session.__dict__[_MANAGED] = arns
        session.__dict__[_TAGS] = pairs(self._get_param("Tags"))
        return answered

    response.assume_role = remembering
    try:
        yield
    finally:
        response.assume_role = assume_role
