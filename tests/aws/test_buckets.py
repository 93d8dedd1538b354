"""The publication buckets: what is waited for while S3 settles, what is said when it does not, and that every call names the owner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.backends.interface import AuthorityStatus, AuthorityType, CrlSettings, ObservedAuthority
from pkiops.clock import ManualClock
from pkiops.errors import AccessDenied, BackendError, InProgress, NotFound
from pkiops.stores.interface import BucketSettings
from pkiops.stores.s3_buckets import S3Buckets
from tests.sandbox_server import ACCOUNT, REGION, START, running_sandbox

NAME = "example-trust"
OWNED = {"Bucket": NAME, "ExpectedBucketOwner": ACCOUNT}
STEPS = (
    "put_bucket_tagging",
    "put_public_access_block",
    "put_bucket_ownership_controls",
    "put_bucket_encryption",
    "put_bucket_versioning",
    "put_bucket_policy",
)


def clients_of(endpoint_urls: dict[str, str]) -> AwsClients:
    return AwsClients(
        AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls=endpoint_urls, sandbox=True)
    )


@pytest.fixture
def clients() -> AwsClients:
    return clients_of({})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def buckets(clients: AwsClients, clock: ManualClock) -> S3Buckets:
    return S3Buckets(clients, clock)


@pytest.fixture
def service(clients: AwsClients) -> Iterator[Stubber]:
    with Stubber(clients.s3()) as stubber:
        yield stubber


def settings_for(buckets: S3Buckets) -> BucketSettings:
    return BucketSettings(
        name=NAME,
        region=REGION,
        owner=ACCOUNT,
        statements=buckets.trust_bucket_policy(NAME),
        tags={"pkiops:environment": "test"},
    )


def absent(service: Stubber) -> None:
    service.add_client_error("head_bucket", "404", http_status_code=404, expected_params=OWNED)


def answer(service: Stubber, operation: str) -> None:
    service.add_response(operation, {})


def test_a_new_bucket_is_waited_for(service: Stubber, buckets: S3Buckets, clock: ManualClock) -> None:
    absent(service)
    answer(service, "create_bucket")
    service.add_client_error("put_bucket_tagging", "NoSuchBucket", http_status_code=404)
    for step in STEPS:
        answer(service, step)
    assert buckets.ensure_bucket(settings_for(buckets))
    assert clock.monotonic() == 1.0


def test_another_run_that_is_changing_it_is_waited_for(service: Stubber, buckets: S3Buckets) -> None:
    absent(service)
    service.add_client_error("create_bucket", "OperationAborted", http_status_code=409)
    service.add_client_error("create_bucket", "BucketAlreadyOwnedByYou", http_status_code=409)
    for step in STEPS:
        service.add_client_error(step, "OperationAborted", http_status_code=409)
        answer(service, step)
    assert buckets.ensure_bucket(settings_for(buckets))


def test_patience_ends(service: Stubber, buckets: S3Buckets) -> None:
    absent(service)
    for _ in range(40):
        service.add_client_error("create_bucket", "OperationAborted", http_status_code=409)
    with pytest.raises(InProgress):
        buckets.ensure_bucket(settings_for(buckets))


def test_a_name_that_somebody_else_has_is_said(service: Stubber, buckets: S3Buckets) -> None:
    absent(service)
    service.add_client_error("create_bucket", "BucketAlreadyExists", http_status_code=409)
    with pytest.raises(BackendError) as taken:
        buckets.ensure_bucket(settings_for(buckets))
    assert taken.value.code == "store.bucket-taken"
    service.add_client_error("head_bucket", "403", http_status_code=403, expected_params=OWNED)
    with pytest.raises(AccessDenied, match=f"not in account {ACCOUNT}"):
        buckets.observe_bucket(NAME)


def test_every_call_but_the_creating_one_names_the_owner() -> None:
    with running_sandbox() as sandbox:
        clients = clients_of(dict.fromkeys(("acm-pca", "s3", "sts"), sandbox.url))
        seen: dict[str, Any] = {}
        clients.s3().meta.events.register(
            "provide-client-params.s3",
            lambda params, model, **_: seen.update({model.name: params.get("ExpectedBucketOwner")}),
        )
        buckets = S3Buckets(clients, ManualClock(START))
        assert buckets.ensure_bucket(settings_for(buckets))
        assert not buckets.ensure_bucket(settings_for(buckets))
        bare = {"Bucket": "bare", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
        sandbox.client("s3").create_bucket(**bare)
        assert buckets.observe_bucket("bare").empty
    assert seen.pop("CreateBucket") is None  # the call knows no such parameter: it makes the bucket ours or fails
    assert len(seen) == 14
    assert set(seen.values()) == {ACCOUNT}


def test_a_bucket_that_another_run_tags_and_fills_meanwhile_is_that_run_s() -> None:
    with running_sandbox() as sandbox:
        clients = clients_of(dict.fromkeys(("acm-pca", "s3", "sts"), sandbox.url))
        other = sandbox.client("s3")
        other.create_bucket(Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": REGION})

        def meanwhile(**_: Any) -> None:
            other.put_bucket_tagging(Bucket=NAME, Tagging={"TagSet": [{"Key": "pkiops:environment", "Value": "dev"}]})
            other.put_object(Bucket=NAME, Key="dev/index.json", Body=b"{}")

        clients.s3().meta.events.register_first("before-call.s3.ListObjectsV2", meanwhile)
        found = S3Buckets(clients, ManualClock(START)).observe_bucket(NAME)
    assert (found.tags, found.empty) == ({"pkiops:environment": "dev"}, False)


def test_a_crl_bucket_that_is_gone_is_not_a_crl_that_is_not_there_yet(clients: AwsClients, service: Stubber) -> None:
    authority = ObservedAuthority(
        reference=f"arn:aws:acm-pca:{REGION}:{ACCOUNT}:certificate-authority/x",
        type=AuthorityType.ROOT,
        status=AuthorityStatus.ACTIVE,
        subject={},
        key_algorithm="",
        signing_algorithm="",
        usage_mode="GENERAL_PURPOSE",
        created_at=START,
        crl=CrlSettings(bucket=NAME, host="pki.example.com", validity_days=7),
    )
    backend = AwsPrivateCa(clients, ManualClock(START))
    wanted = {**OWNED, "Key": "crl/x.crl"}
    service.add_client_error("get_object", "NoSuchKey", http_status_code=404, expected_params=wanted)
    assert backend.fetch_crl(authority) is None
    service.add_client_error("get_object", "NoSuchBucket", http_status_code=404, expected_params=wanted)
    with pytest.raises(NotFound):
        backend.fetch_crl(authority)
