"""The sandbox's clock, which can be moved ahead, and the durations in which its options are written.

What this module decides: ``40ms``, ``45s``, ``15m``, ``12h``, ``300d`` or ``10y`` are durations, and a year is a calendar year (29 February
goes to 28 February). The clock goes forward only: the service never un-issues anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from pkiops.clock import Clock
from pkiops.errors import InputError

_DURATION = re.compile(r"([0-9]{1,10})(ms|s|m|h|d|y)", re.ASCII)
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LAST_YEAR = 9000  # beyond it certificates could not be dated


@dataclass(frozen=True, slots=True)
class Span:
    """A duration: calendar years, or an exact time."""

    years: int = 0
    exact: timedelta = timedelta()

    def after(self, moment: datetime) -> datetime:
        """The moment that lies this long after another.

        Raises:
            InputError: it lies beyond the year 9000.
        """
        year = moment.year + self.years
        try:
            try:
                later = moment.replace(year=year)
            except ValueError:
                later = moment.replace(year=year, day=28)  # 29 February
            later += self.exact
        except (ValueError, OverflowError) as error:
            raise _too_far() from error
        if later.year > _LAST_YEAR:
            raise _too_far()
        return later


def _too_far() -> InputError:
    return InputError(f"that is beyond the year {_LAST_YEAR}", code="sandbox.duration")


def span(text: str) -> Span:
    """A duration as people write it: ``45s``, ``300d``, ``10y``.

    Raises:
        InputError: it is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InputError(
            f"{text!r} is not a duration", hint="write 40ms, 45s, 15m, 12h, 300d or 10y", code="sandbox.duration"
        )
    number = int(match[1])
    if match[2] == "y":
        return Span(years=number)
    try:
        return Span(exact=number * _UNITS[match[2]])
    except OverflowError as error:
        raise _too_far() from error


def delay(text: str) -> timedelta:
    """A duration of a fixed length, for delays: everything but years.

    Raises:
        InputError: it is none.
    """
    found = span(text)
    if found.years:
        raise InputError(
            f"{text!r} is too long for a delay", hint="write 40ms, 45s, 15m or 12h", code="sandbox.duration"
        )
    return found.exact


class MovableClock:
    """Another clock, ahead of it by ``offset``; waiting stays the other's."""

    def __init__(self, base: Clock) -> None:
        self._base = base
        self.offset = timedelta()

    def now(self) -> datetime:
        """The sandbox's moment."""
        return self._base.now() + self.offset

    def monotonic(self) -> float:
        """Seconds of the other clock."""
        return self._base.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait on the other clock."""
        self._base.sleep(seconds)

    def advance(self, by: Span | str) -> datetime:
        """Move ahead, and say where that is.

        Raises:
            InputError: not a duration, or too far.
        """
        now = self.now()
        self.offset += (by if isinstance(by, Span) else span(by)).after(now) - now
        return self.now()
