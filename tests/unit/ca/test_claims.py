"""Claims: two runs, equal or different inputs, young, joined, dead and hostile claims."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pkiops.ca.claims import Claims, claim_key, inputs_digest
from pkiops.clock import ManualClock, SystemClock
from pkiops.errors import GuardRefused
from pkiops.stores.local import LocalStore
from tests.unit.ca.worlds import desired

WANTED = desired().authorities[1]
HOME = {"account": "111122223333", "region": "eu-west-1"}
MINE = inputs_digest(HOME, WANTED)
OTHERS = inputs_digest(HOME, replace(WANTED, path_length=1))
ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/1"


class World:
    """One bucket, a clock that both runs share, and the CAs that exist."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(SystemClock().now())  # files are stamped by the machine
        self.store = LocalStore(folder / "store", self.clock)
        self.existing: set[str] = set()

    def claims(self, caller: str) -> Claims:
        return Claims(
            self.store,
            "dev",
            caller=caller,
            run=f"run of {caller}",
            clock=self.clock,
            exists=self.existing.__contains__,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_first_holds_it_for_a_minute(world: World) -> None:
    claims = world.claims("alice")
    hold = claims.take(WANTED, MINE)
    assert claims.is_held(hold)
    world.clock.advance(timedelta(seconds=61))
    assert not claims.is_held(hold)
    assert claims.is_held(claims.take(WANTED, MINE))


def test_other_inputs_are_stopped_and_told_who_was_first(world: World) -> None:
    world.claims("alice").take(WANTED, MINE)
    with pytest.raises(GuardRefused) as caught:
        world.claims("bob").take(WANTED, OTHERS)
    assert caught.value.code == "ca.claimed"
    assert "alice" in caught.value.message
    assert caught.value.exit_code == 9
    assert caught.value.details["caller"] == "alice"


def test_equal_inputs_join_while_the_claim_is_young_and_renew_an_old_one(world: World) -> None:
    world.claims("alice").take(WANTED, MINE)
    joined = world.claims("bob").take(WANTED, MINE)
    assert joined.claim.caller == "alice"
    world.clock.advance(timedelta(seconds=45))
    renewed = world.claims("bob").take(WANTED, MINE)
    assert renewed.claim.caller == "bob"


def test_one_that_waits_too_long_does_not_get_its_claim_back_once_another_has_it(world: World) -> None:
    alice = world.claims("alice")
    hold = alice.take(WANTED, MINE)
    world.clock.advance(timedelta(seconds=601))
    # the store stamps by the machine's clock, so what bob writes now looks old too: he must still be found there
    assert world.claims("bob").take(WANTED, OTHERS).claim.caller == "bob"
    assert not alice.is_held(hold)
    found = alice.holder(WANTED.label, WANTED.generation)
    assert found is not None
    assert found.caller == "bob"


def test_a_dead_claim_is_replaced_only_after_ten_minutes(world: World) -> None:
    world.claims("alice").take(WANTED, MINE)
    world.clock.advance(timedelta(seconds=590))
    with pytest.raises(GuardRefused):
        world.claims("bob").take(WANTED, OTHERS)
    world.clock.advance(timedelta(seconds=20))
    world.claims("bob").take(WANTED, OTHERS)


def test_a_claim_with_a_ca_to_show_for_it_never_dies(world: World) -> None:
    alice = world.claims("alice")
    alice.fulfil(alice.take(WANTED, MINE), ARN)
    world.existing.add(ARN)
    world.clock.advance(timedelta(days=300))
    with pytest.raises(GuardRefused) as caught:
        world.claims("bob").take(WANTED, OTHERS)
    assert ARN in caught.value.message


def test_a_claim_whose_ca_is_gone_is_replaced(world: World) -> None:
    alice = world.claims("alice")
    alice.fulfil(alice.take(WANTED, MINE), ARN)
    world.clock.advance(timedelta(days=40))
    assert world.claims("bob").take(WANTED, OTHERS).claim.caller == "bob"


def test_equal_inputs_whose_ca_lost_its_tags_do_not_make_a_second_one(world: World) -> None:
    alice = world.claims("alice")
    alice.fulfil(alice.take(WANTED, MINE), ARN)
    world.existing.add(ARN)
    again = world.claims("bob").take(WANTED, MINE)
    assert again.made == ARN  # the token still makes one call of two
    world.clock.advance(timedelta(minutes=6))
    with pytest.raises(GuardRefused) as caught:
        world.claims("bob").take(WANTED, MINE)
    assert caught.value.code == "ca.untagged"


def test_fulfilling_joins_what_another_run_of_equal_inputs_wrote(world: World) -> None:
    alice, bob = world.claims("alice"), world.claims("bob")
    hold = alice.take(WANTED, MINE)
    world.clock.advance(timedelta(seconds=40))
    bob.take(WANTED, MINE)
    alice.fulfil(hold, ARN)
    found = bob.holder(WANTED.label, WANTED.generation)
    assert found is not None
    assert found.reference == ARN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b'{"digest": 1}',
        b"[" * 4000,
        b'{"digest": "x", "caller": "\\u202e", "run": "r", "reference": {}}',
    ],
)
def test_a_claim_that_cannot_be_read_stops_until_it_is_old(world: World, data: bytes) -> None:
    world.store.put(claim_key("dev", WANTED.label, WANTED.generation), data)
    with pytest.raises(GuardRefused, match="somebody"):
        world.claims("bob").take(WANTED, MINE)
    world.clock.advance(timedelta(minutes=11))
    world.claims("bob").take(WANTED, MINE)


def test_a_caller_is_shown_escaped(world: World) -> None:
    world.claims("arn:\x1b[31m\u202eroot").take(WANTED, MINE)
    with pytest.raises(GuardRefused) as caught:
        world.claims("bob").take(WANTED, OTHERS)
    assert caught.value.message.isascii()
    assert "\x1b" not in caught.value.message


def test_the_digest_is_of_everything_the_file_says_and_of_the_place() -> None:
    assert inputs_digest(HOME, WANTED) == MINE
    assert inputs_digest({**HOME, "region": "eu-central-1"}, WANTED) != MINE
    assert inputs_digest(HOME, replace(WANTED, request=replace(WANTED.request, usage_mode="X"))) != MINE
