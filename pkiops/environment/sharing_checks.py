"""Resource policies that a file declares: would the service take them, and whom do they let in?

Pure. What this module decides: which statements may stand in a file, that nobody is let in by accident (no wildcard for a principal or an
action, no condition that holds for everybody), and who outside of the CA's own account a policy lets in, which every plan says. How a policy is
compared with the one that exists is ``pkiops.ca.drift``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pkiops.environment.finding import Finding, KeyPath, listed

MAX_POLICY = 20_480  # the size of resource policies in general; PutPolicy takes more, and nobody reviews that
# what can be shared with another account (AWS Private CA User Guide, customer managed permissions)
SHAREABLE = (
    "DescribeCertificateAuthority",
    "GetCertificate",
    "GetCertificateAuthorityCertificate",
    "IssueCertificate",
    "ListPermissions",
    "ListTags",
    "RevokeCertificate",
)
_ACTIONS = {f"acm-pca:{name}".lower(): name for name in SHAREABLE}
_STATEMENT_KEYS = ("Sid", "Effect", "Principal", "Action", "Condition")
_SID = re.compile(r"[A-Za-z0-9]{1,128}")
_PRINCIPAL = re.compile(
    r"([0-9]{12})|arn:aws[a-z-]*:(?:iam|sts)::([0-9]{12}):(?:root|(?:role|user|assumed-role)/[A-Za-z0-9+=,.@_/-]+)"
)
# conditions that say who somebody is, and operators that no missing key, empty list or wildcard makes true for everybody
_WHO = {"aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn"}
_EQUAL = re.compile(r"(?:foranyvalue:)?(?:string(?:equals|like)|arn(?:equals|like))")
_NAMED = re.compile(r"o-[a-z0-9]{10,32}(?:/.*)?|[0-9]{12}|arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:.+")


def check_policy(policy: Mapping[str, Any], path: KeyPath) -> Iterator[Finding]:
    """Every finding about a resource policy. Its resource is the CA, whose ARN nobody knows before it exists: pkiops writes it."""
    unknown = [key for key in policy if key not in {"Version", "Statement"}]
    for key in unknown:
        yield Finding((*path, key), "here may stand Version or Statement", "env.policy", at_key=True)
    if unknown and "Statement" not in policy:
        return  # misspelled, and said
    if policy.get("Version", "2012-10-17") != "2012-10-17":
        yield Finding((*path, "Version"), 'write "2012-10-17", or leave it out', "env.policy")
    statements = policy.get("Statement")
    if not isinstance(statements, list) or not statements:
        yield Finding((*path, "Statement"), "write a list of statements", "env.policy")
        return
    if len(repr(policy)) > MAX_POLICY:
        yield Finding(path, f"is too large; at most {MAX_POLICY} characters", "env.policy", at_key=True)
    for index, statement in enumerate(statements):
        where = (*path, "Statement", index)
        if not isinstance(statement, dict):
            yield Finding(where, "write a mapping here", "env.policy")
        else:
            yield from _check_statement(statement, where)


def outsiders(policy: Mapping[str, Any], account: str) -> tuple[str, ...]:
    """Whom a sound policy lets in from outside of ``account``, and to do what: one line for each."""
    found = []
    for statement in policy.get("Statement", ()):
        if statement["Effect"] != "Allow":
            continue
        may = listed(_ACTIONS[action.lower()] for action in _list(statement["Action"])).replace(" or ", " and ")
        for one in _principals(statement["Principal"]):
            owner = _account_of(one)
            if one == "*":
                found.append(f"whoever meets its Condition, of any account, may {may}")
            elif owner != account:
                found.append(f"account {owner} may {may}" if one == owner else f"{one}, of account {owner}, may {may}")
    return tuple(dict.fromkeys(found))


def _check_statement(statement: Mapping[str, Any], path: KeyPath) -> Iterator[Finding]:
    for key in statement:
        if key == "Resource":
            message = "the resource is the CA itself, and pkiops writes it; remove this"
            yield Finding((*path, key), message, "env.policy", at_key=True)
        elif key not in _STATEMENT_KEYS:
            yield Finding((*path, key), f"here may stand {listed(_STATEMENT_KEYS)}", "env.policy", at_key=True)
    missing = [key for key in ("Effect", "Principal", "Action") if key not in statement]
    yield from (Finding((*path, key), "this key is required; add it", "env.missing-key") for key in missing)
    sid = statement.get("Sid", "x")
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        yield Finding((*path, "Sid"), "write letters and digits", "env.policy")
    if statement.get("Effect", "Allow") not in ("Allow", "Deny"):
        yield Finding((*path, "Effect"), "write Allow or Deny", "env.policy")
    if "Principal" in statement:
        yield from _check_principal(statement, path)
    actions = _list(statement.get("Action", "acm-pca:GetCertificate"))
    if not actions or not all(isinstance(one, str) and one.lower() in _ACTIONS for one in actions):
        message = f"write actions that can be shared, each as acm-pca:NAME: {listed(SHAREABLE)}"
        yield Finding((*path, "Action"), message, "env.policy")
    if not _is_condition(statement.get("Condition", {})):
        yield Finding((*path, "Condition"), "write operators, each with condition keys and texts", "env.policy")


def _check_principal(statement: Mapping[str, Any], path: KeyPath) -> Iterator[Finding]:
    principal = statement["Principal"]
    named = _principals(principal)
    sound = all(isinstance(one, str) and (one == "*" or _PRINCIPAL.fullmatch(one)) for one in named)
    if not named or not sound or not (principal == "*" or isinstance(principal, dict)):
        message = "write {AWS: account, role or user} without wildcards, or * with a Condition"
        yield Finding((*path, "Principal"), message, "env.policy")
    elif "*" in named and statement.get("Effect") == "Allow" and not _says_who(statement.get("Condition")):
        message = (
            "this lets every AWS account use the CA; name accounts, or add a Condition that says who they are, "
            "such as StringEquals: {aws:PrincipalOrgID: o-...}"
        )
        yield Finding((*path, "Principal"), message, "env.policy")


def _says_who(condition: object) -> bool:
    """Whether a condition holds for those only whom it names; one test is enough, because all of them must hold."""
    if not isinstance(condition, dict) or not _is_condition(condition):
        return False
    return any(
        _EQUAL.fullmatch(operator.lower())
        and key.lower() in _WHO
        and all(_NAMED.fullmatch(value) for value in _list(values))
        for operator, tests in condition.items()
        for key, values in tests.items()
    )


def _is_condition(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(tests, dict) and tests and all(_texts(values) for values in tests.values())
        for tests in value.values()
    )


def _principals(principal: object) -> list[Any]:
    if isinstance(principal, dict):
        return _list(principal["AWS"]) if set(principal) == {"AWS"} else []
    return [principal]


def _account_of(principal: str) -> str | None:
    match = _PRINCIPAL.fullmatch(principal)
    return (match[1] or match[2]) if match else None


def _texts(value: object) -> bool:
    return bool(_list(value)) and all(isinstance(one, str) and one for one in _list(value))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
