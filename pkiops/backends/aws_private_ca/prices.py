"""What a CA costs per month, as data with its source and date. Never computed into anything but words and plans."""

from __future__ import annotations

SOURCE = "AWS Private CA pricing page"
CHECKED = "2026-11-23"

# USD per CA and month, pro-rated from creation to deletion; billed in every state but DELETED and FAILED
_MONTHLY_USD = {"GENERAL_PURPOSE": 400.0, "SHORT_LIVED_CERTIFICATE": 50.0}


def authority_usd_per_month(usage_mode: str) -> float:
    """The price of keeping one CA of this usage mode, USD per month."""
    return _MONTHLY_USD[usage_mode]
