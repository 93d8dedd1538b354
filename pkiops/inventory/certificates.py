"""The ledger of an environment as records: every certificate in it, and every request that led to none.

What this module decides: that what a certificate says counts, and what was asked for only where the certificate cannot be read. One
entry is looked at at a time, and its DER is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pkiops.errors import InputError
from pkiops.inventory.records import CertificateRecord, RequestRecord, Skipped, Validity, days_left
from pkiops.ledger.interface import Entry, EntryState
from pkiops.x509.certificate import CertificateView, load_certificate, view
from pkiops.x509.names import printable


def has_certificate(entry: Entry) -> bool:
    """Whether a certificate came of it, be it one that was not asked for."""
    return entry.state is EntryState.ISSUED or bool(entry.chain)


def certificate_record(entry: Entry, now: datetime) -> tuple[CertificateRecord, Skipped | None]:
    """The certificate of an entry, and why its own fields are missing if they are."""
    shown, skipped = _read(entry)
    not_before = shown.not_before if shown else entry.not_before
    not_after = shown.not_after if shown else entry.not_after
    revocation = entry.revocation
    record = CertificateRecord(
        serial=shown.serial if shown else entry.serial,
        authority=entry.authority,
        generation=entry.generation,
        profile=entry.profile,
        state=entry.state.value,
        validity=_validity(entry, not_before, not_after, now),
        subject=shown.subject if shown else _asked_subject(entry),
        sans=tuple(str(san) for san in (shown.sans if shown else entry.sans)),
        usages=shown.extended_key_usage if shown else entry.usages,
        not_before=not_before,
        not_after=not_after,
        days_left=days_left(not_after, now),
        sha256=shown.sha256 if shown else entry.certificate_sha256,
        spki_sha256=(shown.spki_sha256 or None) if shown else entry.spki_sha256,
        key_algorithm=shown.key_algorithm if shown else None,
        signature_algorithm=shown.signature_algorithm if shown else None,
        issuer_subject=shown.issuer if shown else None,
        template=entry.template,
        requester=entry.requester,
        requested_at=entry.created_at,
        updated_at=entry.updated_at,
        revoked_at=revocation.at if revocation else None,
        revocation_reason=revocation.reason if revocation else None,
        revoked_by=revocation.requester if revocation else None,
        request_key=entry.request_key,
        attempt=entry.attempt,
        csr_sha256=entry.csr_sha256,
        policy_sha256=entry.policy_sha256,
        authority_reference=entry.authority_reference,
        certificate_reference=entry.certificate_reference,
        entry=entry.id,
    )
    return record, skipped


def request_record(entry: Entry) -> RequestRecord:
    """A request that did not end in an issued certificate."""
    return RequestRecord(
        entry=entry.id,
        state=entry.state.value,
        authority=entry.authority,
        generation=entry.generation,
        profile=entry.profile,
        code=entry.code,
        message=entry.message,
        findings=entry.findings,
        doubts=entry.doubts,
        subject=_asked_subject(entry),
        sans=tuple(str(san) for san in entry.sans),
        usages=entry.usages,
        requester=entry.requester,
        requested_at=entry.created_at,
        updated_at=entry.updated_at,
        request_key=entry.request_key,
        attempt=entry.attempt,
        csr_sha256=entry.csr_sha256,
        spki_sha256=entry.spki_sha256,
        certificate_sha256=entry.certificate_sha256,
        authority_reference=entry.authority_reference,
    )


def by_end(records: Sequence[CertificateRecord]) -> tuple[CertificateRecord, ...]:
    """Sorted by end of validity (unknown ones first), then serial, then entry."""
    return tuple(
        sorted(
            records,
            key=lambda one: (one.not_after.timestamp() if one.not_after else 0.0, _number(one.serial), one.entry),
        )
    )


def _read(entry: Entry) -> tuple[CertificateView | None, Skipped | None]:
    if not entry.chain:
        reason = "the ledger holds no certificate for it"
    else:
        try:
            return view(load_certificate(entry.chain[0], f"certificate of ledger entry {entry.id}")), None
        except InputError as error:
            reason = error.message
    return None, Skipped(table="certificates", item=entry.id, what="certificate", reason=reason)


def _validity(entry: Entry, not_before: datetime | None, not_after: datetime | None, now: datetime) -> Validity | None:
    if entry.revocation is not None:
        return Validity.REVOKED
    if not_before is None or not_after is None:
        return None
    if now > not_after:
        return Validity.EXPIRED
    return Validity.NOT_YET_VALID if now < not_before else Validity.VALID


def _asked_subject(entry: Entry) -> str:
    return ",".join(f"{name}={printable(value)}" for name, value in entry.subject)


def _number(serial: str | None) -> tuple[int, str]:
    """Hex without leading zeros sorts as a number by length first."""
    return len(serial or ""), serial or ""
