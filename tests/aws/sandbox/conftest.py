"""The fixture ``client``: plain boto3 clients of a fresh sandbox, once in process and once over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from pkiops.clock import ManualClock
from pkiops.sandbox import moto_adapter
from tests.aws.sandbox.clients import Clients
from tests.sandbox_server import REGION, START, running_sandbox


@pytest.fixture(params=["in process", "over http"])
def client(request: pytest.FixtureRequest) -> Iterator[Clients]:
    """``client(service, region)``; one attempt per call, the clock stands still."""
    if request.param == "over http":
        with running_sandbox() as sandbox:
            yield sandbox.client
        return
    with moto_adapter.plugged_in(clock=ManualClock(START)), mock_aws():
        yield lambda service, region=REGION: boto3.Session(region_name=region).client(
            service, config=Config(retries={"total_max_attempts": 1})
        )
