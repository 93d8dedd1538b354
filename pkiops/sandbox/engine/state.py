"""What the service remembers of a Region: authorities, certificates, tokens; and which call each state allows.

What this module decides: the stored and the visible status (EXPIRED is computed), and the table of calls by state. Where the
documentation contradicts itself or is silent the stricter reading holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pkiops.clock import Clock, Randomness
from pkiops.sandbox.engine.errors import ServiceError, invalid_state, not_found
from pkiops.sandbox.engine.keys import PrivateKey, Signer, signer
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.tokens import TokenWindow

_AUTHORITY_ARN = re.compile(r"arn:[a-z-]+:acm-pca:[a-z0-9-]+:\d{12}:certificate-authority/[0-9a-fA-F-]{36}")


class Status(StrEnum):
    """``CertificateAuthorityStatus``."""

    CREATING = "CREATING"
    PENDING = "PENDING_CERTIFICATE"
    ACTIVE = "ACTIVE"
    DELETED = "DELETED"
    DISABLED = "DISABLED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


_ALIVE = frozenset({Status.PENDING, Status.ACTIVE, Status.DISABLED, Status.EXPIRED})
_RUNNING = frozenset({Status.ACTIVE, Status.DISABLED})
ALLOWED: Mapping[str, frozenset[Status]] = {
    "GetCertificateAuthorityCsr": _ALIVE,
    "GetCertificateAuthorityCertificate": _RUNNING | {Status.EXPIRED},
    "IssueCertificate": frozenset({Status.ACTIVE}),
    "IssueCertificate for a root itself": frozenset({Status.PENDING, Status.ACTIVE, Status.EXPIRED}),
    "GetCertificate": _ALIVE,
    "ImportCertificateAuthorityCertificate": frozenset({Status.PENDING, Status.ACTIVE, Status.EXPIRED}),
    "UpdateCertificateAuthority": _RUNNING,
    "RevokeCertificate": _RUNNING,
    "TagCertificateAuthority": _ALIVE,
    "UntagCertificateAuthority": _ALIVE,
    "ListTags": _ALIVE,
    "DeleteCertificateAuthority": frozenset(
        {Status.CREATING, Status.FAILED, Status.PENDING, Status.DISABLED, Status.EXPIRED}
    ),
    "RestoreCertificateAuthority": frozenset({Status.DELETED}),
    "CreateCertificateAuthorityAuditReport": _RUNNING,
    "CreatePermission": frozenset({Status.ACTIVE}),
    "ListPermissions": _ALIVE,
    "DeletePermission": _ALIVE,
    "PutPolicy": frozenset({Status.ACTIVE}),
    "GetPolicy": _ALIVE,
    "DeletePolicy": _ALIVE,
}
_MESSAGES = {
    "IssueCertificate": "The certificate authority is not in a valid state for issuing certificates",
    "UpdateCertificateAuthority": "The certificate authority must be in the ACTIVE or DISABLED state to be updated",
}


@dataclass(slots=True)
class Issued:
    """One certificate of an authority.

    ``chain`` runs from its issuer to the root; empty for a root itself. ``partition``: the partition of the CRL it belongs
    to; None is the complete CRL. ``requester``: the account that asked for it; None is the CA's owner.
    """

    arn: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    issued_at: datetime
    template: str
    readiness: Readiness
    revoked_at: datetime | None = None
    reason: str | None = None
    partition: str | None = None
    requester: str | None = None


@dataclass(slots=True)
class FailedIssuance:
    """An issuance that was accepted and came to nothing."""

    arn: str
    readiness: Readiness


@dataclass(slots=True)
class Partition:
    """One partition of an authority's CRL: its random name, and the URL in its certificates, which never changes."""

    name: str
    url: str
    size: int = 0


@dataclass(slots=True)
class CrlState:
    """The last CRLs of an authority, all of one moment and number.

    ``failed_at``: when writing was last refused; None when they are in the bucket.
    """

    number: int
    generated_at: datetime
    next_update: datetime
    failed_at: datetime | None = None


@dataclass(slots=True)
class Readiness:
    """An asynchronous answer: ready after so many polls, or at a moment, whichever is first."""

    polls_left: int
    ready_at: datetime

    def is_ready(self, now: datetime) -> bool:
        """Whether the answer is there, without asking for it."""
        return self.polls_left <= 0 or now >= self.ready_at

    def poll(self, now: datetime) -> bool:
        """Ask once; true when the answer is there."""
        if self.is_ready(now):
            self.polls_left = 0
            return True
        self.polls_left -= 1
        return False


class ReportStatus(StrEnum):
    """``AuditReportStatus``."""

    CREATING = "CREATING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


@dataclass(slots=True)
class AuditReport:
    """One audit report; ``format`` is ``JSON`` or ``CSV``."""

    identifier: str
    format: str
    bucket: str
    key: str
    created_at: datetime
    readiness: Readiness
    status: ReportStatus = ReportStatus.CREATING


@dataclass(frozen=True, slots=True)
class Permission:
    """What a CA lets a service do."""

    principal: str
    source_account: str
    actions: tuple[str, ...]
    created_at: datetime


