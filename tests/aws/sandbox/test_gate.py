"""Requests that no service would read are answered as AWS does: never a server error, never a dropped connection."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.sandbox_server import RunningSandbox, running_sandbox, sandbox

__all__ = ["sandbox"]
SIGNED = b"AWS4-HMAC-SHA256 Credential=%s/20261125/%s/acm-pca/aws4_request, SignedHeaders=host, Signature=00"


def ask(
    sandbox: RunningSandbox, first_line: bytes, headers: dict[bytes, bytes], body: bytes = b""
) -> tuple[int, bytes]:
    """The status and body of one raw request."""
    lines = [first_line, b"Host: 127.0.0.1", b"Content-Length: %d" % len(body), b"Connection: close"]
    lines += [name + b": " + value for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=10) as connection:
        connection.sendall(b"\r\n".join([*lines, b"", body]))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


def private_ca(sandbox: RunningSandbox, target: bytes, body: bytes, authorization: bytes) -> tuple[int, str]:
    headers = {b"X-Amz-Target": target, b"Content-Type": b"application/x-amz-json-1.1", b"Authorization": authorization}
    status, answer = ask(sandbox, b"POST / HTTP/1.1", headers, body)
    return status, json.loads(answer)["__type"]


SOUND = SIGNED % (b"x", b"eu-west-1")


@pytest.mark.parametrize(
    "operation", [b"CallAction", b"SetupClass", b"__init__", b"Dispatch", b"listtags", b"", b"\xff", b"ListTags\x01"]
)
def test_what_is_no_operation_is_none(sandbox: RunningSandbox, operation: bytes) -> None:
    assert private_ca(sandbox, b"ACMPrivateCA." + operation, b"{}", SOUND) == (400, "UnknownOperationException")


@pytest.mark.parametrize("body", [b'{"a": "\xff"}', b"\xff\xfe{}", b"{", b"[]"])
def test_what_is_no_json_cannot_be_read(sandbox: RunningSandbox, body: bytes) -> None:
    assert private_ca(sandbox, b"ACMPrivateCA.ListTags", body, SOUND) == (400, "SerializationException")


@pytest.mark.parametrize(
    "authorization",
    [b"nonsense", b"AWS4-HMAC-SHA256 Credential=x", b"AWS4-HMAC-SHA256 Credential=a/b/c/d/e", b"Bearer x", b"\xff"],
)
def test_a_header_that_is_no_signature_is_said_to_be_none(sandbox: RunningSandbox, authorization: bytes) -> None:
    assert private_ca(sandbox, b"ACMPrivateCA.ListTags", b"{}", authorization) == (400, "IncompleteSignatureException")
    status, answer = ask(sandbox, b"GET /bucket/key HTTP/1.1", {b"Authorization": authorization})
    assert status == 400
    assert b"<Code>AuthorizationHeaderMalformed</Code>" in answer


def test_a_region_that_does_not_exist_is_refused(sandbox: RunningSandbox) -> None:
    answer = private_ca(sandbox, b"ACMPrivateCA.ListCertificateAuthorities", b"{}", SIGNED % (b"x", b"mars-1"))
    assert answer == (400, "InvalidSignatureException")


def test_cbor_is_not_spoken(sandbox: RunningSandbox) -> None:
    headers = {b"smithy-protocol": b"rpc-v2-cbor", b"Content-Type": b"application/cbor", b"Authorization": SOUND}
    line = b"POST /service/ACMPrivateCA/operation/ListCertificateAuthorities HTTP/1.1"
    assert ask(sandbox, line, headers, b"\xa0")[0] in {400, 404}


def test_a_target_that_is_no_uri_is_refused(sandbox: RunningSandbox) -> None:
    assert ask(sandbox, b"GET http://[::1/ HTTP/1.1", {})[0] == 400


def test_an_absolute_target_is_served(sandbox: RunningSandbox) -> None:
    headers = {b"X-Amz-Target": b"ACMPrivateCA.ListCertificateAuthorities", b"Authorization": SOUND}
    status, answer = ask(sandbox, b"POST http://acm-pca.eu-west-1.amazonaws.com/ HTTP/1.1", headers, b"{}")
    assert (status, json.loads(answer)) == (200, {"CertificateAuthorities": []})


def test_the_serial_of_a_ca_is_decimal(sandbox: RunningSandbox) -> None:
    from pkiops.sandbox.sample_hierarchy import make_hierarchy

    client = sandbox.client("acm-pca")
    made = make_hierarchy(client, sandbox.client("s3"))
    described = client.describe_certificate_authority(CertificateAuthorityArn=str(made["root_arn"]))
    assert described["CertificateAuthority"]["Serial"].isdigit()


def whole(sandbox: RunningSandbox, data: bytes, *, seconds: float = 10) -> bytes:
    """Everything that is answered to some bytes."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=seconds) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


