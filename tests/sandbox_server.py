"""A sandbox in a thread of this process, for tests of everything that talks to AWS.

``with running_sandbox() as sandbox:`` or the fixture ``sandbox`` (``from tests.sandbox_server import sandbox``). Not for
session-scoped fixtures: moto's state belongs to the process, so only one can run at a time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from pkiops.clock import Clock, ManualClock, Randomness
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import Pace
from pkiops.sandbox.server import SandboxServer, bound_server
from pkiops.sandbox.traffic import Hindrances, Traffic

REGION = "eu-west-1"
ACCOUNT = "123456789012"
START = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class RunningSandbox:
    """Where it listens, its clock, the environment of a subprocess that shall talk to it, and the server itself."""

    url: str
    port: int
    clock: Clock
    environment: dict[str, str] = field(default_factory=dict)
    server: SandboxServer | None = None

    def hinder(self, hindrances: Hindrances) -> None:
        """What calls run into from now on, in the place of what they ran into; they are counted from 0."""
        assert self.server is not None
        self.server.sandbox.traffic = Traffic(self.clock, hindrances)

    def client(self, service: str, region: str = REGION) -> Any:
        """A plain boto3 client of the administrator, one attempt per call."""
        return self.client_as({"AccessKeyId": "testing", "SecretAccessKey": "testing"}, service, region)

    def client_as(self, credentials: Mapping[str, Any], service: str, region: str = REGION) -> Any:
        """A plain boto3 client of whose credentials CreateAccessKey or AssumeRole gave, one attempt per call."""
        session = boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
            region_name=region,
        )
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
        return session.client(service, endpoint_url=self.url, config=config)  # type: ignore[call-overload]


@contextlib.contextmanager
def running_sandbox(
    *,
    clock: Clock | None = None,
    randomness: Randomness | None = None,
    pace: Pace | None = None,
    settings: Settings | None = None,
    hindrances: Hindrances | None = None,
    state_file: Path | None = None,
    port: int = 0,
    patience: float = 60.0,
) -> Iterator[RunningSandbox]:
    """A sandbox on a free loopback port; by default its clock stands still at ``START``."""
    clock = clock or ManualClock(START)
    bound = bound_server(
        port,
        clock=clock,
        randomness=randomness,
        pace=pace,
        settings=settings,
        hindrances=hindrances,
        state_file=state_file,
        patience=patience,
    )
    with bound as server:
        thread = threading.Thread(target=server.serve, name="sandbox", daemon=True)
        thread.start()
        try:
            yield RunningSandbox(server.url, server.port, clock, subprocess_environment(server.url), server)
        finally:
            server.shutdown()
            thread.join(timeout=10)


def subprocess_environment(url: str) -> dict[str, str]:
    """The variables that point a subprocess at a sandbox, and at nothing else."""
    return {
        "AWS_ENDPOINT_URL": url,
        "PKIOPS_SANDBOX_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A fresh sandbox whose clock stands still at ``START`` (a ``ManualClock``)."""
    with running_sandbox() as running:
        yield running
