"""``require_reachable`` with the credentials of two roles: the publisher records that a host answers, the issuer needs to read that alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from pkiops.environment.models import Persona
from pkiops.sandbox.traffic import Hindrances
from tests.aws.persona_work import prepare
from tests.aws.persona_world import TRUST_BUCKET, World, environment_text, world

RECORD = "dev/crl/reached.json"
# a name that never leaves the machine (RFC 6761 section 6.3)
HOST = "cdp.localhost"
ORDER = ("cert", "issue", "dev", "--profile", "service", "--csr", "@other.csr", "--format", "json", "--request-id")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("reach")) as made:
        hosted = [("host: pki.dev.example.com", f"host: {HOST}")]
        made.write(environment_text(changes=hosted))
        prepare(made)
        made.write(environment_text(changes=[("host: pki.dev.example.com", f"host: {HOST}, require_reachable: true")]))
        yield made


def publisher(account: World, without: str) -> dict[str, Any]:
    policy = copy.deepcopy(account.policy(Persona.PUBLISHER))
    policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] != without]
    return policy


def probe(account: World, *, without: str = "") -> str:
    aside, credentials = f"::127.0.0.1:{account.sandbox.port}", account.role("publisher", publisher(account, without))
    result = account.run(credentials, "crl", "status", "dev", "--probe", "--connect-to", aside, "--fail-on", "never")
    assert result.exit_code == 0, result.output
    return result.stderr


def reads(account: World) -> int:
    server = account.sandbox.server
    assert server is not None
    return server.sandbox.traffic.served.get(("s3", "GetObject"), 0)


def test_the_publisher_records_and_the_issuer_reads_once(account: World) -> None:
    policy = account.policy(Persona.ISSUER)
    refused = account.run(account.role("issuer", policy), *ORDER, "1")
    assert refused.exit_code == 9, refused.output
    assert "crl.unreachable" in refused.stderr
    assert "which is the publisher's to write" in probe(account, without="WriteObjects")
    assert f"{HOST} answers: recorded" in probe(account)
    kept = account.sandbox.client("s3").get_object(Bucket=TRUST_BUCKET, Key=RECORD)
    assert kept["ContentType"] == "application/json"
    credentials = account.role("issuer", policy)
    account.sandbox.hinder(Hindrances())
    issued = account.run(credentials, *ORDER, "2")
    assert issued.exit_code == 0, issued.output
    assert reads(account) == 1  # no index counts here: the root is not pinned


def test_without_the_right_to_read_it_the_host_itself_is_asked(account: World) -> None:
    less = copy.deepcopy(account.policy(Persona.ISSUER))
    less["Statement"] = [one for one in less["Statement"] if one["Sid"] != "ReadObjects"]
    refused = account.run(account.role("issuer", less), *ORDER, "3")
    assert refused.exit_code == 9, refused.output
    assert "the record cannot be read" in refused.stderr
