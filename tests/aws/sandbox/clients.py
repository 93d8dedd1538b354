"""Plain boto3 clients of a fresh sandbox, in process or over HTTP; one attempt per call, a clock that stands still."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import boto3
from botocore.config import Config
from moto import mock_aws

from pkiops.clock import ManualClock
from pkiops.sandbox import moto_adapter
from pkiops.sandbox.engine.settings import Settings
from tests.sandbox_server import REGION, START, running_sandbox

Clients: TypeAlias = Callable[..., Any]
WAYS = ("in process", "over http")


@contextlib.contextmanager
def plain_clients(way: str, settings: Settings | None = None) -> Iterator[Clients]:
    """``clients(service, region)`` of a sandbox reached in one of ``WAYS``."""
    clock = ManualClock(START)
    if way == "over http":
        with running_sandbox(clock=clock, settings=settings) as sandbox:
            yield sandbox.client
        return
    with moto_adapter.plugged_in(clock=clock, settings=settings), mock_aws():
        yield lambda service, region=REGION: boto3.Session(region_name=region).client(
            service, config=Config(retries={"total_max_attempts": 1})
        )
