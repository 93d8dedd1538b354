"""How faults and quotas are written, and which call they hit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pkiops.clock import ManualClock
from pkiops.errors import InputError
from pkiops.sandbox.calls import Call
from pkiops.sandbox.engine.request_model import operation_names
from pkiops.sandbox.faults import Fault, Faults, When, fault
from pkiops.sandbox.quotas import DEFAULT_RATES, Quotas, rates
from pkiops.sandbox.traffic import Dropped, Hindrances, Traffic

START = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("IssueCertificate:3:after:drop", Fault("IssueCertificate", 3, When.AFTER, "drop")),
        ("*:7:before:ThrottlingException", Fault("*", 7, When.BEFORE, "ThrottlingException")),
        ("PutObject:1:before:503", Fault("PutObject", 1, When.BEFORE, "503")),
        ("GetCertificate:2:after:stop", Fault("GetCertificate", 2, When.AFTER, "stop")),
    ],
)
def test_a_fault_is_four_words(text: str, read: Fault) -> None:
    assert fault(text) == read
    assert str(read) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "drop",
        "IssueCertificate:0:after:drop",
        "IssueCertificate:-1:after:drop",
        "IssueCertificate:1:during:drop",
        "IssueCertificate:1:after:200",
        "IssueCertificate:1:after:600",
        "IssueCertificate:1:after:",
        "Issue Certificate:1:after:drop",
        "IssueCertificate:1:after:drop\n",
        "IssueCertificate:1:after:drop:drop",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(InputError, match="is not a fault"):
        fault(text)


def test_a_fault_hits_the_kth_call_of_its_operation_once() -> None:
    faults = Faults([fault("B:2:before:drop")])
    assert [faults.hit(name) is not None for name in ("A", "B", "A", "B", "B", "B")] == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]
    assert faults.pending == ()


def test_a_star_counts_every_call() -> None:
    faults = Faults([fault("*:3:before:drop")])
    assert [faults.hit(name) is not None for name in "ABC"] == [False, False, True]


def test_two_faults_count_for_themselves() -> None:
    first, second = fault("A:1:before:500"), fault("*:2:after:drop")
    faults = Faults([first, second])
    assert faults.hit("A") == first
    assert faults.pending == (second,)
    assert faults.hit("B") == second


def test_the_default_quotas_are_of_every_operation() -> None:
    assert set(DEFAULT_RATES) == set(operation_names())
    assert DEFAULT_RATES["IssueCertificate"] == 25
    assert rates([], defaults=False) == {}
    assert rates(["IssueCertificate=2.5"], defaults=False) == {"IssueCertificate": 2.5}
    assert rates(["GetCertificate=1"], defaults=True) == {**DEFAULT_RATES, "GetCertificate": 1}


@pytest.mark.parametrize(
    "text", ["", "IssueCertificate", "IssueCertificate=0", "IssueCertificate=-1", "PutObject=3", "x=nan"]
)
def test_what_is_no_quota(text: str) -> None:
    with pytest.raises(InputError, match="is not a quota"):
        rates([text], defaults=False)


def test_a_bucket_holds_a_second_and_fills_with_time() -> None:
    clock = ManualClock(START)
    quotas = Quotas({"IssueCertificate": 4}, clock)

    def admit(region: str = "a") -> bool:
        return quotas.admits("IssueCertificate", "1", region)

    assert [admit() for _ in range(5)] == [True] * 4 + [False]
    assert admit("b")
    clock.advance(timedelta(seconds=0.25))
    assert [admit(), admit()] == [True, False]
    clock.advance(timedelta(hours=1))
    assert [admit() for _ in range(5)] == [True] * 4 + [False]
    assert quotas.admits("GetCertificate", "1", "a")


def test_below_one_call_a_second_the_first_is_free() -> None:
    clock = ManualClock(START)
    quotas = Quotas({"IssueCertificate": 0.5}, clock)
    assert quotas.admits("IssueCertificate", "1", "a")
    clock.advance(timedelta(seconds=1))
    assert not quotas.admits("IssueCertificate", "1", "a")
    clock.advance(timedelta(seconds=1))
    assert quotas.admits("IssueCertificate", "1", "a")


CALL = Call("acm-pca", "IssueCertificate", "1", "r", "json")


def test_every_answer_waits_for_the_latency() -> None:
    clock = ManualClock(START)
    traffic = Traffic(clock, Hindrances(latency=timedelta(milliseconds=40)))
    for _ in range(3):
        assert traffic.arrive(CALL) is None
    assert clock.monotonic() == pytest.approx(0.12)


def test_nothing_is_answered_after_a_stop() -> None:
    stopped: list[bool] = []
    traffic = Traffic(
        ManualClock(START), Hindrances(faults=(fault("*:1:before:stop"),)), on_stop=lambda: stopped.append(True)
    )
    for _ in range(3):
        with pytest.raises(Dropped):
            traffic.arrive(CALL)
    assert stopped == [True]


def test_names_from_outside_fill_the_counter_only_so_far() -> None:
    traffic = Traffic(ManualClock(START), Hindrances())
    for number in range(3000):
        traffic.arrive(Call("acm-pca", f"X{number}", "1", "r", "json"))
    assert len(traffic.served) == 1000
