"""What is wrong with a published CRL by what stands beside it: the history of CRLs, and the ledger. Pure; part of ``status.py``.

What this module decides: a number that jumps is information (AWS Private CA numbers CRLs by the time, and a publisher may run less often than the CA
writes), one that goes back is an error. A later CRL in the history is none for as long as a publisher may take from there to the pointer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pkiops.crl.manifest import CrlRecord
from pkiops.crl.status_facts import Finding, HistoryFacts, LaterCrl, LedgerFacts, SerialSample, Severity

POINTER_GRACE = timedelta(hours=1)


def history_findings(environment: str, name: str, record: CrlRecord, history: HistoryFacts) -> Iterator[Finding]:
    """Where the history and the published CRL differ."""
    address = f"{environment}/ca/{name}"
    if history.later is not None:
        yield _later(environment, name, record, history.later)
    if history.problem is not None:
        yield Finding(
            code="crl.history-invalid",
            severity=Severity.WARNING,
            authority=name,
            message=history.problem,
            hint="crl publish writes entries once and never changes them: find out who wrote this one",
        )
    elif not history.recorded:
        yield Finding(
            code="crl.not-in-history",
            severity=Severity.INFO,
            authority=name,
            message=f"the history does not hold the published CRL number {record.number} of {address}",
            hint="it was published by a version that kept no history, or without the right to write it; the next CRL begins one",
        )
    if history.other_sha256 is not None:
        yield Finding(
            code="crl.number-reused",
            severity=Severity.CRITICAL,
            authority=name,
            message=f"the history holds another CRL with the number {record.number} of {address} ({history.other_sha256})",
            hint="one number stands for one CRL: find out who wrote the other one",
        )
    if history.lost is not None:
        yield Finding(
            code="crl.history-hole",
            severity=Severity.WARNING,
            authority=name,
            message=f"the history names CRL number {history.lost} of {address}, and does not hold it",
            hint="nothing of ours deletes there: the versions of the bucket say who did",
        )
    if history.gap is not None:
        first, last = history.gap
        which = f"number {first}" if first == last else f"numbers {first} to {last}"
        yield Finding(
            code="crl.number-gap",
            severity=Severity.INFO,
            authority=name,
            message=f"{which} of the CRL of {address} never came to be published",
            hint=f"pkiops crl publish {environment} runs less often than the CA writes, or the CA lost one",
        )


def _later(environment: str, name: str, record: CrlRecord, later: LaterCrl) -> Finding:
    address = f"{environment}/ca/{name}"
    if later.problem is not None:
        return Finding(
            code="crl.history-invalid",
            severity=Severity.WARNING,
            authority=name,
            message=later.problem,
            hint="crl publish writes entries once and never changes them: find out who wrote this one",
        )
    if later.age_s <= POINTER_GRACE.total_seconds():
        return Finding(
            code="crl.being-published",
            severity=Severity.INFO,
            authority=name,
            message=f"CRL number {later.number} of {address} is in the history and not yet the published one ({record.number})",
            hint=f"a publisher is at work, or was interrupted: pkiops crl publish {environment} finishes it",
        )
    return Finding(
        code="crl.number-went-back",
        severity=Severity.CRITICAL,
        authority=name,
        message=f"CRL number {later.number} of {address} is in the history, but number {record.number} is the published one",
        hint=f"who moved {environment}/crl/current.json back, or why did no publisher run since? pkiops crl publish {environment}",
    )


def ledger_findings(environment: str, name: str, ledger: LedgerFacts) -> Iterator[Finding]:
    """Where the ledger and the CRL differ."""
    address = f"{environment}/ca/{name}"
    if ledger.unlisted.count:
        yield Finding(
            code="crl.revoked-not-listed",
            severity=Severity.CRITICAL,
            authority=name,
            message=f"the published CRL of {address} lacks {_counted(ledger.unlisted)} that the ledger knows as revoked: relying parties take them",
            hint=f"is there a newer CRL of the CA (pkiops ca doctor)? pkiops crl publish {environment} publishes it",
        )
    if ledger.unrecorded.count:
        yield Finding(
            code="crl.listed-not-recorded",
            severity=Severity.WARNING,
            authority=name,
            message=f"the published CRL of {address} lists {_counted(ledger.unrecorded)} that the ledger takes for valid",
            hint=f"somebody revoked without pkiops: pkiops cert revoke {environment} SERIAL records it, and changes nothing else",
        )
    if ledger.unknown.count:
        yield Finding(
            code="crl.listed-unknown",
            severity=Severity.INFO,
            authority=name,
            message=f"the published CRL of {address} lists {_counted(ledger.unknown)} that the ledger does not know",
            hint="they were issued without pkiops, or recorded in another ledger",
        )


def _counted(sample: SerialSample) -> str:
    noun = "certificate" if sample.count == 1 else "certificates"
    more = ", ..." if sample.count > len(sample.first) else ""
    return f"{sample.count} {noun} ({', '.join(sample.first)}{more})"
