"""Audit reports. A CA makes one in 30 minutes, so the cases share the first."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.workspace import Unsettled, Workspace

_CREATE = "create_certificate_authority_audit_report"
_INTERVAL = timedelta(minutes=30)
_WRITING = 180.0  # what botocore's waiter allows


def _ask(workspace: Workspace, bucket: str) -> Observation:
    return workspace.ask(_CREATE, S3BucketName=workspace.bucket(bucket), AuditReportResponseFormat="JSON")


def _written(workspace: Workspace, bucket: str) -> Observation:
    """Ask for a report and wait for its end: ``ACCEPTED``, the status it ended in, or the code of the refusal."""
    answers: list[dict[str, str]] = []
    request = {"S3BucketName": workspace.bucket(bucket), "AuditReportResponseFormat": "JSON"}
    found = workspace.outcome(
        lambda: answers.append(getattr(workspace.pca, _CREATE)(CertificateAuthorityArn=workspace.arn, **request))
    )
    if not answers:
        return found
    names = {"CertificateAuthorityArn": workspace.arn, "AuditReportId": answers[0]["AuditReportId"]}
    statuses: list[str] = []

    def ended() -> bool:
        answer = workspace.patiently(lambda: workspace.pca.describe_certificate_authority_audit_report(**names))
        statuses.append(answer["AuditReportStatus"])
        return statuses[-1] != "CREATING"

    workspace.until(ended, "the audit report is CREATING", _WRITING)
    if statuses[-1] != "SUCCESS":
        return {"status": statuses[-1]}
    workspace.report_key = answers[0]["S3Key"]
    return ACCEPTED


def _first(workspace: Workspace) -> Observation:
    """The outcome of the first report of this run, into the bucket into which the caller may not write."""
    if workspace.first_report is None:
        workspace.first_report = _written(workspace, "service")
    return workspace.first_report


def _second(workspace: Workspace) -> Observation:
    if _first(workspace) != ACCEPTED and _written(workspace, "open") != ACCEPTED:
        raise Unsettled(f"there is no first report: {workspace.message}")
    return _ask(workspace, "open")


def _later(workspace: Workspace) -> Observation:
    if _first(workspace) != ACCEPTED:
        raise Unsettled(f"there is no first report: {workspace.message}")
    workspace.wait_until(workspace.now() + _INTERVAL)
    return _written(workspace, "open")


def _columns(workspace: Workspace) -> Observation:
    if _first(workspace) != ACCEPTED or workspace.report_key is None:
        raise Unsettled(f"there is no first report: {workspace.message}")
    stored = workspace.s3.get_object(Bucket=workspace.bucket("service"), Key=workspace.report_key)
    rows = json.loads(stored["Body"].read())
    if not rows:
        raise Unsettled("the report is empty")
    keys: list[Observation] = sorted(rows[0])
    return {"keys": keys, "own certificate": any("RootCACertificate/V1" in row.get("templateArn", "") for row in rows)}


CASES: tuple[Case, ...] = (
    Case(
        name="audit-report-bucket-closed-to-the-service",
        operation="CreateCertificateAuthorityAuditReport",
        phase=Phase.ACTIVE,
        settles="How a report is refused whose bucket keeps the service out.",
        source="silent on the code",
        section="4",
        expected=refused("InvalidArgsException"),
        observe=lambda workspace: _ask(workspace, "closed"),
    ),
    Case(
        name="audit-report-caller-without-bucket-rights",
        operation="CreateCertificateAuthorityAuditReport",
        phase=Phase.ACTIVE,
        settles="Whether who asks for a report must be allowed to write into its bucket too, or the service alone.",
        source="silent",
        section="4",
        open_point="S3 rights of the audit caller",
        expected=ACCEPTED,
        observe=_first,
        wait_seconds=30,
    ),
    Case(
        name="audit-report-columns",
        operation="CreateCertificateAuthorityAuditReport",
        phase=Phase.ACTIVE,
        settles="The keys of a row in JSON, and whether a root's own certificate is in its report.",
        source="samples of the user guide, which do not agree",
        section="4",
        expected={
            "keys": [
                "awsAccountId",
                "certificateArn",
                "issuedAt",
                "notAfter",
                "notBefore",
                "serial",
                "subject",
                "templateArn",
            ],
            "own certificate": True,
        },
        observe=_columns,
        wait_seconds=30,
    ),
    Case(
        name="audit-report-second-within-30-minutes",
        operation="CreateCertificateAuthorityAuditReport",
        phase=Phase.ACTIVE,
        settles="The error code of a second report within 30 minutes.",
        source="service model: one in 30 minutes; silent on the code",
        section="4",
        open_point="second audit report within 30 minutes (error code)",
        expected=refused("RequestFailedException"),
        observe=_second,
        wait_seconds=30,
    ),
    Case(
        name="audit-report-second-after-30-minutes",
        operation="CreateCertificateAuthorityAuditReport",
        phase=Phase.ACTIVE,
        settles="That a second report is made when 30 minutes are over.",
        source="service model",
        section="4",
        open_point="second audit report within 30 minutes (error code)",
        expected=ACCEPTED,
        observe=_later,
        wait_seconds=1830,
    ),
)
