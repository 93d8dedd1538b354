"""Which set of CRLs may follow the published one. Pure.

What this module decides: numbers never go back, one number stands for one CRL, and nothing leaves the set unless somebody says so, because relying
parties refuse every certificate whose CRL is missing.

A CA may go over to a CRL in parts and back. A complete CRL speaks for what all parts spoke for, so it may follow them, but no older one that lies
around from before: its number must not be lower than that of any part. Whether parts speak for what a complete one spoke for cannot be told from
them, so there consent is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pkiops.crl.manifest import CrlRecord, CrlSet
from pkiops.errors import GuardRefused, VerificationFailed


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """One CRL of the set and what became of it: ``new``, ``updated`` or ``unchanged``."""

    record: CrlRecord
    change: str


def compare(environment: str, candidate: CrlSet, before: Mapping[str, CrlRecord]) -> list[PublishedRecord]:
    """What changes per CRL; numbers compare as integers (RFC 5280 section 5.2.3).

    Args:
        environment: its name.
        candidate: the set that is to be published.
        before: the published records by name.

    Raises:
        VerificationFailed: codes ``crl.number-went-back``, ``crl.number-reused``.
    """
    compared: list[PublishedRecord] = []
    for record in candidate.records:
        old = before.get(record.name)
        least = _least(record, before)
        if record.number < least:
            raise VerificationFailed(
                f"the CRL of {environment}/ca/{record.name} has number {record.number}, which is lower than the published {least}",
                hint="an old CRL came back: look at the versions of the object in the CRL bucket, and who wrote the newest one",
                code="crl.number-went-back",
            )
        if old is None or old.aki != record.aki:
            # a CA of the same name with another key has numbers of its own
            compared.append(PublishedRecord(record, "new"))
        elif record.number == old.number and record.sha256 != old.sha256:
            raise VerificationFailed(
                f"the CRL of {environment}/ca/{record.name} has the number {record.number} of the published one, but other bytes",
                hint="one number stands for one CRL: find out who wrote the other one before anything is published",
                code="crl.number-reused",
            )
        else:
            compared.append(PublishedRecord(record, "unchanged" if record.sha256 == old.sha256 else "updated"))
    return compared


def _least(record: CrlRecord, before: Mapping[str, CrlRecord]) -> int:
    """The number that a CRL must have at least."""
    followed = [
        old.number
        for old in before.values()
        if (old.ca, old.aki) == (record.ca, record.aki) and (old.name == record.name or record.scope is None)
    ]
    return max(followed, default=0)


def refuse_removal(candidate: CrlSet, before: Mapping[str, CrlRecord], at: datetime) -> None:
    """Check that nothing leaves the set that is current at ``at`` (aware).

    Raises:
        GuardRefused: codes ``crl.removal``, and ``crl.partitions-incomplete`` where only some parts of a CRL are left.
    """
    kept = {record.name for record in candidate.records}
    whole = {record.ca for record in candidate.records if record.scope is None}
    in_parts = {record.ca for record in candidate.records if record.scope is not None}
    removed = [one for one in before.values() if one.name not in kept and one.next_update > at and one.ca not in whole]
    switched = sorted(one.ca for one in removed if one.scope is None and one.ca in in_parts)
    if switched:
        raise GuardRefused(
            f"the published set holds a complete CRL of {_listed(candidate, switched)}, and the CA writes it in parts now; "
            "relying parties will refuse certificates that name no part",
            hint="certificates from before need a part under their own URL (AWS writes one), and all need a distribution point; "
            "if that is so, run again with --allow-removal",
            code="crl.removal",
        )
    parts = sorted(one.scope for one in removed if one.scope is not None and one.ca in in_parts)
    if parts:
        raise GuardRefused(
            f"the published set holds {len(parts)} parts of CRLs that are in the CRL bucket no more, the first for {parts[0]}; "
            "without them, relying parties refuse every certificate that names them",
            hint="was the CA's path or bucket changed, or an object deleted? The bucket keeps older versions; "
            "if no certificate that names them is in use any more, run again with --allow-removal",
            code="crl.partitions-incomplete",
            details={"parts": parts[:20]},
        )
    if removed:
        raise GuardRefused(
            f"the published set holds the CRL of {_listed(candidate, sorted({one.ca for one in removed}))}, "
            "which no longer counts; without it, relying parties refuse every certificate below that CA",
            hint="if nothing below it is in use any more, run again with --allow-removal",
            code="crl.removal",
        )


def _listed(candidate: CrlSet, names: list[str]) -> str:
    return ", ".join(f"{candidate.environment}/ca/{name}" for name in names)
