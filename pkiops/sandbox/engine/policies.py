"""Resource policies of authorities: PutPolicy, GetPolicy, DeletePolicy, and what a policy says to another account.

What this module decides: which documents the service takes (a JSON object; statements for accounts, roles, users or organizations; only the actions
that can be shared; only the CA itself as resource), and how one is read. Roles and users stand for their account, because the sandbox knows no
IAM; nobody is a member of an organization. What a call needs is ``access``'s decision.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from pkiops.sandbox.engine.errors import ServiceError, not_found
from pkiops.sandbox.engine.policy_conditions import conditions_hold
from pkiops.sandbox.engine.policy_language import as_list
from pkiops.sandbox.engine.state import Context, Region, find_authority, require_state

SHAREABLE = frozenset(
    {
        "DescribeCertificateAuthority",
        "GetCertificate",
        "GetCertificateAuthorityCertificate",
        "ListPermissions",
        "ListTags",
        "IssueCertificate",
        "RevokeCertificate",
    }
)
TEMPLATE_ARN = "acm-pca:templatearn"
_Statement: TypeAlias = dict[str, Any]
_ACTIONS = frozenset(f"acm-pca:{name}".lower() for name in SHAREABLE)
_VERSIONS = ("2012-10-17", "2008-10-17")
_DOCUMENT_KEYS = frozenset({"Version", "Id", "Statement"})
_REQUIRED_KEYS = frozenset({"Effect", "Principal", "Action", "Resource"})
_STATEMENT_KEYS = _REQUIRED_KEYS | {"Sid", "Condition"}
_PRINCIPAL = re.compile(
    r"(\d{12})|arn:[a-z-]+:(?:iam|sts)::(\d{12}):(?:root|(?:role|user|assumed-role)/[\w+=,.@/-]+)", re.ASCII
)
_ORGANIZATION_KEYS = frozenset({"aws:principalorgid", "aws:principalorgpaths"})


def put_policy(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """PutPolicy."""
    authority = find_authority(region, request["ResourceArn"])
    require_state(authority, "PutPolicy", context.clock.now())
    for statement in _checked(request["Policy"], authority.arn):
        if statement["Effect"] == "Deny" and _names(statement, region.account):
            raise ServiceError(
                "LockoutPreventedException", "The policy would deny the owner its own certificate authority"
            )
    authority.policy = request["Policy"]
    return {}


def get_policy(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """GetPolicy."""
    authority = find_authority(region, request["ResourceArn"])
    require_state(authority, "GetPolicy", context.clock.now())
    if authority.policy is None:
        raise not_found(f"{authority.arn} has no policy")
    return {"Policy": authority.policy}


def delete_policy(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """DeletePolicy: also of a CA that has none, as the service's model says."""
    authority = find_authority(region, request["ResourceArn"])
    require_state(authority, "DeletePolicy", context.clock.now())
    authority.policy = None
    return {}


def verdict(policy: str | None, operation: str, account: str, context: Mapping[str, str]) -> bool | None:
    """Whether a policy allows an operation to another account, denies it, or (None) says nothing of it.

    ``context`` holds the condition keys of the request, lower case.
    """
    action = f"acm-pca:{operation}".lower()
    effects = {
        statement["Effect"]
        for statement in _statements(policy)
        if _names(statement, account)
        and action in {str(each).lower() for each in as_list(statement["Action"])}
        and conditions_hold(statement.get("Condition") or {}, context)
    }
    if "Deny" in effects:
        return False
    return True if "Allow" in effects else None


def shares_with(policy: str | None, account: str) -> bool:
    """Whether a policy allows anything to another account, under whatever conditions."""
    return any(s["Effect"] == "Allow" and _names(s, account) for s in _statements(policy))


def _statements(policy: str | None) -> list[_Statement]:
    """The statements of a policy that was checked when it was put."""
    return [] if policy is None else as_list(json.loads(policy)["Statement"])


def _names(statement: _Statement, account: str) -> bool:
    """Whether a statement is for an account; one for everybody is held to its conditions."""
    principals = _principals(statement["Principal"])
    return "*" in principals or any(_account(each) == account for each in principals)


def _principals(principal: Any) -> list[Any]:
    return ["*"] if principal == "*" else as_list(principal.get("AWS"))


def _account(principal: str) -> str | None:
    match = _PRINCIPAL.fullmatch(principal)
    return (match[1] or match[2]) if match else None


def _invalid(why: str) -> ServiceError:
    return ServiceError("InvalidPolicyException", f"The policy is not valid: {why}")


def _checked(policy: str, arn: str) -> list[_Statement]:
    """The statements of a policy for the CA ``arn``.

    Raises:
        ServiceError: ``InvalidPolicyException``.
    """
    try:
        document = json.loads(policy)
    except (ValueError, RecursionError) as error:
        raise _invalid("it is not JSON") from error
    if not isinstance(document, dict) or not document.keys() <= _DOCUMENT_KEYS:
        raise _invalid("it must be an object of Version, Id and Statement")
    if document.get("Version") not in _VERSIONS:
        raise _invalid(f"Version must be {_VERSIONS[0]}")
    statements = as_list(document.get("Statement"))
    if not statements:
        raise _invalid("it has no Statement")
    for statement in statements:
        _require_statement(statement, arn)
    return statements


def _require_statement(statement: Any, arn: str) -> None:
    if not isinstance(statement, dict) or not _REQUIRED_KEYS <= statement.keys() <= _STATEMENT_KEYS:
        raise _invalid(
            "a statement must have Effect, Principal, Action and Resource, and at most Sid and Condition besides"
        )
    if statement["Effect"] not in ("Allow", "Deny"):
        raise _invalid("Effect must be Allow or Deny")
    actions = _texts(statement["Action"], "Action")
    if strange := [action for action in actions if action.lower() not in _ACTIONS]:
        raise _invalid(f"the action {strange[0][:100]} cannot be shared")
    if set(_texts(statement["Resource"], "Resource")) != {arn}:
        raise _invalid(f"Resource must be {arn}")
    _require_condition(statement.get("Condition", {}))
    _require_principal(statement)


def _require_principal(statement: _Statement) -> None:
    principal = statement["Principal"]
    if principal != "*" and not (isinstance(principal, dict) and principal.keys() == {"AWS"}):
        raise _invalid("Principal must name AWS accounts")
    for each in _texts(_principals(principal), "Principal"):
        if each == "*":
            keys = {key.lower() for tests in statement.get("Condition", {}).values() for key in tests}
            if not keys & _ORGANIZATION_KEYS:
                raise _invalid("a statement for everybody must be held to an organization")
        elif _account(each) is None:
            raise _invalid(f"{each[:100]} is not an AWS principal")


def _require_condition(condition: Any) -> None:
    if not isinstance(condition, dict) or not all(isinstance(tests, dict) and tests for tests in condition.values()):
        raise _invalid("Condition must be an object of operators")
    for tests in condition.values():
        for key, values in tests.items():
            _texts(values, f"the condition {key[:100]}")


def _texts(value: Any, what: str) -> list[str]:
    found = as_list(value)
    if not found or not all(isinstance(each, str) and each for each in found):
        raise _invalid(f"{what} must be a text or a list of texts")
    return found
