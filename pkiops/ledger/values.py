"""How a ledger writes what it keeps: moments, text and certificates. Shared by every kind of ledger, so that they sort and compare alike. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from pkiops.x509.certificate import serial_hex
from pkiops.x509.san import SubjectAltName


def moment_text(moment: datetime) -> str:
    """A moment as text that sorts: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime:
    """The moment (aware UTC) of such a text."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


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
