"""A CA without readable tags that keeps the place of a declared one: DELETED, or FAILED before it could be tagged. Pure.

What this module decides: which CA that is, and what is said of it. Nothing is made in its place until a person decides, so whatever speaks of an
authority that does not exist (plan, show, doctor, cost, inventory) has to look here before it says "apply".
"""

from __future__ import annotations

from collections.abc import Iterable

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.drift import same_subject

UNTAGGED = frozenset({AuthorityStatus.DELETED, AuthorityStatus.FAILED})


def is_untagged_twin(one: ObservedAuthority, wanted: DesiredAuthority) -> bool:
    """Whether nobody can read its tags, and its type and subject are those of the declared CA."""
    is_untagged = one.status in UNTAGGED and not one.tags
    return is_untagged and one.type is wanted.request.type and same_subject(wanted.request, one)


def keeps_place(wanted: DesiredAuthority, authorities: Iterable[ObservedAuthority]) -> ObservedAuthority | None:
    """The CA of the same subject and type whose tags nobody can read, or None."""
    return next((one for one in authorities if is_untagged_twin(one, wanted)), None)


def gone_text(one: ObservedAuthority) -> str:
    """What became of such a CA, with its ARN."""
    if one.status is AuthorityStatus.FAILED:
        return f"{one.reference} of the same subject is FAILED and never recovers"
    until = f" until {one.restorable_until:%Y-%m-%d}" if one.restorable_until else ""
    return f"{one.reference} of the same subject is DELETED and can be restored{until}"


def gone_hint(one: ObservedAuthority, environment: str, label: str) -> str:
    """What a person can do about it."""
    if one.status is AuthorityStatus.FAILED:
        return f"pkiops ca delete {environment} {label}, then pkiops ca apply {environment}"
    return f"restore it (pkiops ca restore {environment} {label}), or declare a new generation with a new common name"
