"""What certificate authorities cost, as data, and the Protocol of a backend that knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class PriceTier:
    """USD for each certificate of a calendar month up to a number of them, None for those beyond every other tier."""

    up_to: int | None
    usd: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """What certificate authorities cost: USD per CA and month by usage mode, and once for each certificate; where the figures are from, and when.

    ``regions`` are those in which they cost something else.
    """

    source: str
    checked: str
    authority_month: Mapping[str, float]
    certificate_tiers: tuple[PriceTier, ...]
    short_lived_certificate: float
    unverified: tuple[str, ...] = ()
    regions: Mapping[str, Prices] = field(default_factory=dict)

    def of_region(self, region: str | None) -> Prices:
        """What things cost in one region: what was said of it, else what holds everywhere."""
        return self.regions.get(region or "", self)

    def certificates(self, count: int) -> float:
        """USD for ``count`` certificates of general purpose CAs in one month."""
        total, below = 0.0, 0
        for tier in self.certificate_tiers:
            upper = count if tier.up_to is None else min(count, tier.up_to)
            total += max(0, upper - below) * tier.usd
            below = max(below, upper)
        return total


@runtime_checkable
class HasPrices(Protocol):
    """A CA that costs money while it exists."""

    @property
    def prices(self) -> Prices:
        """What everything costs."""

    def monthly_cost_usd(self, usage_mode: str, region: str | None = None) -> float:
        """The price of one CA of this usage mode, USD per month; in a region, if one is named."""
