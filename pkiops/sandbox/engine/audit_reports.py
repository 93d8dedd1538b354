"""Audit reports: every certificate of a CA as JSON or CSV in a bucket.

What this module decides: columns and their form (user guide, "Using audit reports"), one report at a time, one in thirty minutes, and that a
report shows what there is when it is written, which is a moment after it was asked for. A root's own certificate is in it, because the root has
issued it; a subordinate's own is in its parent's report.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.sandbox.engine import der
from pkiops.sandbox.engine.errors import ServiceError, in_progress, invalid_args, not_found
from pkiops.sandbox.engine.state import (
    AuditReport,
    Authority,
    BucketAccess,
    BucketMissing,
    BucketRefused,
    Context,
    Issued,
    Region,
    ReportStatus,
    find_authority,
    require_state,
)

INTERVAL = timedelta(minutes=30)
COLUMNS = (
    "awsAccountId",
    "requestedByServicePrincipal",
    "certificateArn",
    "serial",
    "subject",
    "notBefore",
    "notAfter",
    "issuedAt",
    "revokedAt",
    "revocationReason",
    "templateArn",
)
_CONTENT_TYPES = {"JSON": "application/json", "CSV": "text/csv"}
_PROBE = "acm-pca-permission-test-key"
# RFC 2253 2.3; every other type is written as its OID and the DER of its value
_KEYWORDS = {
    NameOID.COMMON_NAME: "CN",
    NameOID.LOCALITY_NAME: "L",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STREET_ADDRESS: "STREET",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.USER_ID: "UID",
}


def create_report(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """CreateCertificateAuthorityAuditReport."""
    now = context.clock.now()
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "CreateCertificateAuthorityAuditReport", now)
    _require_turn(authority, now)
    access = BucketAccess(request["S3BucketName"], authority.arn, region.account, public=False)
    try:
        context.buckets.put(access, _PROBE, b"", "application/octet-stream")
    except BucketMissing as error:
        raise not_found(f"Could not find S3 bucket {access.bucket}") from error
    except BucketRefused as error:
        raise invalid_args(f"Permission error with your S3 bucket '{access.bucket}': {error}") from error
    identifier = context.randomness.uuid4()
    kind = request["AuditReportResponseFormat"]
    report = AuditReport(
        identifier=str(identifier),
        format=kind,
        bucket=access.bucket,
        key=f"audit-report/{authority.identifier}/{identifier}.{kind.lower()}",
        created_at=now,
        readiness=context.pace.reporting(now),
    )
    authority.reports[report.identifier] = report
    return {"AuditReportId": report.identifier, "S3Key": report.key}


def _require_turn(authority: Authority, now: datetime) -> None:
    last = _last(authority)
    if last is not None and last.status is ReportStatus.CREATING:
        raise in_progress(f"The audit report {last.identifier} of {authority.arn} is being created")
    done = [report for report in authority.reports.values() if report.status is ReportStatus.SUCCESS]
    if done and now - done[-1].created_at < INTERVAL:
        raise ServiceError(
            "RequestFailedException",
            f"An audit report of {authority.arn} was created less than 30 minutes ago: {done[-1].identifier}",
        )


def describe_report(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeCertificateAuthorityAuditReport."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    report = authority.reports.get(request["AuditReportId"])
    if report is None:
        raise not_found(f"Could not find audit report {request['AuditReportId']} of {authority.arn}")
    if report.status is ReportStatus.CREATING and report.readiness.poll(context.clock.now()):
        _write(context, region, authority, report)
    return {
        "AuditReportStatus": str(report.status),
        "S3BucketName": report.bucket,
        "S3Key": report.key,
        "CreatedAt": int(report.created_at.timestamp()),
    }


def settle(context: Context, region: Region, authority: Authority) -> None:
    """Write the report that runs, if its time has come."""
    last = _last(authority)
    if last is not None and last.status is ReportStatus.CREATING and last.readiness.is_ready(context.clock.now()):
        _write(context, region, authority, last)


def _last(authority: Authority) -> AuditReport | None:
    """The newest report; no other can be running."""
    return next(reversed(authority.reports.values()), None)


def _write(context: Context, region: Region, authority: Authority, report: AuditReport) -> None:
    rows = list(_rows(authority, region))
    data = _as_json(rows) if report.format == "JSON" else _as_csv(rows)
    access = BucketAccess(report.bucket, authority.arn, region.account, public=False)
    try:
        context.buckets.put(access, report.key, data, _CONTENT_TYPES[report.format])
    except BucketRefused:
        report.status = ReportStatus.FAILED
    else:
        report.status = ReportStatus.SUCCESS


def _rows(authority: Authority, region: Region) -> Iterator[dict[str, str]]:
    for issued in authority.issued.values():
        yield _row(issued, region)


def _row(issued: Issued, region: Region) -> dict[str, str]:
    certificate = issued.certificate
    row = {
        "awsAccountId": issued.requester or region.account,
        "certificateArn": issued.arn,
        "serial": _serial(certificate.serial_number),
        "subject": subject_text(certificate.subject),
        "notBefore": _moment(certificate.not_valid_before_utc),
        "notAfter": _moment(certificate.not_valid_after_utc),
        "issuedAt": _moment(issued.issued_at),
    }
    if issued.revoked_at is not None:
        row["revokedAt"] = _moment(issued.revoked_at)
        row["revocationReason"] = issued.reason or "UNSPECIFIED"
    row["templateArn"] = f"arn:{region.partition}:acm-pca:::template/{issued.template}/V1"
    return row


def _as_json(rows: list[dict[str, str]]) -> bytes:
    return json.dumps(rows, indent=1, ensure_ascii=False).encode()


def _as_csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _serial(number: int) -> str:
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big").hex(":")


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+0000")


def subject_text(name: x509.Name) -> str:
    """A name as the reports write it: RFC 2253, the last RDN first, types without a keyword as ``1.2.3=#hex``."""
    return ",".join("+".join(_attribute(each) for each in rdn) for rdn in reversed(name.rdns))


def _attribute(attribute: x509.NameAttribute[Any]) -> str:
    keyword = _KEYWORDS.get(attribute.oid)
    if keyword is None or not isinstance(attribute.value, str):
        return f"{attribute.oid.dotted_string}=#{_value_der(attribute).hex()}"
    return f"{keyword}={_escaped(attribute.value)}"


def _value_der(attribute: x509.NameAttribute[Any]) -> bytes:
    pair = der.content_of(der.content_of(der.content_of(x509.Name([attribute]).public_bytes())))
    return pair[len(der.first_value(pair)) :]


def _escaped(value: str) -> str:
    """RFC 2253 2.4."""
    text = "".join(f"\\{char}" if char in ',+"\\<>;' else char for char in value)
    if text.startswith(("#", " ")):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if value.endswith(" ") and len(value) > 1 else text
