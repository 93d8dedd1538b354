"""Where an authority lives, as far as plans care: shown when it is not where the buckets are, and never changed by moving it. Pure.

What this module decides: an authority of the published index that lives where the file looks no more was moved in the file. A CA never moves, and
making another in its place would orphan what hangs below it: the plan says "needs a new generation", and how to go on seeing the old one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.environment.homes import homes_of
from pkiops.environment.index import AuthorityIndex
from pkiops.environment.models import PATTERNS, Environment
from pkiops.homes import home_of_reference
from pkiops.plan import Action, ActionKind, Change

Generation = tuple[str, int]


def left_behind(environment: Environment, index: AuthorityIndex | None) -> dict[Generation, str]:
    """The references that the index gives for declared authorities in homes which the file does not name, by label and generation."""
    known = homes_of(environment)
    # what a bucket holds is shown only if it is spelled as an ARN is
    return {
        (one.label, one.generation): one.reference
        for one in (index.authorities if index else ())
        if one.label in environment.authorities
        and re.fullmatch(PATTERNS.arn, one.reference)
        and home_of_reference(one.reference) not in known
    }


def moved_action(where: str, wanted: DesiredAuthority, elsewhere: Mapping[Generation, str]) -> Action | None:
    """The action that waits for a decision where an authority, or an older generation of it, was left in a home that the file names no more."""
    current = elsewhere.get((wanted.label, wanted.generation))
    if current is not None:
        home = home_of_reference(current)
        reason = (
            f"{current} is this authority, and a CA never moves: needs a new generation (generation: {wanted.generation + 1} "
            "and a new common name); write where the old one is into backend.former_homes"
        )
        return Action(ActionKind.BLOCKED, where, reason, (Change("home", str(home), str(wanted.request.home)),))
    older = sorted(reference for (label, _), reference in elsewhere.items() if label == wanted.label)
    if older:
        reason = (
            f"{older[0]} is an older generation of it, in a home that the file does not name: "
            "write it into backend.former_homes, or its certificates lose their CRL"
        )
        return Action(ActionKind.BLOCKED, where, reason)
    return None


def with_home(desired: Desired, wanted: DesiredAuthority, actions: Sequence[Action]) -> list[Action]:
    """The actions, each saying where the authority lives if that is not where the buckets are."""
    home = wanted.request.home
    if home is None or home == desired.home:
        return list(actions)
    return [_told(action, str(home)) for action in actions]


def _told(action: Action, home: str) -> Action:
    if any(change.field == "home" for change in action.changes):
        return action
    if action.kind is ActionKind.CREATE:
        return replace(action, changes=(Change("home", None, home), *action.changes))
    return replace(action, reason=f"{action.reason} ({home})")
