"""Which CA a verb at the end of its life is about: found by its tags, by subject and type where there are none, or by its ARN. Pure.

What this module decides: that an authority which the file no longer declares is found as long as it carries this environment's tags, that a
DELETED or FAILED one, whose tags nobody can read, is found by what the file declares, and that of two candidates none is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkiops.backends.identity import (
    TAG_AUTHORITY,
    TAG_ENVIRONMENT,
    TAG_GENERATION,
    Identities,
    identity_tags,
    of_environment,
)
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.ca.drift import same_subject, subject_text
from pkiops.ca.gone import UNTAGGED, is_untagged_twin
from pkiops.errors import GuardRefused, InputError, NotFound
from pkiops.homes import home_of_reference


@dataclass(frozen=True, slots=True)
class Target:
    """One generation of one authority, and the CA that it is; ``declared`` is None unless the file declares exactly this generation."""

    environment: str
    label: str
    generation: int
    authority: ObservedAuthority
    declared: DesiredAuthority | None

    @property
    def address(self) -> str:
        """Its address in plans."""
        return f"{self.environment}/ca/{self.label}"

    @property
    def words(self) -> str:
        """What names it after a verb on the command line: ``ENV AUTHORITY``, and its generation where the file means another."""
        other = "" if self.declared is not None else f" --generation {self.generation}"
        return f"{self.environment} {self.label}{other}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was named on the command line; ``generation`` None is the file's, ``reference`` None whichever CA fits."""

    label: str
    generation: int | None = None
    reference: str | None = None


def find_target(observed: Sequence[ObservedAuthority], desired: Desired, wish: Wish) -> Target:
    """The CA that exists for a wish; one that is DELETED counts only if nothing else does.

    Raises:
        NotFound: there is none (code ``ca.not-found``).
        InputError: it has several generations and none was named, or it is kept elsewhere.
        GuardRefused: several CAs fit.
    """
    generation = _generation(observed, desired, wish)
    declared = _declared(desired, wish.label, generation)
    if wish.reference is not None:
        found = _named(observed, desired, wish, generation)
        return Target(desired.environment, wish.label, generation, found, declared)
    tagged = Identities(observed, desired.environment).find(wish.label, generation)
    if tagged is not None:
        return Target(desired.environment, wish.label, generation, tagged, declared)
    if declared is not None:
        twin = _twin(_twins(observed, declared), desired.environment, wish.label)
        if twin is not None:
            return Target(desired.environment, wish.label, generation, twin, declared)
    raise _not_found(observed, desired, wish, generation)


def find_deleted(observed: Sequence[ObservedAuthority], desired: Desired, wish: Wish) -> Target:
    """The CA to be restored; one that is back by now is found by its tags.

    Raises:
        NotFound: no DELETED CA fits (code ``ca.not-found``).
        InputError: the file does not say what to look for, or it is kept elsewhere.
        GuardRefused: several fit, or another CA has taken the place (codes ``ca.duplicate-deleted``, ``ca.duplicate-identity``).
    """
    generation = _generation(observed, desired, wish)
    declared = _declared(desired, wish.label, generation)
    tagged = Identities(observed, desired.environment).find(wish.label, generation)
    if tagged is not None and wish.reference in {None, tagged.reference}:
        return Target(desired.environment, wish.label, generation, tagged, declared)
    if tagged is not None:
        raise GuardRefused(
            f"{desired.environment}/ca/{wish.label} generation {generation} exists: {tagged.reference}; "
            f"restoring {wish.reference} would make two of it",
            hint="name the generation that the DELETED one was: --generation N",
            code="ca.duplicate-identity",
        )
    if wish.reference is not None:
        found = _named(observed, desired, wish, generation)
        return Target(desired.environment, wish.label, generation, found, declared)
    if declared is None:
        raise InputError(
            f"the file does not declare generation {generation} of {wish.label!r}, and the tags of a DELETED CA cannot be read",
            hint=f"name it by --arn; DELETED are: {_deleted_text(observed)}",
            code="usage.authority",
        )
    deleted = [one for one in observed if one.status is AuthorityStatus.DELETED]
    twin = _twin(_twins(deleted, declared), desired.environment, wish.label)
    if twin is None:
        raise NotFound(
            f"no DELETED CA has the subject and type of {desired.environment}/ca/{wish.label} generation {generation}",
            hint=f"DELETED are: {_deleted_text(observed)}",
            code="ca.not-found",
        )
    return Target(desired.environment, wish.label, generation, twin, declared)


def in_doubt(observed: Sequence[ObservedAuthority], desired: Desired, wish: Wish) -> tuple[ObservedAuthority, ...]:
    """The CAs that have to be asked themselves for their tags before one of them is taken for the wish's, or for none of its.

    A listing may be minutes behind (``ObservedAuthority.tags_confirmed``). Asked is what is tagged as any generation of the authority, what is
    named, and what has the subject and type that the file declares.
    """
    declared = [one for one in desired.authorities if one.label == wish.label]

    def may_be_it(one: ObservedAuthority) -> bool:
        tags = one.tags or {}
        return (
            one.reference == wish.reference
            or (tags.get(TAG_ENVIRONMENT), tags.get(TAG_AUTHORITY)) == (desired.environment, wish.label)
            or any(one.type is each.request.type and same_subject(each.request, one) for each in declared)
        )

    return tuple(one for one in observed if not one.tags_confirmed and one.status not in UNTAGGED and may_be_it(one))


