"""An entry of the ledger as people and programs read it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pkiops.cert.reuse import due_at
from pkiops.ledger.interface import Entry
from pkiops.x509.certificate import load_certificate, pem
from pkiops.x509.duration import Duration
from pkiops.x509.names import printable


def entry_json(entry: Entry, window: Duration | None = None) -> dict[str, Any]:
    """What a list says of an entry, JSON-ready; ``window`` is its profile's ``renewal_window``."""
    ends = entry.serial is not None
    due = due_at(entry.not_before, entry.not_after, window) if ends and entry.not_before and entry.not_after else None
    return {
        "entry": entry.id,
        "state": entry.state.value,
        "serial": entry.serial,
        "subject": [{"name": name, "value": printable(value)} for name, value in entry.subject],
        "sans": [str(san) for san in entry.sans],
        "authority": entry.authority,
        "generation": entry.generation,
        "profile": entry.profile,
        "requester": entry.requester,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "not_before": entry.not_before,
        "not_after": entry.not_after,
        "renew_after": due,
        "revoked_at": entry.revocation.at if entry.revocation else None,
        "revocation_reason": entry.revocation.reason if entry.revocation else None,
        "sha256": entry.certificate_sha256,
        "certificate_reference": entry.certificate_reference,
        "request_key": entry.request_key,
        "attempt": entry.attempt,
        "code": entry.code,
        "message": entry.message,
        "doubts": list(entry.doubts),
    }


def whole_entry_json(entry: Entry, window: Duration | None = None) -> dict[str, Any]:
    """All that the ledger holds of an entry, JSON-ready; ``certificates`` in PEM, its own first and the root last."""
    source = f"the ledger's entry {entry.id}"
    return {
        **entry_json(entry, window),
        "usages": list(entry.usages),
        "template": entry.template,
        "authority_reference": entry.authority_reference,
        "policy_sha256": entry.policy_sha256,
        "csr_sha256": entry.csr_sha256,
        "spki_sha256": entry.spki_sha256,
        "findings": [dict(one) for one in entry.findings],
        "revoked_by": entry.revocation.requester if entry.revocation else None,
        "certificates": [pem(load_certificate(der, source)).decode("ascii") for der in entry.chain],
    }


def entry_text(entry: Entry, window: Duration | None = None) -> str:
    """All of it as one paragraph for people, less the certificates' bytes."""
    lines = [f"ledger entry {entry.id}"]
    for name, value in whole_entry_json(entry, window).items():
        if name in {"entry", "certificates"} or value in (None, [], ""):
            continue
        lines.append(f"  {name.replace('_', ' '):<26}{_said(value)}")
    return "\n".join(lines)


def _said(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, list):
        return ", ".join(_said(one) for one in value)
    if isinstance(value, dict):
        return (
            f"{value['name']}={value['value']}" if value.keys() == {"name", "value"} else str(value.get("code", value))
        )
    return str(value)
