"""Calls across accounts: whose authority a call is about, and whether its owner lets the caller in.

What this module decides: the owner of a CA may do everything; another account what can be shared and its resource policy allows, nothing
else, and learns nothing of authorities that are not shared with it. Within an account nobody is refused: there is no IAM here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from pkiops.sandbox.engine import policies, templates
from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.state import Authority, Region

Elsewhere: TypeAlias = Callable[[], Iterable[Region]]
Principal: TypeAlias = Callable[[], str]
_OWNER = re.compile(r"arn:[a-z-]+:acm-pca:[a-z0-9-]+:(\d{12}):certificate-authority/[0-9a-fA-F-]{36}", re.ASCII)


def owner(
    caller: Region, operation: str, request: dict[str, Any], elsewhere: Elsewhere, principal: Principal | None = None
) -> Region:
    """The Region whose authority a call is about; the caller's own where it names none, or no other's.

    An idempotency token of another account is made one of its own in ``request``.

    Args:
        caller: account and Region of the call.
        operation: its name.
        request: its checked request.
        elsewhere: the state of the other accounts in the same Region.
        principal: the ARN of who calls, asked for only to be named in a refusal; the account's root if it is not known.

    Raises:
        ServiceError: ``AccessDeniedException``.
    """
    arn = str(request.get("CertificateAuthorityArn") or request.get("ResourceArn") or "")
    match = _OWNER.fullmatch(arn)
    if match is None or match[1] == caller.account:
        return caller
    found = next(((region, region.authorities[arn]) for region in elsewhere() if arn in region.authorities), None)
    default = f"arn:{caller.partition}:acm-pca:::template/{templates.DEFAULT}/V1"
    context = {
        "aws:principalaccount": caller.account,
        "aws:securetransport": "true",
        **({policies.TEMPLATE_ARN: request.get("TemplateArn", default)} if operation == "IssueCertificate" else {}),
    }
    policy = found[1].policy if found else None
    allowed = policies.verdict(policy, operation, caller.account, context)
    if found is None or not allowed:
        name = principal() if principal else f"arn:{caller.partition}:iam::{caller.account}:root"
        raise _denied(name, operation, arn, is_explicit=allowed is False)
    if "IdempotencyToken" in request:
        # no token of the owner's can hold this separator
        request["IdempotencyToken"] = f"{caller.account}\0{request['IdempotencyToken']}"
    return found[0]


def shared(caller: Region, elsewhere: Elsewhere) -> Iterator[tuple[Region, Authority]]:
    """The authorities of other accounts that are shared with the caller."""
    for region in elsewhere():
        for authority in region.authorities.values():
            if policies.shares_with(authority.policy, caller.account):
                yield region, authority


def _denied(principal: str, operation: str, arn: str, *, is_explicit: bool) -> ServiceError:
    reason = (
        "with an explicit deny in a resource-based policy"
        if is_explicit
        else f"because no resource-based policy allows the acm-pca:{operation} action"
    )
    return ServiceError(
        "AccessDeniedException",
        f"User: {principal} is not authorized to perform: acm-pca:{operation} on resource: {arn} {reason}",
    )
