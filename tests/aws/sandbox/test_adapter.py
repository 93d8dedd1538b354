"""The engine through moto and plain boto3: in process and over HTTP, with the same outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from moto import mock_aws

from pkiops.clock import ManualClock
from pkiops.errors import InternalError
from pkiops.sandbox import moto_adapter
from tests.aws.sandbox import scene
from tests.sandbox_server import REGION, START, running_sandbox
from tests.unit.sandbox.world import csr

Clients = Callable[..., Any]


@pytest.fixture(params=["in process", "over http"])
def client(request: pytest.FixtureRequest) -> Iterator[Clients]:
    if request.param == "over http":
        with running_sandbox() as sandbox:
            yield sandbox.client
        return
    with moto_adapter.plugged_in(clock=ManualClock(START)), mock_aws():
        yield lambda service, region=REGION: boto3.Session(region_name=region).client(
            service, config=Config(retries={"total_max_attempts": 1})
        )


def test_the_whole_flow(client: Clients) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    scene.make_bucket(s3)
    arn = scene.create(pca, RevocationConfiguration=scene.CRL, Tags=[{"Key": "k", "Value": "v"}])
    assert scene.describe(pca, arn)["Status"] == "CREATING"
    assert scene.describe(pca, arn)["Status"] == "PENDING_CERTIFICATE"
    root = scene.active_root(pca, RevocationConfiguration=scene.CRL, IdempotencyToken="second")
    assert root != arn
    described = scene.describe(pca, root)
    assert described["Status"] == "ACTIVE"
    assert described["CreatedAt"] == START
    certificate_arn = scene.leaf(pca, root)
    with pytest.raises(pca.exceptions.RequestInProgressException):
        pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=certificate_arn)
    answer = pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=certificate_arn)
    leaf = x509.load_pem_x509_certificate(answer["Certificate"].encode())
    serial = certificate_arn.rpartition("/")[2]
    pca.revoke_certificate(CertificateAuthorityArn=root, CertificateSerial=serial, RevocationReason="SUPERSEDED")
    stored = s3.get_object(Bucket=scene.BUCKET, Key=f"crl/{root.rpartition('/')[2]}.crl")
    assert stored["ContentType"] == "application/pkix-crl"
    crl = x509.load_der_x509_crl(stored["Body"].read())
    assert crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None
    listed = [item["Arn"] for item in pca.list_certificate_authorities()["CertificateAuthorities"]]
    assert listed == [root, arn]
    assert pca.list_tags(CertificateAuthorityArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]


def refusals(pca: Any, root: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Code by code, a call that must fail with it."""
    issue = {"CertificateAuthorityArn": root, "Csr": csr(), **scene.ISSUE}
    pending = scene.create(pca, IdempotencyToken="pending")
    scene.describe(pca, pending)
    certificate = scene.certificate(pca, root, scene.leaf(pca, root))["Certificate"]
    revoked = {"CertificateAuthorityArn": root, "RevocationReason": "SUPERSEDED"}
    serial = scene.leaf(pca, root).rpartition("/")[2]
    pca.revoke_certificate(CertificateSerial=serial, **revoked)
    unknown = root[:-12] + "000000000000"
    tags = [{"Key": f"k{i}"} for i in range(50)]
    pca.tag_certificate_authority(CertificateAuthorityArn=root, Tags=tags)
    own = f"{int(scene.describe(pca, root)['Serial']):x}"
    yield "MalformedCSRException", lambda: pca.issue_certificate(**{**issue, "Csr": b"x"})
    yield "InvalidArgsException", lambda: pca.issue_certificate(**{**issue, "SigningAlgorithm": "SHA256WITHRSA"})
    yield "InvalidStateException", lambda: pca.issue_certificate(**{**issue, "CertificateAuthorityArn": pending})
    yield "ValidationException", lambda: pca.issue_certificate(**{**issue, "IdempotencyToken": "x" * 37})
    yield "ValidationException", lambda: pca.issue_certificate(**{**issue, "Validity": {"Type": "YEARS", "Value": 99}})
    yield "ResourceNotFoundException", lambda: pca.list_tags(CertificateAuthorityArn=unknown)
    yield "InvalidArnException", lambda: pca.list_tags(CertificateAuthorityArn=f"{root}x")
    yield "InvalidNextTokenException", lambda: pca.list_certificate_authorities(NextToken="bogus")
    yield "RequestAlreadyProcessedException", lambda: pca.revoke_certificate(CertificateSerial=serial, **revoked)
    yield "InvalidRequestException", lambda: pca.revoke_certificate(CertificateSerial=own, **revoked)
    yield (
        "InvalidTagException",
        lambda: pca.tag_certificate_authority(CertificateAuthorityArn=root, Tags=[{"Key": "aws:x"}]),
    )
    yield (
        "TooManyTagsException",
        lambda: pca.tag_certificate_authority(CertificateAuthorityArn=root, Tags=[{"Key": "one more"}]),
    )
    yield (
        "CertificateMismatchException",
        lambda: pca.import_certificate_authority_certificate(CertificateAuthorityArn=root, Certificate=certificate),
    )
    yield (
        "MalformedCertificateException",
        lambda: pca.import_certificate_authority_certificate(CertificateAuthorityArn=root, Certificate=b"x"),
    )
    yield "InvalidStateException", lambda: pca.delete_certificate_authority(CertificateAuthorityArn=root)


