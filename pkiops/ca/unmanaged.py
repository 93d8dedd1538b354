"""Authorities of the account that no environment file speaks of: reported in plans, never touched. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pkiops.backends.identity import TAG_AUTHORITY, TAG_ENVIRONMENT, TAG_GENERATION
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import Desired
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
