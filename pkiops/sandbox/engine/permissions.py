"""Permissions: what a CA lets AWS Certificate Manager do, so that it can renew certificates.

What this module decides: the one principal the service knows, that only the owner's account can be the source, and what counts as the same
permission. Nothing here is enforced: there is no Certificate Manager in the sandbox that would use it.
"""

from __future__ import annotations

from typing import Any

from pkiops.sandbox.engine.errors import ServiceError, limit_exceeded, not_found, validation
from pkiops.sandbox.engine.paging import page
from pkiops.sandbox.engine.state import Authority, Context, Permission, Region, find_authority, require_state

PRINCIPAL = "acm.amazonaws.com"


def create_permission(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """CreatePermission."""
    now = context.clock.now()
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "CreatePermission", now)
    _require_known(region, request)
    principal = request["Principal"]
    if principal in authority.permissions:
        raise ServiceError(
            "PermissionAlreadyExistsException", f"{principal} has a permission of {authority.arn} already"
        )
    limit = context.settings.permissions_per_authority
    if len(authority.permissions) >= limit:
        raise limit_exceeded(limit, "permissions of a certificate authority")
    actions = tuple(dict.fromkeys(request["Actions"]))
    authority.permissions[principal] = Permission(principal, region.account, actions, now)
    return {}


def list_permissions(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """ListPermissions."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "ListPermissions", context.clock.now())
    shown = [_description(authority, permission) for permission in authority.permissions.values()]
    return page("Permissions", shown, request, key=lambda item: str(item["Principal"]))


def delete_permission(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """DeletePermission."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "DeletePermission", context.clock.now())
    _require_known(region, request)
    if authority.permissions.pop(request["Principal"], None) is None:
        raise not_found(f"{request['Principal']} has no permission of {authority.arn}")
    return {}


def _require_known(region: Region, request: dict[str, Any]) -> None:
    if request["Principal"] != PRINCIPAL:
        raise validation(f"Principal must be {PRINCIPAL}, not {request['Principal']}")
    if request.get("SourceAccount", region.account) != region.account:
        raise validation("SourceAccount must be the account that owns the certificate authority")


def _description(authority: Authority, permission: Permission) -> dict[str, Any]:
    return {
        "CertificateAuthorityArn": authority.arn,
        "CreatedAt": int(permission.created_at.timestamp()),
        "Principal": permission.principal,
        "SourceAccount": permission.source_account,
        "Actions": list(permission.actions),
    }
