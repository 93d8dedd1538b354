"""What pkiops asks of a certificate authority: small Protocols, and the frozen data that crosses them.

- Certificates, requests and CRLs cross as DER bytes; PEM exists only at the edges.
- Subjects cross as attributes named as in ``pkiops.x509.names.SUBJECT_FIELDS``.
- A use case asks with ``isinstance`` whether a backend has a capability while it plans, so that "this CA cannot revoke" is said before
  anything was changed.
- Calls that create something are idempotent: a backend derives its token from every input, so the same call made by two runs is one call.

Which template, API or protocol serves a call is the business of the module behind the interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pkiops.homes import Home
from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm

if TYPE_CHECKING:
    from pkiops.x509.name_constraints import NameConstraints
    from pkiops.x509.san import SubjectAltName


class AuthorityType(StrEnum):
    """CertificateAuthorityType of AWS Private CA."""

    ROOT = "ROOT"
    SUBORDINATE = "SUBORDINATE"


class AuthorityStatus(StrEnum):
    """Status of a certificate authority, in AWS Private CA's words."""

    CREATING = "CREATING"
    PENDING_CERTIFICATE = "PENDING_CERTIFICATE"
    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"
    DELETED = "DELETED"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrlSettings:
    """Where a CA writes its CRL, which host its certificates name, and how many days a CRL is valid.

    ``named`` is whether certificates name it at all, ``complete`` whether it is one list and not many parts.
    """

    bucket: str
    host: str | None
    validity_days: int
    path: str = "crl"
    named: bool = True
    complete: bool = True


@dataclass(frozen=True, slots=True)
class OcspSettings:
    """Whether the CA's OCSP responder is on, and the host that stands in for it in certificates."""

    enabled: bool
    host: str | None = None


@dataclass(frozen=True, slots=True)
class InformationAccess:
    """An entry of SubjectInformationAccess: the method's dotted OID, and a location of form ``uri``, ``dns``, ``email``, ``ip`` or ``registered_id``.

    A form of the service's that we do not write keeps the service's name.
    """

    method: str
    form: str
    value: str


