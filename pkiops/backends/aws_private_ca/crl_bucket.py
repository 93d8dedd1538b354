"""The bucket into which the service writes CRLs: what its policy must say, and reading a CRL out of it.

The policy does not refuse plain HTTP for reads: CDP URLs are http, and a CDN asks the bucket as it was asked. Only writes are held to TLS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pkiops.aws_errors import translated
from pkiops.backends.aws_private_ca import shapes
from pkiops.backends.aws_private_ca.issuance import Issuance, crl_url
from pkiops.backends.interface import ObservedAuthority
from pkiops.errors import NotFound, VerificationFailed
from pkiops.homes import Home, writing_service

# 1,000,000 revoked certificates of 53 bytes each, and room
_MAX_CRL_BYTES = 128 * 1024 * 1024
# what the service does in a CRL bucket, and what it wants its caller to be able to do there (CreateCertificateAuthority)
_WRITING = ("s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation")


class CrlBucket(Issuance):
    """CRLs that the service publishes itself (PublishesOwnCrls, PublishesCrlsInParts). ``writers`` are other homes with CAs that publish in the
    same bucket.
    """

    _writers: Mapping[Home, Sequence[str]] = MappingProxyType({})

    def crl_url(self, authority: ObservedAuthority) -> str | None:
        """The URL written into certificates."""
        return crl_url(authority, self._publication.access.region)

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
        client, bucket, owner = self._publication.s3(), authority.crl.bucket, self._publication.access.account
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
            answer = self._publication.s3().get_object(
                Bucket=bucket, Key=key, ExpectedBucketOwner=self._publication.access.account
            )
            if answer["ContentLength"] > _MAX_CRL_BYTES:
                raise VerificationFailed(f"{where} is larger than {_MAX_CRL_BYTES} bytes", code="crl.too-big")
            return answer["Body"].read(_MAX_CRL_BYTES + 1)

    def crl_bucket_policy(self, bucket: str) -> tuple[dict[str, Any], ...]:
        """The statements that the CRL bucket's policy needs (KeepsCrlsInBucket).

        The CA's ARN is not known before it is created, and CRL configuration belongs into the creating call: so every CA of the accounts and
        regions may write, and nothing else. Whoever keeps CAs of another account needs to be let in, too.
        """
        access = self._clients.access
        own = Home(access.account, access.region)
        return crl_bucket_statements(bucket, own, self._writers)


def crl_bucket_statements(bucket: str, own: Home, writers: Mapping[Home, Sequence[str]]) -> tuple[dict[str, Any], ...]:
    """The statements of a CRL bucket at home in ``own``; CAs of ``writers`` write into it, too: by home, each with the roles of its keepers."""
    arn = f"arn:{own.partition}:s3:::{bucket}"
    homes = [own, *(one for one in writers if one != own)]
    services = {writing_service(one.region, own.region) for one in homes} - {None}
    authorities = [f"arn:{one.partition}:acm-pca:{one.region}:{one.account}:certificate-authority/*" for one in homes]
    statements: list[dict[str, Any]] = [
        {
            "Sid": "PkiopsPrivateCaWritesCrls",
            "Effect": "Allow",
            "Principal": {"Service": _one_or_all(services)},
            "Action": list(_WRITING),
            "Resource": [arn, f"{arn}/*"],
            "Condition": {
                "StringEquals": {"aws:SourceAccount": _one_or_all({one.account for one in homes})},
                "ArnLike": {"aws:SourceArn": _one_or_all(authorities)},
            },
        }
    ]
    keepers = {role: home.account for home, roles in writers.items() for role in roles if home.account != own.account}
    if keepers:
        # by account and condition: a role that is named as a principal must exist, and stops counting when it is made anew
        accounts = {f"arn:{own.partition}:iam::{account}:root" for account in keepers.values()}
        statements.append(
            {
                "Sid": "PkiopsKeepersOfOtherAccounts",
                "Effect": "Allow",
                "Principal": {"AWS": _one_or_all(accounts)},
                "Action": list(_WRITING),
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"ArnEquals": {"aws:PrincipalArn": _one_or_all(keepers)}},
            }
        )
    statements.append(
        {
            "Sid": "PkiopsWritesNeedTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject", "s3:DeleteObjectVersion"],
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )
    return tuple(statements)


def _one_or_all(values: Iterable[str | None]) -> str | list[str]:
    made = sorted(str(one) for one in values)
    return made[0] if len(made) == 1 else made
