"""An account whose owner does with it whatever AWS allows, through plain boto3 and behind the back of pkiops.

What the service refuses is refused: the account stays as it was.
"""

from __future__ import annotations

import contextlib
import functools
import json
from typing import Any

from botocore.exceptions import ClientError

from tests.faults.hierarchy import CRL_BUCKET, IDENTITY, TRUST_BUCKET
from tests.sandbox_server import ACCOUNT

# AWS may refuse; then nothing has happened
refusals_allowed = functools.partial(contextlib.suppress, ClientError)
FOREIGN = "SomebodyElses"
_SUBORDINATE = "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"


class Account:
    """The account.

    Args:
        pca: a client of acm-pca.
        s3: a client of S3.
    """

    def __init__(self, pca: Any, s3: Any) -> None:
        self.pca = pca
        self.s3 = s3

    def authorities(self) -> list[dict[str, Any]]:
        """Every CA, the oldest first."""
        found: list[dict[str, Any]] = self.pca.list_certificate_authorities()["CertificateAuthorities"]
        return sorted(found, key=lambda one: (one["CreatedAt"], one["Arn"]))

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a CA; none where they cannot be read. A CA that is CREATING has been looked at often enough then to be there."""
        with refusals_allowed():
            self.pca.describe_certificate_authority(CertificateAuthorityArn=arn)
            return {one["Key"]: one["Value"] for one in self.pca.list_tags(CertificateAuthorityArn=arn)["Tags"]}
        return {}

    def buckets(self) -> set[str]:
        """The names of all buckets."""
        return {one["Name"] for one in self.s3.list_buckets()["Buckets"]}

    def statements(self, bucket: str) -> list[dict[str, Any]]:
        """The statements of a bucket's policy that are not ours."""
        with refusals_allowed():
            policy = json.loads(self.s3.get_bucket_policy(Bucket=bucket)["Policy"])
            return [one for one in policy["Statement"] if one.get("Sid") == FOREIGN]
        return []

    def switch(self, arn: str, *, on: bool) -> None:
        """Enable or disable a CA."""
        with refusals_allowed():
            self.pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="ACTIVE" if on else "DISABLED")

    def delete(self, arn: str) -> None:
        """Delete a CA; it can be restored for a week."""
        with refusals_allowed():
            self.pca.delete_certificate_authority(CertificateAuthorityArn=arn, PermanentDeletionTimeInDays=7)

    def restore(self, arn: str) -> None:
        """Restore a CA."""
        with refusals_allowed():
            self.pca.restore_certificate_authority(CertificateAuthorityArn=arn)

    def untag(self, arn: str, keys: list[str]) -> None:
        """Take tags away from a CA."""
        with refusals_allowed():
            self.pca.untag_certificate_authority(CertificateAuthorityArn=arn, Tags=[{"Key": key} for key in keys])

    def tag(self, arn: str, tags: dict[str, str]) -> None:
        """Give a CA tags."""
        with refusals_allowed():
            listed = [{"Key": key, "Value": value} for key, value in tags.items()]
            self.pca.tag_certificate_authority(CertificateAuthorityArn=arn, Tags=listed)

    def copy(self, arn: str, *, tagged: bool) -> None:
        """Make a CA of the same type, subject and key as another, with its tags or without any."""
        with refusals_allowed():
            described = self.pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
            more = {"Tags": [{"Key": k, "Value": v} for k, v in self.tags(arn).items()]} if tagged else {}
            made = self.pca.create_certificate_authority(
                CertificateAuthorityType=described["Type"],
                CertificateAuthorityConfiguration=described["CertificateAuthorityConfiguration"],
                **{key: value for key, value in more.items() if value},
            )["CertificateAuthorityArn"]
            self.pca.describe_certificate_authority(CertificateAuthorityArn=made)

    def sign(self, arn: str, issuer: str, days: int) -> None:
        """Have a CA's request signed by another CA, by hand, and install the certificate: a renewal, or another life than the file says."""
        with refusals_allowed():
            request = self.pca.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]
            signer = self.pca.describe_certificate_authority(CertificateAuthorityArn=issuer)["CertificateAuthority"]
            issued = self.pca.issue_certificate(
                CertificateAuthorityArn=issuer,
                Csr=request,
                SigningAlgorithm=signer["CertificateAuthorityConfiguration"]["SigningAlgorithm"],
                TemplateArn=_SUBORDINATE,
                Validity={"Type": "DAYS", "Value": days},
            )["CertificateArn"]
            for _ in range(3):
                with refusals_allowed():
                    answer = self.pca.get_certificate(CertificateAuthorityArn=issuer, CertificateArn=issued)
                    self.pca.import_certificate_authority_certificate(
                        CertificateAuthorityArn=arn,
                        Certificate=answer["Certificate"],
                        CertificateChain=answer["CertificateChain"],
                    )
                    return

    def revoke(self, arn: str, issuer: str) -> None:
        """Revoke a CA's certificate at its issuer."""
        with refusals_allowed():
            described = self.pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
            if "Serial" in described:
                self.pca.revoke_certificate(
                    CertificateAuthorityArn=issuer,
                    CertificateSerial=described["Serial"],
                    RevocationReason="SUPERSEDED",
                )

    def share(self, arn: str) -> None:
        """Let ACM use a CA for two of its three actions, and put a resource policy on it."""
        with refusals_allowed():
            self.pca.create_permission(
                CertificateAuthorityArn=arn,
                Principal="acm.amazonaws.com",
                Actions=["IssueCertificate", "GetCertificate"],
            )

    def crl_off(self, arn: str) -> None:
        """Turn a CA's CRL off."""
        with refusals_allowed():
            self.pca.update_certificate_authority(
                CertificateAuthorityArn=arn, RevocationConfiguration={"CrlConfiguration": {"Enabled": False}}
            )

    def bucket(self, name: str, what: str) -> None:
        """Do something to a bucket."""
        with refusals_allowed():
            _BUCKET[what](self.s3, name)

    def forget(self, what: str) -> None:
        """Remove or spoil what pkiops keeps in the trust bucket."""
        with refusals_allowed():
            keys = [one["Key"] for one in self.s3.list_objects_v2(Bucket=TRUST_BUCKET).get("Contents", [])]
            for key in keys:
                if (what == "index" and key.endswith("index.json")) or (what == "claims" and "/claims/" in key):
                    self.s3.delete_object(Bucket=TRUST_BUCKET, Key=key)
                elif what == "spoilt":
                    self.s3.put_object(Bucket=TRUST_BUCKET, Key=key, Body=b"{}")

    def claim(self, label: str, generation: int) -> None:
        """Claim the making of an authority for other inputs."""
        body = json.dumps({"digest": "0" * 64, "caller": "arn:aws:iam::123456789012:user/mallory", "run": "x"})
        with refusals_allowed():
            self.s3.put_object(Bucket=TRUST_BUCKET, Key=f"dev/claims/{label}/{generation}.json", Body=body.encode())


