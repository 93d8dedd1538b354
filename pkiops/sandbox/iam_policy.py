"""Whether policies let a principal do something: the evaluation logic of IAM, without any I/O.

What this module decides: which statements concern a request, and how identity-based policies, a permissions boundary, session policies and
a resource-based policy are weighed against each other (IAM user guide, "Policy evaluation logic", in one account and across two). Who the
principal is and what policies it has is ``iam_callers``' decision, what a request asks for that of ``iam_needs``. There are no organizations here, so
no service or resource control policies.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pkiops.sandbox.engine.policy_conditions import conditions_hold
from pkiops.sandbox.engine.policy_language import Values, Variables, as_list, like

Document: TypeAlias = Mapping[str, Any]
_WITH_VARIABLES = "2012-10-17"
_EVERYBODY = "*"


class Kind(enum.StrEnum):
    """What sort of principal calls; the values are those of ``aws:PrincipalType``."""

    ROOT = "Account"
    USER = "User"
    ROLE = "AssumedRole"
    ANONYMOUS = "Anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls.

    Args:
        kind: see ``Kind``.
        account: twelve digits, empty for nobody.
        partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
        arn: as GetCallerIdentity gives it.
        role_arn: of a role session, the role's.
        name: the user's or the session's.
        user_id: ``aws:userid``.
        tags: ``aws:PrincipalTag``.
    """

    kind: Kind
    account: str
    partition: str
    arn: str
    role_arn: str = ""
    name: str = ""
    user_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def principal_arn(self) -> str:
        """``aws:PrincipalArn``: a session's is its role's."""
        return self.role_arn or self.arn


