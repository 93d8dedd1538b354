"""The CAs of a listing on whose tags a decision about an authority rests, found quickly among thousands. Pure; the rule is told in ``settle.py``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pkiops.backends.identity import identity_of, identity_values
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.drift import immutable_changes, same_subject, subject_attributes, tag_changes
from pkiops.ca.settle import Generation


class World:
    """A listing, ready for many questions.

    Args:
        observed: all of it.
        found: the CAs whose tags are not confirmed and could be.
        named: the reference that an index or a claim names for a generation of an authority.
    """

    def __init__(
        self, observed: Iterable[ObservedAuthority], found: Sequence[ObservedAuthority], named: Mapping[Generation, str]
    ) -> None:
        self._named = named
        self._by_reference = {one.reference: one for one in found}
        self._by_identity: dict[tuple[str, ...], list[ObservedAuthority]] = {}
        for one in observed:
            if one.status is not AuthorityStatus.DELETED:
                self._by_identity.setdefault(identity_of(one), []).append(one)
        self._by_subject: dict[frozenset[tuple[str, str]], list[ObservedAuthority]] = {}
        for one in found:
            self._by_subject.setdefault(frozenset(subject_attributes(one)), []).append(one)

    def doubtful(self, wanted: DesiredAuthority, *, exact: bool) -> Iterator[ObservedAuthority]:
        """The unconfirmed CAs on which a decision about ``wanted`` rests."""
        matches = self._by_identity.get(identity_values(wanted.request.tags), [])
        references = {wanted.arn, None if matches else self._named.get((wanted.label, wanted.generation))}
        yield from (self._by_reference[one] for one in references if one in self._by_reference)
        if not matches:
            for one in self._by_subject.get(frozenset(subject_attributes(wanted.request)), ()):
                if one.type is wanted.request.type and same_subject(wanted.request, one):
                    yield one
        for one in matches:
            if not one.tags_confirmed and (
                exact or len(matches) > 1 or tag_changes(wanted.request, one) or immutable_changes(wanted, one)
            ):
                yield one
