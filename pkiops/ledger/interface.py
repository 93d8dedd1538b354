"""What is remembered of every request for a certificate: small frozen records, and the Protocol of what keeps them.

What this module decides: the words (what an intent, an entry and a refusal hold) and the guarantees every ledger gives:

- the first ``begin`` of a request's attempt freezes its intent; whoever comes second gets the stored one;
- a certificate once recorded for an entry is never replaced by another;
- nothing is ever deleted.

When an entry still serves, and what to do with one whose answer was lost, is decided by ``pkiops.cert.issue``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pkiops.errors import BackendError
from pkiops.x509.san import SubjectAltName


class EntryState(StrEnum):
    """PENDING: asked for or about to be. UNKNOWN: its answer was lost, and a person had another attempt made in its place."""

    PENDING = "pending"
    ISSUED = "issued"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerIntent:
    """A certificate about to be asked for. Digests are lower-case hex SHA-256, of DER where there is DER; moments are aware UTC, whole seconds.

    ``authority`` is the label in the environment file, ``authority_reference`` the backend's name of the CA; ``requester`` is the caller's ARN.
    """

    request_key: str
    environment: str
    authority: str
    generation: int
    authority_reference: str
    profile: str
    policy_sha256: str
    requester: str
    csr_sha256: str
    spki_sha256: str
    subject: tuple[tuple[str, str], ...]
    sans: tuple[SubjectAltName, ...]
    usages: tuple[str, ...]
    template: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """A request that led to no intent: REFUSED by a rule, or FAILED because something was out of order before anything was asked for.

    What was not known yet when that happened is None. ``findings`` is JSON-ready.
    """

    state: EntryState
    environment: str
    profile: str
    code: str
    message: str
    authority: str | None = None
    generation: int | None = None
    authority_reference: str | None = None
    policy_sha256: str | None = None
    requester: str | None = None
    csr_sha256: str | None = None
    spki_sha256: str | None = None
    subject: tuple[tuple[str, str], ...] = ()
    sans: tuple[SubjectAltName, ...] = ()
    findings: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationRecord:
    """A revocation that pkiops had carried out; ``reason`` is an RFC 5280 name."""

    reason: str
    at: datetime
    requester: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One attempt at one request, or one rejection (whose ``request_key`` and ``attempt`` are None).

    ``serial`` is lower-case hex without leading zeros; ``chain`` holds DER, the certificate first and the root last; ``doubts`` are sentences about
    what may have happened without being known. ``code`` and ``message`` say why an entry is refused or failed.
    """

    id: str
    state: EntryState
    created_at: datetime
    updated_at: datetime
    environment: str
    profile: str
    request_key: str | None = None
    attempt: int | None = None
    authority: str | None = None
    generation: int | None = None
    authority_reference: str | None = None
    policy_sha256: str | None = None
    requester: str | None = None
    csr_sha256: str | None = None
    spki_sha256: str | None = None
    subject: tuple[tuple[str, str], ...] = ()
    sans: tuple[SubjectAltName, ...] = ()
    usages: tuple[str, ...] = ()
    template: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    certificate_reference: str | None = None
    serial: str | None = None
    certificate_sha256: str | None = None
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    code: str | None = None
    message: str | None = None
    findings: tuple[Mapping[str, Any], ...] = ()
    doubts: tuple[str, ...] = ()
    revocation: RevocationRecord | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in an ordered list of entries: the moment that orders it (creation, or expiry), and the entry there."""

    moment: datetime
    entry_id: str


@dataclass(frozen=True, slots=True)
class Output:
    """A file that was written for a request: its absolute path and the SHA-256 (hex) of its bytes."""

    path: str
    sha256: str


def request_key(
    *,
    environment: str,
    authority: str,
    generation: int,
    profile: str,
    csr_sha256: str,
    names: Sequence[str],
    validity: str | None,
    request_id: str | None,
) -> str:
    """The identity of a request: SHA-256 (hex) over all that makes two requests the same request.

    Args:
        names: the names asked for, in any order.
        validity: as requested (``12h``), None for the profile's default.
        request_id: tells apart requests that are equal otherwise, None unless the caller gave one.
    """
    canonical = json.dumps(
        [environment, authority, generation, profile, csr_sha256, sorted(names), validity, request_id],
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


Report = Callable[[BackendError], None]


class Ledger(Protocol):
    """Every request, issued or not. Every call may raise InputError or a BackendError when the ledger cannot be read or written.

    An entry that somebody else wrote and that is none is a BackendError, code ``ledger.unreadable-entry``, with its id in the details.
    """

    def leaving_out(self, report: Report) -> Ledger:
        """The same ledger, whose searches for several entries leave out those that cannot be read, and tell ``report`` of each."""

    def begin(self, intent: LedgerIntent, attempt: int) -> tuple[Entry, bool]:
        """Record that ``attempt`` (from 1) of a request is about to be made; the entry, and whether this call created it."""

    def latest(self, request_key: str) -> Entry | None:
        """The entry of a request's highest attempt."""

    def get(self, entry_id: str) -> Entry | None:
        """One entry."""

    def record_reference(self, entry_id: str, reference: str) -> Entry:
        """Remember under which reference the backend makes the certificate.

        The first reference stays; another one becomes a doubt. Returns the entry as it then is.
        """

    def record_issued(self, entry_id: str, chain: Sequence[bytes]) -> Entry:
        """Record the certificate, proven to be what was asked for, with those above it (DER, root last). Doing so again changes nothing.

        Raises:
            AlreadyExists: another certificate is recorded for this entry.
        """

    def record_failed(
        self, entry_id: str, code: str, message: str, *, reference: str | None, chain: Sequence[bytes] = ()
    ) -> Entry:
        """Record that a pending entry failed; ``chain`` when a certificate came back that is not what was asked for.

        It holds only while the entry is pending under ``reference``, or given up without a known certificate: what another run has got further with
        stays as it is.
        """

    def record_unknown(self, entry_id: str, doubt: str) -> Entry:
        """Record that an unfinished entry is given up without knowing whether a certificate exists. Others stay as they are."""

    def record_rejection(self, rejection: Rejection) -> Entry:
        """Record a request that led to no intent, under a random id."""

    def record_revoked(self, environment: str, authority_reference: str, serial: str, record: RevocationRecord) -> None:
        """Record a revocation, of a certificate in this ledger or not. The first one stays."""

    def record_outputs(self, entry_id: str, outputs: Sequence[Output]) -> None:
        """Remember which files were written for an entry."""

    def outputs(self, request_key: str) -> Mapping[str, frozenset[str]]:
        """Path to the SHA-256 of everything that was written there for a request, over all of its attempts."""

    def find_by_serial(self, environment: str, serial: str) -> tuple[Entry, ...]:
        """The entries with that serial (hex); one for each CA that gave it."""

    def find_by_fingerprint(self, certificate_sha256: str) -> Entry | None:
        """The entry whose certificate has that SHA-256 (hex)."""

    def find_compromised(self, environment: str, spki_sha256: str) -> Entry | None:
        """An entry whose key has that SHA-256 (hex), and whose certificate was revoked for keyCompromise."""

    def entries(self, environment: str, *, after: Position | None = None) -> Iterator[Entry]:
        """Every entry of an environment, by creation and then by id; ``after`` leaves out what is up to there."""

    def find_open(self, environment: str) -> Iterator[Entry]:
        """The entries that may have led to a certificate which is not known here (PENDING or UNKNOWN, no serial), by creation and then by id."""

    def find_by_name(self, environment: str, name: str, *, since: datetime | None = None) -> tuple[Entry, ...]:
        """The entries with that name, by creation: the value of one of their alternative names or their common name, whole, in any case.

        ``since`` (aware UTC, to the second) leaves out what was created before; it costs what is within, not what is in the ledger.
        """

    def find_by_key(self, environment: str, spki_sha256: str) -> Iterator[Entry]:
        """The entries whose key has that SHA-256 (hex), by creation and then by id."""

    def find_by_authority(self, environment: str, authority: str, *, after: Position | None = None) -> Iterator[Entry]:
        """The entries of an authority (its label), by creation and then by id; ``after`` leaves out what is up to there."""

    def find_expiring(
        self, environment: str, start: datetime, end: datetime, *, after: Position | None = None
    ) -> Iterator[Entry]:
        """The entries with a certificate that expires at or after ``start`` and before ``end`` (aware UTC), by that and then by id."""


@runtime_checkable
class KeepsOpen(Protocol):
    """A ledger whose calls cost less while it is kept open."""

    def kept_open(self) -> AbstractContextManager[None]:
        """Keep it open for many calls; it is made if it was not there. May raise InputError or a BackendError."""
