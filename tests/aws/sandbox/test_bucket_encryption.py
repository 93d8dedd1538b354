"""The encryption of the CRL bucket: what the service can write through, asked by plain boto3 in process and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import Clients
from tests.sandbox_server import ACCOUNT

BUCKET_ARN = f"arn:aws:s3:::{scene.BUCKET}"


def encrypt(s3: Any, key: str | None, *, algorithm: str = "aws:kms", bucket_key: bool = False) -> None:
    default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    s3.put_bucket_encryption(Bucket=scene.BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def key_with(kms: Any, actions: list[str], condition: dict[str, Any] | None = None) -> dict[str, str]:
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "acm-pca.amazonaws.com"},
        "Action": actions,
        "Resource": "*",
        **({"Condition": condition} if condition else {}),
    }
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [owner, service]})
    metadata: dict[str, str] = kms.create_key(Policy=policy)["KeyMetadata"]
    return metadata


BOTH = ["kms:GenerateDataKey", "kms:Decrypt"]


def context(*arns: str) -> dict[str, Any]:
    return {"StringLike": {"kms:EncryptionContext:aws:s3:arn": list(arns)}}


def refused(pca: Any) -> str | None:
    """Code and message of the refusal to create a CA with this bucket, or None."""
    try:
        scene.create(pca, RevocationConfiguration=scene.CRL)
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return None


def test_encryption_by_s3_is_fine(client: Clients) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    scene.make_bucket(s3)
    encrypt(s3, None, algorithm="AES256")
    assert refused(pca) is None


@pytest.mark.parametrize("key", [None, "alias/aws/s3", f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/aws/s3"])
@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_the_key_of_aws_is_not(client: Clients, key: str | None, algorithm: str) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    scene.make_bucket(s3)
    encrypt(s3, key, algorithm=algorithm)
    assert "AWS managed key" in str(refused(pca))


OBJECTS = [f"{BUCKET_ARN}/{name}" for name in ("acm-pca-permission-test-key", "acm-pca-permission-test-key-private")]


@pytest.mark.parametrize(
    ("actions", "condition", "bucket_key", "allowed"),
    [
        (BOTH, None, False, True),
        (["kms:*"], None, True, True),
        (["kms:GenerateDataKey"], None, False, False),
        (["kms:Decrypt"], None, False, False),
        (BOTH, context(BUCKET_ARN), True, True),
        (BOTH, context(BUCKET_ARN), False, False),
        (BOTH, context(*OBJECTS, f"{BUCKET_ARN}/crl/*"), False, True),
        (BOTH, context(f"{BUCKET_ARN}/acm-pca-permission-test-key*"), False, True),
        (BOTH, context(f"{BUCKET_ARN}/crl/*"), False, False),
        (BOTH, context(f"{BUCKET_ARN}/*"), True, False),
        (BOTH, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}, False, True),
        (BOTH, {"StringEquals": {"aws:SourceAccount": "999999999999"}}, False, False),
    ],
)
def test_a_key_of_the_customer(
    client: Clients, actions: list[str], condition: dict[str, Any] | None, bucket_key: bool, allowed: bool
) -> None:
    pca, s3, kms = client("acm-pca"), client("s3"), client("kms")
    scene.make_bucket(s3)
    encrypt(s3, key_with(kms, actions, condition)["Arn"], bucket_key=bucket_key)
    message = refused(pca)
    assert message is None if allowed else str(message).startswith("ValidationException: Permission error")


def by_id(kms: Any, key: dict[str, str]) -> str:
    return key["KeyId"]


def by_alias(kms: Any, key: dict[str, str]) -> str:
    kms.create_alias(AliasName="alias/crl", TargetKeyId=key["KeyId"])
    return "alias/crl"


def by_alias_arn(kms: Any, key: dict[str, str]) -> str:
    by_alias(kms, key)
    return f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/crl"


@pytest.mark.parametrize("naming", [by_id, by_alias, by_alias_arn])
def test_each_way_to_name_a_key(client: Clients, naming: Callable[[Any, dict[str, str]], str]) -> None:
    pca, s3, kms = client("acm-pca"), client("s3"), client("kms")
    scene.make_bucket(s3)
    encrypt(s3, naming(kms, key_with(kms, BOTH)))
    assert refused(pca) is None


def test_keys_that_do_not_work(client: Clients) -> None:
    pca, s3, kms = client("acm-pca"), client("s3"), client("kms")
    scene.make_bucket(s3)
    encrypt(s3, kms.create_key()["KeyMetadata"]["Arn"])  # its default policy knows the account only
    assert "kms:GenerateDataKey" in str(refused(pca))
    key = key_with(kms, BOTH)
    encrypt(s3, key["Arn"])
    kms.disable_key(KeyId=key["KeyId"])
    assert "Disabled" in str(refused(pca))
    kms.enable_key(KeyId=key["KeyId"])
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    assert "PendingDeletion" in str(refused(pca))
    encrypt(s3, f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000")
    assert "does not exist" in str(refused(pca))


def test_update_is_refused_and_changes_nothing(client: Clients) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    scene.make_bucket(s3)
    encrypt(s3, None)
    arn = scene.active_root(pca)
    with pytest.raises(ClientError, match="Check your S3 bucket permissions and try again"):
        pca.update_certificate_authority(CertificateAuthorityArn=arn, RevocationConfiguration=scene.CRL)
    described = scene.describe(pca, arn)["RevocationConfiguration"]
    assert described["CrlConfiguration"] == {"Enabled": False}


def test_buckets_in_regions_that_are_turned_on(client: Clients) -> None:
    s3 = client("s3", "eu-south-1")
    location = {"LocationConstraint": "eu-south-1"}
    s3.create_bucket(Bucket=scene.BUCKET, CreateBucketConfiguration=location)
    s3.put_bucket_policy(Bucket=scene.BUCKET, Policy=scene.bucket_policy())
    assert "cannot write" in str(refused(client("acm-pca")))
    assert refused(client("acm-pca", "eu-south-1")) is None
