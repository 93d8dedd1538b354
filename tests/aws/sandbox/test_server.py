"""The server: its time, the hosts of CRLs, many clients, what it says of itself."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from cryptography import x509

from pkiops.clock import ManualClock
from pkiops.errors import InputError
from pkiops.sandbox.engine.state import Pace
from pkiops.sandbox.server import bound_server
from pkiops.sandbox.status import STATUS_PATH, ask
from tests.aws.sandbox import scene
from tests.sandbox_server import RunningSandbox, running_sandbox
from tests.unit.sandbox.world import csr


@pytest.fixture
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(pace=Pace(0, 0)) as sandbox:
        yield sandbox


def get(
    sandbox: RunningSandbox, path: str, host: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=20)
    try:
        connection.request(method, path, headers={"Host": host, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers.items()), answer.read()
    finally:
        connection.close()


def with_crl(sandbox: RunningSandbox) -> tuple[str, str]:
    """A root that has issued, and the path of its CRL."""
    scene.make_bucket(sandbox.client("s3"))
    pca = sandbox.client("acm-pca")
    root = scene.active_root(pca, RevocationConfiguration=scene.CRL)
    scene.leaf(pca, root)
    return root, f"/crl/{root.rpartition('/')[2]}.crl"


@pytest.mark.parametrize("host", ["pki.example.com", "PKI.example.com:80", "example-crl.s3.eu-west-1.amazonaws.com"])
def test_the_crl_is_served_under_the_hosts_it_is_asked_for(running: RunningSandbox, host: str) -> None:
    _, path = with_crl(running)
    status, headers, body = get(running, path, host)
    assert status == 200
    assert headers["Content-Type"] == "application/pkix-crl"
    assert len(x509.load_der_x509_crl(body)) == 0
    status, headers, nothing = get(running, path, host, "HEAD")
    assert (status, headers["Content-Length"], nothing) == (200, str(len(body)), b"")


def test_nothing_else_is_served_there(running: RunningSandbox) -> None:
    _, path = with_crl(running)
    for other in ("/", "/crl/none.crl", "/acm-pca-permission-test-key", "/crl/../" + path, "/crl/%00.crl"):
        assert get(running, other, "pki.example.com")[0] == 404
    # a host nobody configured is S3 itself, which lets nobody in without a signature
    assert get(running, path, "other.example.com")[0] in {403, 404}


def test_the_crl_is_renewed_when_it_is_only_looked_at(running: RunningSandbox) -> None:
    _, path = with_crl(running)
    first = x509.load_der_x509_crl(get(running, path, "pki.example.com")[2])
    assert isinstance(running.clock, ManualClock)
    running.clock.advance(timedelta(days=4))
    second = x509.load_der_x509_crl(get(running, path, "pki.example.com")[2])
    assert second.last_update_utc - first.last_update_utc == timedelta(days=4)


def test_every_answer_has_the_sandboxs_time(running: RunningSandbox) -> None:
    assert isinstance(running.clock, ManualClock)
    running.clock.advance(timedelta(days=365))
    expected = "Thu, 25 Nov 2027 12:00:00 GMT"
    pca, s3 = running.client("acm-pca"), running.client("s3")
    answer = pca.list_certificate_authorities()["ResponseMetadata"]["HTTPHeaders"]
    assert answer["date"] == expected
    assert s3.list_buckets()["ResponseMetadata"]["HTTPHeaders"]["date"] == expected
    with pytest.raises(ClientError) as caught:
        pca.list_tags(CertificateAuthorityArn="nonsense")
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["date"] == expected
    assert get(running, STATUS_PATH, "x")[1]["Date"] == expected
    assert get(running, "/x.crl", "pki.example.com")[1]["Date"] == expected


def test_what_it_says_of_itself(running: RunningSandbox) -> None:
    scene.create(running.client("acm-pca"))
    status = ask(running.port)
    assert status is not None
    assert status.pid == os.getpid()
    assert [(item.region, item.count) for item in status.authorities] == [("eu-west-1", 1)]


def test_one_connection_serves_many_requests(running: RunningSandbox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    sockets = set()
    for _ in range(3):
        connection.request("GET", STATUS_PATH)
        answer = connection.getresponse()
        sockets.add(connection.sock.getsockname()[1])
        json.loads(answer.read())
    connection.close()
    assert len(sockets) == 1


def test_a_body_beyond_the_bound_is_refused(running: RunningSandbox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def raw(sandbox: RunningSandbox, request: bytes) -> bytes:
    """Send these bytes, say no more, and take the first line of the answer."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").readline()


