"""Durations, and a clock that is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pkiops.clock import ManualClock
from pkiops.errors import InputError
from pkiops.sandbox.time_travel import MovableClock, delay, span

NOON = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("45s", NOON + timedelta(seconds=45)),
        ("15m", NOON + timedelta(minutes=15)),
        ("12h", NOON + timedelta(hours=12)),
        ("300d", NOON + timedelta(days=300)),
        ("10y", NOON.replace(year=2036)),
        ("0s", NOON),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, later: datetime) -> None:
    assert span(text).after(NOON) == later


def test_a_year_is_a_calendar_year() -> None:
    leap = datetime(2028, 2, 29, 1, tzinfo=UTC)
    assert span("1y").after(leap) == datetime(2029, 2, 28, 1, tzinfo=UTC)
    assert span("4y").after(leap) == datetime(2032, 2, 29, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "5", "d", "-1d", "1.5h", "1w", "1 d", "1d ", "٣d", "99999999999s", "1D", "1d2h"])
def test_everything_else_is_no_duration(text: str) -> None:
    with pytest.raises(InputError, match="not a duration"):
        span(text)


@pytest.mark.parametrize("text", ["9999999999y", "7000y", "9999999999d", "9999999d"])
def test_what_no_certificate_could_hold_is_too_far(text: str) -> None:
    with pytest.raises(InputError, match="beyond the year 9000"):
        span(text).after(NOON)


def test_delays_have_a_fixed_length() -> None:
    assert delay("40ms") == timedelta(milliseconds=40)
    with pytest.raises(InputError, match="too long for a delay"):
        delay("1y")


def test_the_clock_goes_on_from_where_it_was_moved_to() -> None:
    base = ManualClock(NOON)
    clock = MovableClock(base)
    assert clock.advance("1y") == NOON.replace(year=2027)
    base.advance(timedelta(seconds=5))
    assert clock.now() == NOON.replace(year=2027) + timedelta(seconds=5)
    assert clock.advance("1d") == NOON.replace(year=2027) + timedelta(days=1, seconds=5)
    assert clock.offset == timedelta(days=366)


def test_waiting_stays_the_other_clocks() -> None:
    base = ManualClock(NOON)
    clock = MovableClock(base)
    clock.advance("10y")
    clock.sleep(3)
    assert clock.monotonic() == base.monotonic() == 3
