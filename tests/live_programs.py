"""Programs outside Python that live tests need: skipped without them, a failure where everything must run (CI)."""

from __future__ import annotations

import os
import shutil

import pytest


def require_program(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails under ``PKIOPS_REQUIRE_LIVE=1``."""
    path = shutil.which(name)
    if path is not None:
        return path
    if os.environ.get("PKIOPS_REQUIRE_LIVE") == "1":
        pytest.fail(f"{name} is not installed, and PKIOPS_REQUIRE_LIVE=1 demands it")
    pytest.skip(f"{name} is not installed")
