"""Deleting, restoring, audit reports and parts of a CRL over HTTP against the sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.auditing import AuditReport
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.backends.interface import (
    AuthorityCertificateRequest,
    AuthorityStatus,
    AuthorityType,
    CrlSettings,
)
from pkiops.backends.retiring import RetiresAuthorities
from pkiops.clock import ManualClock
from pkiops.errors import BackendError, InProgress, InvalidState, NotFound
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import Pace
from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm
from pkiops.x509.certificate import load_certificate
from pkiops.x509.crl import load_crls
from tests.aws.test_private_ca import (
    BUCKET,
    activate,
    authority_request,
    backend,
    clients,
    hierarchy,
    issuance,
    sandbox,
)
from tests.sandbox_server import ACCOUNT, REGION, START, RunningSandbox, running_sandbox

__all__ = ["backend", "clients", "hierarchy", "sandbox"]


def disabled(backend: AwsPrivateCa, reference: str) -> str:
    backend.set_enabled(reference, enabled=False)
    return reference


def test_deleting_and_restoring_twice_is_once(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    assert isinstance(backend, RetiresAuthorities)
    issuing = disabled(backend, hierarchy[1])
    changed = backend.describe_authority(issuing).changed_at
    assert changed == START
    for _ in range(2):
        backend.delete_authority(issuing, days=7)
        one = backend.describe_authority(issuing)
        assert (one.status, one.restorable_until) == (AuthorityStatus.DELETED, START + timedelta(days=7))
    for _ in range(2):
        backend.restore_authority(issuing)
        assert backend.describe_authority(issuing).status is AuthorityStatus.DISABLED


def test_an_active_ca_is_not_deleted(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    with pytest.raises(InvalidState):
        backend.delete_authority(hierarchy[1], days=30)
    backend.restore_authority(hierarchy[1])  # not DELETED: nothing to do
    assert backend.describe_authority(hierarchy[1]).status is AuthorityStatus.ACTIVE


def test_what_never_came_to_be_is_gone_at_once() -> None:
    with running_sandbox(settings=Settings(failed_creations={1: "OTHER"})) as running:
        made = made_of(running)
        client = running.client("acm-pca")
        reference = client.create_certificate_authority(
            CertificateAuthorityType="ROOT",
            CertificateAuthorityConfiguration={
                "KeyAlgorithm": "EC_prime256v1",
                "SigningAlgorithm": "SHA256WITHECDSA",
                "Subject": {"CommonName": "x"},
            },
        )["CertificateAuthorityArn"]
        for _ in range(2):
            made.delete_authority(reference, days=7)
        with pytest.raises(NotFound):
            made.describe_authority(reference)


def made_of(running: RunningSandbox) -> AwsPrivateCa:
    urls = dict.fromkeys(("acm-pca", "s3", "sts"), running.url)
    access = AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls=urls, sandbox=True)
    return AwsPrivateCa(AwsClients(access), ManualClock(START))


def advance(running: RunningSandbox, by: timedelta) -> None:
    assert isinstance(running.clock, ManualClock)
    running.clock.advance(by)


def rows(backend: AwsPrivateCa, report: AuditReport) -> dict[str, bool]:
    found = backend.audited_certificates(backend.read_audit_report(report), report.authority)
    return {row.reference: row.revoked_at is not None for row in found}


def test_a_report_lists_what_was_issued(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    issuing = hierarchy[1]
    certificate = backend.request_certificate(issuance(issuing))
    serial = load_certificate(backend.fetch_certificate(issuing, certificate)[0], "x").serial_number
    disabled(backend, issuing)
    report = backend.audit_report(issuing, BUCKET, since=START)
    assert report.where == f"s3://{BUCKET}/{report.key}"
    assert report.created_at == START
    (row,) = backend.audited_certificates(backend.read_audit_report(report), issuing)
    assert (row.reference, row.serial) == (certificate, f"{serial:x}")
    root = backend.audit_report(hierarchy[0], BUCKET, since=START)
    found = list(backend.audited_certificates(backend.read_audit_report(root), hierarchy[0]))
    assert sorted((one.own, one.is_authority) for one in found) == [(False, True), (True, False)]
    assert backend.newest_audit_report(issuing, BUCKET) == report


def test_within_half_an_hour_the_newest_stands_in_if_it_is_new_enough(
    backend: AwsPrivateCa, sandbox: RunningSandbox, hierarchy: tuple[str, str]
) -> None:
    issuing = hierarchy[1]
    first = backend.audit_report(issuing, BUCKET, since=START)
    advance(sandbox, timedelta(minutes=10))
    assert backend.audit_report(issuing, BUCKET, since=START) == first
    with pytest.raises(InProgress) as caught:
        backend.audit_report(issuing, BUCKET, since=START + timedelta(minutes=1))
    assert caught.value.code == "backend.report-too-soon"
    assert "after 2026-11-25 12:30:00Z" in str(caught.value.hint)
    sandbox.client("s3").delete_object(Bucket=BUCKET, Key=first.key)
    with pytest.raises(InProgress, match="there is none in the bucket"):
        backend.audit_report(issuing, BUCKET, since=START)
    assert backend.newest_audit_report(issuing, BUCKET) is None
    advance(sandbox, timedelta(minutes=21))
    second = backend.audit_report(issuing, BUCKET, since=START + timedelta(minutes=1))
    assert second.created_at == START + timedelta(minutes=31)


def test_what_somebody_else_puts_beside_the_reports_is_passed_over(
    backend: AwsPrivateCa, sandbox: RunningSandbox, hierarchy: tuple[str, str]
) -> None:
    issuing = hierarchy[1]
    report = backend.audit_report(issuing, BUCKET, since=START)
    folder = report.key.rpartition("/")[0]
    s3 = sandbox.client("s3")
    for name in ("12345678-1234-1234-1234-123456789012.json", "x.json", "y.csv"):
        s3.put_object(Bucket=BUCKET, Key=f"{folder}/{name}", Body=b"[]")
    assert backend.newest_audit_report(issuing, BUCKET) == report


def test_a_report_that_is_being_made_is_waited_for() -> None:
    # as if an earlier run had asked for it and died
    with running_sandbox(pace=Pace(report_polls=2)) as running:
        made = made_of(running)
        running.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        allow(running, made)
        root = made.create_authority(authority_request("root", AuthorityType.ROOT, KeyAlgorithm.EC_prime256v1))
        activate(made, root, root, 1, 20)
        client = running.client("acm-pca")
        asked = client.create_certificate_authority_audit_report(
            CertificateAuthorityArn=root, S3BucketName=BUCKET, AuditReportResponseFormat="JSON"
        )["AuditReportId"]
        advance(running, timedelta(seconds=6))
        report = made.audit_report(root, BUCKET, since=START)
        assert report.key.endswith(f"{asked}.json")


def allow(running: RunningSandbox, made: AwsPrivateCa) -> None:
    policy = {"Version": "2012-10-17", "Statement": list(made.crl_bucket_policy(BUCKET)[:1])}
    running.client("s3").put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def test_a_report_that_cannot_be_written_is_said(
    backend: AwsPrivateCa, sandbox: RunningSandbox, hierarchy: tuple[str, str]
) -> None:
    client, s3 = sandbox.client("acm-pca"), sandbox.client("s3")
    asked = client.create_certificate_authority_audit_report(
        CertificateAuthorityArn=hierarchy[1], S3BucketName=BUCKET, AuditReportResponseFormat="JSON"
    )["AuditReportId"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    advance(sandbox, timedelta(seconds=6))
    status = client.describe_certificate_authority_audit_report(
        CertificateAuthorityArn=hierarchy[1], AuditReportId=asked
    )["AuditReportStatus"]
    assert status == "FAILED"
    with pytest.raises(BackendError, match=BUCKET) as caught:
        backend.audit_report(hierarchy[1], BUCKET, since=START)
    assert "pkiops ca doctor" in str(caught.value.hint)


def test_an_expired_ca_has_no_reports_but_those_it_had(
    backend: AwsPrivateCa, sandbox: RunningSandbox, hierarchy: tuple[str, str]
) -> None:
    report = backend.audit_report(hierarchy[1], BUCKET, since=START)
    advance(sandbox, timedelta(days=6 * 365))
    with pytest.raises(InvalidState):
        backend.audit_report(hierarchy[1], BUCKET, since=START)
    assert backend.newest_audit_report(hierarchy[1], BUCKET) == report


def test_the_parts_of_a_crl_are_everything_in_its_folder(
    backend: AwsPrivateCa, sandbox: RunningSandbox, hierarchy: tuple[str, str]
) -> None:
    issuing = hierarchy[1]
    settings = CrlSettings(bucket=BUCKET, host="pki.example.com", validity_days=7, path="parts", complete=False)
    backend.configure_revocation(issuing, settings)
    backend.fetch_certificate(issuing, backend.request_certificate(issuance(issuing)))
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=BUCKET, Key="parts/deeper/a.crl", Body=b"x")
    s3.put_object(Bucket=BUCKET, Key="parts/readme.txt", Body=b"x")
    found = dict(backend.fetch_crl_parts(backend.describe_authority(issuing)))
    (name,) = found
    assert name.endswith(".crl")
    own = load_certificate(backend.authority_chain(issuing)[0], "x")
    assert load_crls(found[name], name)[0].issuer == own.subject


def test_a_renewing_call_is_the_same_call_only_for_the_same_predecessor(
    backend: AwsPrivateCa, hierarchy: tuple[str, str]
) -> None:
    root, issuing = hierarchy
    request = AuthorityCertificateRequest(
        authority=issuing,
        issuer=root,
        issuer_signing_algorithm=SigningAlgorithm(backend.describe_authority(root).signing_algorithm),
        csr_der=backend.authority_csr(issuing),
        path_length=0,
        not_before=START,
        not_after=START + timedelta(days=900),
        replaces="0a",
    )
    first = backend.sign_authority(request)
    assert backend.sign_authority(request) == first
    assert backend.sign_authority(replace(request, replaces="0b")) != first
    backend.install_authority(issuing, first)
    assert backend.describe_authority(issuing).not_before == START


def test_a_certificate_is_not_taken_for_installed_in_a_ca_that_refuses_it(
    backend: AwsPrivateCa, hierarchy: tuple[str, str]
) -> None:
    root, issuing = hierarchy
    present = backend.authority_chain(issuing)
    disabled(backend, issuing)
    backend.install_authority(issuing, present)  # it is there already
    other = backend.authority_chain(root)
    with pytest.raises(InvalidState):
        backend.install_authority(issuing, other)