def test_errors_arrive_as_typed_exceptions(client: Clients) -> None:
    pca = client("acm-pca")
    root = scene.active_root(pca, IdempotencyToken="root")
    for code, call in refusals(pca, root):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
        if code != "ValidationException":  # the service's model does not know it
            assert isinstance(caught.value, getattr(pca.exceptions, code))
        metadata = caught.value.response["ResponseMetadata"]
        assert metadata["RetryAttempts"] == 0
        assert metadata["HTTPStatusCode"] == 400
        assert metadata["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.1"
        assert metadata["HTTPHeaders"]["x-amzn-errortype"] == code
        assert metadata["RequestId"]


def test_accounts_and_regions_are_apart(client: Clients) -> None:
    arn = scene.create(client("acm-pca"))
    elsewhere = client("acm-pca", "us-east-1")
    assert elsewhere.list_certificate_authorities()["CertificateAuthorities"] == []
    with pytest.raises(elsewhere.exceptions.ResourceNotFoundException):
        scene.describe(elsewhere, arn)
    there = scene.create(elsewhere)
    assert ":us-east-1:" in there


def bucket_refusal(pca: Any, **crl: Any) -> str:
    with pytest.raises(ClientError) as caught:
        scene.create(pca, RevocationConfiguration={"CrlConfiguration": {**scene.CRL["CrlConfiguration"], **crl}})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def test_the_bucket_must_exist_and_let_the_service_write(client: Clients) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    assert "does not exist" in bucket_refusal(pca)
    scene.make_bucket(s3, scene.bucket_policy(StringEquals={"aws:SourceAccount": "999999999999"}))
    assert "does not allow" in bucket_refusal(pca)
    s3.delete_bucket_policy(Bucket=scene.BUCKET)
    assert "no policy" in bucket_refusal(pca)
    s3.put_bucket_policy(Bucket=scene.BUCKET, Policy=scene.bucket_policy())
    assert scene.create(pca, RevocationConfiguration=scene.CRL)
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=scene.BUCKET)["Contents"]]
    assert keys == ["acm-pca-permission-test-key", "acm-pca-permission-test-key-private"]


def test_public_read_needs_a_bucket_that_is_open(client: Clients) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    scene.make_bucket(s3)
    assert "Block Public Access" in bucket_refusal(pca, S3ObjectAcl="PUBLIC_READ")
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=scene.BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(names, False))
    assert "ACLs disabled" in bucket_refusal(pca, S3ObjectAcl="PUBLIC_READ")
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3.put_bucket_ownership_controls(Bucket=scene.BUCKET, OwnershipControls=controls)
    public = {"CrlConfiguration": {**scene.CRL["CrlConfiguration"], "S3ObjectAcl": "PUBLIC_READ"}}
    assert scene.create(pca, RevocationConfiguration=public)


def test_old_versions_of_a_crl_are_kept_where_the_bucket_keeps_versions(client: Clients) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    scene.make_bucket(s3)
    s3.put_bucket_versioning(Bucket=scene.BUCKET, VersioningConfiguration={"Status": "Enabled"})
    root = scene.active_root(pca, RevocationConfiguration=scene.CRL)
    for _ in range(2):
        serial = scene.leaf(pca, root).rpartition("/")[2]
        pca.revoke_certificate(CertificateAuthorityArn=root, CertificateSerial=serial, RevocationReason="SUPERSEDED")
    versions = s3.list_object_versions(Bucket=scene.BUCKET, Prefix="crl/")["Versions"]
    assert len(versions) == 3


def test_waiters_of_boto3_end(client: Clients) -> None:
    pca = client("acm-pca")
    quick = {"Delay": 0, "MaxAttempts": 5}
    arn = scene.create(pca)
    pca.get_waiter("certificate_authority_csr_created").wait(CertificateAuthorityArn=arn, WaiterConfig=quick)
    root = scene.active_root(pca, IdempotencyToken="other")
    names = {"CertificateAuthorityArn": root, "CertificateArn": scene.leaf(pca, root)}
    pca.get_waiter("certificate_issued").wait(**names, WaiterConfig=quick)


def test_moto_has_all_names() -> None:
    moto_adapter.require_moto_names()


def test_a_name_that_is_gone_is_said_aloud() -> None:
    with pytest.raises(InternalError, match=r"moto\.acmpca\.models\.no_such_name"):
        moto_adapter.require_moto_names({"moto.acmpca.models": ("acmpca_backends", "no_such_name")})


def test_a_module_that_is_gone_is_said_aloud() -> None:
    with pytest.raises(InternalError, match=r"moto lacks moto\.no_such_module:"):
        moto_adapter.require_moto_names({"moto.no_such_module": ("anything",)})


def test_only_one_at_a_time() -> None:
    with moto_adapter.plugged_in(), pytest.raises(InternalError, match="already"), moto_adapter.plugged_in():
        pass


def test_moto_is_as_before_afterwards() -> None:
    with moto_adapter.plugged_in():
        pass
    with mock_aws():
        arn = scene.create(boto3.client("acm-pca"))
        assert scene.describe(boto3.client("acm-pca"), arn)["UsageMode"] == "SHORT_LIVED_CERTIFICATE"


def test_what_mock_aws_starts_is_empty() -> None:
    with moto_adapter.plugged_in():
        for _ in range(2):
            with mock_aws():
                pca = boto3.client("acm-pca")
                assert pca.list_certificate_authorities()["CertificateAuthorities"] == []
                scene.create(pca)
