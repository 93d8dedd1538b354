"""What must be true of the account after any number of applies of ``dev``: one root, one subordinate, both ACTIVE, nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.sandbox_server import RunningSandbox

REPOSITORY = Path(__file__).parents[2]
DEV_BUCKETS = {"example-pki-dev-crl", "example-pki-dev-trust"}


def dev_folder(folder: Path) -> Path:
    """A working directory that holds ``environments/dev.yaml``."""
    (folder / "environments").mkdir()
    shutil.copy(REPOSITORY / "environments" / "dev.yaml", folder / "environments" / "dev.yaml")
    return folder


def assert_one_hierarchy(sandbox: RunningSandbox) -> None:
    client = sandbox.client("acm-pca")
    authorities: list[dict[str, Any]] = client.list_certificate_authorities()["CertificateAuthorities"]
    found = sorted((one["Type"], one["Status"]) for one in authorities)
    assert found == [("ROOT", "ACTIVE"), ("SUBORDINATE", "ACTIVE")]
    labels = set()
    for one in authorities:
        tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(CertificateAuthorityArn=one["Arn"])["Tags"]}
        assert tags["pkiops:environment"] == "dev"
        labels.add(tags["pkiops:authority"])
        assert one["RevocationConfiguration"]["CrlConfiguration"]["Enabled"] is True
    assert labels == {"root", "clients"}
    assert_buckets_closed(sandbox)


def assert_buckets_closed(sandbox: RunningSandbox) -> None:
    s3 = sandbox.client("s3")
    assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == DEV_BUCKETS
    for bucket in DEV_BUCKETS:
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert all(blocked.values())
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
