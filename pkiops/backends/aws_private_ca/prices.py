"""What AWS Private CA costs, as data with its source and date; a file of the user's own may take its place.

Nothing here is computed into anything but words and plans. Figures that the pricing page did not confirm are named in ``unverified``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pkiops.backends.prices import Prices, PriceTier
from pkiops.errors import InputError

MAX_BYTES = 65_536

# pro-rated from creation to deletion; billed in every state but DELETED and FAILED; the first CA of an account and region is free for 30 days
LISTED = Prices(
    source="AWS Private CA pricing page",
    checked="2026-11-23",
    authority_month={"GENERAL_PURPOSE": 400.0, "SHORT_LIVED_CERTIFICATE": 50.0},
    certificate_tiers=(PriceTier(1_000, 0.75), PriceTier(10_000, 0.35), PriceTier(None, 0.001)),
    short_lived_certificate=0.058,
    unverified=("certificate_tiers", "short_lived_certificate"),
)


def read_prices(data: bytes, source: str) -> Prices:
    """Prices from a JSON file: the keys of ``Prices``, each optional; what is left out is as listed here, of a region as for all.

    Args:
        data: the file.
        source: its name, which becomes the prices' source unless the file names one.

    Raises:
        InputError: it is not such a file.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("it is too large")
        body = json.loads(data)
        if not isinstance(body, dict):
            raise TypeError("it is no JSON object")
        regions = body.pop("regions", {})
        general = _prices(body, LISTED, source)
        if not isinstance(regions, dict) or not all(isinstance(one, dict) for one in regions.values()):
            raise TypeError("regions names regions, each with prices of its own")
        return replace(general, regions={name: _prices(one, general, source) for name, one in regions.items()})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{source} is not a file of prices: {error}",
            hint='write {"checked": "2026-11-23", "authority_month": {"GENERAL_PURPOSE": 400}}',
            code="usage.prices",
        ) from error


def _prices(body: Mapping[str, Any], default: Prices, source: str) -> Prices:
    """The prices that ``body`` gives; what it leaves out is as in ``default``."""
    unknown = sorted(set(body) - (set(Prices.__dataclass_fields__) - {"regions"}))
    if unknown:
        raise ValueError(f"there is no such key: {unknown[0]!r}")
    is_listed = default is LISTED
    return Prices(
        source=_text(body, "source", source if is_listed else default.source),
        checked=_text(body, "checked", "no date given" if is_listed else default.checked),
        authority_month=_amounts(body.get("authority_month", {}), default.authority_month),
        certificate_tiers=_tiers(body["certificate_tiers"])
        if "certificate_tiers" in body
        else default.certificate_tiers,
        short_lived_certificate=_amount(body.get("short_lived_certificate", default.short_lived_certificate)),
        unverified=tuple(name for name in default.unverified if name not in body),
    )


def _text(body: Mapping[str, Any], key: str, default: str) -> str:
    value = body.get(key, default)
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError(f"{key} is no text")
    return value


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise ValueError("a price is no number of USD")
    return float(value)


def _amounts(given: object, listed: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(given, dict) or set(given) - set(listed):
        raise ValueError(f"authority_month names the usage modes {', '.join(listed)}")
    return {**listed, **{mode: _amount(value) for mode, value in given.items()}}


def _tiers(given: object) -> tuple[PriceTier, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= 20:
        raise ValueError("certificate_tiers is a list of {up_to, usd}")
    tiers = tuple(PriceTier(tier["up_to"], _amount(tier["usd"])) for tier in given)
    bounds = [tier.up_to for tier in tiers[:-1]]
    if tiers[-1].up_to is not None or not all(type(one) is int for one in bounds) or bounds != sorted(set(bounds)):  # type: ignore[type-var]
        raise ValueError("the tiers of certificate_tiers rise, and the last has up_to: null")
    return tiers
