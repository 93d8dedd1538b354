"""CAs that are kept elsewhere as records: known by the chains of ours below them, or by the environment file alone.

What this module decides: that where chains disagree each certificate is a record, and that one which the file does not pin, or pins otherwise, says
so. The service that holds ours cannot tell a status of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pkiops.backends.interface import AuthorityType
from pkiops.environment.hierarchy import chain, external_places
from pkiops.environment.models import Environment
from pkiops.environment.subjects import subject_fields
from pkiops.inventory.members import Member
from pkiops.inventory.records import AuthorityRecord, Identity, Position, days_left
from pkiops.x509.certificate import CertificateView

STATUS = "EXTERNAL"
_NAMES = {
    "C": "country",
    "O": "organization",
    "OU": "organizational_unit",
    "ST": "state",
    "L": "locality",
    "CN": "common_name",
}


def outside_records(environment: Environment, members: Sequence[Member], now: datetime) -> list[AuthorityRecord]:
    """One record for each certificate that stands in the place of a CA kept elsewhere; one without for a CA that stands nowhere yet."""
    seen: dict[str, dict[str, tuple[CertificateView, ...]]] = {label: {} for label in environment.external_authorities}
    for member in members:
        if member.label not in environment.authorities or member.label is None:
            continue
        for label, place in external_places(environment, member.label, len(member.chain)).items():
            # from the one that it signed upwards
            seen[label].setdefault(member.chain[place].sha256, member.chain[place - 1 :])
    return [
        _record(environment, label, found, now)
        for label, certificates in seen.items()
        for found in (certificates.values() or [()])
    ]


def _record(environment: Environment, label: str, found: tuple[CertificateView, ...], now: datetime) -> AuthorityRecord:
    declared = environment.external_authorities[label]
    own = found[1] if found else None
    is_root = declared.issuer is None
    subject = subject_fields(declared.subject) if declared.subject else {}
    if own is not None:
        subject = {_NAMES.get(name, name): value for name, value in own.subject_attributes}
    return AuthorityRecord(
        authority=label,
        generation=1,
        position=Position.ROOT if is_root else Position.INTERMEDIATE,
        depth=len(chain(environment, label)) - 1,
        issuer=declared.issuer,
        issuer_reference=None,
        issuer_subject=found[2].subject if len(found) > 2 else None,
        declared=True,
        exists=own is not None,
        identified_by=Identity.CHAIN if own else None,
        reference=None,
        type=(AuthorityType.ROOT if is_root else AuthorityType.SUBORDINATE).value,
        status=STATUS,
        subject=subject,
        key_algorithm=own.key_algorithm.replace(" ", "_") if own else "",
        signing_algorithm=found[0].signature_algorithm if found else "",
        usage_mode="",
        serial=own.serial if own else None,
        sha256=own.sha256 if own else None,
        spki_sha256=(own.spki_sha256 or None) if own else None,
        subject_key_identifier=own.subject_key_identifier if own else None,
        signature_algorithm=own.signature_algorithm if own else None,
        path_length=own.path_length if own else None,
        created_at=None,
        not_before=own.not_before if own else None,
        not_after=own.not_after if own else None,
        days_left=days_left(own.not_after if own else None, now),
        crl=None,
        ocsp=None,
        tags=None,
        owner_account=None,
        restorable_until=None,
        failure_reason=None,
        remark=_remark(declared.sha256, own),
    )


def _remark(pin: str | None, own: CertificateView | None) -> str:
    remarks = ["kept elsewhere: its CRL and its own condition are not known here"]
    if own is None:
        remarks.append("no CA of ours has a certificate of it yet")
    elif pin is None:
        remarks.append("the file does not pin it")
    elif pin != own.sha256:
        remarks.append(f"the file pins another certificate: sha256 {pin}")
    return "; ".join(remarks)