def _remove(s3: Any, name: str) -> None:
    listed = s3.list_object_versions(Bucket=name)
    for one in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
    s3.delete_bucket(Bucket=name)


def _make(s3: Any, name: str) -> None:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def _fill(s3: Any, name: str) -> None:
    s3.put_object(Bucket=name, Key="of-somebody-else", Body=b"1")


def _foreign_policy(s3: Any, name: str) -> None:
    statement = {
        "Sid": FOREIGN,
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{name}/*",
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def _encrypt(s3: Any, name: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})


_BUCKET = {
    "remove": _remove,
    "make": _make,
    "fill": _fill,
    "policy of somebody else": _foreign_policy,
    "no policy": lambda s3, name: s3.delete_bucket_policy(Bucket=name),
    "open": lambda s3, name: s3.delete_public_access_block(Bucket=name),
    "no tags": lambda s3, name: s3.delete_bucket_tagging(Bucket=name),
    "no versions": lambda s3, name: s3.put_bucket_versioning(
        Bucket=name, VersioningConfiguration={"Status": "Suspended"}
    ),
    "encrypted": _encrypt,
}
BUCKET_CHANGES = tuple(_BUCKET)
BUCKETS = (CRL_BUCKET, TRUST_BUCKET)
SOME_TAGS = ([*IDENTITY], [IDENTITY[0]], [IDENTITY[1]], [IDENTITY[2]])
