"""The fixture ``client``: plain boto3 clients of a fresh sandbox, once in process and once over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.sandbox.clients import WAYS, Clients, plain_clients


@pytest.fixture(params=WAYS)
def client(request: pytest.FixtureRequest) -> Iterator[Clients]:
    """``client(service, region)``."""
    with plain_clients(request.param) as clients:
        yield clients
