"""Durations that keep their unit: ``12h``, ``30d``, ``10y``.

What this module decides: the spelling, and that a year is a calendar year (29 February plus a year is 28 February), because
people who write ``10y`` mean a date, not 3650 days.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

PATTERN = r"^[1-9][0-9]{0,5}[smhdy]$"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Duration:
    """A positive number of seconds, minutes, hours, days or calendar years."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read ``45s``, ``15m``, ``12h``, ``30d`` or ``10y``.

        Raises:
            ValueError: anything else.
        """
        if isinstance(text, Duration):
            return text
        if not isinstance(text, str) or not re.fullmatch(PATTERN, text):
            raise ValueError("write a number and a unit: 45s, 15m, 12h, 30d or 10y (0, and a leading 0, are none)")
        return cls(int(text[:-1]), text[-1])

    def after(self, moment: datetime) -> datetime:
        """The moment this long after ``moment``; never beyond the year 9999 (RFC 5280 section 4.1.2.5)."""
        if self.unit != "y":
            seconds = self.count * _SECONDS[self.unit]
            return _LATEST if seconds > (_LATEST - moment).total_seconds() else moment + timedelta(seconds=seconds)
        year = moment.year + self.count
        if year > _LATEST.year:
            return _LATEST
        last = calendar.monthrange(year, moment.month)[1]
        return moment.replace(year=year, day=min(moment.day, last))

    def approximate_seconds(self) -> int:
        """A length to compare by; a year counts 365.2425 days."""
        return self.count * (_SECONDS[self.unit] if self.unit != "y" else 31_556_952)

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"
