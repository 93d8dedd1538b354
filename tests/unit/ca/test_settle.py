"""Which CAs are asked for their tags before anything is decided, with an index that is behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pkiops.backends.identity import find_authority, identity_tags
from pkiops.backends.interface import AuthorityStatus, AuthorityType, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.settle import settled, suspects
from pkiops.errors import InternalError
from tests.unit.ca.worlds import authority_as, desired

ROOT, CLIENTS = desired().authorities
OURS = identity_tags("dev", "clients", 1)


class Asked:
    """Confirms tags out of the truth, and remembers who was asked."""

    def __init__(self, *truth: ObservedAuthority) -> None:
        self._truth = {one.reference: one.tags for one in truth}
        self.asked: list[str] = []

    def confirm_tags(self, authorities: Sequence[ObservedAuthority]) -> tuple[ObservedAuthority, ...]:
        self.asked += [one.reference for one in authorities]
        return tuple(replace(one, tags=self._truth[one.reference], tags_confirmed=True) for one in authorities)


def listed(wanted: DesiredAuthority = CLIENTS, **changes: Any) -> ObservedAuthority:
    """As an index tells of it."""
    return authority_as(wanted, **{"tags_confirmed": False, **changes})


def stranger(name: str = "Somebody Else", **changes: Any) -> ObservedAuthority:
    return listed(reference=f"arn:{name}", subject={"common_name": name}, tags={}, **changes)


def true(one: ObservedAuthority, **tags: str) -> ObservedAuthority:
    return replace(one, tags={**(one.tags or {}), **tags})


def test_what_is_as_declared_is_believed() -> None:
    world = [listed(ROOT), listed(CLIENTS), stranger()]
    assert suspects([ROOT, CLIENTS], world) == frozenset()
    assert settled([ROOT, CLIENTS], object(), world) == tuple(world)


def test_a_ca_of_the_same_file_that_the_index_does_not_know_yet_is_found() -> None:
    unknown = listed(tags={})
    reader = Asked(replace(unknown, tags=OURS))
    world = settled([CLIENTS], reader, [unknown, stranger(), listed(ROOT)])
    assert reader.asked == [unknown.reference]
    found = find_authority(world, "dev", "clients", 1)
    assert found is not None
    assert found.reference == unknown.reference


@pytest.mark.parametrize("tags", [{}, {"team": "a"}, identity_tags("dev", "clients", 2), identity_tags("x", "y", 1)])
def test_old_tags_of_any_kind_do_not_hide_it(tags: dict[str, str]) -> None:
    old = listed(tags=tags)
    reader = Asked(replace(old, tags=OURS))
    world = settled([CLIENTS], reader, [old])
    assert find_authority(world, "dev", "clients", 1) is not None


def test_a_ca_of_another_type_or_subject_is_not_asked_unless_something_names_it() -> None:
    other = stranger()
    root = listed(tags={}, type=AuthorityType.ROOT)
    assert suspects([CLIENTS], [other, root]) == frozenset()
    assert suspects([CLIENTS], [other, root], named={("clients", 1): other.reference}) == {other.reference}
    assert suspects([CLIENTS], [other, root], named={("clients", 2): other.reference}) == frozenset()
    pinned = replace(CLIENTS, arn=other.reference)
    assert suspects([pinned], [other, root]) == {other.reference}


def test_nobody_is_asked_twice_nor_who_cannot_answer() -> None:
    gone = [listed(tags=None, status=status) for status in (AuthorityStatus.DELETED, AuthorityStatus.FAILED)]
    confirmed = listed(tags={}, tags_confirmed=True)
    assert (
        suspects([CLIENTS], [*gone, confirmed], named={("clients", 1): confirmed.reference}, exact=True) == frozenset()
    )


def test_two_of_one_identity_are_both_asked_before_it_is_an_error() -> None:
    one, other = listed(), listed(reference="arn:other")
    reader = Asked(one, replace(other, tags={}))  # the tags of the other were taken away a moment ago
    world = settled([CLIENTS], reader, [one, other])
    assert sorted(reader.asked) == sorted([one.reference, "arn:other"])
    found = find_authority(world, "dev", "clients", 1)
    assert found is not None
    assert found.reference == one.reference


def test_tags_that_differ_are_asked_for_before_they_are_changed() -> None:
    wanted = replace(CLIENTS, request=replace(CLIENTS.request, tags={**OURS, "team": "b"}))
    old = listed(tags={**OURS, "team": "a"})
    assert suspects([wanted], [old]) == {old.reference}
    assert suspects([wanted], [listed(tags={**OURS, "team": "b", "other": "x"})]) == frozenset()


def test_what_cannot_be_changed_and_differs_is_asked_for_before_it_blocks() -> None:
    assert len(suspects([CLIENTS], [listed(key_algorithm="RSA_2048")])) == 1


def test_right_before_a_change_the_one_to_be_changed_is_asked() -> None:
    one = listed()
    reader = Asked(replace(one, tags={}))
    world = settled([CLIENTS], reader, [one, listed(ROOT)], exact=True)
    assert reader.asked == [one.reference]
    assert find_authority(world, "dev", "clients", 1) is None


def test_an_answer_that_brings_another_into_doubt_is_followed() -> None:
    """The only match lost its tags, and the one that has them now is a CA of the same subject."""
    match, twin = listed(), listed(reference="arn:twin", tags={})
    reader = Asked(replace(match, tags={}), replace(twin, tags=OURS))
    world = settled([CLIENTS], reader, [match, twin], exact=True)
    assert sorted(reader.asked) == sorted([match.reference, "arn:twin"])
    found = find_authority(world, "dev", "clients", 1)
    assert found is not None
    assert found.reference == "arn:twin"


def test_a_backend_that_cannot_confirm_is_never_believed() -> None:
    with pytest.raises(InternalError) as caught:
        settled([CLIENTS], object(), [listed(tags={})])
    assert caught.value.code == "ca.unconfirmed"
