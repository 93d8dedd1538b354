"""Fixtures for other projects: an AWS Private CA that lives as long as one test.

What this module decides: what a test gets (``private_ca_sandbox``, ``private_ca_clock``, ``private_ca_hierarchy``), and that its
environment points at the sandbox and at nothing else. pytest loads this module in every project that has pkiops installed, so
it imports nothing heavy until a fixture is used. One sandbox at a time: moto's state belongs to the process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pkiops.sandbox.time_travel import MovableClock

REGION = "eu-west-1"
_CREDENTIALS = "sandbox"
_NOT_OURS = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


@dataclass(frozen=True)
class PrivateCaSandbox:
    """A running sandbox.

    ``url`` is its endpoint (``AWS_ENDPOINT_URL`` says the same), ``clock`` its time, ``environment`` the variables that are set
    for the test, for subprocesses that inherit none.
    """

    url: str
    clock: MovableClock
    environment: dict[str, str]

    def client(self, service: str, region: str = REGION, **settings: Any) -> Any:
        """A boto3 client of the sandbox; ``settings`` go to boto3."""
        return self._session(region).client(service, endpoint_url=self.url, **settings)

    def resource(self, service: str, region: str = REGION, **settings: Any) -> Any:
        """A boto3 resource of the sandbox; ``settings`` go to boto3."""
        return self._session(region).resource(service, endpoint_url=self.url, **settings)

    @staticmethod
    def _session(region: str) -> Any:
        import boto3

        return boto3.Session(aws_access_key_id=_CREDENTIALS, aws_secret_access_key=_CREDENTIALS, region_name=region)


@dataclass(frozen=True)
class PrivateCaHierarchy:
    """A root, an issuing CA below it, both ACTIVE, and the bucket of their CRLs."""

    root_arn: str
    issuing_arn: str
    root_pem: str
    issuing_pem: str
    bucket: str

    @property
    def chain_pem(self) -> str:
        """The issuing CA's certificate, then the root's."""
        return f"{self.issuing_pem}\n{self.root_pem}\n"


@pytest.fixture
def private_ca_options() -> dict[str, Any]:
    """What ``private_ca_sandbox`` is set up with; override it to change that: the keywords of ``pkiops.sandbox.options.Options``."""
    return {}


@pytest.fixture
def private_ca_sandbox(
    monkeypatch: pytest.MonkeyPatch, private_ca_options: dict[str, Any]
) -> Iterator[PrivateCaSandbox]:
    """An empty sandbox on a free loopback port, to which the environment of the test points every AWS client."""
    from pkiops.clock import SeededRandomness
    from pkiops.sandbox.options import Options
    from pkiops.sandbox.process import require_extra

    require_extra()
    from pkiops.sandbox.server import bound_server

    options = Options(**private_ca_options)
    bound = bound_server(
        0,
        randomness=None if options.seed is None else SeededRandomness(options.seed),
        pace=options.pace(),
        settings=options.settings(),
        hindrances=options.hindrances(),
        state_file=options.state,
    )
    with bound as server:
        thread = threading.Thread(target=server.serve, name="private_ca_sandbox", daemon=True)
        thread.start()
        try:
            environment = _environment(server.url)
            for name in [*_NOT_OURS, *(n for n in os.environ if n.startswith("AWS_ENDPOINT_URL_"))]:
                monkeypatch.delenv(name, raising=False)
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            yield PrivateCaSandbox(server.url, server.clock, environment)
        finally:
            server.shutdown()
            thread.join(timeout=10)


def _environment(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": _CREDENTIALS,
        "AWS_SECRET_ACCESS_KEY": _CREDENTIALS,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "PKIOPS_SANDBOX_URL": url,
    }


@pytest.fixture
def private_ca_clock(private_ca_sandbox: PrivateCaSandbox) -> MovableClock:
    """The sandbox's clock: ``now()``, and ``advance("300d")``."""
    return private_ca_sandbox.clock


@pytest.fixture
def private_ca_hierarchy(private_ca_sandbox: PrivateCaSandbox) -> PrivateCaHierarchy:
    """A root (10 years) and an issuing CA (5 years), both P-256 and ACTIVE, with CRLs of 7 days in a bucket of their own."""
    from pkiops.sandbox.sample_hierarchy import make_hierarchy

    return PrivateCaHierarchy(**make_hierarchy(private_ca_sandbox.client("acm-pca"), private_ca_sandbox.client("s3")))
