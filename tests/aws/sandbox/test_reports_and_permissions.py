"""Audit reports, permissions and limits through plain boto3: in process and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pkiops.sandbox.engine.settings import Settings
from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import WAYS, Clients, plain_clients
from tests.sandbox_server import START

ACM = "acm.amazonaws.com"


def ask(pca: Any, arn: str, **more: Any) -> dict[str, str]:
    request = {"S3BucketName": scene.BUCKET, "AuditReportResponseFormat": "JSON", **more}
    answer: dict[str, str] = pca.create_certificate_authority_audit_report(CertificateAuthorityArn=arn, **request)
    return answer


def test_a_report_is_waited_for_and_read(client: Clients) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    scene.make_bucket(s3)
    root = scene.active_root(pca)
    leaf = scene.leaf(pca, root)
    report = ask(pca, root)
    names = {"CertificateAuthorityArn": root, "AuditReportId": report["AuditReportId"]}
    waiter = pca.get_waiter("audit_report_created")
    waiter.wait(**names, WaiterConfig={"Delay": 0.01, "MaxAttempts": 5})
    described = pca.describe_certificate_authority_audit_report(**names)
    assert described["AuditReportStatus"] == "SUCCESS"
    assert described["CreatedAt"] == START
    stored = s3.get_object(Bucket=scene.BUCKET, Key=report["S3Key"])
    assert stored["ContentType"] == "application/json"
    assert [row["certificateArn"] for row in json.loads(stored["Body"].read())][1:] == [leaf]


def refusals(pca: Any, s3: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Code by code, a call that must fail with it."""
    root = scene.active_root(pca, IdempotencyToken="root")
    pending = scene.create(pca, IdempotencyToken="pending")
    scene.describe(pca, pending)
    unknown, malformed = f"{root[:-12]}000000000000", f"{root}x"
    nothing = "00000000-0000-0000-0000-000000000000"
    describe, create = pca.describe_certificate_authority_audit_report, pca.create_permission
    permission = {"Principal": ACM, "Actions": ["IssueCertificate"]}
    yield "ResourceNotFoundException", lambda: ask(pca, root)
    scene.make_bucket(s3, scene.bucket_policy(StringEquals={"aws:SourceAccount": "999999999999"}))
    yield "InvalidArgsException", lambda: ask(pca, root)
    s3.put_bucket_policy(Bucket=scene.BUCKET, Policy=scene.bucket_policy())
    for arn, code in ((unknown, "ResourceNotFoundException"), (malformed, "InvalidArnException")):
        yield code, lambda arn=arn: ask(pca, arn)  # type: ignore[misc]
        yield code, lambda arn=arn: describe(CertificateAuthorityArn=arn, AuditReportId=nothing)  # type: ignore[misc]
        yield code, lambda arn=arn: create(CertificateAuthorityArn=arn, **permission)  # type: ignore[misc]
        yield code, lambda arn=arn: pca.list_permissions(CertificateAuthorityArn=arn)  # type: ignore[misc]
        yield code, lambda arn=arn: pca.delete_permission(CertificateAuthorityArn=arn, Principal=ACM)  # type: ignore[misc]
    yield "ResourceNotFoundException", lambda: describe(CertificateAuthorityArn=root, AuditReportId=nothing)
    yield "InvalidStateException", lambda: ask(pca, pending)
    yield "InvalidStateException", lambda: create(CertificateAuthorityArn=pending, **permission)
    report = ask(pca, root)
    yield "RequestInProgressException", lambda: ask(pca, root)
    for _ in range(2):
        describe(CertificateAuthorityArn=root, AuditReportId=report["AuditReportId"])
    yield "RequestFailedException", lambda: ask(pca, root)
    pca.create_permission(CertificateAuthorityArn=root, **permission)
    yield "PermissionAlreadyExistsException", lambda: create(CertificateAuthorityArn=root, **permission)
    yield "InvalidNextTokenException", lambda: pca.list_permissions(CertificateAuthorityArn=root, NextToken="bogus")
    yield (
        "ValidationException",
        lambda: create(CertificateAuthorityArn=root, **{**permission, "Principal": "ec2.amazonaws.com"}),
    )
    pca.delete_permission(CertificateAuthorityArn=root, Principal=ACM)
    yield "ResourceNotFoundException", lambda: pca.delete_permission(CertificateAuthorityArn=root, Principal=ACM)
    pca.delete_certificate_authority(CertificateAuthorityArn=pending)
    yield "InvalidStateException", lambda: pca.list_permissions(CertificateAuthorityArn=pending)
    yield "InvalidStateException", lambda: pca.delete_permission(CertificateAuthorityArn=pending, Principal=ACM)


def test_refusals_arrive_as_typed_exceptions(client: Clients) -> None:
    pca = client("acm-pca")
    for code, call in refusals(pca, client("s3")):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
        if code != "ValidationException":  # the service's model does not know it
            assert isinstance(caught.value, getattr(pca.exceptions, code))


def test_a_permission_through_the_paginator(client: Clients) -> None:
    pca = client("acm-pca")
    root = scene.active_root(pca)
    pca.create_permission(CertificateAuthorityArn=root, Principal=ACM, Actions=["GetCertificate", "IssueCertificate"])
    pages = pca.get_paginator("list_permissions").paginate(CertificateAuthorityArn=root)
    (permission,) = pages.build_full_result()["Permissions"]
    assert permission["Actions"] == ["GetCertificate", "IssueCertificate"]
    assert permission["CreatedAt"] == START


def over_the_limits(pca: Any) -> Iterator[Callable[[], Any]]:
    """Calls beyond each limit, in an account where nearly nothing is allowed."""
    root = scene.active_root(pca, IdempotencyToken="a")
    scene.create(pca, IdempotencyToken="b")
    yield lambda: scene.create(pca, IdempotencyToken="c")
    serials = [scene.leaf(pca, root).rpartition("/")[2] for _ in range(2)]
    revoked = {"CertificateAuthorityArn": root, "RevocationReason": "SUPERSEDED"}
    pca.revoke_certificate(CertificateSerial=serials[0], **revoked)
    yield lambda: pca.revoke_certificate(CertificateSerial=serials[1], **revoked)
    yield lambda: scene.leaf(pca, root)
    permission = {"Principal": ACM, "Actions": ["GetCertificate"]}
    yield lambda: pca.create_permission(CertificateAuthorityArn=root, **permission)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_over_a_limit_is_refused(way: str) -> None:
    settings = Settings(
        authorities_per_region=2, certificates_per_authority=3, revocations_per_authority=1, permissions_per_authority=0
    )
    calls = 0
    with plain_clients(way, settings) as clients:
        pca = clients("acm-pca")
        for call in over_the_limits(pca):
            with pytest.raises(pca.exceptions.LimitExceededException, match="at most"):
                call()
            calls += 1
    assert calls == 4
