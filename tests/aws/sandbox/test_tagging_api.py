"""The Resource Groups Tagging API: authorities beside what moto answers for, in process and over HTTP."""

from __future__ import annotations

from typing import Any

from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import Clients


def tagged_authority(pca: Any, name: str, **tags: str) -> str:
    given: dict[str, Any] = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}
    arn = scene.create(pca, IdempotencyToken=name, **given)
    while scene.describe(pca, arn)["Status"] == "CREATING":
        pass
    return arn


def found(api: Any, **filters: Any) -> dict[str, dict[str, str]]:
    pages = api.get_paginator("get_resources").paginate(**filters).build_full_result()
    return {
        item["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in item["Tags"]}
        for item in pages["ResourceTagMappingList"]
    }


def test_authorities_are_found_by_tag_and_by_type(client: Clients) -> None:
    pca, s3, api = client("acm-pca"), client("s3"), client("resourcegroupstaggingapi")
    first = tagged_authority(pca, "a", team="platform", stage="test")
    second = tagged_authority(pca, "b", team="web")
    tagged_authority(pca, "c")
    scene.make_bucket(s3)
    s3.put_bucket_tagging(Bucket=scene.BUCKET, Tagging={"TagSet": [{"Key": "team", "Value": "platform"}]})
    bucket = f"arn:aws:s3:::{scene.BUCKET}"
    assert found(api) == {
        first: {"team": "platform", "stage": "test"},
        second: {"team": "web"},
        bucket: {"team": "platform"},
    }
    assert set(found(api, TagFilters=[{"Key": "team", "Values": ["platform"]}])) == {first, bucket}
    assert set(found(api, ResourceTypeFilters=["acm-pca"])) == {first, second}
    assert set(found(api, ResourceTypeFilters=["acm-pca:certificate-authority"], ResourcesPerPage=1)) == {first, second}
    assert set(found(api, ResourceTypeFilters=["s3"])) == {bucket}
    assert set(found(api, ResourceARNList=[second])) == {second}
    assert set(api.get_tag_keys()["TagKeys"]) == {"team", "stage"}
    assert set(api.get_tag_values(Key="team")["TagValues"]) == {"platform", "web"}


def test_deleted_authorities_and_other_regions_are_not_found(client: Clients) -> None:
    pca = client("acm-pca")
    arn = tagged_authority(pca, "a", team="platform")
    assert found(client("resourcegroupstaggingapi", "us-east-1")) == {}
    assert set(found(client("resourcegroupstaggingapi"))) == {arn}
    pca.delete_certificate_authority(CertificateAuthorityArn=arn)
    assert found(client("resourcegroupstaggingapi")) == {}


def test_authorities_are_tagged_through_the_api(client: Clients) -> None:
    pca, api = client("acm-pca"), client("resourcegroupstaggingapi")
    arn = tagged_authority(pca, "a", team="platform")
    assert api.tag_resources(ResourceARNList=[arn], Tags={"team": "web", "new": "1"})["FailedResourcesMap"] == {}
    assert found(api) == {arn: {"team": "web", "new": "1"}}
    assert api.untag_resources(ResourceARNList=[arn], TagKeys=["team"])["FailedResourcesMap"] == {}
    assert pca.list_tags(CertificateAuthorityArn=arn)["Tags"] == [{"Key": "new", "Value": "1"}]


def test_what_cannot_be_tagged_is_said_with_the_services_code(client: Clients) -> None:
    pca, s3, api = client("acm-pca"), client("s3"), client("resourcegroupstaggingapi")
    arn = tagged_authority(pca, "a", team="platform")
    scene.make_bucket(s3)
    unknown, elsewhere = f"{arn[:-12]}000000000000", arn.replace(":eu-west-1:", ":us-east-1:")
    bucket = f"arn:aws:s3:::{scene.BUCKET}"
    answer = api.tag_resources(ResourceARNList=[arn, unknown, elsewhere, bucket], Tags={"k": "v"})
    failed = answer["FailedResourcesMap"]
    assert set(failed) == {unknown, elsewhere}
    assert failed[unknown]["ErrorCode"] == "ResourceNotFoundException"
    assert set(found(api, TagFilters=[{"Key": "k"}])) == {arn, bucket}
    (reserved,) = api.tag_resources(ResourceARNList=[arn], Tags={"aws:x": "1"})["FailedResourcesMap"].values()
    assert (reserved["StatusCode"], reserved["ErrorCode"]) == (400, "InvalidTagException")
    gone = api.untag_resources(ResourceARNList=[unknown, bucket], TagKeys=["k"])["FailedResourcesMap"]
    assert set(gone) == {unknown}
    assert set(found(api, TagFilters=[{"Key": "k"}])) == {arn}


def test_pages_while_authorities_come_and_go(client: Clients) -> None:
    pca, api = client("acm-pca"), client("resourcegroupstaggingapi")
    arns = [tagged_authority(pca, f"{i}", team="platform", stage="test") for i in range(12)]
    filters = {"TagFilters": [{"Key": "team", "Values": ["platform", "web"]}, {"Key": "stage"}], "ResourcesPerPage": 5}
    first = api.get_resources(**filters)
    tagged_authority(pca, "new", team="platform", stage="test")
    pca.delete_certificate_authority(CertificateAuthorityArn=arns[0])
    second = api.get_resources(PaginationToken=first["PaginationToken"], **filters)
    third = api.get_resources(PaginationToken=second["PaginationToken"], **filters)
    pages = [[item["ResourceARN"] for item in page["ResourceTagMappingList"]] for page in (first, second, third)]
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [arn for page in pages for arn in page] == arns
    assert not third.get("PaginationToken")
