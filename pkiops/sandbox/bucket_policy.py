"""Whether a bucket policy lets the CA service write: a small, strict reader of policy documents.

What this module decides: a request of the service is allowed if a statement allows its action and resource under conditions
this reader understands, and none denies it. A condition it does not understand never allows and never denies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pkiops.sandbox.engine.policy_conditions import conditions_hold
from pkiops.sandbox.engine.policy_language import as_list, like

SERVICE = "acm-pca.amazonaws.com"
SERVICE_NAME = "aws:principalservicename"
# Regions an account must turn on (AWS Account Management guide); what is not here is on by default
_OPT_IN_REGIONS = frozenset(
    {
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "eu-south-1",
        "eu-south-2",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
    }
)
_BUCKET_ACTIONS = ("s3:GetBucketAcl", "s3:GetBucketLocation")
_OBJECT_ACTIONS = ("s3:PutObject", "s3:PutObjectAcl")
_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")


def service_principal(authority_region: str, bucket_region: str) -> str | None:
    """The name under which the service of a CA's Region writes into a bucket's, or None where it cannot (CRL planning of the user guide)."""
    if authority_region == bucket_region:
        return SERVICE
    if bucket_region in _OPT_IN_REGIONS:
        return None
    return f"acm-pca.{authority_region}.amazonaws.com" if authority_region in _OPT_IN_REGIONS else SERVICE


def refusal(policy: str | None, *, partition: str, bucket: str, key: str, context: Mapping[str, str]) -> str | None:
    """Why the service may not write ``key``, or None if it may.

    ``context`` holds the condition keys of the request, lower case (``aws:sourceaccount``, ``aws:sourcearn``, ...); the service is
    its ``aws:principalservicename``, by default ``SERVICE``.
    """
    bucket_arn = f"arn:{partition}:s3:::{bucket}"
    wanted = [(action, bucket_arn) for action in _BUCKET_ACTIONS]
    wanted += [(action, f"{bucket_arn}/{key}") for action in _OBJECT_ACTIONS]
    return _refusal(policy, wanted, context)


def key_refusal(policy: str | None, *, key_arn: str, context: Mapping[str, str]) -> str | None:
    """Why a KMS key's policy keeps the service from encrypting with it, or None; ``context`` as in ``refusal``."""
    reason = _refusal(policy, [(action, key_arn) for action in _KEY_ACTIONS], context)
    return None if reason is None else f"of the KMS key {key_arn} it is encrypted with: {reason}"


def _refusal(policy: str | None, wanted: Iterable[tuple[str, str]], context: Mapping[str, str]) -> str | None:
    service = context.get(SERVICE_NAME, SERVICE)
    try:
        document = json.loads(policy) if policy else None
    except ValueError:
        return "its policy is not JSON"
    if not isinstance(document, dict):
        return f"it has no policy that lets {service} write"
    statements = [s for s in as_list(document.get("Statement")) if isinstance(s, dict)]
    for action, resource in wanted:
        if any(s.get("Effect") == "Deny" and _applies(s, action, resource, context) for s in statements):
            return f"its policy denies {action} on {resource} to {service}"
        if not any(s.get("Effect") == "Allow" and _applies(s, action, resource, context) for s in statements):
            return f"its policy does not allow {action} on {resource} to {service}"
    return None


def verdict_for_anyone(policy: str | None, action: str, resource: str, context: Mapping[str, str]) -> bool | None:
    """Whether statements for everyone (``Principal: "*"``) allow a call, deny it, or (None) say nothing of it."""
    try:
        document = json.loads(policy) if policy else None
    except ValueError:
        return None
    statements = (
        [s for s in as_list(document.get("Statement")) if isinstance(s, dict)] if isinstance(document, dict) else []
    )
    effects = {
        str(s.get("Effect"))
        for s in statements
        if _names_anyone(s.get("Principal")) and _concerns(s, action, resource, context)
    }
    if "Deny" in effects:
        return False
    return True if "Allow" in effects else None


def _names_anyone(principal: Any) -> bool:
    return bool(principal == "*") or (isinstance(principal, dict) and "*" in as_list(principal.get("AWS")))


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    service = context.get(SERVICE_NAME, SERVICE)
    return _names_service(statement.get("Principal"), service) and _concerns(statement, action, resource, context)


def _concerns(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    return (
        any(like(action.lower(), str(p).lower()) for p in as_list(statement.get("Action")))
        and any(like(resource, str(p)) for p in as_list(statement.get("Resource")))
        and conditions_hold(statement.get("Condition") or {}, context)
    )


def _names_service(principal: Any, service: str) -> bool:
    if isinstance(principal, dict):
        return service in as_list(principal.get("Service")) or "*" in as_list(principal.get("AWS"))
    return bool(principal == "*")
