"""Counted work: told only where it takes long, and not too often."""

from __future__ import annotations

from datetime import UTC, datetime

from pkiops.clock import ManualClock
from pkiops.progress import Counted, NoProgress


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, message: str) -> None:
        self.lines.append(message)


def counted(total: int, seconds_each: float) -> list[str]:
    told, clock = Told(), ManualClock(datetime(2026, 11, 25, tzinfo=UTC))
    work = Counted(told, clock, "asking", total)
    for _ in range(total):
        clock.sleep(seconds_each)
        work.one_done()
    return told.lines


def test_quick_work_is_not_told() -> None:
    assert counted(1000, 0.0019) == []


def test_long_work_tells_how_far_it_is_how_fast_and_how_long_it_will_take() -> None:
    lines = counted(1000, 1 / 16)
    assert lines[0] == "asking: 32 of 1,000, 16 a second, 60 s left"
    assert lines[1] == "asking: 112 of 1,000, 16 a second, 56 s left"
    assert len(lines) == 13


def test_the_last_part_is_no_news() -> None:
    assert counted(1, 60) == []


def test_nobody_has_to_watch() -> None:
    work = Counted(NoProgress(), ManualClock(datetime(2026, 11, 25, tzinfo=UTC)), "asking", 2)
    work.one_done()
