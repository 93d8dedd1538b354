"""What an inventory holds: one frozen record per authority, certificate and request, and what had to be left out.

What this module decides: the fields and their order, which is the order of the JSON keys and of the CSV columns. Digests, serials and
key identifiers are lower-case hex; moments are aware UTC; a field that is not known is None, and ``Skipped`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Position(StrEnum):
    """Where an authority stands in its chain: ISSUING has no authority below it."""

    ROOT = "root"
    INTERMEDIATE = "intermediate"
    ISSUING = "issuing"


class Identity(StrEnum):
    """How an existing authority was told to belong to the environment; a DELETED one has no readable tags, one kept elsewhere stands in a chain."""

    TAGS = "tags"
    SUBJECT = "subject"
    CHAIN = "chain"


class Validity(StrEnum):
    """What a certificate is worth at the moment of the inventory; revocations are those that the ledger knows."""

    VALID = "valid"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrlRecord:
    """Where a CA writes its CRL, the URL its certificates carry, and how many days a CRL is valid."""

    bucket: str
    host: str | None
    path: str
    url: str | None
    validity_days: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityRecord:
    """One certificate authority. One that does not exist has the fields of its declaration and ``exists`` is False.

    ``depth`` counts from the root (0); ``days_left`` is negative once expired. ``remark`` says what is out of order about it.
    """

    authority: str | None
    generation: int | None
    position: Position
    depth: int | None
    issuer: str | None
    issuer_reference: str | None
    issuer_subject: str | None
    declared: bool
    exists: bool
    identified_by: Identity | None
    reference: str | None
    type: str
    status: str | None
    subject: Mapping[str, str]
    key_algorithm: str
    signing_algorithm: str
    usage_mode: str
    serial: str | None
    sha256: str | None
    spki_sha256: str | None
    subject_key_identifier: str | None
    signature_algorithm: str | None
    path_length: int | None
    created_at: datetime | None
    not_before: datetime | None
    not_after: datetime | None
    days_left: int | None
    crl: CrlRecord | None
    ocsp: bool | None
    tags: Mapping[str, str] | None
    owner_account: str | None
    restorable_until: datetime | None
    failure_reason: str | None
    remark: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateRecord:
    """One certificate of the ledger. ``state`` is the entry's: a ``failed`` one is not what was asked for, and exists all the same."""

    serial: str | None
    authority: str | None
    generation: int | None
    profile: str
    state: str
    validity: Validity | None
    subject: str
    sans: tuple[str, ...]
    usages: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    days_left: int | None
    sha256: str | None
    spki_sha256: str | None
    key_algorithm: str | None
    signature_algorithm: str | None
    issuer_subject: str | None
    template: str | None
    requester: str | None
    requested_at: datetime
    updated_at: datetime
    revoked_at: datetime | None
    revocation_reason: str | None
    revoked_by: str | None
    request_key: str | None
    attempt: int | None
    csr_sha256: str | None
    policy_sha256: str | None
    authority_reference: str | None
    certificate_reference: str | None
    entry: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestRecord:
    """One request of the ledger that did not end in an issued certificate: pending, refused, failed or unknown."""

    entry: str
    state: str
    authority: str | None
    generation: int | None
    profile: str
    code: str | None
    message: str | None
    findings: Sequence[Mapping[str, Any]]
    doubts: Sequence[str]
    subject: str
    sans: tuple[str, ...]
    usages: tuple[str, ...]
    requester: str | None
    requested_at: datetime
    updated_at: datetime
    request_key: str | None
    attempt: int | None
    csr_sha256: str | None
    spki_sha256: str | None
    certificate_sha256: str | None
    authority_reference: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """Something that could not be told: of which table and item, what, and why."""

    table: str
    item: str
    what: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """Authorities issuers first, then by label; certificates by end of validity, then serial; requests by creation.

    A table that was not asked for is None.
    """

    environment: str
    generated_at: datetime
    authorities: tuple[AuthorityRecord, ...] | None
    certificates: tuple[CertificateRecord, ...] | None
    requests: tuple[RequestRecord, ...] | None
    skipped: tuple[Skipped, ...]


def days_left(not_after: datetime | None, now: datetime) -> int | None:
    """Whole days until ``not_after``, rounded down; negative once it is over."""
    return None if not_after is None else (not_after - now).days
