"""Which observed authority is which declared one.

Identity is three tags set in the creating call itself. Two matches are an error, never a guess; DELETED authorities have no readable tags and
match nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.errors import GuardRefused, NotFound

TAG_ENVIRONMENT = "pkiops:environment"
TAG_AUTHORITY = "pkiops:authority"
TAG_GENERATION = "pkiops:generation"


def identity_tags(environment: str, authority: str, generation: int) -> dict[str, str]:
    """The tags that identify one generation of one authority."""
    return {TAG_ENVIRONMENT: environment, TAG_AUTHORITY: authority, TAG_GENERATION: str(generation)}


def of_environment(observed: Iterable[ObservedAuthority], environment: str) -> tuple[ObservedAuthority, ...]:
    """The authorities that carry the environment's tag, DELETED ones left out."""
    return tuple(
        one
        for one in observed
        if one.status is not AuthorityStatus.DELETED and (one.tags or {}).get(TAG_ENVIRONMENT) == environment
    )


def find_authority(
    observed: Iterable[ObservedAuthority], environment: str, authority: str, generation: int
) -> ObservedAuthority | None:
    """The one authority with these identity tags, or None.

    Raises:
        GuardRefused: two authorities carry the same identity.
    """
    wanted = identity_tags(environment, authority, generation)
    matches = [one for one in of_environment(observed, environment) if wanted.items() <= dict(one.tags or {}).items()]
    if len(matches) > 1:
        names = ", ".join(one.reference for one in matches)
        raise GuardRefused(
            f"{environment}/ca/{authority} generation {generation} exists {len(matches)} times: {names}",
            hint="decide which one is right, and remove the pkiops:authority tag from the others",
            code="ca.duplicate-identity",
        )
    return matches[0] if matches else None


def require_authority(
    observed: Iterable[ObservedAuthority], environment: str, authority: str, generation: int
) -> ObservedAuthority:
    """The one authority with these identity tags.

    Raises:
        NotFound: there is none.
        GuardRefused: there are two.
    """
    found = find_authority(observed, environment, authority, generation)
    if found is None:
        raise NotFound(
            f"{environment}/ca/{authority} generation {generation} does not exist",
            hint=f"create it: pkiops ca apply {environment}",
            code="ca.not-found",
        )
    return found
