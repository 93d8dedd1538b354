"""Bringing an authority that exists to what the file says, part by part.

What this module decides: that only what differs is written, in this order: revocation, tags, resource policy, ACM's permission. Each part is read
again right before, so that a second run, or another one, has nothing left to do.
"""

from __future__ import annotations

from typing import Protocol

from pkiops.backends.interface import (
    AuthorityStatus,
    CreatesAuthorities,
    ObservedAuthority,
    ReadsAuthorities,
    SharesAuthorities,
    TagsAuthorities,
)
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.details import details_of
from pkiops.ca.drift import is_refused_to_disabled, missing_tags, policy_document, revocation_changes, sharing_changes


class Changes(ReadsAuthorities, CreatesAuthorities, TagsAuthorities, SharesAuthorities, Protocol):
    """What a backend must be able to do for its authorities to be changed."""


def update_authority(backend: Changes, wanted: DesiredAuthority, found: ObservedAuthority) -> bool:
    """Write what differs; return whether anything did.

    Raises:
        BackendError: a part could not be read or written; a re-run continues.
    """
    request, reference = wanted.request, found.reference
    changed = False
    if revocation_changes(request, found):
        backend.configure_revocation(reference, request.crl, request.ocsp)
        changed = True
    if tags := missing_tags(request, found):
        backend.tag_authority(reference, tags)
        changed = True
    sharing = sharing_changes(wanted, reference, details_of(backend, wanted, found))
    if found.status is AuthorityStatus.DISABLED:
        sharing = tuple(change for change in sharing if not is_refused_to_disabled(change))
    differing = {change.field for change in sharing}
    if "policy" in differing and wanted.policy is not None:
        if wanted.policy:
            backend.put_authority_policy(reference, policy_document(wanted.policy, reference))
        else:
            backend.delete_authority_policy(reference)
    if "acm permission" in differing:
        backend.set_acm_permission(reference, allowed=bool(wanted.acm_permission))
    return changed or bool(differing)
