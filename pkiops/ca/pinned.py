"""Authorities that the file pins by ARN: the CA with that ARN is the authority, and no other. Pure.

One that does not carry our tags yet is adopted; that its certificate and issuer are as declared is checked by ``adopt.py`` when it is carried out.
"""

from __future__ import annotations

from pkiops.backends.identity import TAG_AUTHORITY, TAG_ENVIRONMENT, TAG_GENERATION
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.drift import immutable_changes
from pkiops.ca.observe import Observed
from pkiops.plan import Action, ActionKind, Change

_IDENTITY = (TAG_ENVIRONMENT, TAG_AUTHORITY, TAG_GENERATION)
_NEVER = {AuthorityStatus.DELETED, AuthorityStatus.FAILED, AuthorityStatus.CREATING}


def pinned_authority(wanted: DesiredAuthority, observed: Observed) -> ObservedAuthority | None:
    """The CA that the file pins by ARN, if it pins one and it exists."""
    return next((one for one in observed.authorities if one.reference == wanted.arn), None) if wanted.arn else None


def pinned_actions(
    where: str, wanted: DesiredAuthority, found: ObservedAuthority | None, observed: Observed
) -> list[Action] | None:
    """What the pinned ARN asks for; None where nothing is pinned, or the authority is the pinned CA already.

    Args:
        where: the authority's address.
        wanted: the authority as the file declares it.
        found: the CA that carries its identity tags.
        observed: everything that exists.
    """
    if wanted.arn is None or (found is not None and found.reference == wanted.arn):
        return None
    change = Change("arn", found.reference if found else None, wanted.arn)
    if found is not None:
        reason = f"{found.reference} carries its tags, but the file pins another CA: decide which one is right"
        return [Action(ActionKind.BLOCKED, where, reason, (change,))]
    pinned = pinned_authority(wanted, observed)
    if pinned is None:
        reason = (
            "the CA that the file pins does not exist: is this the right account and region? For a new CA remove arn"
        )
        return [Action(ActionKind.BLOCKED, where, reason, (change,))]
    if pinned.status in _NEVER:
        reason = f"the CA that the file pins is {pinned.status.value}: it cannot be adopted"
        return [Action(ActionKind.BLOCKED, where, reason, (change,))]
    tags = pinned.tags or {}
    others = tuple(
        Change(f"tag {key}", tags[key], wanted.request.tags[key])
        for key in _IDENTITY
        if key in tags and tags[key] != wanted.request.tags[key]
    )
    if others:
        reason = "the CA that the file pins carries the tags of another authority: remove them first"
        return [Action(ActionKind.BLOCKED, where, reason, others)]
    fixed = immutable_changes(wanted, pinned)
    if fixed:
        return [Action(ActionKind.BLOCKED, where, "the CA that the file pins is not as declared", fixed)]
    set_tags = tuple(Change(f"tag {key}", None, wanted.request.tags[key]) for key in _IDENTITY if key not in tags)
    reason = "the file pins it; what else differs is for the plan after this one"
    return [Action(ActionKind.ADOPT, where, reason, (change, *set_tags))]
