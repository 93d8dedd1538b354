"""Which tags of a listing have to be confirmed before anything is decided from them.

A listing may take its tags from an index that is minutes behind (``ObservedAuthority.tags_confirmed``): a CA may be missing there that another run
made or adopted a moment ago, and a second one must never be made for it. What this module decides is the rule, and which CAs it names: a listing is
believed where it leads to nothing being done; a CA is asked itself wherever the listing leads to a change or to an error.

An authority that nothing in the listing is tagged as is about to be created. What could be it:

- every CA of the same subject and type: it was made, or adopted, from the same file;
- what the published index or a claim names for it, and the ARN that the file pins: it was made, or adopted, from another file, which says otherwise.
  Both records are read where they are written, without delay;
- every CA that is younger than an hour and has no tags yet: the backend asks those by itself, because anybody who lists wants them.

An authority that several CAs are tagged as is an error, and one whose CA differs in tags or in what cannot be changed is a change or an error: each
of these is asked. In an environment that is as declared that is nobody, so that reading it costs no call by the CA.

Right before a change (``exact``), the one CA that is to be changed is asked, too. How asking is done, and at which pace, is the backend's part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from pkiops.backends.interface import AuthorityStatus, ConfirmsTags, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.errors import InternalError

# label and generation
Generation: TypeAlias = tuple[str, int]
NOTHING_NAMED: Mapping[Generation, str] = MappingProxyType({})
# nobody is given their tags
_SILENT = {AuthorityStatus.DELETED, AuthorityStatus.FAILED}


def settled(
    wanted: Sequence[DesiredAuthority],
    reader: object,
    observed: Sequence[ObservedAuthority],
    *,
    named: Mapping[Generation, str] = NOTHING_NAMED,
    exact: bool = False,
) -> tuple[ObservedAuthority, ...]:
    """A listing with every tag confirmed that a decision about ``wanted`` rests on.

    Args:
        wanted: the authorities that are decided about.
        reader: where the listing comes from.
        observed: the listing.
        named: the reference that an index or a claim names for a generation of an authority.
        exact: confirm the CA of each authority, whatever it looks like.

    Raises:
        BackendError: a CA could not be asked.
    """
    found = tuple(observed)
    # a tag that is confirmed may show another CA in doubt; each round confirms at least one
    while doubtful := suspects(wanted, found, named=named, exact=exact):
        if not isinstance(reader, ConfirmsTags):
            raise InternalError("a listing in doubt, and nobody who could confirm it", code="ca.unconfirmed")
        asked = [one for one in found if one.reference in doubtful]
        answers = {one.reference: one for one in reader.confirm_tags(asked)}
        found = tuple(answers.get(one.reference, one) for one in found)
    return found


def suspects(
    wanted: Iterable[DesiredAuthority],
    observed: Iterable[ObservedAuthority],
    *,
    named: Mapping[Generation, str] = NOTHING_NAMED,
    exact: bool = False,
) -> frozenset[str]:
    """The references of the CAs that have to be asked for their tags; pure. Those already confirmed are not among them."""
    found = [one for one in observed if not one.tags_confirmed and one.status not in _SILENT]
    if not found:
        return frozenset()
    from pkiops.ca.doubt import World  # late: comparing is for those who are in doubt

    world = World(observed, found, named)
    return frozenset(one.reference for each in wanted for one in world.doubtful(each, exact=exact))
