"""The clock of a server is moved, and everything follows: Private CA, the Date header, S3."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from cryptography import x509

from pkiops.clock import ManualClock, SystemClock
from pkiops.errors import InputError
from pkiops.sandbox.engine.state import Pace
from pkiops.sandbox.status import ADVANCE_PATH, advance, ask
from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import Clients
from tests.sandbox_server import START, RunningSandbox, running_sandbox


@pytest.fixture
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(pace=Pace(0, 0)) as sandbox:
        yield sandbox


def test_certificates_cas_and_restore_windows_run_out(running: RunningSandbox) -> None:
    pca = running.client("acm-pca")
    root = scene.active_root(pca)
    gone = scene.create(pca, IdempotencyToken="gone")
    scene.describe(pca, gone)
    pca.delete_certificate_authority(CertificateAuthorityArn=gone, PermanentDeletionTimeInDays=7)
    assert advance(running.port, "7d").time == int((START + timedelta(days=7)).timestamp())
    assert scene.describe(pca, gone)["Status"] == "DELETED"
    advance(running.port, "45s")
    with pytest.raises(pca.exceptions.ResourceNotFoundException):
        scene.describe(pca, gone)
    assert scene.describe(pca, root)["Status"] == "ACTIVE"
    advance(running.port, "20y")
    assert scene.describe(pca, root)["Status"] == "EXPIRED"
    with pytest.raises(pca.exceptions.InvalidStateException):
        scene.leaf(pca, root)


def test_crls_are_made_again(running: RunningSandbox) -> None:
    pca, s3 = running.client("acm-pca"), running.client("s3")
    scene.make_bucket(s3)
    root = scene.active_root(pca, RevocationConfiguration=scene.CRL)
    scene.leaf(pca, root)
    advance(running.port, "300d")
    stored = s3.get_object(Bucket=scene.BUCKET, Key=f"crl/{root.rpartition('/')[2]}.crl")
    crl = x509.load_der_x509_crl(stored["Body"].read())
    assert crl.next_update_utc == START + timedelta(days=307)
    assert stored["LastModified"] == START + timedelta(days=300)


def test_the_dates_of_s3_follow(running: RunningSandbox) -> None:
    s3 = running.client("s3")
    advance(running.port, "1y")
    now = START.replace(year=2027)
    scene.make_bucket(s3)
    assert s3.list_buckets()["Buckets"][0]["CreationDate"] == now
    s3.put_object(Bucket=scene.BUCKET, Key="a", Body=b"a")
    found = s3.get_object(Bucket=scene.BUCKET, Key="a")
    assert found["LastModified"] == now
    assert found["ResponseMetadata"]["HTTPHeaders"]["date"] == "Thu, 25 Nov 2027 12:00:00 GMT"
    assert s3.list_objects_v2(Bucket=scene.BUCKET)["Contents"][0]["LastModified"] == now
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=scene.BUCKET, Key="a", IfModifiedSince=now)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
    assert (
        s3.get_object(Bucket=scene.BUCKET, Key="a", IfModifiedSince=now - timedelta(seconds=1))["Body"].read() == b"a"
    )


def test_in_process_s3_follows_too(client: Clients) -> None:
    s3 = client("s3")
    scene.make_bucket(s3)
    s3.put_object(Bucket=scene.BUCKET, Key="a", Body=b"a")
    assert s3.head_object(Bucket=scene.BUCKET, Key="a")["LastModified"] == START


def test_credentials_of_a_role_outlive_a_leap_of_the_clock(running: RunningSandbox) -> None:
    advance(running.port, "1y")
    role = {"RoleArn": "arn:aws:iam::999999999999:role/any", "RoleSessionName": "test"}
    expiration = running.client("sts").assume_role(**role)["Credentials"]["Expiration"]
    machine = SystemClock().now()
    assert machine < expiration < machine + timedelta(hours=2)


def test_versions_of_one_second_keep_their_order(running: RunningSandbox) -> None:
    s3 = running.client("s3")
    scene.make_bucket(s3)
    s3.put_bucket_versioning(Bucket=scene.BUCKET, VersioningConfiguration={"Status": "Enabled"})
    written = [s3.put_object(Bucket=scene.BUCKET, Key="a", Body=str(n))["VersionId"] for n in range(5)]
    listed = s3.list_object_versions(Bucket=scene.BUCKET)["Versions"]
    assert [version["VersionId"] for version in listed] == written[::-1]
    assert listed[0]["IsLatest"]


def test_the_status_says_how_far_it_is_ahead(running: RunningSandbox) -> None:
    advance(running.port, "10y")
    advance(running.port, "45s")
    status = ask(running.port)
    assert status is not None
    then = datetime(2036, 11, 25, 12, 0, 45, tzinfo=UTC)
    assert datetime.fromtimestamp(status.time, UTC) == then
    assert status.ahead_seconds == int((then - START).total_seconds())
    assert isinstance(running.clock, ManualClock)
    assert running.clock.now() == START


@pytest.mark.parametrize("by", ["", "1w", "-1d", "9000y"])
def test_a_span_that_is_none_moves_nothing(running: RunningSandbox, by: str) -> None:
    with pytest.raises(InputError):
        advance(running.port, by)
    status = ask(running.port)
    assert status is not None
    assert status.ahead_seconds == 0


def post(running: RunningSandbox, body: bytes, instance: str, method: str = "POST", path: str = ADVANCE_PATH) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request(method, path, body, {"X-Pkiops-Sandbox": instance})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_only_who_read_the_instance_moves_the_clock(running: RunningSandbox) -> None:
    status = ask(running.port)
    assert status is not None
    good = json.dumps({"by": "1d"}).encode()
    assert post(running, good, "") == 403
    assert post(running, good, "0" * 32) == 403
    assert post(running, good, status.instance, method="GET") == 405
    assert post(running, good, status.instance, path=f"{ADVANCE_PATH}x") == 404
    for bad in (b"", b"[]", b'{"by": 1}', b'{"by": null}', b"{}", b"\xff", b"[" * 100_000):
        assert post(running, bad, status.instance) == 400
    assert ask(running.port) == status
    assert post(running, good, status.instance) == 200
