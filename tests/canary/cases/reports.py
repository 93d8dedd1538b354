"""Audit reports. A CA makes one in 30 minutes, so the cases share the first."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.patience import Unsettled
from tests.canary.workspace import Report, Workspace

_CREATE = "create_certificate_authority_audit_report"
_INTERVAL = timedelta(minutes=30)
_SPREADING = frozenset(
    {"AccessDeniedException", "InvalidArgsException", "RequestFailedException", "ValidationException"}
)
_WRITING = 180.0  # what botocore's waiter allows


def _ask(workspace: Workspace, bucket: str) -> Observation:
    return workspace.ask(_CREATE, S3BucketName=workspace.buckets.name(bucket), AuditReportResponseFormat="JSON")


def _written(workspace: Workspace, bucket: str) -> Report:
    """Ask for a report and wait for its end: ``ACCEPTED``, the status it ended in, or the code of the refusal."""
    answers: list[dict[str, str]] = []
    request = {
        "CertificateAuthorityArn": workspace.arn,
        "S3BucketName": workspace.buckets.name(bucket),
        "AuditReportResponseFormat": "JSON",
    }
    found = workspace.outcome(
        lambda: answers.append(getattr(workspace.pca, _CREATE)(**request)), again=_SPREADING, denial_is_answer=True
    )
    asked = workspace.now()
    if not answers:
        return Report(found, asked, None)
    names = {"CertificateAuthorityArn": workspace.arn, "AuditReportId": answers[0]["AuditReportId"]}
    statuses: list[str] = []

    def ended() -> bool:
        answer = workspace.patiently(lambda: workspace.pca.describe_certificate_authority_audit_report(**names))
        statuses.append(answer["AuditReportStatus"])
        return statuses[-1] != "CREATING"

    workspace.until(ended, "the audit report is CREATING", _WRITING)
    if statuses[-1] != "SUCCESS":
        return Report({"status": statuses[-1]}, asked, None)
    return Report(ACCEPTED, asked, answers[0]["S3Key"])


def _first(workspace: Workspace) -> Report:
    """The first report of the shared CA, into the bucket into which the caller may not write."""
    if workspace.report is None:
        workspace.report = _written(workspace, "service")
    return workspace.report


def _latest(workspace: Workspace) -> Report:
    """The last report that was written, wherever.

    Raises:
        Unsettled: none can be written.
    """
    report = _first(workspace)
    if report.outcome != ACCEPTED:
        report = workspace.report = _written(workspace, "open")
    if report.outcome != ACCEPTED:
        raise Unsettled(f"no audit report is written: {report.outcome}, {workspace.message}")
    return report


def _columns(workspace: Workspace) -> Observation:
    report = _first(workspace)
    if report.key is None:
        raise Unsettled(f"there is no first report: {report.outcome}")
    rows = json.loads(workspace.buckets.read("service", report.key)["Body"])
    if not rows:
        raise Unsettled("the report is empty")
    keys: list[Observation] = sorted({key for row in rows if not row.get("revokedAt") for key in row})
    return {"keys": keys, "own certificate": any("RootCACertificate/V1" in row.get("templateArn", "") for row in rows)}


def _second(workspace: Workspace) -> Observation:
    _latest(workspace)
    return _ask(workspace, "open")


def _later(workspace: Workspace) -> Observation:
    workspace.wait_until(_latest(workspace).asked + _INTERVAL)
    workspace.report = _written(workspace, "open")
    return workspace.report.outcome


def _closed(workspace: Workspace) -> Observation:
    workspace.wait_until(_latest(workspace).asked + _INTERVAL)
    return _ask(workspace, "closed")


CASES: tuple[Case, ...] = (
    Case(
        name="audit-report-caller-without-bucket-rights",
        operation="CreateCertificateAuthorityAuditReport",
        phase=Phase.ACTIVE,
        settles="Whether who asks for a report must be allowed to write into its bucket too, or the service alone.",
        source="silent",
        section="4",
        open_point="S3 rights of the audit caller",
        expected=ACCEPTED,
        observe=lambda workspace: _first(workspace).outcome,
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
    Case(
        name="audit-report-bucket-closed-to-the-service",
        operation="CreateCertificateAuthorityAuditReport",
        phase=Phase.ACTIVE,
        settles="How a report is refused whose bucket keeps the service out.",
        source="silent on the code",
        section="4",
        expected=refused("InvalidArgsException"),
        observe=_closed,
        wait_seconds=1830,
    ),
)
