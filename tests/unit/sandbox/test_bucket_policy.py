"""Whether a bucket policy lets the CA service write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pkiops.sandbox.bucket_policy import refusal, service_principal, verdict_for_anyone

ACTIONS = ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"]
RESOURCES = ["arn:aws:s3:::example-crl", "arn:aws:s3:::example-crl/*"]
CA = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-2222-4333-8444-555555555555"
CONTEXT = {"aws:sourceaccount": "111122223333", "aws:sourcearn": CA, "aws:securetransport": "true"}
ALLOW: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "acm-pca.amazonaws.com"},
    "Action": ACTIONS,
    "Resource": RESOURCES,
}


def verdict(*statements: dict[str, Any]) -> str | None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return refusal(policy, partition="aws", bucket="example-crl", key="crl/a.crl", context=CONTEXT)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Action": "s3:*"},
        {"Action": ["s3:Put*", "s3:GetBucket*"]},
        {"Principal": "*"},
        {"Principal": {"Service": ["acm-pca.amazonaws.com", "other.amazonaws.com"]}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": ["999", "111122223333"], "aws:SourceArn": CA}}},
        {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:acm-pca:*:111122223333:certificate-authority/*"}}},
        {"Condition": {"StringEqualsIfExists": {"aws:SourceOrgID": "o-1"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": True}}},
    ],
)
def test_allowed(changes: dict[str, Any]) -> None:
    assert verdict({**ALLOW, **changes}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Deny"},
        {"Action": ACTIONS[:-1]},
        {"Resource": RESOURCES[:1]},
        {"Resource": RESOURCES[1:]},
        {"Resource": ["arn:aws:s3:::other", "arn:aws:s3:::other/*"]},
        {"Principal": {"Service": "cloudfront.amazonaws.com"}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": CA.replace("1111", "2222")}}},
        {"Condition": {"StringEquals": {"aws:SourceOrgID": "o-1"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
        {"Condition": "nonsense"},
    ],
)
def test_not_allowed(changes: dict[str, Any]) -> None:
    assert verdict({**ALLOW, **changes}) is not None


@pytest.mark.parametrize(
    ("authority", "bucket", "principal"),
    [
        ("eu-west-1", "eu-west-1", "acm-pca.amazonaws.com"),
        ("eu-west-1", "us-east-1", "acm-pca.amazonaws.com"),
        ("eu-south-1", "eu-south-1", "acm-pca.amazonaws.com"),
        ("eu-south-1", "eu-west-1", "acm-pca.eu-south-1.amazonaws.com"),
        ("eu-west-1", "eu-south-1", None),
        ("af-south-1", "eu-south-1", None),
    ],
)
def test_who_writes_from_region_to_region(authority: str, bucket: str, principal: str | None) -> None:
    assert service_principal(authority, bucket) == principal


def test_the_service_of_another_region_must_be_named() -> None:
    service = "acm-pca.eu-south-1.amazonaws.com"
    context = {**CONTEXT, "aws:principalservicename": service}
    for principal, allowed in ((service, True), ("acm-pca.amazonaws.com", False)):
        policy = json.dumps({"Statement": [{**ALLOW, "Principal": {"Service": principal}}]})
        reason = refusal(policy, partition="aws", bucket="example-crl", key="crl/a.crl", context=context)
        assert (reason is None) is allowed


def test_a_denial_wins() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": RESOURCES}
    assert "denies" in str(verdict(ALLOW, deny))
    plain_http = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert verdict(ALLOW, plain_http) is None
    foreign = {**deny, "Condition": {"StringNotEquals": {"aws:SourceAccount": "111122223333"}}}
    assert verdict(ALLOW, foreign) is None


@pytest.mark.parametrize("policy", [None, "", "{", "[]", "{}", '{"Statement": "x"}', '{"Statement": [1]}'])
def test_policies_that_say_nothing(policy: str | None) -> None:
    assert refusal(policy, partition="aws", bucket="b", key="k", context=CONTEXT) is not None


OPEN = {"Principal": "*", "Action": "s3:GetObject", "Resource": RESOURCES[1]}
PLAIN_HTTP = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], None),
        ([{**OPEN, "Effect": "Allow"}], True),
        ([{**OPEN, "Effect": "Allow", "Principal": {"AWS": "*"}}], True),
        ([{**OPEN, "Effect": "Allow"}, {**OPEN, "Effect": "Deny"}], False),
        ([{**OPEN, "Effect": "Deny", **PLAIN_HTTP}], None),
        ([{**OPEN, "Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}}], None),
        ([{**OPEN, "Effect": "Allow", "Action": "s3:PutObject"}], None),
    ],
)
def test_what_a_policy_says_of_anyone(statements: list[dict[str, Any]], expected: bool | None) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    assert verdict_for_anyone(policy, "s3:GetObject", "arn:aws:s3:::example-crl/a", CONTEXT) is expected
