"""Which observed authority is which declared one.

Identity is three tags set in the creating call itself. Two matches are an error, never a guess; DELETED authorities have no readable tags and
match nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pkiops.backends.interface import AuthorityStatus, ConfirmsTags, ObservedAuthority
from pkiops.errors import GuardRefused, NotFound

TAG_ENVIRONMENT = "pkiops:environment"
TAG_AUTHORITY = "pkiops:authority"
TAG_GENERATION = "pkiops:generation"
IDENTITY_TAGS = (TAG_ENVIRONMENT, TAG_AUTHORITY, TAG_GENERATION)


def identity_tags(environment: str, authority: str, generation: int) -> dict[str, str]:
    """The tags that identify one generation of one authority."""
    return {TAG_ENVIRONMENT: environment, TAG_AUTHORITY: authority, TAG_GENERATION: str(generation)}


def identity_values(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the identity tags among others, empty where one is missing."""
    return tuple(tags.get(key, "") for key in IDENTITY_TAGS)


def identity_of(one: ObservedAuthority) -> tuple[str, ...]:
    """The values of an authority's identity tags."""
    return identity_values(one.tags or {})


def of_environment(observed: Iterable[ObservedAuthority], environment: str) -> tuple[ObservedAuthority, ...]:
    """The authorities that carry the environment's tag, DELETED ones left out."""
    return tuple(
        one
        for one in observed
        if one.status is not AuthorityStatus.DELETED and (one.tags or {}).get(TAG_ENVIRONMENT) == environment
    )


class Identities:
    """The authorities of one environment by their identity, for many questions about one listing.

    Args:
        observed: a listing.
        environment: the environment's name.
    """

    def __init__(self, observed: Iterable[ObservedAuthority], environment: str) -> None:
        self._environment = environment
        self._found: dict[tuple[str, str], list[ObservedAuthority]] = {}
        for one in of_environment(observed, environment):
            tags = one.tags or {}
            identity = (tags.get(TAG_AUTHORITY, ""), tags.get(TAG_GENERATION, ""))
            self._found.setdefault(identity, []).append(one)

    def find(self, authority: str, generation: int) -> ObservedAuthority | None:
        """The one authority with these identity tags, or None.

        Raises:
            GuardRefused: two authorities carry the same identity.
        """
        matches = self._found.get((authority, str(generation)), [])
        if len(matches) > 1:
            names = ", ".join(one.reference for one in matches)
            raise GuardRefused(
                f"{self._environment}/ca/{authority} generation {generation} exists {len(matches)} times: {names}",
                hint="decide which one is right, and remove the pkiops:authority tag from the others",
                code="ca.duplicate-identity",
            )
        return matches[0] if matches else None


def confirmed_identity(
    reader: object, observed: Sequence[ObservedAuthority], environment: str, authority: str, generation: int
) -> tuple[ObservedAuthority, ...]:
    """A listing of ``reader`` in which every CA that is tagged as one authority was asked itself whether it still is.

    For those who are about to use it: a listing may be minutes behind.
    """
    wanted = identity_values(identity_tags(environment, authority, generation))
    return _confirmed(reader, observed, lambda one: identity_of(one) == wanted)


def confirmed_members(
    reader: object, observed: Sequence[ObservedAuthority], environment: str
) -> tuple[ObservedAuthority, ...]:
    """A listing of ``reader`` in which every CA that is tagged as one of an environment was asked itself whether it still is.

    For those who hand out what these CAs vouch for. One that was tagged a moment ago may be missing still.
    """
    return _confirmed(reader, observed, lambda one: (one.tags or {}).get(TAG_ENVIRONMENT) == environment)


def _confirmed(
    reader: object, observed: Sequence[ObservedAuthority], counts: Callable[[ObservedAuthority], bool]
) -> tuple[ObservedAuthority, ...]:
    doubtful = [one for one in observed if not one.tags_confirmed and counts(one)]
    if not doubtful or not isinstance(reader, ConfirmsTags):
        return tuple(observed)
    answers = {one.reference: one for one in reader.confirm_tags(doubtful)}
    return tuple(answers.get(one.reference, one) for one in observed)


def find_authority(
    observed: Iterable[ObservedAuthority], environment: str, authority: str, generation: int
) -> ObservedAuthority | None:
    """The one authority with these identity tags, or None.

    Raises:
        GuardRefused: two authorities carry the same identity.
    """
    return Identities(observed, environment).find(authority, generation)


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
            hint=f"pkiops ca plan {environment} says what it takes, pkiops ca apply {environment} creates it",
            code="ca.not-found",
        )
    return found