POST = b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: " + SOUND + b"\r\nX-Amz-Target: ACMPrivateCA.ListTags\r\n"
FOLLOWER = b"GET /followed HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"400"),
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"400"),
        (b"Transfer-Encoding: gzip\r\n", b"501"),
        (b"Transfer-Encoding: xchunked\r\n", b"501"),
        (b"Transfer-Encoding: chunked, chunked\r\n", b"501"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"501"),
        (b"Content-Length: -1\r\n", b"400"),
        (b"Content-Length: 1_0\r\n", b"400"),
        (b"Content-Length: 999999999999\r\n", b"413"),
        (b"Host: y\r\n", b"400"),
        (b"nonsense\r\nContent-Length: 2\r\n", b"400"),
        (b"X-A: " + b"a" * 70_000 + b"\r\n", b"431"),
        (b"".join(b"X-%d: a\r\n" % number for number in range(200)), b"431"),
    ],
)
def test_a_request_whose_end_is_not_clear_ends_the_connection(
    sandbox: RunningSandbox, head: bytes, status: bytes
) -> None:
    """Nothing behind it is taken for a request of its own."""
    answer = whole(sandbox, POST + head + b"\r\n{}" + FOLLOWER)
    assert answer.split()[1] == status
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/x\r\nHost: x\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300) + b"\n", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
    ],
)
def test_what_is_no_http_gets_a_status_line(sandbox: RunningSandbox, data: bytes, status: bytes) -> None:
    answer = whole(sandbox, data)
    assert answer.startswith(b"HTTP/1.1 " + status)


def test_who_sends_nothing_more_is_told_so_and_let_go() -> None:
    with running_sandbox(patience=0.3) as sandbox:
        answer = whole(sandbox, POST + b"Content-Length: 100\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 408 ")
        answer = whole(sandbox, POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert whole(sandbox, POST) == b""
        assert sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"] == []


NESTED = b"[" * 100_000
TAGGING = SOUND.replace(b"acm-pca", b"tagging")


@pytest.mark.parametrize(
    ("target", "body", "authorization", "code"),
    [
        (b"ACMPrivateCA.ListTags", NESTED, SOUND, "SerializationException"),
        (b"ACMPrivateCA.ListTags", b'{"MaxResults": ' + b"9" * 5000 + b"}", SOUND, "SerializationException"),
        (b"ACMPrivateCA.ListTags", b'{"MaxResults": NaN}', SOUND, "SerializationException"),
        (b"ACMPrivateCA.ListTags", b'{"CertificateAuthorityArn": "\\ud800"}', SOUND, "SerializationException"),
        (b"ACMPrivateCA.ListTags", b"{}", SOUND.replace(b"acm-pca", b"ec2"), "InvalidSignatureException"),
        (b"ACMPrivateCA.ListTags", b"{}", b"", "MissingAuthenticationTokenException"),
        (b"ResourceGroupsTaggingAPI_20170126.GetResources", NESTED, TAGGING, "SerializationException"),
        (b"ResourceGroupsTaggingAPI_20170126.GetResources", b'{"TagFilters": "x"}', TAGGING, "SerializationException"),
        (b"ResourceGroupsTaggingAPI_20170126.TagResources", b'{"Tags": []}', TAGGING, "SerializationException"),
        (b"TrentService.ListKeys", b"{", SOUND.replace(b"acm-pca", b"kms"), "SerializationException"),
        (
            b"TrentService.ListKeys",
            b"{}",
            SIGNED.replace(b"acm-pca", b"kms") % (b"x", b"mars-1"),
            "InvalidSignatureException",
        ),
    ],
)
def test_odd_json_and_odd_scopes(
    sandbox: RunningSandbox, target: bytes, body: bytes, authorization: bytes, code: str
) -> None:
    headers = {b"X-Amz-Target": target} | ({b"Authorization": authorization} if authorization else {})
    status, answer = ask(sandbox, b"POST / HTTP/1.1", headers, body)
    assert (status, json.loads(answer)["__type"]) == (400, code)


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"PUT / HTTP/1.1", b"POST /x HTTP/1.1"])
def test_operations_are_posted_to_the_root(sandbox: RunningSandbox, line: bytes) -> None:
    for headers in ({b"X-Amz-Target": b"ACMPrivateCA.ListTags", b"Authorization": SOUND}, {b"Authorization": SOUND}):
        status, answer = ask(sandbox, line, headers, b"{}")
        assert (status, json.loads(answer)["__type"]) == (400, "UnknownOperationException")


