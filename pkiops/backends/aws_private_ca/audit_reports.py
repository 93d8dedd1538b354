"""Audit reports: asked for, waited for, found again in the bucket, and read row by row.

What this module decides: that a new report is asked for first, and that the newest one in the bucket stands in where the service makes none because
it has made one less than half an hour ago. Which report is good enough is the caller's ``since``.

Source: CreateCertificateAuthorityAuditReport, DescribeCertificateAuthorityAuditReport; "Using audit reports with your private CA" in the User Guide.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from pkiops.aws_errors import translated
from pkiops.backends.auditing import AuditedCertificate, AuditReport
from pkiops.backends.aws_private_ca import shapes
from pkiops.backends.aws_private_ca.calls import Calls
from pkiops.errors import BackendError, InProgress, NotFound

# "You can create a report every 30 minutes" (CreateCertificateAuthorityAuditReport)
INTERVAL = timedelta(minutes=30)
_PIECE_BYTES = 1024 * 1024
_MAX_ROW = 64 * 1024
_NEWEST = 3
_REPORT_KEY = re.compile(r"audit-report/[0-9a-fA-F-]{36}/([0-9a-fA-F-]{36})\.json")
_SERIAL = re.compile(r"[0-9a-f]{1,64}")
_WRITABLE = "the service has to be able to write into s3://{bucket}: pkiops ca doctor tells what is wrong with its policy or encryption"
_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
_TEMPLATE = re.compile(r"arn:[a-z-]+:acm-pca:::template/([A-Za-z0-9_]+)/V[0-9]+")


class AuditReports(Calls):
    """Reports of what a CA has issued (AuditsIssuance)."""

    def audit_report(self, reference: str, bucket: str, *, since: datetime) -> AuditReport:
        """A new report, or the newest one if the service makes none now."""
        try:
            identifier = self._ask_for_report(reference, bucket)
        except BackendError as error:
            if not _comes_too_soon(error):
                if error.code == "backend.invalid-request":
                    error.hint = _WRITABLE.format(bucket=bucket)
                raise
            newest = self.newest_audit_report(reference, bucket)
            if newest is not None and newest.created_at >= since:
                return newest
            raise _too_soon(reference, newest, since) from error
        return self._wait_for(lambda: self._written(reference, identifier), f"audit report {identifier} of {reference}")

    def newest_audit_report(self, reference: str, bucket: str) -> AuditReport | None:
        """The newest report in the bucket (s3:ListObjectsV2, DescribeCertificateAuthorityAuditReport)."""
        prefix = f"audit-report/{shapes.authority_id(reference)}/"
        with translated("ListObjectsV2", f"s3://{bucket}/{prefix}"):
            pages = (
                self._publication.s3()
                .get_paginator("list_objects_v2")
                .paginate(Bucket=bucket, Prefix=prefix, ExpectedBucketOwner=self._publication.access.account)
            )
            found = [(one["LastModified"], one["Key"]) for page in pages for one in page.get("Contents", [])]
        names = [match[1] for _, key in sorted(found, reverse=True) if (match := _REPORT_KEY.fullmatch(key))]
        # the order in the bucket is that of the writing; which one was asked for last is what the service says
        written = [self._known(reference, name) for name in names[:_NEWEST]]
        return max((one for one in written if one is not None), key=lambda one: one.created_at, default=None)

    def _known(self, reference: str, identifier: str) -> AuditReport | None:
        try:
            return self._written(reference, identifier)
        except NotFound:
            return None  # somebody else put something there

    def read_audit_report(self, report: AuditReport) -> Iterator[bytes]:
        """The report in pieces of a mebibyte (s3:GetObject)."""
        with translated("GetObject", report.where):
            body = self._publication.s3().get_object(
                Bucket=report.bucket, Key=report.key, ExpectedBucketOwner=self._publication.access.account
            )["Body"]
            while piece := body.read(_PIECE_BYTES):
                yield piece

    def audited_certificates(self, pieces: Iterable[bytes], reference: str) -> Iterator[AuditedCertificate]:
        """The rows of a report in JSON."""
        for row in _rows(pieces, reference):
            yield _audited(row, reference)

    def _ask_for_report(self, reference: str, bucket: str) -> str:
        def ask() -> str:
            with translated("CreateCertificateAuthorityAuditReport", reference):
                return self._clients.private_ca().create_certificate_authority_audit_report(
                    CertificateAuthorityArn=reference, S3BucketName=bucket, AuditReportResponseFormat="JSON"
                )["AuditReportId"]

        return self._wait_for(ask, f"the audit report of {reference} that is being made")

    def _written(self, reference: str, identifier: str) -> AuditReport | None:
        """The report once it is written, None while it is not."""
        with translated("DescribeCertificateAuthorityAuditReport", reference):
            answer = self._clients.private_ca().describe_certificate_authority_audit_report(
                CertificateAuthorityArn=reference, AuditReportId=identifier
            )
        if answer["AuditReportStatus"] == "FAILED":
            raise BackendError(
                f"the service could not write the audit report {identifier} of {reference}",
                hint=_WRITABLE.format(bucket=answer["S3BucketName"]),
                code="backend.report-failed",
            )
        if answer["AuditReportStatus"] != "SUCCESS":
            return None
        return AuditReport(
            authority=reference,
            bucket=answer["S3BucketName"],
            key=answer["S3Key"],
            created_at=answer["CreatedAt"].astimezone(UTC),
        )


def _comes_too_soon(error: BackendError) -> bool:
    # which error the service gives for a second report within half an hour is not documented; these two are modelled for the call
    return error.code == "backend.request-failed" or isinstance(error.__cause__, InProgress)


def _too_soon(reference: str, newest: AuditReport | None, since: datetime) -> InProgress:
    if newest is None:
        return InProgress(
            f"the service makes no audit report of {reference} now, and there is none in the bucket",
            hint="it makes one in 30 minutes: run the same command again later",
            code="backend.report-too-soon",
        )
    again = newest.created_at + INTERVAL
    return InProgress(
        f"the last audit report of {reference} is of {newest.created_at:%Y-%m-%d %H:%M:%S}Z, which is before {since:%H:%M:%S}Z, "
        "and the service makes one in 30 minutes",
        hint=f"run the same command again after {again:%Y-%m-%d %H:%M:%S}Z",
        code="backend.report-too-soon",
        details={"newest": newest.where, "again": f"{again:%Y-%m-%dT%H:%M:%SZ}"},
    )


def _rows(pieces: Iterable[bytes], reference: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a JSON array, one after the other, whatever its length."""
    incremental = codecs.getincrementaldecoder("utf-8")()
    text, position, begun, ended = "", 0, False, False
    try:
        for piece in chain(pieces, (b"",)):
            text, position = text[position:] + incremental.decode(piece, final=not piece), 0
            while (position := _past_blanks(text, position)) < len(text):
                mark = text[position]
                if not begun and mark == "[":
                    begun, position = True, position + 1
                elif begun and not ended and mark in ",]":
                    ended, position = mark == "]", position + 1
                elif begun and not ended and mark == "{":
                    row, end = _next_object(text, position, is_last=not piece)
                    if row is None:
                        break
                    position = end
                    yield row
                else:
                    raise ValueError("it is not one list of objects")
        if not ended:
            raise ValueError("it ends too early")
    except (ValueError, RecursionError) as error:
        raise _unreadable(reference, str(error)) from error


