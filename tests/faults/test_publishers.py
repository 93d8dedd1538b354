"""Two publishers of one environment, in every order: the published number never goes back, and no reader sees a set that is not whole.

Each makes its calls one at a time, in an order that a test chooses; one may be stale, be throttled, lose an answer or be killed at any call. For two,
every pair of calls at which they can stand against each other is tried; for three, and for CAs that write meanwhile, random orders.
``make check`` tries a share of the pairs, ``make soak`` every pair with all that can become of a call.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.publishers import CLEAR, Publishers, Sight
from tests.faults.turns import Fate, Turn
from tests.seeded import SOAK, seeded

_STALE = Sight(behind=(("clients", 1),))
_STALE_ABOVE = Sight(behind=(("root", 1),))
_BLIND = Sight(blind=frozenset({"clients"}))
_PAIRS = {
    "both see all": (CLEAR, CLEAR),
    "the second is stale": (CLEAR, _STALE),
    "the first is stale": (_STALE, CLEAR),
    "each is stale elsewhere": (_STALE, _STALE_ABOVE),
    "the first does not know a CA": (_BLIND, CLEAR),
}
_HARMLESS = frozenset({Fate.DONE, Fate.REPEATED})
_SHARE = 23


def _begun(sights: tuple[Sight, ...], *, published: bool) -> Publishers:
    """Publishers that stand before their first call; what is published, if anything, is older than all they see."""
    made = Publishers(sights)
    if published:
        made.hierarchy.written = dict.fromkeys(made.hierarchy.written, 1)
        made.publish()
        made.hierarchy.written = dict.fromkeys(made.hierarchy.written, 3)
    made.begin()
    return made


def _run(publishers: Publishers, first: int, second: int, fate: Fate) -> tuple[int, int]:
    """The first makes ``first`` calls, the other ``second``; then the first's next call has this fate; then both go on to the end, the other last.

    Returns how many calls they made in all.
    """
    one, other = publishers.turns
    for turn, count in ((one, first), (other, second)):
        for _ in range(count):
            turn.step()
            publishers.look()
    one.step(fate)
    publishers.look()
    for turn in (one, other):
        while not turn.ended:
            turn.step()
            publishers.look()
    publishers.assert_ended_well(struck=[] if fate in _HARMLESS else [one])
    publishers.assert_newest_after_another_run()
    return one.calls, other.calls


@pytest.mark.parametrize("published", [True, False], ids=["published before", "the first set"])
@pytest.mark.parametrize("pair", _PAIRS)
def test_two_publishers_at_pairs_of_their_calls(pair: str, published: bool) -> None:
    alone = _run(_begun(_PAIRS[pair], published=published), 0, 0, Fate.DONE)
    calls = range(max(alone) + 1)
    assert len(calls) > 20
    tried = list(itertools.product(calls, calls))
    if SOAK:
        runs = [(first, second, fate) for first, second in tried for fate in Fate]
    else:
        # another share in each of the ten worlds, and what becomes of the call in turn
        mine = tried[(list(_PAIRS).index(pair) * 2 + published) :: _SHARE]
        runs = [(first, second, fate) for (first, second), fate in zip(mine, itertools.cycle(Fate), strict=False)]
    for first, second, fate in runs:
        try:
            _run(_begun(_PAIRS[pair], published=published), first, second, fate)
        except AssertionError as error:
            raise AssertionError(f"after {first} and {second} calls, {fate}") from error


_STEPS = st.one_of(
    st.tuples(st.integers(0, 2), st.just(Fate.DONE)),
    st.tuples(st.integers(0, 2), st.sampled_from(Fate)),
    st.sampled_from(["root", "clients"]),
)


@seeded(40)
@given(
    sights=st.lists(st.sampled_from([CLEAR, CLEAR, _STALE, _STALE_ABOVE, _BLIND]), min_size=3, max_size=3),
    published=st.booleans(),
    steps=st.lists(_STEPS, min_size=20, max_size=120),
)
def test_three_publishers_and_cas_that_write_meanwhile(
    sights: list[Sight], published: bool, steps: list[tuple[int, Fate] | str]
) -> None:
    publishers = _begun(tuple(sights), published=published)
    struck: list[Turn] = []
    for step in steps:
        if isinstance(step, str):
            publishers.hierarchy.write(step)
            continue
        turn = publishers.turns[step[0]]
        if not turn.ended and step[1] not in _HARMLESS:
            struck.append(turn)
        turn.step(step[1])
        publishers.look()
    for turn in publishers.turns:
        while not turn.ended:
            turn.step()
            publishers.look()
    publishers.assert_ended_well(struck=struck)
    publishers.assert_newest_after_another_run()
