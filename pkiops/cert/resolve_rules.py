"""Which certificate of an audit report may be that of an entry whose answer was lost. Pure.

What this module decides: from when on nobody can be asking for an entry any more, so that a report of later knows all that came of it; and what of
a report has to be looked at. A report holds no keys, so that in the end the certificates themselves are compared: first those that were made at the
right time with exactly the validity that was asked for, then whatever else was made at that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography import x509

from pkiops.backends.auditing import AuditedCertificate
from pkiops.cert.reuse import ASK_AGAIN_WITHIN
from pkiops.ledger.interface import Entry
from pkiops.x509.keys import spki_sha256

# AWS refuses a call whose clock differs by more than five minutes from its own (Signature Version 4), so two clocks never differ by more
_CLOCKS_DIFFER = timedelta(minutes=5)
# asked for until then (reuse.py), and the last call may be under way for most of a minute; not all of it, so that ten minutes later is late enough
# for clocks that are read to the second
SETTLED_AFTER = ASK_AGAIN_WITHIN + timedelta(seconds=50) + _CLOCKS_DIFFER


def is_asked_for(entry: Entry, now: datetime) -> bool:
    """Whether ``cert issue`` still asks again for an entry, so that it is nothing to be resolved."""
    return entry.certificate_reference is None and now < entry.created_at + ASK_AGAIN_WITHIN


def settled_at(entry: Entry) -> datetime:
    """From when on a report holds whatever came of the entry."""
    return entry.created_at + SETTLED_AFTER


def times_of(entries: Iterable[Entry]) -> tuple[datetime, datetime]:
    """Between which moments a certificate of any of these entries was made; there must be one."""
    made = [one.created_at for one in entries]
    return min(made) - _CLOCKS_DIFFER, max(made) + SETTLED_AFTER + _CLOCKS_DIFFER


def is_possible(row: AuditedCertificate, entry: Entry) -> bool:
    """Whether a certificate was made when it could have been for this entry, with five minutes to spare for making it."""
    if row.own or row.is_authority:
        return False
    first, last = times_of([entry])
    return first <= row.issued_at <= last


def is_likely(row: AuditedCertificate, entry: Entry) -> bool:
    """Whether it has exactly the validity that was asked for, besides."""
    return is_possible(row, entry) and (row.not_before, row.not_after) == (entry.not_before, entry.not_after)


def entry_of(certificate: x509.Certificate, entries: Iterable[Entry], taken: Sequence[str] = ()) -> Entry | None:
    """The entry that a certificate belongs to: the same key; of several such, that of the same validity, and one which has no certificate yet.

    Args:
        certificate: made at the time of at least one of the entries.
        entries: in a stable order.
        taken: ids of those whose certificate is found already.
    """
    digest = spki_sha256(certificate.public_key())
    same_key = [one for one in entries if one.spki_sha256 == digest]

    def distance(entry: Entry) -> tuple[bool, bool]:
        validity = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return validity != (entry.not_before, entry.not_after), entry.id in taken

    return min(same_key, key=distance, default=None)
