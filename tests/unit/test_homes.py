"""Facts about accounts, regions and ARNs."""

from __future__ import annotations

import pytest

from pkiops.homes import Home, home_of_reference, is_opt_in, partition_of, writing_service

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/12345678-1234-1234-1234-123456789012"


def test_an_arn_names_its_home() -> None:
    assert home_of_reference(ARN) == Home("111122223333", "eu-west-1")
    assert str(home_of_reference(ARN)) == "account 111122223333, eu-west-1"


@pytest.mark.parametrize(
    "text", ["", "root", "arn:aws:acm-pca:eu-west-1", "arn:aws:s3:eu-west-1:1:x", "urn:aws:acm-pca:a:b:c"]
)
def test_what_is_no_arn_of_a_ca_has_no_home(text: str) -> None:
    assert home_of_reference(text) is None


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
    ],
)
def test_partitions(region: str, partition: str) -> None:
    assert partition_of(region) == partition == Home("111122223333", region).partition


@pytest.mark.parametrize(
    ("authority", "bucket", "service"),
    [
        ("eu-west-1", "eu-west-1", "acm-pca.amazonaws.com"),
        ("us-east-1", "eu-west-1", "acm-pca.amazonaws.com"),
        ("eu-south-1", "eu-south-1", "acm-pca.amazonaws.com"),
        ("eu-south-1", "eu-west-1", "acm-pca.eu-south-1.amazonaws.com"),
        ("eu-west-1", "eu-south-1", None),
        ("ap-east-1", "eu-south-1", None),
        ("cn-north-1", "cn-northwest-1", "acm-pca.amazonaws.com"),
    ],
)
def test_who_writes_into_a_bucket_of_another_region(authority: str, bucket: str, service: str | None) -> None:
    assert writing_service(authority, bucket) == service


def test_the_regions_that_every_account_has() -> None:
    assert not is_opt_in("eu-west-1")
    assert is_opt_in("me-central-1")
    assert not is_opt_in("cn-north-1")
