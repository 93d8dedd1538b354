"""Authorities that the file pins by ARN: the CA with that ARN is the authority, and no other. Pure.

One that does not carry our tags yet is adopted; that its certificate and issuer are as declared is checked by ``adopt.py`` when it is carried out.
"""

from __future__ import annotations

from pkiops.backends.identity import IDENTITY_TAGS
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.drift import immutable_changes
from pkiops.ca.observe import Observed
from pkiops.plan import Action, ActionKind, Change

# in these states a CA takes no tags, or never becomes usable
NOT_ADOPTABLE = {AuthorityStatus.DELETED, AuthorityStatus.FAILED, AuthorityStatus.CREATING}


def pinned_authority(wanted: DesiredAuthority, observed: Observed) -> ObservedAuthority | None:
    """The CA that the file pins by ARN, if it pins one and it exists."""
    return next((one for one in observed.authorities if one.reference == wanted.arn), None) if wanted.arn else None


def others_tags(wanted: DesiredAuthority, found: ObservedAuthority) -> dict[str, str]:
    """The identity tags by which a CA is another authority's."""
    tags = found.tags or {}
    return {key: tags[key] for key in IDENTITY_TAGS if key in tags and tags[key] != wanted.request.tags[key]}


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
    if pinned.status in NOT_ADOPTABLE:
        reason = f"the CA that the file pins is {pinned.status.value}: it cannot be adopted"
        if pinned.status is AuthorityStatus.DELETED:
            reason += f"; pkiops ca restore {where.split('/', maxsplit=1)[0]} {wanted.label} brings it back"
        return [Action(ActionKind.BLOCKED, where, reason, (change,))]
    others = others_tags(wanted, pinned)
    if others:
        reason = "the CA that the file pins carries the tags of another authority: remove them first"
        changes = tuple(Change(f"tag {key}", value, wanted.request.tags[key]) for key, value in others.items())
        return [Action(ActionKind.BLOCKED, where, reason, changes)]
    fixed = immutable_changes(wanted, pinned)
    if fixed:
        return [Action(ActionKind.BLOCKED, where, "the CA that the file pins is not as declared", fixed)]
    set_tags = tuple(
        Change(f"tag {key}", None, wanted.request.tags[key]) for key in IDENTITY_TAGS if key not in (pinned.tags or {})
    )
    reason = "the file pins it; what else differs is for the plan after this one"
    return [Action(ActionKind.ADOPT, where, reason, (change, *set_tags))]