@pytest.mark.parametrize(
    ("framing", "status"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nhalf", b"413"),
        (b"Transfer-Encoding: chunked\r\n\r\n2000000\r\nhalf", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n-4\r\nhalf\r\n0\r\n\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nhalf\r\n0\r\n\r\n", b"400"),
        (b"Content-Length: 400\r\n\r\nhalf", b"400"),
        (b"Content-Length: -1\r\n\r\nhalf", b"400"),
        (b"Content-Length: \xb2\r\n\r\nhalf", b"400"),
    ],
)
def test_half_a_body_is_refused_and_leaves_nothing(running: RunningSandbox, framing: bytes, status: bytes) -> None:
    s3 = running.client("s3")
    scene.make_bucket(s3)
    assert raw(running, b"PUT /example-crl/half HTTP/1.1\r\nHost: x\r\n" + framing).split()[1] == status
    assert "Contents" not in s3.list_objects_v2(Bucket=scene.BUCKET)


def test_chunks_with_extensions_and_trailers_arrive(running: RunningSandbox) -> None:
    s3 = running.client("s3")
    scene.make_bucket(s3)
    chunks = b"3;a=b\r\nwho\r\n2\r\nle\r\n0\r\nTrailer: x\r\n\r\n"
    request = b"PUT /example-crl/whole HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    follower = b"GET " + STATUS_PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(request + follower)
        connection.shutdown(socket.SHUT_WR)
        answers = connection.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert s3.get_object(Bucket=scene.BUCKET, Key="whole")["Body"].read() == b"whole"


def test_large_and_chunked_uploads_arrive(running: RunningSandbox) -> None:
    s3 = running.client("s3")
    scene.make_bucket(s3)
    data = os.urandom(3_000_000)
    s3.put_object(Bucket=scene.BUCKET, Key="big", Body=data, IfNoneMatch="*")
    assert s3.get_object(Bucket=scene.BUCKET, Key="big")["Body"].read() == data
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=scene.BUCKET, Key="big", Body=b"", IfNoneMatch="*")
    assert caught.value.response["Error"]["Code"] == "PreconditionFailed"
    assert s3.head_object(Bucket=scene.BUCKET, Key="big")["ContentLength"] == len(data)
    s3.delete_object(Bucket=scene.BUCKET, Key="big")


def test_twenty_clients_at_once(running: RunningSandbox) -> None:
    root = scene.active_root(running.client("acm-pca"))
    request = csr()

    def one(number: int) -> str:
        pca = running.client("acm-pca")
        arn = scene.issue(pca, root, request, IdempotencyToken=f"token-{number % 10}")
        return scene.certificate(pca, root, arn)["Certificate"]

    with ThreadPoolExecutor(20) as pool:
        certificates = list(pool.map(one, range(20)))
    assert len(set(certificates)) == 10


def test_one_winner_of_a_conditional_write(running: RunningSandbox) -> None:
    scene.make_bucket(running.client("s3"))
    clients = [running.client("s3") for _ in range(12)]

    def write(numbered: tuple[int, int]) -> bool:
        turn, number = numbered
        try:
            clients[number].put_object(Bucket=scene.BUCKET, Key=f"claim-{turn}", Body=str(number), IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
        return True

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(12) as pool:
            for turn in range(4):
                assert sum(pool.map(write, [(turn, number) for number in range(12)])) == 1
    finally:
        sys.setswitchinterval(interval)


def test_ten_callers_with_one_token_get_one_authority(running: RunningSandbox) -> None:
    with ThreadPoolExecutor(10) as pool:
        arns = set(pool.map(lambda _: scene.create(running.client("acm-pca"), IdempotencyToken="t"), range(10)))
    assert len(arns) == 1


def test_a_taken_port_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 is taken"), bound_server(port):
            pass


def test_json_nested_beyond_measure_is_a_refusal(running: RunningSandbox) -> None:
    credential = "Credential=x/20261125/eu-west-1/acm-pca/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0",
        "X-Amz-Target": "ACMPrivateCA.ListCertificateAuthorities",
    }
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("POST", "/", body=b'{"a":' * 100_000, headers=headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["__type"]) == (400, "SerializationException")
    connection.close()


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("rolesanywhere", "list_trust_anchors", {}),  # a service moto lacks
        ("elbv2", "describe_trust_stores", {}),  # an operation, query protocol
        (
            "kms",  # JSON protocol
            "get_parameters_for_import",
            {"KeyId": "k", "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
        ),
    ],
)
def test_what_moto_lacks_is_said_once(
    running: RunningSandbox, service: str, operation: str, request_: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(running.client(service), operation)(**request_)
    assert caught.value.response["Error"]["Code"] == "SandboxNotImplemented"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_bucket_that_refuses_plain_http_is_usable(running: RunningSandbox) -> None:
    """Over loopback nothing is TLS, but the sandbox stands for a service that is always asked over it."""
    s3 = running.client("s3")
    scene.make_bucket(s3)
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{scene.BUCKET}", f"arn:aws:s3:::{scene.BUCKET}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.loads(scene.bucket_policy())
    policy["Statement"].append(denial)
    s3.put_bucket_policy(Bucket=scene.BUCKET, Policy=json.dumps(policy))
    s3.put_object(Bucket=scene.BUCKET, Key="a", Body=b"a")
    assert s3.get_object(Bucket=scene.BUCKET, Key="a")["Body"].read() == b"a"
    assert scene.create(running.client("acm-pca"), RevocationConfiguration=scene.CRL)
