"""Whoever is about to use an authority asks it whether it still is the one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pkiops.backends.identity import confirmed_identity, identity_tags, require_authority
from pkiops.backends.interface import ObservedAuthority
from pkiops.errors import GuardRefused, NotFound
from tests.unit.ca.worlds import authority_as, desired

CLIENTS = authority_as(desired().authorities[1], tags_confirmed=False)


class Reader:
    """Confirms that nobody carries any tags but those of ``still``."""

    def __init__(self, *still: ObservedAuthority) -> None:
        self._still = {one.reference for one in still}
        self.asked: list[str] = []

    def confirm_tags(self, authorities: Sequence[ObservedAuthority]) -> tuple[ObservedAuthority, ...]:
        self.asked += [one.reference for one in authorities]
        return tuple(
            replace(one, tags=one.tags if one.reference in self._still else {}, tags_confirmed=True)
            for one in authorities
        )


def use(reader: object, *observed: ObservedAuthority) -> str:
    listed = confirmed_identity(reader, observed, "dev", "clients", 1)
    return require_authority(listed, "dev", "clients", 1).reference


def test_the_one_that_is_used_is_asked_and_no_other() -> None:
    other = replace(CLIENTS, reference="arn:other", tags=identity_tags("dev", "clients", 2))
    reader = Reader(CLIENTS)
    assert use(reader, CLIENTS, other) == CLIENTS.reference
    assert reader.asked == [CLIENTS.reference]


def test_one_that_is_no_longer_tagged_is_not_used() -> None:
    with pytest.raises(NotFound):
        use(Reader(), CLIENTS)


def test_of_two_the_one_that_still_is_it_is_used() -> None:
    moved = replace(CLIENTS, reference="arn:moved")
    assert use(Reader(moved), CLIENTS, moved) == "arn:moved"
    with pytest.raises(GuardRefused):
        use(Reader(CLIENTS, moved), CLIENTS, moved)


def test_what_is_confirmed_already_is_asked_nothing() -> None:
    reader = Reader()
    assert use(reader, replace(CLIENTS, tags_confirmed=True)) == CLIENTS.reference
    assert reader.asked == []