ENTITIES = b'<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize("body", [b"<", b"<Tagging>", ENTITIES + b"<Tagging>&b;</Tagging>", b"\xff\xfe"])
def test_xml_that_cannot_be_read(sandbox: RunningSandbox, body: bytes) -> None:
    sandbox.client("s3").create_bucket(
        Bucket="example-crl", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    headers = {b"Authorization": SOUND.replace(b"acm-pca", b"s3")}
    status, answer = ask(sandbox, b"PUT /example-crl?tagging HTTP/1.1", headers, body)
    assert status == 400
    assert b"<Code>MalformedXML</Code>" in answer


@pytest.mark.parametrize("account", [b"abc", b"../..", b"1234567890123", b"\xd9\xa1" * 12])
def test_an_account_that_cannot_be_is_refused(sandbox: RunningSandbox, account: bytes) -> None:
    headers = {
        b"x-moto-account-id": account,
        b"X-Amz-Target": b"ACMPrivateCA.ListCertificateAuthorities",
        b"Authorization": SOUND,
    }
    status, answer = ask(sandbox, b"POST / HTTP/1.1", headers, b"{}")
    assert (status, json.loads(answer)["__type"]) == (400, "UnrecognizedClientException")
    del headers[b"X-Amz-Target"]
    headers[b"Authorization"] = SOUND.replace(b"acm-pca", b"s3")
    status, answer = ask(sandbox, b"GET / HTTP/1.1", headers)
    assert status == 400
    assert b"<Code>InvalidAccessKeyId</Code>" in answer


@pytest.mark.parametrize(
    "role", ["arn:aws:iam::abc:role/x", "arn:aws:iam::1:role/x", "arn:mars:iam::111122223333:role/x", "x" * 30]
)
def test_a_role_that_cannot_be_leaves_the_state_file_readable(tmp_path: Path, role: str) -> None:
    state = tmp_path / "state.json"
    with running_sandbox(state_file=state) as sandbox:
        sts = sandbox.client("sts")
        with pytest.raises(ClientError, match="ValidationError"):
            sts.assume_role(RoleArn=role, RoleSessionName="session")
        sts.assume_role(RoleArn="arn:aws:iam::111122223333:role/any", RoleSessionName="session")
    with running_sandbox(state_file=state):
        pass


def test_no_page_in_a_browser_can_reset_everything(sandbox: RunningSandbox) -> None:
    """moto's own interface does that for any POST without a header."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket="example-crl", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert ask(sandbox, b"POST /moto-api/reset HTTP/1.1", {})[0] == 400
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["example-crl"]
