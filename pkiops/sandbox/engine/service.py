"""The service: one call in, one answer or one ``ServiceError`` out.

What this module decides: which operations exist, that each request is held to the model first and is atomic (one lock),
and that what time brings (a CRL at half of its life, a deleted CA beyond its restore window) happens before the call is
looked at.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pkiops.clock import Clock, Randomness
from pkiops.sandbox.engine import (
    access,
    audit_reports,
    authorities,
    crl,
    installation,
    issuance,
    permissions,
    policies,
    revocation,
    tags,
)
from pkiops.sandbox.engine.errors import not_implemented
from pkiops.sandbox.engine.request_model import checked_request
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import Authority, Context, CrlBuckets, Pace, Region, Status

Operation = Callable[[Context, Region, dict[str, Any]], dict[str, Any]]
OPERATIONS: Mapping[str, Operation] = {
    "CreateCertificateAuthority": authorities.create,
    "DescribeCertificateAuthority": authorities.describe,
    "ListCertificateAuthorities": authorities.list_authorities,
    "GetCertificateAuthorityCsr": authorities.get_csr,
    "GetCertificateAuthorityCertificate": authorities.get_certificate,
    "ImportCertificateAuthorityCertificate": installation.import_certificate,
    "UpdateCertificateAuthority": authorities.update,
    "DeleteCertificateAuthority": authorities.delete,
    "RestoreCertificateAuthority": authorities.restore,
    "IssueCertificate": issuance.issue_certificate,
    "GetCertificate": issuance.get_certificate,
    "RevokeCertificate": revocation.revoke_certificate,
    "TagCertificateAuthority": tags.tag_authority,
    "UntagCertificateAuthority": tags.untag_authority,
    "ListTags": tags.list_tags,
    "CreateCertificateAuthorityAuditReport": audit_reports.create_report,
    "DescribeCertificateAuthorityAuditReport": audit_reports.describe_report,
    "CreatePermission": permissions.create_permission,
    "ListPermissions": permissions.list_permissions,
    "DeletePermission": permissions.delete_permission,
    "PutPolicy": policies.put_policy,
    "GetPolicy": policies.get_policy,
    "DeletePolicy": policies.delete_policy,
}


class PrivateCa:
    """AWS Private CA. State lives in the ``Region`` objects handed in, so that their owner can forget them.

    Args:
        clock: the service's time.
        randomness: serials and identifiers; keys are always the operating system's.
        buckets: where CRLs are written.
        pace: how long asynchronous answers take.
        settings: delays, limits and failures that come later.
    """

    def __init__(
        self,
        clock: Clock,
        randomness: Randomness,
        buckets: CrlBuckets,
        pace: Pace | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._context = Context(clock, randomness, buckets, pace or Pace(), settings or Settings())
        self._lock = threading.RLock()

    @property
    def context(self) -> Context:
        """What the operations need from outside; for what is answered beside the API (OCSP)."""
        return self._context

    @property
    def clock(self) -> Clock:
        """The service's time."""
        return self._context.clock

    def call(
        self,
        region: Region,
        operation: str,
        request: Mapping[str, Any],
        elsewhere: access.Elsewhere = tuple,
        principal: access.Principal | None = None,
    ) -> dict[str, Any]:
        """Carry out one operation; ``request`` and the answer are as on the wire (JSON, blobs base64, moments in epoch seconds).

        Args:
            region: account and Region of the caller.
            operation: its name.
            request: what it asks for.
            elsewhere: the state of the other accounts in the same Region, for what they share.
            principal: the ARN of who calls, for the text of a refusal.

        Raises:
            ServiceError: the service's refusal.
        """
        implementation = OPERATIONS.get(operation)
        if implementation is None:
            raise not_implemented(f"the operation {operation}")
        checked = checked_request(operation, request)
        with self._lock, _tolerant():
            if operation == "ListCertificateAuthorities" and checked.get("ResourceOwner") == "OTHER_ACCOUNTS":
                for other in elsewhere():
                    self.maintain(other)
                return authorities.list_shared(self._context, access.shared(region, elsewhere), checked)
            owner = access.owner(region, operation, checked, elsewhere, principal)
            self.maintain(owner)
            context = self._context if owner is region else replace(self._context, caller=region.account)
            return implementation(context, owner, checked)

    def known_by_tags(self, region: Region) -> list[Authority]:
        """The CAs that the Resource Groups Tagging API knows by now, in the order of their creation."""
        self.maintain(region)
        with self._lock:
            latest = self._context.clock.now() - self._context.settings.tagging_delay
            found = region.authorities.values()
            return [one for one in found if one.status is not Status.DELETED and one.created_at <= latest]

    def maintain(self, region: Region) -> None:
        """Let happen what time brings."""
        with self._lock, _tolerant():
            now = self._context.clock.now()
            authorities.forget_deleted(region, now)
            for authority in region.authorities.values():
                authorities.settle_creation(authority, now)
                crl.publish_if_due(self._context, region, authority)
                audit_reports.settle(self._context, region, authority)


@contextlib.contextmanager
def _tolerant() -> Iterator[None]:
    """Let pass what cryptography only warns of, such as a country of three letters, where a program takes warnings for errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
