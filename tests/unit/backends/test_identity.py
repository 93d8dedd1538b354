"""Identity is three tags; two matches are an error."""

from __future__ import annotations

import pytest

from pkiops.backends.identity import find_authority, identity_tags, of_environment, require_authority
from pkiops.backends.interface import AuthorityStatus
from pkiops.errors import GuardRefused, NotFound
from tests.unit.ca.worlds import authority_as, desired

ROOT = authority_as(desired().authorities[0])


def test_the_one_with_the_three_tags_is_found() -> None:
    assert find_authority([ROOT], "dev", "root", 1) is ROOT
    for environment, label, generation in (("prod", "root", 1), ("dev", "clients", 1), ("dev", "root", 2)):
        assert find_authority([ROOT], environment, label, generation) is None


def test_deleted_and_untagged_ones_match_nothing() -> None:
    deleted = authority_as(desired().authorities[0], status=AuthorityStatus.DELETED)
    untagged = authority_as(desired().authorities[0], tags=None)
    assert of_environment([deleted, untagged], "dev") == ()


def test_none_and_two_are_errors() -> None:
    with pytest.raises(NotFound) as missing:
        require_authority([], "dev", "root", 1)
    assert missing.value.hint == "pkiops ca plan dev says what it takes, pkiops ca apply dev creates it"
    with pytest.raises(GuardRefused) as twice:
        find_authority([ROOT, ROOT], "dev", "root", 1)
    assert twice.value.exit_code == 9


def test_tags_are_text() -> None:
    assert identity_tags("dev", "root", 12)["pkiops:generation"] == "12"
