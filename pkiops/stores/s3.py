"""Named bytes in an S3 bucket.

Writes are conditional by ETag (If-Match, If-None-Match); every call names the bucket's expected owner, so that a bucket which
somebody else made under our name is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pkiops.aws import AwsClients
from pkiops.aws_errors import translated
from pkiops.errors import AlreadyExists, NotFound, VerificationFailed
from pkiops.stores.interface import ALWAYS, Condition, StoredObject, checked_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NO_BUCKET = "pkiops ca apply makes the bucket; is this the right account?"


class S3Store:
    """One bucket as a Store.

    Args:
        clients: the clients of the bucket owner's account.
        bucket: the bucket's name.
    """

    def __init__(self, clients: AwsClients, bucket: str) -> None:
        self._clients = clients
        self._bucket = bucket

    def describe(self) -> str:
        """``s3://bucket``."""
        return f"s3://{self._bucket}"

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        """The object (s3:GetObject), or None when there is none."""
        where = f"s3://{self._bucket}/{checked_key(key)}"
        try:
            with translated("GetObject", where):
                answer = self._s3().get_object(
                    Bucket=self._bucket, Key=key, ExpectedBucketOwner=self._clients.access.account
                )
                data = answer["Body"].read(max_bytes + 1) if answer["ContentLength"] <= max_bytes else None
        except NotFound as error:
            if error.details.get("aws_error") == "NoSuchBucket":
                error.code = "store.no-bucket"
                error.hint = _NO_BUCKET
                raise
            return None
        if data is None or len(data) > max_bytes:
            raise VerificationFailed(f"{where} is larger than {max_bytes} bytes", code="store.too-big")
        return StoredObject(key=key, data=data, version=answer["ETag"], age_s=_age_s(answer))

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        """Write the object (s3:PutObject)."""
        parameters: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": key,
            "Body": data,
            "ContentType": content_type,
            "ExpectedBucketOwner": self._clients.access.account,
        }
        if cache_control:
            parameters["CacheControl"] = cache_control
        if condition.absent:
            parameters["IfNoneMatch"] = "*"
        elif condition.version:
            parameters["IfMatch"] = condition.version
        where = f"s3://{self._bucket}/{checked_key(key)}"
        try:
            with translated("PutObject", where):
                return self._s3().put_object(**parameters)["ETag"]
        except NotFound as error:
            if error.details.get("aws_error") == "NoSuchBucket":
                error.code = "store.no-bucket"
                error.hint = _NO_BUCKET
                raise
            # If-Match on a key that is not there answers 404
            if condition.version:
                raise AlreadyExists(
                    f"{where} is no longer the version that was read", code="store.condition"
                ) from error
            raise

    def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        """The keys below a prefix (s3:ListObjectsV2); S3 gives them in the order of their UTF-8 bytes."""
        parameters: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix}
        if after:
            parameters["StartAfter"] = after
        if limit is not None:
            parameters["PaginationConfig"] = {"MaxItems": limit, "PageSize": min(limit, 1000)}
        keys: list[str] = []
        with translated("ListObjectsV2", f"s3://{self._bucket}/{prefix}"):
            for page in (
                self._s3()
                .get_paginator("list_objects_v2")
                .paginate(**parameters, ExpectedBucketOwner=self._clients.access.account)
            ):
                keys.extend(item["Key"] for item in page.get("Contents", []))
        return tuple(sorted(keys))

    def _s3(self) -> S3Client:
        return self._clients.s3()


def _age_s(answer: Mapping[str, Any]) -> float:
    """Seconds between LastModified and the ``Date`` of the answer: both are the service's clock, whatever ours says."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    written = answer.get("LastModified")
    if not date or written is None:
        return 0.0
    try:
        return max(0.0, float((parsedate_to_datetime(date) - written).total_seconds()))
    except (ValueError, TypeError):
        return 0.0
