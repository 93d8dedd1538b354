"""Results of issuing and revoking as JSON-ready data: the words that programs rely on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pkiops.cert.order import Issued
from pkiops.cert.reuse import due_at
from pkiops.x509.certificate import fingerprint, pem, view

if TYPE_CHECKING:
    from pkiops.cert.revoke import Revoked  # not needed to issue


def issued_json(issued: Issued, written: Sequence[str]) -> dict[str, Any]:
    """A certificate that was issued or served, and what this run did."""
    return {**certificate_document(issued), "from_ledger": issued.from_ledger, "written": list(written)}


def certificate_document(issued: Issued) -> dict[str, Any]:
    """A certificate and what is known of it. ``chain`` holds the CAs above it from its issuer upwards, without the root."""
    shown, entry = view(issued.certificate), issued.entry
    return {
        "certificate": pem(issued.certificate).decode("ascii"),
        "chain": [pem(one).decode("ascii") for one in issued.chain[:-1]],
        "root_sha256": fingerprint(issued.chain[-1]),
        "subject": shown.subject,
        "sans": [str(san) for san in shown.sans],
        "serial": shown.serial,
        "sha256": shown.sha256,
        "spki_sha256": shown.spki_sha256,
        "not_before": shown.not_before,
        "not_after": shown.not_after,
        "renew_after": due_at(shown.not_before, shown.not_after, issued.renewal_window),
        "profile": entry.profile,
        "template": entry.template,
        "authority": entry.authority,
        "authority_reference": entry.authority_reference,
        "certificate_reference": entry.certificate_reference,
        "request_key": entry.request_key,
        "attempt": entry.attempt,
    }


def revoked_json(revoked: Revoked, now: datetime) -> dict[str, Any]:
    """A revocation, and when the CRL will carry it."""
    plan = revoked.plan
    return {
        "serial": plan.serial,
        "authority": plan.authority,
        "authority_reference": plan.authority_reference,
        "subject": plan.subject,
        "reason": plan.known_revocation.reason if plan.known_revocation else plan.reason.value,
        "already_revoked": revoked.already_revoked,
        "crl_url": revoked.crl_url,
        "in_crl_by": now + timedelta(seconds=revoked.in_crl_after_seconds),
    }