@dataclass(slots=True)
class Authority:
    """One CA, its key, and everything issued by it.

    ``issued`` is by serial; ``revoked`` holds the serials of those revoked, in this order. ``crl_due_at``: when a revocation is to
    be published; None if nothing waits.
    """

    arn: str
    kind: str
    configuration: dict[str, Any]
    subject: x509.Name
    key: PrivateKey = field(repr=False)
    revocation: dict[str, Any]
    usage_mode: str
    security_standard: str
    created_at: datetime
    changed_at: datetime
    readiness: Readiness
    status: Status = Status.CREATING
    certificate: x509.Certificate | None = None
    chain: tuple[x509.Certificate, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    issued: dict[int, Issued] = field(default_factory=dict)
    failed: dict[int, FailedIssuance] = field(default_factory=dict)
    revoked: list[int] = field(default_factory=list)
    partitions: list[Partition] = field(default_factory=list)
    crl: CrlState | None = None
    crl_due_at: datetime | None = None
    csr_pem: str | None = None
    restorable_until: datetime | None = None
    status_before_delete: Status | None = None
    failure_reason: str | None = None
    reports: dict[str, AuditReport] = field(default_factory=dict)
    permissions: dict[str, Permission] = field(default_factory=dict)
    policy: str | None = None

    @property
    def identifier(self) -> str:
        """The UUID at the end of the ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def key_algorithm(self) -> str:
        """``KeyAlgorithm`` of the configuration."""
        return str(self.configuration["KeyAlgorithm"])

    @property
    def short_lived(self) -> bool:
        """Whether leaves are held to seven days."""
        return self.usage_mode == "SHORT_LIVED_CERTIFICATE"

    @property
    def ocsp_configuration(self) -> dict[str, Any]:
        """``OcspConfiguration``, with at least ``Enabled``."""
        return dict(self.revocation.get("OcspConfiguration") or {"Enabled": False})

    @property
    def crl_configuration(self) -> dict[str, Any]:
        """``CrlConfiguration``, with at least ``Enabled``."""
        return dict(self.revocation.get("CrlConfiguration") or {"Enabled": False})

    def visible_status(self, now: datetime) -> Status:
        """The status Describe shows: EXPIRED whatever is stored, once the certificate has run out; DELETED wins."""
        expired = self.certificate is not None and now > self.certificate.not_valid_after_utc
        return Status.EXPIRED if expired and self.status in _RUNNING else self.status

    def signer(self, signing_algorithm: str | None = None) -> Signer:
        """The key with an algorithm, by default the configured one (CSR, CRL)."""
        return signer(self.key, self.key_algorithm, signing_algorithm or self.configuration["SigningAlgorithm"])

    def owns(self, public_key: Any) -> bool:
        """Whether this is the CA's own public key."""
        return spki(public_key) == spki(self.key.public_key())

    def change_status(self, status: Status, now: datetime) -> None:
        """Enter a state."""
        self.status = status
        self.changed_at = now


@dataclass(slots=True)
class Region:
    """Everything of one account in one Region.

    ``creations`` and ``issuances`` count accepted calls. ``crl_hosts``: every host that CRLs were ever configured under, with its
    buckets, the newest first; it outlives the CAs, as their certificates do.
    """

    partition: str
    account: str
    name: str
    authorities: dict[str, Authority] = field(default_factory=dict)
    tokens: TokenWindow = field(default_factory=TokenWindow)
    creations: int = 0
    issuances: int = 0
    crl_hosts: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """What the service wants to write: into which bucket, for which authority, with which canned ACL."""

    bucket: str
    authority_arn: str
    account: str
    public: bool


class BucketRefused(Exception):
    """The bucket is missing or does not let the service write."""


class BucketMissing(BucketRefused):
    """There is no such bucket."""


class CrlBuckets(Protocol):
    """Where CRLs go."""

    def put(self, access: BucketAccess, key: str, data: bytes, content_type: str) -> None:
        """Write one object.

        Raises:
            BucketRefused: no such bucket, or no permission for the service.
        """


@dataclass(frozen=True, slots=True)
class Pace:
    """How long asynchronous answers take: so many polls that find nothing, but no longer than ``seconds``."""

    creating_polls: int = 1
    certificate_polls: int = 1
    seconds: int = 5
    report_polls: int = 1

    def creating(self, now: datetime) -> Readiness:
        """For a new authority."""
        return Readiness(self.creating_polls, now + timedelta(seconds=self.seconds))

    def issuing(self, now: datetime) -> Readiness:
        """For a new certificate."""
        return Readiness(self.certificate_polls, now + timedelta(seconds=self.seconds))

    def reporting(self, now: datetime) -> Readiness:
        """For a new audit report."""
        return Readiness(self.report_polls, now + timedelta(seconds=self.seconds))


@dataclass(frozen=True, slots=True)
class Context:
    """What the operations need from outside. ``caller``: the account that calls, if it is not the owner."""

    clock: Clock
    randomness: Randomness
    buckets: CrlBuckets
    pace: Pace = Pace()
    settings: Settings = field(default_factory=Settings)
    caller: str | None = None


def spki(public_key: Any) -> bytes:
    """DER of a public key."""
    der: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der


def find_authority(region: Region, arn: str) -> Authority:
    """The authority of an ARN.

    Raises:
        ServiceError: ``InvalidArnException``, not the ARN of a CA; ``ResourceNotFoundException``.
    """
    if not _AUTHORITY_ARN.fullmatch(arn):
        raise ServiceError("InvalidArnException", f"{arn} is not the ARN of a certificate authority")
    authority = region.authorities.get(arn)
    if authority is None:
        raise not_found(f"Could not find certificate authority {arn}")
    return authority


def require_state(authority: Authority, operation: str, now: datetime) -> None:
    """Hold a call to the table of states.

    Raises:
        ServiceError: ``InvalidStateException``.
    """
    status = authority.visible_status(now)
    if status not in ALLOWED[operation]:
        message = _MESSAGES.get(
            operation.partition(" ")[0], "The certificate authority is not in a valid state for this call"
        )
        raise invalid_state(f"{message}: {authority.arn} is {status}")