def _past_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    return blanks.end() if blanks else position


def _next_object(text: str, position: int, *, is_last: bool) -> tuple[Mapping[str, Any] | None, int]:
    """The object that begins at ``position`` and where it ends; None while its end is not there yet."""
    try:
        row, end = _DECODER.raw_decode(text, position)
    except ValueError:
        if is_last or len(text) - position > _MAX_ROW:
            raise
        return None, position
    if not isinstance(row, dict) or end - position > _MAX_ROW:
        raise ValueError("a row is too long")
    return row, end


def _audited(row: Mapping[str, Any], reference: str) -> AuditedCertificate:
    try:
        arn, serial = _text(row, "certificateArn"), _text(row, "serial").replace(":", "").lower()
        if not arn.startswith(f"{reference}/certificate/"):
            raise ValueError(f"it lists {arn}, which is of another CA")
        if not _SERIAL.fullmatch(serial):
            raise ValueError(f"{serial!r} is no serial number")
        revoked = row.get("revokedAt")
        template = _TEMPLATE.fullmatch(str(row.get("templateArn") or ""))
        name = template[1] if template else ""
        return AuditedCertificate(
            reference=arn,
            serial=f"{int(serial, 16):x}",
            # one of the samples in the documentation spells it with a capital
            subject=_text(row, "subject" if "subject" in row else "Subject"),
            not_before=_moment(_text(row, "notBefore")),
            not_after=_moment(_text(row, "notAfter")),
            issued_at=_moment(_text(row, "issuedAt")),
            revoked_at=_moment(str(revoked)) if revoked else None,
            own=name.startswith(("RootCACertificate", "BlankRootCACertificate")),
            is_authority=name.startswith(("SubordinateCACertificate", "BlankSubordinateCACertificate")),
        )
    except (KeyError, ValueError, OverflowError) as error:  # a moment that no calendar has is the last
        raise _unreadable(reference, str(error)) from error


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")  # noqa: TRY004 - the value is wrong, not our use of it
    return value


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").astimezone(UTC)


def _unreadable(reference: str, why: str) -> BackendError:
    return BackendError(f"the audit report of {reference} cannot be read: {why}", code="backend.report-unreadable")
