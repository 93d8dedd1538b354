"""Quotas, faults and latency through plain boto3: in process and over HTTP, with the same outcome."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, HTTPClientError
from moto import mock_aws

from pkiops.clock import ManualClock
from pkiops.sandbox import moto_adapter
from pkiops.sandbox.engine.state import Pace
from pkiops.sandbox.faults import fault
from pkiops.sandbox.quotas import rates
from pkiops.sandbox.status import ask
from pkiops.sandbox.traffic import Hindrances
from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import Clients
from tests.sandbox_server import REGION, START, running_sandbox
from tests.unit.sandbox.world import csr

AT_ONCE = Pace(0, 0)
Opened = Callable[..., AbstractContextManager[Clients]]


@contextlib.contextmanager
def in_process(clock: ManualClock, hindrances: Hindrances) -> Iterator[Clients]:
    with moto_adapter.plugged_in(clock=clock, pace=AT_ONCE, hindrances=hindrances), mock_aws():
        yield lambda service, region=REGION: boto3.Session(region_name=region).client(
            service, config=Config(retries={"total_max_attempts": 1})
        )


@contextlib.contextmanager
def over_http(clock: ManualClock, hindrances: Hindrances) -> Iterator[Clients]:
    with running_sandbox(clock=clock, pace=AT_ONCE, hindrances=hindrances) as sandbox:
        yield sandbox.client


@pytest.fixture(params=[in_process, over_http])
def opened(request: pytest.FixtureRequest) -> Opened:
    def with_faults(*texts: str, clock: ManualClock | None = None, **more: Any) -> AbstractContextManager[Clients]:
        made: AbstractContextManager[Clients] = request.param(
            clock or ManualClock(START), Hindrances(faults=tuple(fault(text) for text in texts), **more)
        )
        return made

    return with_faults


def code_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def issued(pca: Any, root: str) -> int:
    """How many certificates the CA has issued, found by serial through the state of moto."""
    del pca
    (region,) = [r for r in _regions() if root in r.authorities]
    return len(region.authorities[root].issued)


def _regions() -> list[Any]:
    from moto.acmpca.models import acmpca_backends

    backends = [backend for account in acmpca_backends.values() for backend in account.values()]
    return [b.__dict__["pkiops_private_ca"] for b in backends if "pkiops_private_ca" in b.__dict__]


def test_a_fault_before_leaves_no_effect_and_one_after_does(opened: Opened) -> None:
    with opened("IssueCertificate:2:before:InternalFailure", "IssueCertificate:3:after:InternalFailure") as client:
        pca = client("acm-pca")
        root = scene.active_root(pca)
        assert issued(pca, root) == 1
        assert code_of(lambda: scene.leaf(pca, root)) == ("InternalFailure", 500)
        assert issued(pca, root) == 1
        assert code_of(lambda: scene.leaf(pca, root)) == ("InternalFailure", 500)
        assert issued(pca, root) == 2
        assert scene.leaf(pca, root)


def test_a_dropped_connection_is_one_for_the_client(opened: Opened) -> None:
    with opened("IssueCertificate:2:after:drop", "ListTags:1:before:drop") as client:
        pca = client("acm-pca")
        root = scene.active_root(pca)
        with pytest.raises(ConnectionClosedError):
            scene.leaf(pca, root)
        assert issued(pca, root) == 2
        with pytest.raises(ConnectionClosedError):
            pca.list_tags(CertificateAuthorityArn=root)
        assert pca.list_tags(CertificateAuthorityArn=root)["Tags"] == []


def test_a_token_saves_a_client_that_repeats_itself(opened: Opened) -> None:
    with opened("IssueCertificate:2:after:drop") as client:
        root = scene.active_root(client("acm-pca"))
        config = Config(retries={"total_max_attempts": 3, "mode": "standard"})
        pca = client("acm-pca")
        patient = boto3.Session(
            aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION
        ).client("acm-pca", endpoint_url=pca.meta.endpoint_url, config=config)
        arn = scene.issue(patient, root, csr(), IdempotencyToken="t")
        assert scene.certificate(pca, root, arn)
        assert issued(pca, root) == 2


def test_calls_of_s3_and_sts_count_too(opened: Opened) -> None:
    with opened("PutObject:2:before:503", "AssumeRole:1:before:AccessDenied", "GetObject:1:after:SlowDown") as client:
        s3, sts = client("s3"), client("sts")
        scene.make_bucket(s3)
        s3.put_object(Bucket=scene.BUCKET, Key="a", Body=b"1")
        assert code_of(lambda: s3.put_object(Bucket=scene.BUCKET, Key="a", Body=b"2")) == ("ServiceUnavailable", 503)
        assert code_of(lambda: s3.get_object(Bucket=scene.BUCKET, Key="a")) == ("SlowDown", 503)
        assert s3.get_object(Bucket=scene.BUCKET, Key="a")["Body"].read() == b"1"
        role = {"RoleArn": "arn:aws:iam::999999999999:role/x", "RoleSessionName": "ci"}
        assert code_of(lambda: sts.assume_role(**role)) == ("AccessDenied", 403)
        assert sts.assume_role(**role)["Credentials"]


def test_the_kth_call_of_any_operation(opened: Opened) -> None:
    with opened("*:3:before:ThrottlingException") as client:
        pca = client("acm-pca")
        pca.list_certificate_authorities()
        client("s3").list_buckets()
        assert code_of(pca.list_certificate_authorities) == ("ThrottlingException", 400)
        pca.list_certificate_authorities()


def test_nothing_answers_after_a_stop(opened: Opened) -> None:
    with opened("CreateBucket:1:after:stop") as client:
        s3 = client("s3")
        for call in (lambda: scene.make_bucket(s3), s3.list_buckets, client("sts").get_caller_identity):
            with pytest.raises((HTTPClientError, EndpointConnectionError)):
                call()


def test_quotas_are_per_operation_and_region_and_fill_again(opened: Opened) -> None:
    clock = ManualClock(START)
    with opened(clock=clock, quotas=rates(["ListCertificateAuthorities=3"], defaults=True)) as client:
        pca = client("acm-pca")
        for _ in range(3):
            pca.list_certificate_authorities()
        with pytest.raises(ClientError, match="Rate exceeded") as caught:
            pca.list_certificate_authorities()
        assert caught.value.response["Error"]["Code"] == "ThrottlingException"
        client("acm-pca", "us-east-1").list_certificate_authorities()
        scene.create(pca)
        assert code_of(lambda: scene.create(pca, IdempotencyToken="2")) == ("ThrottlingException", 400)
        clock.advance(timedelta(seconds=1))
        pca.list_certificate_authorities()
        scene.create(pca, IdempotencyToken="2")


def test_latency_is_waited_on_the_clock(opened: Opened) -> None:
    clock = ManualClock(START)
    with opened(clock=clock, latency=timedelta(milliseconds=40)) as client:
        for _ in range(5):
            client("acm-pca").list_certificate_authorities()
    assert clock.monotonic() == pytest.approx(0.2)


def test_the_status_counts_calls_and_shows_faults() -> None:
    hindrances = Hindrances(faults=(fault("ListTags:9:before:drop"),))
    with running_sandbox(pace=AT_ONCE, hindrances=hindrances) as sandbox:
        pca = sandbox.client("acm-pca")
        root = scene.active_root(pca)
        scene.leaf(pca, root)
        with pytest.raises(ClientError):
            pca.list_tags(CertificateAuthorityArn="nonsense")
        status = ask(sandbox.port)
    assert status is not None
    counted = {(each.service, each.operation): each.count for each in status.calls}
    assert counted["acm-pca", "IssueCertificate"] == 2
    assert counted["acm-pca", "ListTags"] == 1
    assert status.faults_pending == ("ListTags:9:before:drop",)
    (region,) = status.authorities
    assert (dict(region.states), region.certificates, region.crls) == ({"ACTIVE": 1}, 2, 0)
