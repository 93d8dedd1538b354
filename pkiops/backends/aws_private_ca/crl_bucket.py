"""The bucket into which the service writes CRLs: what its policy must say, and reading a CRL out of it.

The policy does not refuse plain HTTP for reads: CDP URLs are http, and a CDN asks the bucket as it was asked. Only writes are held to TLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pkiops.aws import partition_of, translated
from pkiops.backends.aws_private_ca import shapes
from pkiops.backends.aws_private_ca.issuance import Issuance, crl_url
from pkiops.backends.interface import ObservedAuthority
from pkiops.errors import NotFound, VerificationFailed

# 1,000,000 revoked certificates of 53 bytes each, and room
_MAX_CRL_BYTES = 128 * 1024 * 1024


class CrlBucket(Issuance):
    """CRLs that the service publishes itself (PublishesOwnCrls, PublishesCrlsInParts)."""

    def crl_url(self, authority: ObservedAuthority) -> str | None:
        """The URL written into certificates."""
        return crl_url(authority, self._clients.access.region)

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        """The CRL the service wrote (s3:GetObject), or None when there is none yet."""
        if authority.crl is None:
            return None
        key = f"{authority.crl.path.strip('/')}/{shapes.authority_id(authority.reference)}.crl".lstrip("/")
        try:
            return self._get(authority.crl.bucket, key)
        except NotFound as error:
            if error.details.get("aws_error") == "NoSuchBucket":
                raise  # not "none yet": certificates point to a bucket that is gone
            return None

    def fetch_crl_parts(self, authority: ObservedAuthority) -> Iterator[tuple[str, bytes]]:
        """Every CRL in the CA's folder of the bucket (s3:ListObjectsV2, s3:GetObject): the names of parts are random, the folder may be shared."""
        if authority.crl is None:
            return
        client, bucket, owner = self._clients.s3(), authority.crl.bucket, self._clients.access.account
        prefix = f"{authority.crl.path.strip('/')}/".lstrip("/")
        with translated("ListObjectsV2", f"s3://{bucket}/{prefix}"):
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix, Delimiter="/", ExpectedBucketOwner=owner
            )
            keys = [one["Key"] for page in pages for one in page.get("Contents", []) if one["Key"].endswith(".crl")]
        for key in sorted(keys):
            yield key[len(prefix) :], self._get(bucket, key)

    def _get(self, bucket: str, key: str) -> bytes:
        where = f"s3://{bucket}/{key}"
        with translated("GetObject", where):
            answer = self._clients.s3().get_object(
                Bucket=bucket, Key=key, ExpectedBucketOwner=self._clients.access.account
            )
            if answer["ContentLength"] > _MAX_CRL_BYTES:
                raise VerificationFailed(f"{where} is larger than {_MAX_CRL_BYTES} bytes", code="crl.too-big")
            return answer["Body"].read(_MAX_CRL_BYTES + 1)

    def crl_bucket_policy(self, bucket: str) -> tuple[dict[str, Any], ...]:
        """The statements that the CRL bucket's policy needs (KeepsCrlsInBucket).

        The CA's ARN is not known before it is created, and CRL configuration belongs into the creating call: so every CA of the account and
        region may write, and nothing else.
        """
        access = self._clients.access
        partition = partition_of(access.region)
        arn = f"arn:{partition}:s3:::{bucket}"
        authorities = f"arn:{partition}:acm-pca:{access.region}:{access.account}:certificate-authority/*"
        return (
            {
                "Sid": "PkiopsPrivateCaWritesCrls",
                "Effect": "Allow",
                "Principal": {"Service": "acm-pca.amazonaws.com"},
                "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"],
                "Resource": [arn, f"{arn}/*"],
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": access.account},
                    "ArnLike": {"aws:SourceArn": authorities},
                },
            },
            {
                "Sid": "PkiopsWritesNeedTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject", "s3:DeleteObjectVersion"],
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        )
