"""Tags, lists and their pages; accounts and Regions apart."""

from __future__ import annotations

import base64

import pytest

from pkiops.sandbox.engine.state import Region
from tests.unit.sandbox.world import World


def tags_of(world: World, arn: str) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in world.call("ListTags", CertificateAuthorityArn=arn).get("Tags", [])}


def test_tags_are_set_changed_and_removed() -> None:
    world = World()
    arn = world.create(Tags=[{"Key": "a", "Value": "1"}, {"Key": "b"}])
    world.describe(arn)
    assert tags_of(world, arn) == {"a": "1", "b": ""}
    world.call("TagCertificateAuthority", CertificateAuthorityArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "c"}])
    world.call(
        "UntagCertificateAuthority", CertificateAuthorityArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b"}]
    )
    assert tags_of(world, arn) == {"a": "2", "c": ""}


def test_limits_of_tags() -> None:
    world = World()
    arn = world.create(Tags=[{"Key": f"k{i}"} for i in range(50)])
    world.describe(arn)
    world.call("TagCertificateAuthority", CertificateAuthorityArn=arn, Tags=[{"Key": "k1", "Value": "changed"}])
    request = {"CertificateAuthorityArn": arn}
    world.refused("TooManyTagsException", "TagCertificateAuthority", Tags=[{"Key": "new"}], **request)
    world.refused("InvalidTagException", "TagCertificateAuthority", Tags=[{"Key": "aws:reserved"}], **request)
    world.refused("InvalidTagException", "TagCertificateAuthority", Tags=[{"Key": "k1"}, {"Key": "k1"}], **request)


@pytest.mark.parametrize("key", ["aws:x", "AWS:x", "rds:x"])
def test_reserved_tags_are_neither_set_nor_removed(key: str) -> None:
    world = World()
    arn = world.create(Tags=[{"Key": "kept"}])
    world.describe(arn)
    tags = [{"Key": "kept"}, {"Key": key}]
    for operation in ("TagCertificateAuthority", "UntagCertificateAuthority"):
        world.refused("InvalidTagException", operation, CertificateAuthorityArn=arn, Tags=tags)
    assert tags_of(world, arn) == {"kept": ""}


@pytest.mark.parametrize("tags", [[{"Key": "AWS:reserved"}], [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]])
def test_tags_given_at_creation_are_held_to_the_same_rules(tags: list[dict[str, str]]) -> None:
    world = World()
    subject = {"CommonName": "a"}
    configuration = {"KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA", "Subject": subject}
    world.refused(
        "InvalidTagException",
        "CreateCertificateAuthority",
        CertificateAuthorityConfiguration=configuration,
        CertificateAuthorityType="ROOT",
        Tags=tags,
    )
    assert world.call("ListCertificateAuthorities") == {"CertificateAuthorities": []}


def test_pages_of_tags() -> None:
    world = World()
    arn = world.create(Tags=[{"Key": f"k{i}"} for i in range(5)])
    world.describe(arn)
    first = world.call("ListTags", CertificateAuthorityArn=arn, MaxResults=3)
    rest = world.call("ListTags", CertificateAuthorityArn=arn, MaxResults=3, NextToken=first["NextToken"])
    assert [tag["Key"] for page in (first, rest) for tag in page["Tags"]] == [f"k{i}" for i in range(5)]
    assert "NextToken" not in rest


def test_authorities_come_newest_first_and_at_most_a_hundred_at_once() -> None:
    world = World()
    arns = [world.create(common_name=f"CA {i}") for i in range(120)]
    first = world.call("ListCertificateAuthorities", MaxResults=1000)
    assert len(first["CertificateAuthorities"]) == 100
    newest = world.create(common_name="while paging")
    rest = world.call("ListCertificateAuthorities", NextToken=first["NextToken"])
    listed = [item["Arn"] for page in (first, rest) for item in page["CertificateAuthorities"]]
    assert listed == arns[::-1]
    assert world.call("ListCertificateAuthorities", MaxResults=1)["CertificateAuthorities"][0]["Arn"] == newest
    assert world.call("ListCertificateAuthorities", ResourceOwner="OTHER_ACCOUNTS") == {"CertificateAuthorities": []}


@pytest.mark.parametrize("token", ["x", "!", base64.b64encode(b"after:nothing").decode(), "\u00fc"])
def test_tokens_that_are_not_ours(token: str) -> None:
    world = World()
    world.create()
    world.refused("InvalidNextTokenException", "ListCertificateAuthorities", NextToken=token)


def test_accounts_and_regions_are_apart() -> None:
    world = World()
    arn = world.create()
    for other, code in (
        (Region("aws", "111122223333", "us-east-1"), "ResourceNotFoundException"),
        (Region("aws", "444455556666", "eu-west-1"), "AccessDeniedException"),
    ):
        world.region = other
        world.refused(code, "DescribeCertificateAuthority", CertificateAuthorityArn=arn)
        assert world.call("ListCertificateAuthorities") == {"CertificateAuthorities": []}
        assert world.create() != arn
