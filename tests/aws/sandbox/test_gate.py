"""Requests that no service would read are answered as AWS does: never a server error, never a dropped connection."""

from __future__ import annotations

import json
import socket

import pytest

from tests.sandbox_server import RunningSandbox, sandbox

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
