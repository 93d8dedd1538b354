"""How a ledger writes what it keeps: moments, text and certificates. Shared by every kind of ledger, so that they sort and compare alike. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from pkiops.errors import BackendError
from pkiops.ledger.interface import Entry
from pkiops.x509.certificate import serial_hex
from pkiops.x509.names import printable
from pkiops.x509.san import SubjectAltName


def moment_text(moment: datetime) -> str:
    """A moment as text that sorts: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime:
    """The moment (aware UTC) of such a text."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@contextmanager
def read_from(entry_id: str) -> Iterator[None]:
    """Turn what goes wrong while an entry is read into an error that names it: somebody else wrote into the ledger.

    Raises:
        BackendError: code ``ledger.unreadable-entry``, what is stored is no entry; details hold its id as ``entry``.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise BackendError(
            f"ledger entry {printable(entry_id)} cannot be read: {printable(what)[:200]}",
            hint="pkiops never writes such an entry: find out who did, and bring it back from a backup of the ledger",
            code="ledger.unreadable-entry",
            details={"entry": entry_id},
        ) from error


def require_sound(entry: Entry) -> Entry:
    """The entry, if its parts are what they have to be.

    Raises:
        ValueError: one is not.
    """
    texts = [
        entry.id,
        entry.environment,
        entry.profile,
        *entry.usages,
        *entry.doubts,
        *(san.value for san in entry.sans),
    ]
    texts += [part for pair in entry.subject for part in pair]
    if not all(isinstance(one, str) for one in texts):
        raise ValueError("a text is none")
    moments: list[object] = [entry.created_at, entry.updated_at]
    if not all(isinstance(one, datetime) for one in moments):
        raise ValueError("it does not say when it was made")
    if not all(isinstance(one, Mapping) for one in entry.findings):
        raise ValueError("a finding is no mapping")
    return entry


def utf8(value: str) -> str:
    """Text that can be stored: file names that are no UTF-8 arrive as lone surrogates, which become escapes."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def certificate_fields(chain: Sequence[bytes]) -> dict[str, Any]:
    """The fields of an entry that a certificate fills; ``chain`` holds DER, the certificate first."""
    certificate = x509.load_der_x509_certificate(chain[0])
    return {
        "chain": tuple(chain),
        "serial": serial_hex(certificate.serial_number),
        "certificate_sha256": hashlib.sha256(chain[0]).hexdigest(),
    }


def searched_names(subject: Sequence[tuple[str, str]], sans: Sequence[SubjectAltName]) -> frozenset[str]:
    """The names under which an entry is found: its common names and the values of its alternative names, in lower case."""
    common_names = {value for field, value in subject if field == "common_name"}
    return frozenset(utf8(name).lower() for name in (*common_names, *(san.value for san in sans)))
