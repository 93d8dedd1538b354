"""The fake CAs with audit reports: one in thirty minutes, of what there is when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from pkiops.backends.auditing import AuditedCertificate, AuditReport
from pkiops.clock import Clock
from pkiops.environment.models import Environment
from pkiops.errors import InProgress
from tests.fakes.authority import FakeAuthorities

INTERVAL = timedelta(minutes=30)


@dataclass
class Report:
    """A report, and its rows."""

    report: AuditReport
    rows: list[AuditedCertificate] = field(default_factory=list)


class AuditingAuthorities(FakeAuthorities):
    """Implements AuditsIssuance besides; ``change`` may alter the rows of every report."""

    def __init__(self, env: Environment, clock: Clock) -> None:
        super().__init__(env, clock)
        self.reports: list[Report] = []
        self.change: Callable[[list[AuditedCertificate]], list[AuditedCertificate]] = list

    def audit_report(self, reference: str, bucket: str, *, since: datetime) -> AuditReport:
        with self._call("audit_report"):
            newest = self.newest_audit_report(reference, bucket)
            if newest is not None and self._clock.now() - newest.created_at < INTERVAL:
                if newest.created_at >= since:
                    return newest
                raise InProgress("too soon", code="backend.report-too-soon")
            key = f"audit-report/{len(self.reports)}.json"
            report = AuditReport(authority=reference, bucket=bucket, key=key, created_at=self._clock.now())
            self.reports.append(Report(report, self.change(list(self._rows(reference)))))
            return report

    def newest_audit_report(self, reference: str, bucket: str) -> AuditReport | None:
        del bucket
        made = [one.report for one in self.reports if one.report.authority == reference]
        return made[-1] if made else None

    def read_audit_report(self, report: AuditReport) -> Iterator[bytes]:
        with self._call("read_audit_report"):
            yield report.key.encode()

    def audited_certificates(self, pieces: Iterable[bytes], reference: str) -> Iterator[AuditedCertificate]:
        key = b"".join(pieces).decode()
        (found,) = [one for one in self.reports if (one.report.key, one.report.authority) == (key, reference)]
        yield from found.rows

    def _rows(self, reference: str) -> Iterator[AuditedCertificate]:
        for made in self.made:
            certificate = x509.load_der_x509_certificate(made.certificate)
            if made.request.authority == reference:
                yield AuditedCertificate(
                    reference=made.reference,
                    serial=f"{certificate.serial_number:x}",
                    subject="a subject",
                    not_before=certificate.not_valid_before_utc,
                    not_after=certificate.not_valid_after_utc,
                    issued_at=made.asked_at,
                    revoked_at=None,
                    own=False,
                    is_authority=False,
                )
