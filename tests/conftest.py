"""What holds for every test: nothing of the developer's AWS account leaks in, and what botocore knows of AWS is read once per process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from botocore.loaders import Loader

from tests.faults.summary import pytest_terminal_summary

__all__ = ["pytest_make_parametrize_id", "pytest_terminal_summary"]

os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_DEFAULT_REGION="eu-west-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE="/dev/null",
    AWS_SHARED_CREDENTIALS_FILE="/dev/null",
)
for _name in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "PKIOPS_SANDBOX_URL"):
    os.environ.pop(_name, None)


def pytest_make_parametrize_id(config: object, val: object, argname: str) -> str | None:
    """Bytes made at random would give each test process its own names for the same tests."""
    del config
    return argname if isinstance(val, bytes) and len(val) > 16 else None


@pytest.fixture(scope="session", autouse=True)
def service_models_are_kept() -> Iterator[None]:
    """Every session of botocore made here reads each service's model once; that is half of a short run's time."""
    kept = Loader()
    with patch("botocore.session.create_loader", lambda *_: kept):
        yield
