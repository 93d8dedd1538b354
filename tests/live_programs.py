"""Programs outside Python that live tests need: skipped without them, a failure where everything must run (CI)."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test for this reason, or fail it under ``PKIOPS_REQUIRE_LIVE=1``."""
    if os.environ.get("PKIOPS_REQUIRE_LIVE") == "1":
        pytest.fail(f"{reason}, and PKIOPS_REQUIRE_LIVE=1 demands it")
    pytest.skip(reason)


def require_program(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails under ``PKIOPS_REQUIRE_LIVE=1``."""
    path = shutil.which(name)
    if path is None:
        unavailable(f"{name} is not installed")
    return path
