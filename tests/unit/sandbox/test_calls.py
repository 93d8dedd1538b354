"""Which operation a request is, and how its refusal looks."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from pkiops.sandbox.calls import Call, identify, refused


def scope(service: str, key: str = "AKIDEXAMPLE", region: str = "eu-west-1") -> dict[str, str]:
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20261125/{region}/{service}/aws4_request, Signature=0"}


def call(
    headers: Mapping[str, str],
    method: str = "POST",
    path: str = "/",
    query: str = "",
    body: bytes = b"",
    host: str = "127.0.0.1",
) -> Call:
    given = {name.lower(): value for name, value in headers.items()}
    return identify(method, host, path, query, lambda name: given.get(name.lower(), ""), body)


def test_json_services_name_the_operation_in_a_header() -> None:
    found = call(scope("acm-pca") | {"X-Amz-Target": "ACMPrivateCA.IssueCertificate"})
    assert found == Call("acm-pca", "IssueCertificate", "123456789012", "eu-west-1", "json")


def test_a_hostile_name_is_not_taken_over() -> None:
    assert call(scope("acm-pca") | {"X-Amz-Target": "ACMPrivateCA.<script>"}).operation == "Unknown"


def test_the_rpc_path_of_newer_protocols() -> None:
    assert call(scope("acm-pca"), path="/service/ACMPrivateCA/operation/ListTags").operation == "ListTags"


def test_the_query_protocol() -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert call(scope("sts") | form, body=b"Action=AssumeRole&Version=1").operation == "AssumeRole"
    unsigned = call(form, body=b"Action=AssumeRoleWithWebIdentity&Version=1")
    assert (unsigned.service, unsigned.operation, unsigned.wire) == ("sts", "AssumeRoleWithWebIdentity", "query")


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "operation"),
    [
        ("GET", "/", "", {}, "ListBuckets"),
        ("PUT", "/bucket", "", {}, "CreateBucket"),
        ("HEAD", "/bucket", "", {}, "HeadBucket"),
        ("GET", "/bucket", "", {}, "ListObjects"),
        ("GET", "/bucket", "list-type=2&prefix=a", {}, "ListObjectsV2"),
        ("GET", "/bucket", "versions", {}, "ListObjectVersions"),
        ("PUT", "/bucket", "policy", {}, "PutBucketPolicy"),
        ("PUT", "/bucket", "publicAccessBlock", {}, "PutPublicAccessBlock"),
        ("POST", "/bucket", "delete", {}, "DeleteObjects"),
        ("PUT", "/bucket/a/b.crl", "", {}, "PutObject"),
        ("GET", "/bucket/a/b.crl", "versionId=1", {}, "GetObject"),
        ("PUT", "/bucket/a", "", {"x-amz-copy-source": "/b/c"}, "CopyObject"),
        ("PUT", "/bucket/a", "partNumber=1&uploadId=x", {}, "UploadPart"),
        ("POST", "/bucket/a", "uploads", {}, "CreateMultipartUpload"),
        ("POST", "/bucket/a", "uploadId=x", {}, "CompleteMultipartUpload"),
        ("DELETE", "/bucket/a", "", {}, "DeleteObject"),
        ("PATCH", "/bucket/a", "", {}, "PATCH"),
    ],
)
def test_operations_of_s3(method: str, path: str, query: str, headers: dict[str, str], operation: str) -> None:
    found = call(scope("s3") | headers, method, path, query)
    assert (found.service, found.operation, found.wire) == ("s3", operation, "s3")


def test_a_bucket_may_be_in_the_host() -> None:
    found = call(scope("s3"), "PUT", "/a", host="bucket.s3.eu-west-1.amazonaws.com")
    assert found.operation == "PutObject"


def test_a_presigned_url_says_who_and_where() -> None:
    query = "X-Amz-Credential=AKID%2F20261125%2Feu-north-1%2Fs3%2Faws4_request&X-Amz-Signature=0"
    found = call({}, "GET", "/bucket/key", query)
    assert (found.operation, found.region) == ("GetObject", "eu-north-1")


def test_refusals_on_the_wire() -> None:
    json_call, query, s3 = (Call("x", "Y", "1", "r", wire) for wire in ("json", "query", "s3"))
    refusal = refused(json_call, "ThrottlingException", "Rate exceeded")
    assert (refusal.status, refusal.headers["x-amzn-ErrorType"]) == (400, "ThrottlingException")
    assert json.loads(refusal.body) == {"__type": "ThrottlingException", "message": "Rate exceeded"}
    inner = b"<Error><Code>AccessDenied</Code><Message>&lt;no&gt;</Message></Error>"
    assert refused(query, "AccessDenied", "<no>").body == b"<ErrorResponse>" + inner + b"</ErrorResponse>"
    assert refused(s3, "AccessDenied", "<no>").body == inner
    refusal = refused(s3, "503", "no")
    assert refusal.status == 503
    assert b"<Code>ServiceUnavailable</Code>" in refusal.body
    assert refused(s3, "SlowDown", "no").status == 503
    assert refused(json_call, "599", "no").headers["x-amzn-ErrorType"] == "InternalFailure"
    assert refused(json_call, "418", "no").status == 418
