"""S3's check of a bucket's owner: a request that says whose bucket it expects is refused at anybody else's, which moto does not do.

Source: Amazon S3 User Guide, verifying bucket ownership with bucket owner condition: HTTP 403 AccessDenied, whatever the caller's rights; a bucket
that is not there is reported as missing.
"""

from __future__ import annotations

from moto.s3.models import s3_backends

from pkiops.sandbox.calls import Call, Refused, refused, s3_place
from pkiops.sandbox.iam_needs import WireRequest

_CONDITIONS = ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner")


def owner_refusal(call: Call, request: WireRequest) -> Refused | None:
    """The refusal of a request whose bucket, or whose source's bucket, is another account's than it expects; the sandbox's lock is held."""
    if call.service != "s3":
        return None
    source = request.header("x-amz-copy-source").lstrip("/").partition("/")[0]
    buckets = (s3_place(request.host, request.path)[0], source)
    for bucket, condition in zip(buckets, _CONDITIONS, strict=True):
        expected = request.header(condition)
        owner = s3_backends.bucket_accounts.get(bucket, (None, expected))[1]
        if expected and owner != expected:
            return refused(call, "AccessDenied", "Access Denied")
    return None
