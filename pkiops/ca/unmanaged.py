"""What no environment file speaks of: authorities of the account, and what a look in depth found about ours. Pure.

Reported in plans, never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pkiops.backends.identity import TAG_AUTHORITY, TAG_ENVIRONMENT, TAG_GENERATION, Identities
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.ca.details import Details
from pkiops.ca.observe import Observed
from pkiops.plan import Unmanaged


def unmanaged(desired: Desired, observed: Iterable[ObservedAuthority]) -> tuple[Unmanaged, ...]:
    """What is nobody's, and what carries this environment's tag but is not in its file; what others have, or the file pins, is left out."""
    declared = {one.label: one.generation for one in desired.authorities}
    pinned = {one.arn for one in desired.authorities}
    found = []
    for one in observed:
        if one.status is AuthorityStatus.DELETED or one.tags is None or one.reference in pinned:
            continue
        why = _why(desired.environment, declared, one.tags)
        if why:
            name = one.subject.get("common_name", "without a common name")
            found.append(Unmanaged(one.reference, f"{name}, {one.status.value}", why))
    return tuple(found)


def undeclared(desired: Desired, observed: Observed) -> tuple[Unmanaged, ...]:
    """Resource policies and permissions that exist though the file says nothing of them; known only where somebody looked (``--deep``)."""
    identities = Identities(observed.authorities, desired.environment)
    found = []
    for wanted in desired.authorities:
        one = identities.find(wanted.label, wanted.generation)
        details = observed.details.get(one.reference) if one else None
        if one is None or details is None:
            continue
        why = "the file does not speak of it, so it stays"
        found += [
            Unmanaged(one.reference, f"{what} of {wanted.label}", why) for what in undeclared_sharing(wanted, details)
        ]
    return tuple(found)


def undeclared_sharing(wanted: DesiredAuthority, details: Details) -> tuple[str, ...]:
    """What lets others use an authority though its declaration says nothing of it."""
    found = []
    if wanted.policy is None and details.policy is not None:
        found.append("resource policy")
    if wanted.acm_permission is None and details.acm_permission:
        found.append("permission for AWS Certificate Manager")
    return tuple(found)


def _why(environment: str, declared: Mapping[str, int], tags: Mapping[str, str]) -> str | None:
    owner = tags.get(TAG_ENVIRONMENT)
    if owner is None:
        return "carries no pkiops:environment tag"
    if owner != environment:
        return None
    label, generation = tags.get(TAG_AUTHORITY, ""), tags.get(TAG_GENERATION, "")
    if label not in declared:
        return "is tagged as of this environment, but the file declares no such authority"
    if not (generation.isascii() and generation.isdigit() and 1 <= int(generation[:4]) <= declared[label]):
        return f"is tagged with generation {generation or 'none'}, but the file is at {declared[label]}"
    return None
