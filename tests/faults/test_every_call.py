"""Every API call of every verb fails in turn, in six ways: the error is clear, nothing is made twice, and a second run does the rest.

In ``make check`` each call is failed in one of the ways, taken in turn; ``make soak`` tries all. The second run is made once from each state that
the account can be left in: two failures after the same effects leave the same state. How many there were is said at the end (``summary.py``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.hierarchy import assert_harmless
from tests.faults.trouble import PASSING, Arrived, Fault, StrikesEachOnce, StrikesOne
from tests.faults.verbs import VERBS
from tests.faults.world import Ran, Stage, Verb, World, staged
from tests.seeded import SOAK

SHARES = 3
# failed before anything changed, or after
_FAILURES = {6, 7}
_GUARD = 9


@pytest.fixture(params=VERBS, ids=lambda verb: verb.name.replace(" ", "-"))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with staged(request.param, tmp_path) as made:
        yield made


def undisturbed(stage: Stage) -> Ran:
    """A run with no trouble; it must do what the verb is for."""
    world = stage.reset()
    ran = world.done(*stage.arguments)
    stage.verb.converged(world)
    return ran


def faults_of(arrived: Arrived, verb: Verb) -> list[Fault]:
    """The ways in which this call is failed."""
    kinds = [kind for kind in Fault if not (verb.reads and kind is Fault.KILLED)]
    if SOAK:
        return kinds
    turn = arrived.number % len(kinds)
    return [] if verb.looks_elsewhere and not arrived.changes else [kinds[turn]]


def disturbed(stage: Stage, arrived: Arrived, fault: Fault) -> Ran:
    world = stage.reset()
    if fault is Fault.KILLED:
        return world.kill(*stage.arguments, number=arrived.number)
    return world.run(*stage.arguments, trouble=StrikesOne(arrived.number, fault))


def assert_clear(ran: Ran, number: int, fault: Fault, verb: Verb) -> bool:
    """The run ended as one must that cannot go on: it says which call failed, and leaves no traceback. Returns whether there was such a call."""
    if len(ran.calls) < number:
        return False  # waiting makes the number of calls vary a little: it was over before
    struck = ran.calls[number - 1].call.operation
    bucket = re.split("[/?]", f"{ran.calls[number - 1].identity[0]}/")[1]
    if fault is Fault.KILLED:
        assert ran.code in {-9, 0}, ran.said
        return ran.code == -9
    assert "Traceback" not in ran.said
    assert "bug in pkiops" not in ran.said
    if ran.code == 0 and fault is Fault.LOST_ANSWER and struck in verb.recovers:
        return True
    if ran.code == 0:  # it was only a look, at what is not needed or when all was done
        assert not ran.calls[number - 1].changes or struck in verb.tolerates
        assert not verb.reads or {struck, "*"} & verb.tolerates
        assert struck in ran.said or bucket in ran.said
        return True
    assert ran.code in _FAILURES, ran.said
    (error,) = re.findall(r"^error: .*", ran.stderr, re.MULTILINE)
    assert struck in error or (bucket and f"bucket {bucket}" in error), ran.said
    assert "hint: " in ran.stderr
    return True


def assert_whole(stage: Stage, world: World, fault: Fault) -> None:
    """Nothing is there twice or open, and a second run does the rest."""
    assert_harmless(world.client("acm-pca"), world.client("s3"), foreign=stage.verb.foreign)
    ran = world.run(*stage.arguments)
    if fault is Fault.THROTTLED and ran.code == _GUARD and "pkiops cert resolve" in ran.said:
        # what was asked for could not be written down for longer than its token lives
        world.done("cert", "resolve", "dev")
        ran = world.run(*stage.arguments)
    assert ran.code == 0, ran.said
    stage.verb.converged(world)


@pytest.mark.parametrize("share", range(SHARES))
def test_a_failure_of_any_call_is_clear_and_a_second_run_completes(
    stage: Stage, share: int, record_property: Callable[[str, object], None]
) -> None:
    calls = undisturbed(stage).calls
    counts: Counter[str] = Counter()
    proven: set[tuple[str, ...]] = set()
    mine = calls[share * len(calls) // SHARES : (share + 1) * len(calls) // SHARES]
    for arrived in mine:
        for fault in faults_of(arrived, stage.verb):
            ran = disturbed(stage, arrived, fault)
            where = f"{stage.verb.name}, call {arrived.number} ({arrived.name}): {fault}"
            try:
                counts[str(fault)] += assert_clear(ran, arrived.number, fault, stage.verb)
                if ran.code == 0:
                    stage.verb.converged(stage.world)
                if stage.verb.reads:
                    assert not ran.effects
                elif ran.effects not in proven:
                    assert_whole(stage, stage.world, fault)
                    proven.add(ran.effects)
            except AssertionError as error:
                raise AssertionError(f"{where}\n{ran.said}\n{error}") from error
    record_property("faults", {"verb": stage.verb.name, "calls": len(mine), "states": len(proven), **counts})


def test_a_ledger_that_is_throttled_for_longer_than_a_token_lives(tmp_path: Path) -> None:
    (verb,) = (one for one in VERBS if one.name == "issue with a shared ledger")
    with staged(verb, tmp_path) as stage:
        calls = undisturbed(stage).calls
        asked = next(one.number for one in calls if one.call.operation == "IssueCertificate")
        noted = next(one for one in calls if one.number > asked and one.call.operation == "PutItem")
        ran = disturbed(stage, noted, Fault.THROTTLED)
        assert ran.code in _FAILURES, ran.said
        assert "the CA makes arn:aws:acm-pca:" in ran.stderr
        assert "later pkiops cert resolve dev finds it" in ran.stderr
        assert_whole(stage, stage.world, Fault.THROTTLED)


def test_trouble_that_passes_is_not_the_user_s(stage: Stage) -> None:
    for fault in PASSING:
        world = stage.reset()
        ran = world.run(*stage.arguments, trouble=StrikesEachOnce(fault))
        assert ran.code == 0, (fault, ran.said)
        assert len(ran.calls) > len({one.identity for one in ran.calls}) or not ran.calls
        stage.verb.converged(world)
