"""The ledger in DynamoDB beyond the contract: its table, answers that were lost, parts that were left out, and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from pkiops.aws import AwsAccess, AwsClients
from pkiops.clock import ManualClock, SeededRandomness
from pkiops.errors import BackendError, InputError, Unreachable
from pkiops.ledger import dynamodb_items as items
from pkiops.ledger.dynamodb import DynamoDbLedger
from pkiops.ledger.dynamodb_table import DynamoDbTables
from pkiops.ledger.interface import Entry, EntryState, LedgerIntent, Rejection
from pkiops.ledger.tables import TableSettings
from tests.sandbox_server import ACCOUNT, REGION, START, RunningSandbox, sandbox

__all__ = ["sandbox"]
TABLE = "test-ledger"
KEY = "a" * 64
SETTINGS = TableSettings(name=TABLE, tags={"pkiops:environment": "test"})


def clients_of(url: str | None) -> AwsClients:
    endpoints = {"dynamodb": url} if url else {}
    return AwsClients(AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls=endpoints, sandbox=True))


def intent() -> LedgerIntent:
    return LedgerIntent(
        request_key=KEY,
        environment="test",
        authority="clients",
        generation=1,
        authority_reference="arn:ca",
        profile="service",
        policy_sha256="b" * 64,
        requester="arn:me",
        csr_sha256="c" * 64,
        spki_sha256="d" * 64,
        subject=(),
        sans=(),
        usages=(),
        template="arn:template",
        not_before=START,
        not_after=START,
    )


@pytest.fixture
def clients() -> AwsClients:
    return clients_of(None)


@pytest.fixture
def service(clients: AwsClients) -> Iterator[Stubber]:
    with Stubber(clients.dynamodb()) as stubber:
        yield stubber


def ledger_of(clients: AwsClients) -> DynamoDbLedger:
    return DynamoDbLedger(clients, TABLE, ManualClock(START), SeededRandomness(1))


def stored(writer: str, version: int = 1) -> dict[str, Any]:
    entry = Entry(
        id=f"{KEY}-1",
        state=EntryState.PENDING,
        created_at=START,
        updated_at=START,
        environment="test",
        profile="service",
        request_key=KEY,
        attempt=1,
    )
    return items.entry_item(entry, version, writer)


def test_a_table_is_made_protected_and_left_alone_then(sandbox: RunningSandbox) -> None:
    tables = DynamoDbTables(clients_of(sandbox.url), ManualClock(START))
    assert not tables.observe_table(TABLE).exists
    assert tables.ensure_table(SETTINGS)
    assert not tables.ensure_table(SETTINGS)
    found = tables.observe_table(TABLE)
    assert (found.active, found.shape, found.missing_indexes) == (True, True, ())
    billing = sandbox.client("dynamodb").describe_table(TableName=TABLE)["Table"]["BillingModeSummary"]
    assert billing["BillingMode"] == "PAY_PER_REQUEST"
    assert (found.deletion_protection, found.recovery, found.tags) == (True, True, SETTINGS.tags)


def test_a_table_that_was_left_half_done_is_finished(sandbox: RunningSandbox) -> None:
    tables = DynamoDbTables(clients_of(sandbox.url), ManualClock(START))
    tables.ensure_table(SETTINGS)
    plain = sandbox.client("dynamodb")
    plain.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    plain.update_continuous_backups(
        TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    plain.untag_resource(
        ResourceArn=plain.describe_table(TableName=TABLE)["Table"]["TableArn"], TagKeys=["pkiops:environment"]
    )
    found = tables.observe_table(TABLE)
    assert (found.deletion_protection, found.recovery, found.tags) == (False, False, {})
    assert tables.ensure_table(SETTINGS)
    found = tables.observe_table(TABLE)
    assert (found.deletion_protection, found.recovery, found.tags) == (True, True, SETTINGS.tags)


def test_somebody_elses_table_has_another_shape(sandbox: RunningSandbox) -> None:
    sandbox.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    found = DynamoDbTables(clients_of(sandbox.url), ManualClock(START)).observe_table(TABLE)
    assert not found.shape
    assert set(found.missing_indexes) == {index.name for index in items.INDEXES}


def test_without_a_table_nothing_is_read_or_written(sandbox: RunningSandbox) -> None:
    ledger = ledger_of(clients_of(sandbox.url))
    for call in (lambda: ledger.begin(intent(), 1), lambda: ledger.latest(KEY), lambda: list(ledger.entries("test"))):
        with pytest.raises(InputError) as missing:
            call()
        assert missing.value.code == "ledger.no-table"


def test_an_own_write_is_known_again_when_its_answer_was_lost(clients: AwsClients, service: Stubber) -> None:
    writer = str(SeededRandomness(1).uuid4())
    for mark, ours in ((writer, True), ("somebody else", False)):
        service.add_response("get_item", {})
        service.add_client_error("put_item", "ConditionalCheckFailedException")
        service.add_response("get_item", {"Item": stored(mark)})
        entry, created = ledger_of(clients).begin(intent(), 1)
        assert (entry.id, created) == (f"{KEY}-1", ours)


def test_a_change_is_made_once_when_its_answer_was_lost(clients: AwsClients, service: Stubber) -> None:
    service.add_response("get_item", {"Item": stored("somebody else")})
    service.add_client_error("put_item", "ConditionalCheckFailedException")
    service.add_response("get_item", {"Item": stored(str(SeededRandomness(1).uuid4()), 2)})
    ledger_of(clients).record_unknown(f"{KEY}-1", "lost")
    service.assert_no_pending_responses()


def test_a_change_that_others_make_impossible_ends(clients: AwsClients, service: Stubber) -> None:
    for number in range(200):
        service.add_response("get_item", {"Item": stored("somebody else", number + 1)})
        service.add_client_error("put_item", "ConditionalCheckFailedException")
    with pytest.raises(Unreachable) as busy:
        ledger_of(clients).record_unknown(f"{KEY}-1", "lost")
    assert busy.value.code == "ledger.busy"


def test_what_a_batch_left_out_is_asked_for_again(clients: AwsClients, service: Stubber) -> None:
    item = stored("x")
    rest = {TABLE: {"Keys": [items.key_item(items.key_of(item))], "ConsistentRead": True}}
    service.add_response("query", {"Items": [items.key_item(items.key_of(item))]})
    service.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": rest}, {"RequestItems": rest})
    service.add_response("batch_get_item", {"Responses": {TABLE: [item]}}, {"RequestItems": rest})
    assert [entry.id for entry in ledger_of(clients).entries("test")] == [f"{KEY}-1"]
    service.add_response("query", {"Items": [items.key_item(items.key_of(item))]})
    for _ in range(60):
        service.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": rest}, {"RequestItems": ANY})
    with pytest.raises(Unreachable):
        list(ledger_of(clients).entries("test"))


def test_a_rejection_too_large_for_an_item_keeps_its_first_findings(sandbox: RunningSandbox) -> None:
    clients = clients_of(sandbox.url)
    DynamoDbTables(clients, ManualClock(START)).ensure_table(SETTINGS)
    findings = tuple({"code": "san.not-allowed", "value": f"{number}" + "x" * 1000} for number in range(1000))
    entry = ledger_of(clients).record_rejection(
        Rejection(state=EntryState.REFUSED, environment="test", profile="p", code="c", message="m", findings=findings)
    )
    assert 0 < len(entry.findings) < 1000
    assert entry.findings == findings[: len(entry.findings)]
    assert ledger_of(clients).get(entry.id) == entry
    with pytest.raises(BackendError) as large:
        ledger_of(clients).record_rejection(
            Rejection(state=EntryState.REFUSED, environment="test", profile="p", code="c", message="m" * 400_000)
        )
    assert large.value.code == "ledger.too-large"
