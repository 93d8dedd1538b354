"""What must be true of the account whatever happened to pkiops: no CA twice, none that is nobody's, no bucket open; and what a whole ``dev`` is."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from pkiops.environment.index import decode_index
from tests.sandbox_server import RunningSandbox

REPOSITORY = Path(__file__).parents[2]
CRL_BUCKET, TRUST_BUCKET = "example-pki-dev-crl", "example-pki-dev-trust"
DEV_BUCKETS = {CRL_BUCKET, TRUST_BUCKET}
IDENTITY = ("pkiops:environment", "pkiops:authority", "pkiops:generation")


def dev_folder(folder: Path) -> Path:
    """A working directory that holds ``environments/dev.yaml``."""
    (folder / "environments").mkdir()
    shutil.copy(REPOSITORY / "environments" / "dev.yaml", folder / "environments" / "dev.yaml")
    return folder


def assert_one_hierarchy(sandbox: RunningSandbox) -> None:
    """``assert_whole_dev``, with clients of its own."""
    assert_whole_dev(sandbox.client("acm-pca"), sandbox.client("s3"))


def assert_whole_dev(client: Any, s3: Any) -> None:
    """One root and one subordinate, both ACTIVE, nothing else; the index names them; the buckets are closed."""
    authorities: list[dict[str, Any]] = client.list_certificate_authorities()["CertificateAuthorities"]
    found = sorted((one["Type"], one["Status"]) for one in authorities)
    assert found == [("ROOT", "ACTIVE"), ("SUBORDINATE", "ACTIVE")]
    labels = {}
    for one in authorities:
        tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(CertificateAuthorityArn=one["Arn"])["Tags"]}
        assert tags["pkiops:environment"] == "dev"
        labels[tags["pkiops:authority"]] = one["Arn"]
        assert one["RevocationConfiguration"]["CrlConfiguration"]["Enabled"] is True
    assert labels.keys() == {"root", "clients"}
    assert_index_names(s3, labels)
    assert_buckets_closed(s3)


def assert_index_names(s3: Any, references: dict[str, str]) -> None:
    """The published index names exactly these CAs by their labels."""
    index = decode_index(s3.get_object(Bucket=TRUST_BUCKET, Key="dev/index.json")["Body"].read())
    assert {one.label: one.reference for one in index.authorities} == references


def assert_buckets_closed(s3: Any) -> None:
    """Both buckets exist, and no other; private, versioned, and with the policies of the file."""
    assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == DEV_BUCKETS
    for bucket in DEV_BUCKETS:
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert all(blocked.values())
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]


def assert_harmless(client: Any, s3: Any, *, foreign: int = 0) -> None:
    """What must hold even in the middle of anything.

    Args:
        client: of acm-pca.
        s3: of S3.
        foreign: how many CAs may carry no tags of ours, because somebody else made them.
    """
    authorities = client.list_certificate_authorities()["CertificateAuthorities"]
    living = [one["Arn"] for one in authorities if one["Status"] not in {"DELETED", "FAILED"}]
    identities: Counter[tuple[str, ...]] = Counter()
    for arn in living:
        if any(one["Arn"] == arn and one["Status"] == "CREATING" for one in authorities):
            client.describe_certificate_authority(CertificateAuthorityArn=arn)  # tags can be read when it was polled
        tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(CertificateAuthorityArn=arn)["Tags"]}
        identities[tuple(tags.get(key, "") for key in IDENTITY)] += 1
    nobody = identities.pop(("", "", ""), 0)
    assert nobody <= foreign, f"{nobody} CAs without tags"
    assert all(count == 1 for count in identities.values()), identities
    for bucket in (one["Name"] for one in s3.list_buckets()["Buckets"]):
        assert_not_open(s3, bucket)


def assert_not_open(s3: Any, bucket: str) -> None:
    """A bucket that has a policy already blocks public access; one without has nothing that opens it."""
    try:
        policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(blocked.values()), f"{bucket} is open, and has a policy: {policy}"
