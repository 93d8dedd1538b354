"""Changing certificate authorities that exist: revocation, status, deletion, tags, resource policy and ACM's permission.

Source: UpdateCertificateAuthority, DeleteCertificateAuthority, RestoreCertificateAuthority, TagCertificateAuthority, PutPolicy, GetPolicy,
DeletePolicy, CreatePermission, ListPermissions and DeletePermission of the service's API reference.
Updates read first and keep every field we have no word for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pkiops.aws_errors import translated
from pkiops.backends.aws_private_ca import shapes
from pkiops.backends.aws_private_ca.authorities import Authorities, is_bucket_permission
from pkiops.backends.interface import ACM_ACTIONS, AuthorityStatus, CrlSettings, OcspSettings
from pkiops.errors import AlreadyExists, BackendError, InvalidState, NotFound

ACM = "acm.amazonaws.com"
_MAX_POLICY = 81_920


class Configuration(Authorities):
    """What can be changed about a CA (the rest of CreatesAuthorities, TagsAuthorities, SharesAuthorities, RetiresAuthorities)."""

    def configure_revocation(self, reference: str, crl: CrlSettings, ocsp: OcspSettings | None = None) -> None:
        """Change CRL and OCSP settings (UpdateCertificateAuthority), keeping every field of the configuration we do not set.

        The service does not say whether half a configuration keeps the other half, so the whole is always sent.
        """
        client = self._clients.private_ca()
        with translated("DescribeCertificateAuthority", reference):
            answer: Mapping[str, Any] = client.describe_certificate_authority(CertificateAuthorityArn=reference)
        revocation = dict(answer["CertificateAuthority"].get("RevocationConfiguration") or {})
        revocation["CrlConfiguration"] = shapes.changed_crl(revocation.get("CrlConfiguration") or {}, crl)
        if ocsp is not None:
            revocation["OcspConfiguration"] = shapes.changed_ocsp(revocation.get("OcspConfiguration") or {}, ocsp)

        def update() -> None:
            with translated("UpdateCertificateAuthority", reference):
                client.update_certificate_authority(
                    CertificateAuthorityArn=reference,
                    RevocationConfiguration=revocation,  # type: ignore[arg-type]
                )

        self._while_settling(lambda: self._when_free(update), is_bucket_permission)

    def set_enabled(self, reference: str, *, enabled: bool) -> None:
        """Make a CA ACTIVE or DISABLED (UpdateCertificateAuthority with Status alone, which keeps the revocation configuration)."""

        def update() -> None:
            with translated("UpdateCertificateAuthority", reference):
                self._clients.private_ca().update_certificate_authority(
                    CertificateAuthorityArn=reference, Status="ACTIVE" if enabled else "DISABLED"
                )

        self._when_free(update)

    def delete_authority(self, reference: str, *, days: int) -> None:
        """Delete a CA (DeleteCertificateAuthority); one that is DELETED or gone by now is a success."""

        def delete() -> None:
            with translated("DeleteCertificateAuthority", reference):
                self._clients.private_ca().delete_certificate_authority(
                    CertificateAuthorityArn=reference, PermanentDeletionTimeInDays=days
                )

        try:
            self._when_free(delete)
        except NotFound:
            return
        except InvalidState:
            # the answer to an earlier attempt may have been lost
            if self.describe_authority(reference).status is not AuthorityStatus.DELETED:
                raise

    def restore_authority(self, reference: str) -> None:
        """Bring a DELETED CA back (RestoreCertificateAuthority); one that is back by now is a success."""

        def restore() -> None:
            with translated("RestoreCertificateAuthority", reference):
                self._clients.private_ca().restore_certificate_authority(CertificateAuthorityArn=reference)

        try:
            self._when_free(restore)
        except InvalidState:
            if self.describe_authority(reference).status is AuthorityStatus.DELETED:
                raise

    def tag_authority(self, reference: str, tags: Mapping[str, str]) -> None:
        """Add or change tags (TagCertificateAuthority); others stay."""
        with translated("TagCertificateAuthority", reference):
            self._clients.private_ca().tag_certificate_authority(
                CertificateAuthorityArn=reference, Tags=[{"Key": key, "Value": tags[key]} for key in sorted(tags)]
            )

    def authority_policy(self, reference: str) -> Mapping[str, Any] | None:
        """The resource policy (GetPolicy), None without one."""
        try:
            with translated("GetPolicy", reference):
                text = self._clients.private_ca().get_policy(ResourceArn=reference).get("Policy")
        except NotFound:
            return None
        return _policy(text, reference) if text else None

    def put_authority_policy(self, reference: str, policy: Mapping[str, Any]) -> None:
        """Put a resource policy in the place of any other (PutPolicy)."""
        text = json.dumps(policy, sort_keys=True, separators=(",", ":"))

        def put() -> None:
            with translated("PutPolicy", reference):
                self._clients.private_ca().put_policy(ResourceArn=reference, Policy=text)

        self._when_free(put)

    def delete_authority_policy(self, reference: str) -> None:
        """Remove the resource policy (DeletePolicy); none is a success."""

        def delete() -> None:
            with translated("DeletePolicy", reference):
                self._clients.private_ca().delete_policy(ResourceArn=reference)

        try:
            self._when_free(delete)
        except NotFound:
            if self.authority_policy(reference) is not None:
                raise

    def acm_permission(self, reference: str) -> tuple[str, ...]:
        """What ACM may do with the CA (ListPermissions), sorted; empty without a permission."""
        actions: set[str] = set()
        with translated("ListPermissions", reference):
            pages = self._clients.private_ca().get_paginator("list_permissions")
            for page in pages.paginate(CertificateAuthorityArn=reference):
                for one in page["Permissions"]:
                    if one.get("Principal") == ACM:
                        actions.update(one.get("Actions", ()))
        return tuple(sorted(actions))

    def set_acm_permission(self, reference: str, *, allowed: bool) -> None:
        """Give ACM all three actions (CreatePermission), or none (DeletePermission); a permission that gives fewer is made anew."""
        found = self.acm_permission(reference)
        if found and found != (ACM_ACTIONS if allowed else ()):
            self._delete_permission(reference)
            found = ()
        if allowed and not found:
            try:
                with translated("CreatePermission", reference):
                    self._clients.private_ca().create_permission(
                        CertificateAuthorityArn=reference,
                        Principal=ACM,
                        Actions=list(ACM_ACTIONS),  # type: ignore[arg-type]
                    )
            except AlreadyExists:
                return  # another run was faster

    def _delete_permission(self, reference: str) -> None:
        try:
            with translated("DeletePermission", reference):
                self._clients.private_ca().delete_permission(CertificateAuthorityArn=reference, Principal=ACM)
        except NotFound:
            if self.acm_permission(reference):
                raise


def _policy(text: str, reference: str) -> Mapping[str, Any]:
    problem = BackendError(f"policy of {reference} cannot be read", code="backend.answer")
    if len(text) > _MAX_POLICY:
        raise problem
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise problem from error
    if not isinstance(body, dict):
        raise problem
    return body
