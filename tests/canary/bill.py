"""What a run costs at most: before it starts, and while it runs.

What this module decides: the prices, and that a started hour of a CA is a whole one, with one more to clean up in. The trial month of an
account is never counted on. Requests to S3 (some hundred of them, less than a cent) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

SHORT_LIVED = "SHORT_LIVED_CERTIFICATE"
HOURS_OF_A_MONTH = 730
_CLEANING_HOURS = 1


class LimitReached(Exception):
    """What comes next could cost more than was allowed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """USD, by the usage mode of a CA: per month, and for each certificate. ``note`` says what is not certain of it."""

    authority_month: Mapping[str, float]
    certificate: Mapping[str, float]
    checked: str
    note: str

    def authority(self, hours: float, mode: str = SHORT_LIVED) -> float:
        """One CA for some hours; the one that has begun counts, and the one in which it may be cleaned up."""
        return (math.floor(hours) + 1 + _CLEANING_HOURS) * self.authority_month[mode] / HOURS_OF_A_MONTH


PRICES = Prices(
    authority_month={"GENERAL_PURPOSE": 400.0, SHORT_LIVED: 50.0},
    certificate={"GENERAL_PURPOSE": 0.75, SHORT_LIVED: 0.058},
    checked="2026-11-23",
    note="the prices of certificates are from memory: compare them with https://aws.amazon.com/private-ca/pricing/",
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most that a run may make, all CAs in short-lived mode."""

    authorities: int
    certificates: int
    hours: float

    def usd(self, prices: Prices = PRICES) -> float:
        """Its price."""
        return self.authorities * prices.authority(self.hours) + self.certificates * prices.certificate[SHORT_LIVED]


class Bill:
    """The running bill; an upper bound of what AWS will charge for this run.

    Args:
        limit: USD that it may reach.
        prices: of everything.
    """

    def __init__(self, limit: float, prices: Prices = PRICES) -> None:
        self._limit = limit
        self._prices = prices
        self._authorities: list[tuple[str, datetime]] = []
        self._certificates: list[str] = []

    @property
    def counts(self) -> tuple[int, int]:
        """CAs and certificates so far."""
        return len(self._authorities), len(self._certificates)

    def usd(self, now: datetime) -> float:
        """What everything costs if it is gone within the hour after the one that runs."""
        authorities = sum(
            self._prices.authority((now - since).total_seconds() / 3600, mode) for mode, since in self._authorities
        )
        return authorities + sum(self._prices.certificate[mode] for mode in self._certificates)

    def check(self, now: datetime, more: float = 0.0) -> None:
        """Go on, unless that could cost too much.

        Raises:
            LimitReached: the sum with ``more`` is above the limit.
        """
        if self.usd(now) + more > self._limit:
            raise LimitReached(f"the limit of {self._limit:.2f} USD is reached")

    def lift(self) -> None:
        """From now on nothing is too much: cleaning up must not stop."""
        self._limit = math.inf

    def add_authority(self, now: datetime, mode: str) -> None:
        """A CA is about to be made.

        Raises:
            LimitReached: it would be too much.
        """
        self.check(now, self._prices.authority(0, mode))
        self._authorities.append((mode, now))

    def add_certificate(self, now: datetime, mode: str = SHORT_LIVED) -> None:
        """A certificate is about to be asked for.

        Raises:
            LimitReached: it would be too much.
        """
        self.check(now, self._prices.certificate[mode])
        self._certificates.append(mode)

    def take_back_authority(self) -> None:
        """The last CA was refused."""
        self._authorities.pop()

    def take_back_certificate(self) -> None:
        """The last certificate was refused."""
        self._certificates.pop()
