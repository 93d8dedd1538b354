"""How often property tests try: a seeded short part in ``make check``, fifty times as often with a new seed in ``make soak``."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

SOAK = os.environ.get("PKIOPS_SOAK") == "1"
FACTOR = 50


def seeded(examples: int, **more: Any) -> settings:
    """Settings of a property test that tries ``examples`` times in ``make check``."""
    return settings(derandomize=not SOAK, max_examples=examples * (FACTOR if SOAK else 1), deadline=None, **more)