def is_tagged_as(found: ObservedAuthority, target: Target) -> bool:
    """Whether a CA carries the identity tags of a target."""
    wanted = identity_tags(target.environment, target.label, target.generation)
    return wanted.items() <= dict(found.tags or {}).items()


def _generation(observed: Sequence[ObservedAuthority], desired: Desired, wish: Wish) -> int:
    if any(outside.label == wish.label for one in desired.authorities for outside in one.outside):
        raise InputError(
            f"{desired.environment}/ca/{wish.label} is kept elsewhere: the account has nothing of it",
            hint="it is disabled, deleted or restored by whoever keeps it",
            code="usage.authority",
        )
    if wish.generation is not None:
        return wish.generation
    declared = next((one for one in desired.authorities if one.label == wish.label), None)
    if declared is not None:
        return declared.generation
    found = _generations(observed, desired.environment, wish.label)
    if len(found) > 1:
        raise InputError(
            f"the file declares no authority {wish.label!r}, and {len(found)} generations of it exist: {', '.join(map(str, found))}",
            hint="say which one: --generation N",
            code="usage.authority",
        )
    return found[0] if found else 1


def _generations(observed: Sequence[ObservedAuthority], environment: str, label: str) -> list[int]:
    tags = [dict(one.tags or {}) for one in of_environment(observed, environment)]
    numbers = [one.get(TAG_GENERATION, "") for one in tags if one.get(TAG_AUTHORITY) == label]
    return sorted({int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 4})


def _declared(desired: Desired, label: str, generation: int) -> DesiredAuthority | None:
    return next((one for one in desired.authorities if (one.label, one.generation) == (label, generation)), None)


def _named(observed: Sequence[ObservedAuthority], desired: Desired, wish: Wish, generation: int) -> ObservedAuthority:
    """The CA of an ARN, if it is or can be the one that was named beside it."""
    found = next((one for one in observed if one.reference == wish.reference), None)
    if found is None:
        raise NotFound(
            f"there is no CA {wish.reference} in this account and region",
            hint="after the days it could be restored in, a DELETED CA is gone for ever",
            code="ca.not-found",
        )
    if found.tags or found.status not in UNTAGGED:
        target = Target(desired.environment, wish.label, generation, found, None)
        if is_tagged_as(found, target):
            return found
        tags = sorted((found.tags or {}).items())
        problem = f"its tags are {', '.join(f'{key}={value}' for key, value in tags if key.startswith('pkiops:')) or 'none of ours'}"
    else:
        declared = _declared(desired, wish.label, generation)
        # after it was restored its tags tell whose it is; of one that never came to be nothing ever does
        if found.status is AuthorityStatus.DELETED and declared is None:
            return found
        if declared is not None and is_untagged_twin(found, declared):
            return found
        problem = f"it has no readable tags, and its subject is {subject_text(found)}"
    raise GuardRefused(
        f"{wish.reference} is not {desired.environment}/ca/{wish.label} generation {generation}: {problem}",
        hint="name the authority and the generation that it is",
        code="ca.foreign",
    )


def _twins(observed: Sequence[ObservedAuthority], declared: DesiredAuthority) -> list[ObservedAuthority]:
    found = [one for one in observed if is_untagged_twin(one, declared)]
    # what was left in another home is thought of only where the file's own has none
    at_home = [one for one in found if home_of_reference(one.reference) in {None, declared.request.home}]
    return at_home or found


def _twin(twins: Sequence[ObservedAuthority], environment: str, label: str) -> ObservedAuthority | None:
    if len(twins) > 1:
        names = ", ".join(f"{one.reference} ({one.status.value})" for one in twins)
        raise GuardRefused(
            f"{len(twins)} CAs without readable tags have the subject and type of {environment}/ca/{label}: {names}",
            hint="say which one: --arn ARN",
            code="ca.duplicate-deleted",
            details={"references": [one.reference for one in twins]},
        )
    return twins[0] if twins else None


def _not_found(observed: Sequence[ObservedAuthority], desired: Desired, wish: Wish, generation: int) -> NotFound:
    others = _generations(observed, desired.environment, wish.label)
    known = sorted(
        {dict(one.tags or {}).get(TAG_AUTHORITY, "") for one in of_environment(observed, desired.environment)}
    )
    if others:
        hint = f"it exists in generation {', '.join(map(str, others))}: --generation N"
    else:
        hint = f"{desired.environment} has {', '.join(filter(None, known)) or 'no CA'}; DELETED are: {_deleted_text(observed)}"
    return NotFound(
        f"{desired.environment}/ca/{wish.label} generation {generation} does not exist", hint=hint, code="ca.not-found"
    )


def _deleted_text(observed: Sequence[ObservedAuthority]) -> str:
    gone = [one for one in observed if one.status is AuthorityStatus.DELETED]
    shown = [f"{one.reference} ({one.subject.get('common_name', 'no common name')})" for one in gone[:5]]
    return ", ".join([*shown, *([f"{len(gone) - 5} more"] if len(gone) > 5 else [])]) or "none"
