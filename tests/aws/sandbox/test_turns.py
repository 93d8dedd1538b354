"""Conditional writes of S3 and DynamoDB have one winner, in process too, however threads are switched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import Clients

THREADS, ROUNDS = 12, 25


@pytest.fixture
def switching() -> Iterator[None]:
    """The interpreter changes threads every 10 microseconds: without turns, one round in eight had two winners."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def winners(attempt: Callable[[int], Any], lost: str) -> int:
    def one(number: int) -> bool:
        try:
            attempt(number)
        except ClientError as error:
            if error.response["Error"]["Code"] != lost:
                raise
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(one, range(THREADS)))


@pytest.mark.usefixtures("switching")
def test_one_winner_in_s3(client: Clients) -> None:
    s3 = client("s3")
    scene.make_bucket(s3)
    for turn in range(ROUNDS):

        def write(number: int, turn: int = turn) -> None:
            s3.put_object(Bucket=scene.BUCKET, Key=f"claim-{turn}", Body=str(number), IfNoneMatch="*")

        assert winners(write, "PreconditionFailed") == 1


@pytest.mark.usefixtures("switching")
def test_one_winner_in_dynamodb(client: Clients) -> None:
    table = client("dynamodb")
    table.create_table(
        TableName="claims",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for turn in range(ROUNDS):

        def write(number: int, turn: int = turn) -> None:
            table.put_item(
                TableName="claims",
                Item={"id": {"S": str(turn)}, "by": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(id)",
            )

        assert winners(write, "ConditionalCheckFailedException") == 1
