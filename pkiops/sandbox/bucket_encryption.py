"""Whether the encryption of a bucket lets the CA service write: SSE-S3 always, SSE-KMS with a customer's key whose policy says so.

What this module decides: the rules of "Encrypting your CRLs" of the user guide, over moto's S3 and KMS. A key must let the service
generate data keys and decrypt; its conditions see the encryption context S3 uses: the bucket's ARN with S3 bucket keys on, the
object's ARN without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.kms.models import kms_backends

from pkiops.sandbox.bucket_policy import key_refusal

NAMES = {"moto.kms.models": ("kms_backends", "KmsBackend.any_id_to_key_id", "KmsBackend.create_key")}
_S3_ALIAS = "alias/aws/s3"
_AWS_MANAGED = "it is encrypted with the AWS managed key aws/s3, which the service cannot use"


def encryption_refusal(bucket: Any, key: str, context: Mapping[str, str]) -> str | None:
    """Why the encryption of moto's ``bucket`` keeps the service from writing ``key``, or None.

    ``context`` holds the condition keys of the request, lower case.
    """
    rule = (bucket.encryption or {}).get("Rule") or {}
    default = rule.get("ApplyServerSideEncryptionByDefault") or {}
    if not str(default.get("SSEAlgorithm", "AES256")).startswith("aws:kms"):
        return None
    identifier = str(default.get("KMSMasterKeyID") or _S3_ALIAS)
    if identifier.endswith(_S3_ALIAS):
        return _AWS_MANAGED
    found = _key(bucket, identifier)
    if found is None:
        return f"the KMS key {identifier} it is encrypted with does not exist"
    if found.key_state != "Enabled":
        return f"the KMS key {found.arn} it is encrypted with is {found.key_state}"
    if _S3_ALIAS in found.aliases:
        return _AWS_MANAGED
    by_bucket = str(rule.get("BucketKeyEnabled")).lower() == "true"
    arn = f"arn:{bucket.partition}:s3:::{bucket.name}"
    encryption_context = {"kms:encryptioncontext:aws:s3:arn": arn if by_bucket else f"{arn}/{key}"}
    return key_refusal(found.policy, key_arn=found.arn, context={**context, **encryption_context})


def _key(bucket: Any, identifier: str) -> Any:
    """Moto's key of an id, ARN, alias or alias ARN; an id without a Region is of the bucket's."""
    region, account = bucket.region_name, bucket.account_id
    if identifier.startswith("arn:"):
        fields = identifier.split(":")
        if len(fields) < 6:
            return None
        region, account = fields[3], fields[4]
    if account not in kms_backends or region not in kms_backends[account]:
        return None
    backend = kms_backends[account][region]
    return backend.keys.get(backend.any_id_to_key_id(identifier))
