"""ExpectedBucketOwner is checked, over HTTP and in process, which moto does not do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.sandbox.clients import Clients
from tests.sandbox_server import ACCOUNT, REGION

OTHER = "999999999999"


@pytest.fixture
def s3(client: Clients) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="ours", CreateBucketConfiguration={"LocationConstraint": REGION})
    made.put_object(Bucket="ours", Key="a", Body=b"x", ExpectedBucketOwner=ACCOUNT)
    return made


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("head_bucket", {}),
        ("get_bucket_policy", {}),
        ("list_objects_v2", {}),
        ("get_object", {"Key": "a"}),
        ("put_object", {"Key": "a", "Body": b"y"}),
        ("delete_object", {"Key": "a"}),
    ],
)
def test_a_bucket_of_another_account_than_expected_is_refused(s3: Any, operation: str, more: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(s3, operation)(Bucket="ours", ExpectedBucketOwner=OTHER, **more)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert s3.get_object(Bucket="ours", Key="a", ExpectedBucketOwner=ACCOUNT)["Body"].read() == b"x"


def test_the_source_of_a_copy_has_an_owner_too(s3: Any) -> None:
    source = {"Bucket": "ours", "Key": "a"}
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.copy_object(Bucket="ours", Key="b", CopySource=source, ExpectedSourceBucketOwner=OTHER)
    s3.copy_object(Bucket="ours", Key="b", CopySource=source, ExpectedSourceBucketOwner=ACCOUNT)


def test_a_bucket_that_is_not_there_is_missing(s3: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.get_object(Bucket="nowhere", Key="a", ExpectedBucketOwner=OTHER)