@dataclass(frozen=True, slots=True)
class Policies:
    """What a principal has: ``boundary`` and ``session`` only limit, and do not where they are None."""

    identity: tuple[Document, ...] = ()
    boundary: Document | None = None
    session: tuple[Document, ...] | None = None


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """The policy of what is asked for.

    Args:
        account: of the resource's owner.
        document: None if it has none.
        is_needed: whether nothing goes without its consent, not even within the account: KMS keys, and roles that are assumed.
    """

    account: str
    document: Document | None = None
    is_needed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is the end of the sentence that refuses, as AWS words it (IAM user guide, access denied error messages)."""

    allowed: bool
    reason: str = ""


class _Grant(enum.IntEnum):
    """To whom a resource-based policy allows something; the higher, the less else is needed."""

    NOBODY = 0
    ACCOUNT = 1  # the account may allow it to its principals
    ROLE = 2  # boundary and session policies still limit
    CALLER = 3


def document(text: str | None) -> Document | None:
    """A policy as moto keeps it; one that cannot be read says nothing."""
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def decide(
    principal: Principal,
    policies: Policies,
    action: str,
    resource: str,
    context: Mapping[str, Values],
    owner: ResourcePolicy | None = None,
) -> Decision:
    """Whether a principal may do something.

    Args:
        principal: who asks.
        policies: what it has.
        action: ``service:Action``.
        resource: an ARN, or ``*`` where the action knows no resources.
        context: the condition keys of the request, lower case.
        owner: the policy of the resource, if resources of its kind have them.
    """
    asked = _Asked(action, resource, context)
    if denial := _denial(principal, policies, owner, asked):
        return Decision(False, f"with an explicit deny in {denial}")
    grant = _grant(principal, owner, asked)
    across = owner is not None and owner.account != principal.account
    lacking = [
        kind
        for kind, allows in (
            ("identity-based policy", principal.kind is Kind.ROOT or any(map(asked.allowed_by, policies.identity))),
            ("permissions boundary", policies.boundary is None or asked.allowed_by(policies.boundary)),
            ("session policy", policies.session is None or any(map(asked.allowed_by, policies.session))),
        )
        if not allows
    ]
    if principal.kind is Kind.ANONYMOUS or across:
        lacking = [] if principal.kind is Kind.ANONYMOUS else lacking
        lacking += [] if grant else ["resource-based policy"]
    elif grant is _Grant.CALLER:
        return Decision(True)
    elif grant is _Grant.ROLE:
        lacking = [kind for kind in lacking if kind != "identity-based policy"]
    elif owner is not None and owner.is_needed and not grant:
        lacking.append("resource-based policy")
    return Decision(False, f"because no {lacking[0]} allows the {action} action") if lacking else Decision(True)


@dataclass(frozen=True, slots=True)
class _Asked:
    action: str
    resource: str
    context: Mapping[str, Values]

    def allowed_by(self, policy: Document) -> bool:
        return any(statement.get("Effect") == "Allow" for statement in self.statements(policy))

    def denied_by(self, policy: Document) -> bool:
        return any(statement.get("Effect") == "Deny" for statement in self.statements(policy))

    def statements(self, policy: Document) -> list[Mapping[str, Any]]:
        """The statements of a policy that concern this, whoever asks."""
        # older policies know no variables
        variables = self.context if policy.get("Version") == _WITH_VARIABLES else None
        return [
            statement
            for statement in as_list(policy.get("Statement"))
            if isinstance(statement, dict) and self._concerned(statement, variables)
        ]

    def _concerned(self, statement: Mapping[str, Any], variables: Variables | None) -> bool:
        excludes = "NotAction" in statement
        if self._is_action(statement.get("NotAction" if excludes else "Action")) == excludes:
            return False
        if "NotResource" in statement:
            concerns = not self._is_resource(statement["NotResource"], variables)
        elif "Resource" in statement:
            concerns = self._is_resource(statement["Resource"], variables)
        else:
            concerns = "Principal" in statement  # a trust policy: its resource is the role
        return concerns and conditions_hold(statement.get("Condition") or {}, self.context, variables)

    def _is_action(self, patterns: Any) -> bool:
        return any(like(self.action.lower(), str(each).lower()) for each in as_list(patterns))

    def _is_resource(self, patterns: Any, variables: Variables | None) -> bool:
        return any(like(self.resource, str(each), variables) for each in as_list(patterns))


def _denial(principal: Principal, policies: Policies, owner: ResourcePolicy | None, asked: _Asked) -> str | None:
    held: Sequence[tuple[str, Sequence[Document]]] = (
        ("an identity-based policy", policies.identity),
        ("a permissions boundary", [policies.boundary] if policies.boundary is not None else []),
        ("a session policy", policies.session or ()),
    )
    for kind, documents in held:
        if any(map(asked.denied_by, documents)):
            return kind
    if owner is None or owner.document is None:
        return None
    for statement in asked.statements(owner.document):
        if statement.get("Effect") == "Deny" and _named(principal, statement):
            return "a resource-based policy"
    return None


def _grant(principal: Principal, owner: ResourcePolicy | None, asked: _Asked) -> _Grant:
    if owner is None or owner.document is None:
        return _Grant.NOBODY
    return max(
        (
            _named(principal, each)
            for each in asked.statements(owner.document)
            if each.get("Effect") == "Allow" and "NotPrincipal" not in each  # AWS says: only for Deny
        ),
        default=_Grant.NOBODY,
    )


def _named(principal: Principal, statement: Mapping[str, Any]) -> _Grant:
    """Whether a statement of a resource-based policy is for a principal, and how it names it."""
    if "NotPrincipal" in statement:
        return _Grant.NOBODY if _among(principal, statement["NotPrincipal"]) else _Grant.CALLER
    return _among(principal, statement.get("Principal"))


def _among(principal: Principal, named: Any) -> _Grant:
    names = [named] if isinstance(named, str) else as_list(named.get("AWS")) if isinstance(named, dict) else []
    account = (principal.account, f"arn:{principal.partition}:iam::{principal.account}:root")
    found = _Grant.NOBODY
    for name in names:
        if name == _EVERYBODY:
            found = max(found, _Grant.ROLE if principal.kind is Kind.ROLE else _Grant.CALLER)
        elif principal.kind is Kind.ANONYMOUS:
            continue
        elif name == principal.arn and principal.kind is not Kind.ROOT:
            found = _Grant.CALLER
        elif name == principal.role_arn and name:
            found = max(found, _Grant.ROLE)
        elif name in account:
            found = max(found, _Grant.ACCOUNT)
    return found
