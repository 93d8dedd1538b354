"""What each record does to an entry, as the fields that change; nothing where it stays as it is. Pure, and the same for every kind of ledger.

Each can be done twice: a record whose answer was lost is made again, perhaps after another run has changed the entry.

The guarantees are those of ``interface.py``: the first reference stays, a certificate is never replaced, what another run has got further with is not
undone. That nothing happens between reading an entry and writing it is the ledger's own business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pkiops.errors import AlreadyExists
from pkiops.ledger.interface import Entry, EntryState
from pkiops.ledger.values import certificate_fields

Changes = Mapping[str, Any]
_UNFINISHED = frozenset({EntryState.PENDING, EntryState.FAILED, EntryState.UNKNOWN})


def is_open(entry: Entry) -> bool:
    """Whether an entry may have led to a certificate that is not known here."""
    return entry.state in {EntryState.PENDING, EntryState.UNKNOWN} and entry.serial is None


def with_reference(entry: Entry, reference: str) -> Changes:
    """See ``Ledger.record_reference``."""
    if entry.certificate_reference is None:
        return {"certificate_reference": reference}
    if entry.certificate_reference == reference:
        return {}
    doubt = f"asked twice, and the backend answered with another certificate as well: {reference}"
    return {} if doubt in entry.doubts else {"doubts": (*entry.doubts, doubt)}


def issued(entry: Entry, chain: Sequence[bytes]) -> Changes:
    """See ``Ledger.record_issued``.

    Raises:
        AlreadyExists: another certificate is recorded for this entry.
    """
    certificate = certificate_fields(chain)
    if entry.certificate_sha256 not in {None, certificate["certificate_sha256"]}:
        raise AlreadyExists(
            f"ledger entry {entry.id} holds another certificate already (serial {entry.serial})",
            hint="run the same command again: it uses the certificate of the ledger",
            code="ledger.another-certificate",
        )
    if entry.state is EntryState.ISSUED:
        return {}
    return {"state": EntryState.ISSUED, "code": None, "message": None, **certificate}


def failed(entry: Entry, code: str, message: str, reference: str | None, chain: Sequence[bytes]) -> Changes:
    """See ``Ledger.record_failed``."""
    if not is_open(entry) or entry.certificate_reference != reference:
        return {}
    certificate = certificate_fields(chain) if chain else {}
    return {"state": EntryState.FAILED, "code": code, "message": message, **certificate}


def unknown(entry: Entry, doubt: str) -> Changes:
    """See ``Ledger.record_unknown``."""
    if entry.state not in _UNFINISHED or (entry.state is EntryState.UNKNOWN and doubt in entry.doubts):
        return {}
    return {"state": EntryState.UNKNOWN, "doubts": (*entry.doubts, doubt)}
