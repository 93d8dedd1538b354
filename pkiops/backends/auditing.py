"""What a CA says it issued and revoked, as data, and the Protocols of a backend that can be asked for it.

A report holds every certificate that the CA ever issued and may be large: its bytes and its rows are read in order, never held as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pkiops.backends.interface import ObservedAuthority


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditReport:
    """A report that the service has written: of which CA, where, and when it was asked for."""

    authority: str
    bucket: str
    key: str
    created_at: datetime

    @property
    def where(self) -> str:
        """Its address, for people."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditedCertificate:
    """One certificate of a report; ``reference`` fetches it, ``serial`` is lower-case hexadecimal without separators.

    ``own`` is a CA's certificate for itself, ``is_authority`` one of a CA below it.
    """

    reference: str
    serial: str
    subject: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    revoked_at: datetime | None
    own: bool
    is_authority: bool


@runtime_checkable
class AuditsIssuance(Protocol):
    """Reports what it has issued. Every call may raise a BackendError."""

    def audit_report(self, reference: str, bucket: str, *, since: datetime) -> AuditReport:
        """A report of what there is now; where the service makes none now, the newest one, if it is of ``since`` or later.

        Raises:
            InProgress: there is none such yet; the hint says from when on there can be.
            InvalidState: the CA is in a state without reports.
        """

    def newest_audit_report(self, reference: str, bucket: str) -> AuditReport | None:
        """The newest report that is in the bucket, however old; None without one."""

    def read_audit_report(self, report: AuditReport) -> Iterator[bytes]:
        """The report as it was written, in pieces."""

    def audited_certificates(self, pieces: Iterable[bytes], reference: str) -> Iterator[AuditedCertificate]:
        """The rows of a report of this CA, in its order. Makes no call.

        Raises:
            BackendError: it is no report, or one of another CA.
        """


@runtime_checkable
class PublishesCrlsInParts(Protocol):
    """The CA may write its CRL in parts whose names nobody knows before."""

    def fetch_crl_parts(self, authority: ObservedAuthority) -> Iterator[tuple[str, bytes]]:
        """The name and bytes (DER) of everything in the CA's CRL folder that may be a part of its CRL, other CAs' parts included."""
