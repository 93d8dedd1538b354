"""Durations keep their unit, and a year is a calendar year."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.x509.duration import Duration
from tests.seeded import seeded

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
DURATIONS = st.builds(Duration, st.integers(min_value=1, max_value=999_999), st.sampled_from("smhdy"))


@seeded(100)
@given(DURATIONS)
def test_text_and_back(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration
    assert Duration.parse(duration) is duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0d",
        "05d",
        "5",
        "d",
        "5D",
        "5w",
        " 5d",
        "5d\n",
        "5.5d",
        "-5d",
        "+5d",
        "1_0d",
        "1000000d",
        "\u0665d",
        5,
        None,
        ["5d"],
        True,
    ],
)
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a number and a unit"):
        Duration.parse(text)


@seeded(100)
@given(st.text(max_size=8))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert str(Duration.parse(text)) == text


@pytest.mark.parametrize(
    ("start", "text", "end"),
    [
        ("2024-02-29T12:00:00", "1y", "2025-02-28T12:00:00"),
        ("2024-02-29T12:00:00", "4y", "2028-02-29T12:00:00"),
        ("2026-01-31T00:00:00", "10y", "2036-01-31T00:00:00"),
        ("2026-01-01T00:00:00", "30d", "2026-01-31T00:00:00"),
        ("2026-01-01T00:00:00", "36h", "2026-01-02T12:00:00"),
        ("2026-01-01T00:00:00", "90m", "2026-01-01T01:30:00"),
        ("2026-01-01T00:00:00", "61s", "2026-01-01T00:01:01"),
        ("2026-01-01T00:00:00", "9000y", "9999-12-31T23:59:59"),
        ("2026-01-01T00:00:00", "999999y", "9999-12-31T23:59:59"),
    ],
)
def test_the_moment_after(start: str, text: str, end: str) -> None:
    moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert Duration.parse(text).after(moment) == datetime.fromisoformat(end).replace(tzinfo=UTC)


@seeded(100)
@given(DURATIONS, MOMENTS)
def test_after_is_later_and_stays_within_the_calendar(duration: Duration, moment: datetime) -> None:
    later = duration.after(moment)
    assert moment <= later <= datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@seeded(100)
@given(st.integers(min_value=1, max_value=500), MOMENTS.filter(lambda moment: moment.year < 9000))
def test_the_length_to_compare_by_is_at_most_three_days_off(years: int, moment: datetime) -> None:
    duration = Duration(years, "y")
    length = duration.after(moment) - moment
    assert abs(length - timedelta(seconds=duration.approximate_seconds())) <= timedelta(days=3)