@dataclass(frozen=True, slots=True)
class CsrExtensions:
    """What a CA's certification request asks for: key usages by RFC 5280 name, sorted, and information access in order."""

    key_usage: tuple[str, ...] = ()
    information_access: tuple[InformationAccess, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityRequest:
    """A certificate authority to create. Its CRL configuration is part of the creating call.

    ``subject_attributes`` are (OID, value) in the order of the name; empty where the order is the service's, and ``subject`` says it all.
    ``ocsp`` None leaves the responder as it is (off, when created), ``key_storage_security_standard`` None takes the region's default. ``home`` is
    where it is made, None where the backend has one home only.
    """

    type: AuthorityType
    subject: Mapping[str, str]
    key_algorithm: KeyAlgorithm
    signing_algorithm: SigningAlgorithm
    usage_mode: str
    crl: CrlSettings
    tags: Mapping[str, str]
    subject_attributes: tuple[tuple[str, str], ...] = ()
    csr_extensions: CsrExtensions = CsrExtensions()
    key_storage_security_standard: str | None = None
    ocsp: OcspSettings | None = None
    home: Home | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedAuthority:
    """A certificate authority as it exists.

    ``reference`` is the backend's own name for it (an ARN). ``tags`` is None where they cannot be read (a DELETED CA). Moments are aware UTC.
    ``crl`` is None when the CA publishes none; ``changed_at`` is when its status last changed. ``tags_confirmed`` is False where the tags come
    from an index that may be minutes behind.
    """

    reference: str
    type: AuthorityType
    status: AuthorityStatus
    subject: Mapping[str, str]
    key_algorithm: str
    signing_algorithm: str
    usage_mode: str
    created_at: datetime
    not_before: datetime | None = None
    not_after: datetime | None = None
    crl: CrlSettings | None = None
    ocsp: bool = False
    tags: Mapping[str, str] | None = None
    owner_account: str | None = None
    failure_reason: str | None = None
    restorable_until: datetime | None = None
    subject_attributes: tuple[tuple[str, str], ...] = ()
    csr_extensions: CsrExtensions = CsrExtensions()
    key_storage_security_standard: str | None = None
    ocsp_host: str | None = None
    changed_at: datetime | None = None
    tags_confirmed: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityCertificateRequest:
    """The certificate of ``authority`` to be signed: by ``issuer``, or by itself when both are the same reference.

    Validity is exact, so that the same request made twice is the same request. ``replaces`` is the serial (hex) of the certificate in whose place it
    comes, empty for a first one.
    """

    authority: str
    issuer: str
    issuer_signing_algorithm: SigningAlgorithm
    csr_der: bytes = field(repr=False)
    path_length: int | None
    not_before: datetime
    not_after: datetime
    name_constraints: NameConstraints | None = None
    replaces: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuanceRequest:
    """An end entity certificate to issue: names and validity are what policy approved, the CSR contributes its public key.

    ``subject`` and ``sans`` are the approved names; ``csr_subject`` and ``csr_sans`` what the CSR holds, so that a backend can see whether they
    differ; ``csr_extensions`` are the dotted OIDs of what else the CSR asks for and must not get.
    ``usages`` are extended key usages by RFC 5280 name. ``attempt`` tells apart requests that are equal otherwise.
    """

    authority: str
    authority_signing_algorithm: SigningAlgorithm
    csr_der: bytes = field(repr=False)
    csr_subject: Sequence[tuple[str, str]]
    csr_sans: Sequence[SubjectAltName]
    subject: Mapping[str, str]
    sans: Sequence[SubjectAltName]
    usages: Sequence[str]
    not_before: datetime
    not_after: datetime
    attempt: str
    csr_extensions: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedCertificate:
    """The certificate a backend will make of a request: what comes back is compared with it field by field.

    ``key_usage`` and ``extended_key_usage`` are RFC 5280 names; ``crl_url`` is None when no distribution point is written, and a folder
    (ending in ``/``) where the CRL has parts whose names nobody knows before. ``template`` is the backend's own name of the recipe, for people
    and permissions. ``names_from_csr`` says that subject and alternative names are taken from the CSR as they stand; ``critical`` are RFC 5280 names.
    """

    template: str
    subject: Mapping[str, str]
    sans: Sequence[SubjectAltName]
    key_usage: Sequence[str]
    extended_key_usage: Sequence[str]
    is_ca: bool
    path_length: int | None
    crl_url: str | None
    not_before: datetime
    not_after: datetime
    ocsp_url: str | None = None
    names_from_csr: bool = False
    critical: Sequence[str] = ("keyUsage",)


class RevocationReason(StrEnum):
    """CRLReason names (RFC 5280 section 5.3.1) that AWS Private CA takes; hold and removeFromCRL do not exist there."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"


@runtime_checkable
class ReadsAuthorities(Protocol):
    """Lists and describes certificate authorities. Every call may raise a BackendError."""

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        """Every CA of the account and region with its tags, DELETED ones included, in a stable order."""

    def describe_authority(self, reference: str) -> ObservedAuthority:
        """One CA, without its tags (``tags`` is None)."""

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        """The CA's certificate and those above it, DER, root last.

        Raises:
            InvalidState: the CA has no certificate yet.
        """


@runtime_checkable
class ConfirmsTags(Protocol):
    """Says which tags authorities have now, where a list may be minutes behind."""

    def confirm_tags(self, authorities: Sequence[ObservedAuthority]) -> tuple[ObservedAuthority, ...]:
        """The same authorities in the same order, their tags confirmed; None where they cannot be read. May raise a BackendError."""


@runtime_checkable
class HasHomes(Protocol):
    """Has certificate authorities in several accounts and regions."""

    @property
    def homes(self) -> tuple[Home, ...]:
        """Where they are, the default first."""

    def at_home(self, home: Home) -> ReadsAuthorities:
        """The backend of one home alone.

        Raises:
            NotFound: the environment has no such home.
        """


def reader_at(backend: ReadsAuthorities, home: Home) -> ReadsAuthorities:
    """The backend that reads the authorities of one home; the backend itself where it has one only."""
    return backend.at_home(home) if isinstance(backend, HasHomes) else backend


@runtime_checkable
class CreatesAuthorities(Protocol):
    """Creates, signs and activates certificate authorities."""

    def create_authority(self, request: AuthorityRequest) -> str:
        """Create a CA and return its reference; the same request within the token's life returns the same CA."""

    def authority_csr(self, reference: str) -> bytes:
        """The CA's own certification request, DER; waits until it is there."""

    def sign_authority(self, request: AuthorityCertificateRequest) -> tuple[bytes, ...]:
        """Have a CA certificate signed; the certificate and those above it, DER, root last."""

    def install_authority(self, reference: str, chain: Sequence[bytes]) -> None:
        """Install a CA's certificate (first) with those above it, and wait until the CA is ACTIVE (DISABLED, if it was before it expired)."""

    def configure_revocation(self, reference: str, crl: CrlSettings, ocsp: OcspSettings | None = None) -> None:
        """Change how a CA publishes revocation; ``ocsp`` None keeps the responder. Everything we have no word for stays."""


@runtime_checkable
class TagsAuthorities(Protocol):
    """Tags certificate authorities."""

    def tag_authority(self, reference: str, tags: Mapping[str, str]) -> None:
        """Add tags, or change the values of those that are there; others stay."""


# what AWS Certificate Manager needs, sorted: all three, or it cannot renew (CreatePermission)
ACM_ACTIONS = ("GetCertificate", "IssueCertificate", "ListPermissions")


@runtime_checkable
class SharesAuthorities(Protocol):
    """Lets others use a certificate authority."""

    def authority_policy(self, reference: str) -> Mapping[str, Any] | None:
        """The CA's resource policy, None without one."""

    def put_authority_policy(self, reference: str, policy: Mapping[str, Any]) -> None:
        """Put a resource policy in the place of whatever is there."""

    def delete_authority_policy(self, reference: str) -> None:
        """Remove the resource policy; none is a success."""

    def acm_permission(self, reference: str) -> tuple[str, ...]:
        """The actions that AWS Certificate Manager may do with the CA, sorted; empty without a permission."""

    def set_acm_permission(self, reference: str, *, allowed: bool) -> None:
        """Give AWS Certificate Manager the permission to renew certificates of the CA, or take it away."""


@runtime_checkable
class IssuesCertificates(Protocol):
    """Issues end entity certificates."""

    def expect_certificate(self, request: IssuanceRequest, authority: ObservedAuthority) -> ExpectedCertificate:
        """The certificate that ``request_certificate`` will lead to. Makes no call.

        Raises:
            NotSupported: no recipe of this backend gives what was asked for.
        """

    def request_certificate(self, request: IssuanceRequest) -> str:
        """Ask for the certificate and return the backend's reference to it at once."""

    def fetch_certificate(self, authority: str, certificate: str) -> tuple[bytes, ...]:
        """The certificate and those above it, DER, root last; waits until it is there.

        Raises:
            InProgress: still not there when patience ran out; ask again later with the same references.
        """


@runtime_checkable
class MakesSingleCalls(Protocol):
    """Can leave pace and patience to who issues many."""

    def single_calls(self) -> object:
        """The same backend, whose ``request_certificate`` and ``fetch_certificate`` make one call each, at once.

        They raise Throttled, Unreachable and InProgress where they would wait otherwise.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationOutcome:
    """What came of a revocation; ``visible_after_seconds`` is how long until the CRL carries it, as the service states it."""

    already_revoked: bool
    visible_after_seconds: int


@runtime_checkable
class RevokesCertificates(Protocol):
    """Revokes certificates."""

    def revoke_certificate(self, authority: str, serial: str, reason: RevocationReason) -> RevocationOutcome:
        """Revoke by serial (hex). A certificate that is revoked already is a success.

        Raises:
            NotFound: the CA never issued that serial.
        """


@runtime_checkable
class PublishesOwnCrls(Protocol):
    """The CA writes its CRLs itself; pkiops fetches and checks them."""

    def crl_url(self, authority: ObservedAuthority) -> str | None:
        """The URL that goes into certificates as their CRL distribution point; None without one, or where it differs by certificate."""

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        """The CRL as the service wrote it (DER), or None when there is none yet."""


@runtime_checkable
class KeepsCrlsInBucket(Protocol):
    """The CA writes CRLs into a bucket of ours and needs rights there."""

    def crl_bucket_policy(self, bucket: str) -> tuple[dict[str, Any], ...]:
        """The policy statements, each with a Sid of its own, that let the CA write and nobody else."""
