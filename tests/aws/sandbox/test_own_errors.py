"""Every error of the service's model that the engine has a reason for, out of that reason: plain boto3, in process and over HTTP.

``FAULTS_ONLY`` are the pairs the documentation lists without saying when they come, or for what cannot happen to calls that are carried out one
after the other; ``--fault`` alone gives them (``test_documented_errors``). Together the two are the model, pair by pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from pkiops.clock import ManualClock
from pkiops.sandbox import moto_adapter
from pkiops.sandbox.engine.request_model import operation_names, service_model
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.quotas import rates
from pkiops.sandbox.traffic import Hindrances
from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import WAYS, plain_clients
from tests.sandbox_server import ACCOUNT, REGION, START, running_sandbox
from tests.unit.sandbox.world import OTHER_ACCOUNT, csr, policy

Refusal: TypeAlias = tuple[str, str, Mapping[str, Any]]
"""An operation, the code it must fail with, its request."""
FAULTS_ONLY = {
    ("CreateCertificateAuthority", "InvalidPolicyException"),
    ("CreatePermission", "RequestFailedException"),
    ("DeleteCertificateAuthority", "ConcurrentModificationException"),
    ("DeletePermission", "RequestFailedException"),
    ("DeletePolicy", "ConcurrentModificationException"),
    ("DeletePolicy", "LockoutPreventedException"),
    ("DeletePolicy", "RequestFailedException"),
    ("DescribeCertificateAuthorityAuditReport", "InvalidArgsException"),
    ("GetPolicy", "RequestFailedException"),
    ("ImportCertificateAuthorityCertificate", "ConcurrentModificationException"),
    ("ImportCertificateAuthorityCertificate", "RequestFailedException"),
    ("ImportCertificateAuthorityCertificate", "RequestInProgressException"),
    ("ListPermissions", "RequestFailedException"),
    ("ListTags", "RequestFailedException"),
    ("PutPolicy", "ConcurrentModificationException"),
    ("PutPolicy", "RequestFailedException"),
    ("RevokeCertificate", "ConcurrentModificationException"),
    ("RevokeCertificate", "RequestFailedException"),
    ("RevokeCertificate", "RequestInProgressException"),
    ("UpdateCertificateAuthority", "ConcurrentModificationException"),
    ("UpdateCertificateAuthority", "InvalidPolicyException"),
}
ACM = {"Principal": "acm.amazonaws.com"}
NOTHING = "00000000-0000-0000-0000-000000000000"
FAILED_CREATION, FAILED_ISSUANCE = 3, 2
TINY = Settings(
    authorities_per_region=1, certificates_per_authority=3, revocations_per_authority=1, permissions_per_authority=0
)


def modelled() -> set[tuple[str, str]]:
    return {
        (operation, shape.name)
        for operation in operation_names()
        for shape in service_model().operation_model(operation).error_shapes
    }


def sound_request(operation: str, arn: str) -> dict[str, Any]:
    """A request about a CA that only its ARN can be wrong with."""
    more: dict[str, dict[str, Any]] = {
        "CreateCertificateAuthorityAuditReport": {"S3BucketName": scene.BUCKET, "AuditReportResponseFormat": "JSON"},
        "CreatePermission": {**ACM, "Actions": ["GetCertificate"]},
        "DeletePermission": ACM,
        "DescribeCertificateAuthorityAuditReport": {"AuditReportId": NOTHING},
        "GetCertificate": {"CertificateArn": f"{arn}/certificate/{'0' * 31}1"},
        "ImportCertificateAuthorityCertificate": {"Certificate": b"x"},
        "IssueCertificate": {**scene.ISSUE, "Csr": csr()},
        "PutPolicy": {"Policy": policy(arn)},
        "RevokeCertificate": {"CertificateSerial": "1", "RevocationReason": "SUPERSEDED"},
        "TagCertificateAuthority": {"Tags": [{"Key": "k"}]},
        "UntagCertificateAuthority": {"Tags": [{"Key": "k"}]},
        "UpdateCertificateAuthority": {"Status": "ACTIVE"},
    }
    member = "ResourceArn" if operation.endswith("Policy") else "CertificateAuthorityArn"
    return {member: arn, **more.get(operation, {})}


ABOUT_ONE = sorted(set(operation_names()) - {"CreateCertificateAuthority", "ListCertificateAuthorities"})
WITHOUT_STATES = {"DescribeCertificateAuthority", "DescribeCertificateAuthorityAuditReport"}


def of_arn_and_state(pca: Any, root: str) -> Iterator[Refusal]:
    """What every operation about one CA refuses: no ARN of a CA, no such CA, a CA in the wrong state."""
    deleted = scene.create(pca, IdempotencyToken="deleted")
    scene.describe(pca, deleted)
    scene.describe(pca, deleted)
    pca.delete_certificate_authority(CertificateAuthorityArn=deleted)
    for operation in ABOUT_ONE:
        yield operation, "InvalidArnException", sound_request(operation, f"{root}x")
        yield operation, "ResourceNotFoundException", sound_request(operation, f"{root[:-12]}000000000000")
        if operation not in WITHOUT_STATES:
            restored = operation == "RestoreCertificateAuthority"
            yield operation, "InvalidStateException", sound_request(operation, root if restored else deleted)


def of_authorities(pca: Any, root: str, failed: str) -> Iterator[Refusal]:
    ca = {"CertificateAuthorityArn": root}
    create = {"CertificateAuthorityType": "ROOT", "CertificateAuthorityConfiguration": scene.CONFIGURATION}
    other_family = {**scene.CONFIGURATION, "SigningAlgorithm": "SHA256WITHRSA"}
    reserved = [{"Key": "aws:x"}]
    yield (
        "CreateCertificateAuthority",
        "InvalidArgsException",
        {**create, "CertificateAuthorityConfiguration": other_family},
    )
    yield "CreateCertificateAuthority", "InvalidTagException", {**create, "Tags": reserved}
    yield "ListCertificateAuthorities", "InvalidNextTokenException", {"NextToken": "bogus"}
    creating = scene.create(pca, IdempotencyToken="creating")
    yield "GetCertificateAuthorityCsr", "RequestInProgressException", {"CertificateAuthorityArn": creating}
    yield "GetCertificateAuthorityCsr", "RequestFailedException", {"CertificateAuthorityArn": failed}
    yield "UpdateCertificateAuthority", "InvalidArgsException", {**ca, "Status": "EXPIRED"}
    yield "TagCertificateAuthority", "InvalidTagException", {**ca, "Tags": reserved}
    yield "UntagCertificateAuthority", "InvalidTagException", {**ca, "Tags": reserved}
    pca.tag_certificate_authority(**ca, Tags=[{"Key": f"k{i}"} for i in range(50)])
    yield "TagCertificateAuthority", "TooManyTagsException", {**ca, "Tags": [{"Key": "one more"}]}
    own = pca.get_certificate_authority_certificate(**ca)["Certificate"]
    leaf = scene.certificate(pca, root, scene.leaf(pca, root))["Certificate"]
    importing = "ImportCertificateAuthorityCertificate"
    yield importing, "MalformedCertificateException", {**ca, "Certificate": b"x"}
    yield importing, "CertificateMismatchException", {**ca, "Certificate": leaf}
    yield importing, "InvalidRequestException", {**ca, "Certificate": own, "CertificateChain": own}


def of_certificates(pca: Any, root: str, failed: str) -> Iterator[Refusal]:
    ca = {"CertificateAuthorityArn": root}
    issue = {**ca, **scene.ISSUE, "Csr": csr()}
    revoke = {**ca, "RevocationReason": "SUPERSEDED"}
    yield "IssueCertificate", "MalformedCSRException", {**issue, "Csr": b"x"}
    yield "IssueCertificate", "InvalidArgsException", {**issue, "SigningAlgorithm": "SHA256WITHRSA"}
    arn = scene.leaf(pca, root)
    yield "GetCertificate", "RequestInProgressException", {**ca, "CertificateArn": arn}
    yield "GetCertificate", "RequestFailedException", {**ca, "CertificateArn": failed}
    serial = arn.rpartition("/")[2]
    pca.revoke_certificate(CertificateSerial=serial, **revoke)
    yield "RevokeCertificate", "RequestAlreadyProcessedException", {**revoke, "CertificateSerial": serial}
    own = f"{int(scene.describe(pca, root)['Serial']):x}"
    yield "RevokeCertificate", "InvalidRequestException", {**revoke, "CertificateSerial": own}


def of_sharing(pca: Any, s3: Any, root: str) -> Iterator[Refusal]:
    ca = {"CertificateAuthorityArn": root}
    yield "PutPolicy", "InvalidPolicyException", {"ResourceArn": root, "Policy": "{}"}
    locked_out = policy(root, ACCOUNT, Effect="Deny")
    yield "PutPolicy", "LockoutPreventedException", {"ResourceArn": root, "Policy": locked_out}
    permission = sound_request("CreatePermission", root)
    pca.create_permission(**permission)
    yield "CreatePermission", "PermissionAlreadyExistsException", permission
    yield "ListPermissions", "InvalidNextTokenException", {**ca, "NextToken": "bogus"}
    reporting = "CreateCertificateAuthorityAuditReport"
    report = sound_request(reporting, root)
    yield reporting, "ResourceNotFoundException", report  # no such bucket yet
    scene.make_bucket(s3, scene.bucket_policy(StringEquals={"aws:SourceAccount": OTHER_ACCOUNT}))
    yield reporting, "InvalidArgsException", report
    s3.put_bucket_policy(Bucket=scene.BUCKET, Policy=scene.bucket_policy())
    identifier = pca.create_certificate_authority_audit_report(**report)["AuditReportId"]
    yield reporting, "RequestInProgressException", report
    for _ in range(2):
        pca.describe_certificate_authority_audit_report(**ca, AuditReportId=identifier)
    yield reporting, "RequestFailedException", report


def reasons(pca: Any, s3: Any) -> Iterator[Refusal]:
    """All of them, in an account whose third creation and second issuance come to nothing."""
    root = scene.active_root(pca, IdempotencyToken="root")
    failed_certificate = scene.leaf(pca, root)
    yield from of_arn_and_state(pca, root)
    failed = scene.create(pca, IdempotencyToken="failed")
    assert [scene.describe(pca, failed)["Status"] for _ in range(2)] == ["CREATING", "FAILED"]
    with pytest.raises(pca.exceptions.RequestInProgressException):
        pca.get_certificate(CertificateAuthorityArn=root, CertificateArn=failed_certificate)
    yield from of_authorities(pca, root, failed)
    yield from of_certificates(pca, root, failed_certificate)
    yield from of_sharing(pca, s3, root)


def over_limits(pca: Any) -> Iterator[Refusal]:
    """The same for quotas, where next to nothing is allowed (``TINY``)."""
    limit = "LimitExceededException"
    root = scene.active_root(pca)
    yield (
        "CreateCertificateAuthority",
        limit,
        {
            "CertificateAuthorityType": "SUBORDINATE",
            "CertificateAuthorityConfiguration": scene.CONFIGURATION,
        },
    )
    serials = [scene.leaf(pca, root).rpartition("/")[2] for _ in range(2)]
    revoke = {"CertificateAuthorityArn": root, "RevocationReason": "SUPERSEDED"}
    pca.revoke_certificate(CertificateSerial=serials[0], **revoke)
    yield "RevokeCertificate", limit, {**revoke, "CertificateSerial": serials[1]}
    yield "IssueCertificate", limit, sound_request("IssueCertificate", root)
    yield "CreatePermission", limit, sound_request("CreatePermission", root)


def error_of(pca: Any, operation: str, request: Mapping[str, Any]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        getattr(pca, xform_name(operation))(**request)
    assert caught.value.operation_name == operation
    assert caught.value.response["Error"]["Message"]
    return caught.value


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


@pytest.mark.parametrize("way", WAYS)
def test_each_error_that_has_a_reason(way: str) -> None:
    seen = set()
    settings = Settings(
        failed_creations={FAILED_CREATION: "UNSUPPORTED_ALGORITHM"}, late_failures=frozenset({FAILED_ISSUANCE})
    )
    for these, limits in ((True, settings), (False, TINY)):
        with plain_clients(way, limits) as client:
            pca = client("acm-pca")
            for operation, code, request in reasons(pca, client("s3")) if these else over_limits(pca):
                error = error_of(pca, operation, request)
                assert code_of(error) == code, (operation, error)
                assert isinstance(error, getattr(pca.exceptions, code))
                seen.add((operation, code))
    assert not seen & FAULTS_ONLY
    assert seen | FAULTS_ONLY == modelled()


BAD: dict[str, dict[str, Any]] = {
    "CreateCertificateAuthority": {
        "CertificateAuthorityType": "BANANA",
        "CertificateAuthorityConfiguration": scene.CONFIGURATION,
    },
    "ListCertificateAuthorities": {"ResourceOwner": "NOBODY"},
}


@pytest.mark.parametrize("way", WAYS)
def test_each_operation_refuses_what_its_model_does_not_allow(way: str) -> None:
    with plain_clients(way) as client:
        pca = client("acm-pca")
        for operation in operation_names():
            request = BAD.get(operation) or sound_request(operation, "no-arn-at-all")
            assert code_of(error_of(pca, operation, request)) == "ValidationException", operation


@pytest.mark.parametrize("way", WAYS)
def test_each_operation_about_a_ca_refuses_other_accounts(way: str) -> None:
    with plain_clients(way) as client:
        pca = client("acm-pca")
        root = scene.active_root(pca)
        role = {"RoleArn": f"arn:aws:iam::{OTHER_ACCOUNT}:role/issuer", "RoleSessionName": "test"}
        found = client("sts").assume_role(**role)["Credentials"]
        session = boto3.Session(
            found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], region_name=REGION
        )
        there = session.client(
            "acm-pca", endpoint_url=pca.meta.endpoint_url, config=Config(retries={"total_max_attempts": 1})
        )
        for operation in ABOUT_ONE:
            error = error_of(there, operation, sound_request(operation, root))
            assert code_of(error) == "AccessDeniedException", operation
            assert f"not authorized to perform: acm-pca:{operation} on resource: {root}" in str(error)
        described = scene.describe(pca, root)
        assert (described["Status"], described["OwnerAccount"]) == ("ACTIVE", ACCOUNT)


def calls_of_a_second(pca: Any, clock: ManualClock) -> None:
    """Each operation as often as it may be called in a second, and once more; a second later again."""
    arn = f"arn:aws:acm-pca:{REGION}:{ACCOUNT}:certificate-authority/{NOTHING}"
    for operation in operation_names():
        request = BAD.get(operation) or sound_request(operation, arn)
        rate = int(rates([], defaults=True)[operation])
        codes = [code_of(error_of(pca, operation, request)) for _ in range(rate + 1)]
        assert "ThrottlingException" not in codes[:-1], operation
        assert codes[-1] == "ThrottlingException", operation
        clock.advance(timedelta(seconds=1))
        assert code_of(error_of(pca, operation, request)) == codes[0], operation


@pytest.mark.parametrize("way", WAYS)
def test_each_operation_is_throttled_at_its_rate(way: str) -> None:
    clock = ManualClock(START)
    hindrances = Hindrances(quotas=rates([], defaults=True))
    if way == "over http":
        with running_sandbox(clock=clock, hindrances=hindrances) as sandbox:
            calls_of_a_second(sandbox.client("acm-pca"), clock)
        return
    with moto_adapter.plugged_in(clock=clock, hindrances=hindrances), mock_aws():
        config = Config(retries={"total_max_attempts": 1})
        calls_of_a_second(boto3.Session(region_name=REGION).client("acm-pca", config=config), clock)
