"""The published CRLs beside the ledger: what is revoked in one and not in the other.

What this module decides: which of a CA's certificates are compared. A CA is known by its reference, because one that was deleted and made anew has
the same name and other certificates. A revocation counts as late only after a grace time (AWS Private CA writes a CRL up to half an hour after it). A
certificate that has expired leaves the CRLs (RFC 5280 section 3.3), so that it is no matter whether the ledger knows it as revoked.

In memory are the serial numbers of the CRLs, 20 examples of what differs, and one entry of the ledger at a time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from pkiops.crl.status_facts import LedgerFacts, SerialSample
from pkiops.errors import VerificationFailed
from pkiops.ledger.interface import Entry
from pkiops.x509.armor import PARSE_ERRORS

SAMPLE = 20


@dataclass(slots=True)
class _Difference:
    """What was found of one CA so far; what is left of ``listed`` in the end the ledger has never heard of."""

    listed: set[int]
    unlisted: int = 0
    unlisted_first: list[str] = field(default_factory=list)
    unrecorded: int = 0
    unrecorded_first: list[str] = field(default_factory=list)


def listed_serials(crl: x509.CertificateRevocationList, name: str) -> set[int]:
    """The serial numbers of a CRL; ``name`` is what to call it in messages.

    Raises:
        VerificationFailed: an entry cannot be read (code ``crl.malformed``).
    """
    try:
        return {entry.serial_number for entry in crl}
    except PARSE_ERRORS as error:
        raise VerificationFailed(f"{name} holds an entry that cannot be read", code="crl.malformed") from error


def compare_with_ledger(
    listed: Mapping[str, set[int]], entries: Iterable[Entry], *, at: datetime, grace: timedelta
) -> dict[str, LedgerFacts]:
    """What differs between published CRLs and the ledger, by reference of the CA.

    Args:
        listed: the serial numbers of each CA's published CRL, by its reference; the sets are used up.
        entries: every entry of the ledger.
        at: the moment (aware) that counts as now.
        grace: how long a revocation may take to be on a published CRL.

    Raises:
        BackendError: the ledger failed.
        InputError: it cannot be read.
    """
    found = {reference: _Difference(serials) for reference, serials in listed.items()}
    for difference, entry, serial in _comparable(found, entries):
        is_listed = serial in difference.listed
        difference.listed.discard(serial)
        if entry.revocation is None and is_listed:
            difference.unrecorded += 1
            _add(difference.unrecorded_first, serial)
        elif entry.revocation is not None and not is_listed and _is_late(entry, at, grace):
            difference.unlisted += 1
            _add(difference.unlisted_first, serial)
    return {reference: _facts(difference) for reference, difference in found.items()}


def _comparable(found: Mapping[str, _Difference], entries: Iterable[Entry]) -> Iterator[tuple[_Difference, Entry, int]]:
    for entry in entries:
        difference = found.get(entry.authority_reference or "")
        if difference is None or entry.serial is None:
            continue
        try:
            serial = int(entry.serial, 16)
        except ValueError:
            continue  # no certificate has such a number, and none is on a CRL
        yield difference, entry, serial


def _is_late(entry: Entry, at: datetime, grace: timedelta) -> bool:
    revocation = entry.revocation
    expired = entry.not_after is not None and entry.not_after <= at
    return revocation is not None and not expired and at - revocation.at > grace


def _add(first: list[str], serial: int) -> None:
    if len(first) < SAMPLE:
        first.append(_hex(serial))


def _facts(difference: _Difference) -> LedgerFacts:
    unknown = heapq.nsmallest(SAMPLE, difference.listed)
    return LedgerFacts(
        unlisted=SerialSample(difference.unlisted, tuple(difference.unlisted_first)),
        unrecorded=SerialSample(difference.unrecorded, tuple(difference.unrecorded_first)),
        unknown=SerialSample(len(difference.listed), tuple(_hex(one) for one in unknown)),
    )


def _hex(serial: int) -> str:
    return f"{serial:x}"
