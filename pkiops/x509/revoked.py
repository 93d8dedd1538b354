"""The entries of a CRL (RFC 5280 section 5.3), a million of them: listed one by one, and looked up.

What this module decides: what an entry is taken to say, whatever stands beside the serial number. A certificate on the list is revoked even if its
reason is undefined or unreadable, or an extension of the entry is critical and unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.crl_bytes import LoadedCrl, header, parts_of

# different extensions of entries whose meaning is remembered: there are ten reasons, but whoever wrote the CRL may have been creative
_MAX_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """When a certificate was revoked (aware UTC), and why: a CRLReason of section 5.3.1 (``keyCompromise``), ``unreadable``, or None."""

    date: datetime
    reason: str | None


def revoked_entry(crl: x509.CertificateRevocationList, serial: int) -> RevokedEntry | None:
    """What the CRL says about a serial number; None if it is not on it. Reads the list from its start: ``RevokedSerials`` is for many questions."""
    entry = _negative(crl, serial) if serial < 0 else crl.get_revoked_certificate_by_serial_number(serial)
    return None if entry is None else RevokedEntry(entry.revocation_date_utc, _reason(entry))


def revoked_entries(loaded: LoadedCrl) -> Iterator[tuple[int, RevokedEntry]]:
    """Every serial number and what is said about it, in the order of the list; one at a time, so that a million takes no memory."""
    remembered: dict[bytes, str | None] = {}
    for entry, extensions in zip(loaded.crl, _extensions(loaded.der), strict=True):
        reason = None
        if extensions:
            try:
                reason = remembered[extensions]
            except KeyError:
                reason = _reason(entry)
                if len(remembered) < _MAX_REMEMBERED:
                    remembered[extensions] = reason
        yield entry.serial_number, RevokedEntry(entry.revocation_date_utc, reason)


class RevokedSerials:
    """The serial numbers of a CRL, read once, to be asked often; a million takes half a second and about 110 MB.

    ``len`` is the number of different ones.
    """

    __slots__ = ("_contents",)

    def __init__(self, der: bytes) -> None:
        """``der``: a CRL that ``read_crls`` took."""
        self._contents = set(_contents(der))

    def __contains__(self, serial: int) -> bool:
        return _content_of(serial) in self._contents

    def __len__(self) -> int:
        return len(self._contents)

    def __iter__(self) -> Iterator[int]:
        return (int.from_bytes(one, "big", signed=True) for one in self._contents)


def _negative(crl: x509.CertificateRevocationList, serial: int) -> x509.RevokedCertificate | None:
    """The library refuses to look up what RFC 5280 section 4.1.2.2 forbids and CAs have issued all the same."""
    return next((one for one in crl if one.serial_number == serial), None)


def _content_of(serial: int) -> bytes:
    """An INTEGER's content in DER, of which there is one for each number (X.690 section 8.3)."""
    bits = (serial if serial >= 0 else ~serial).bit_length()
    return serial.to_bytes(bits // 8 + 1, "big", signed=True)


def _contents(der: bytes) -> Iterator[bytes]:
    """The content of each serial number."""
    entries = parts_of(der).entries
    at, size = 0, len(entries)
    while at < size:
        length, long = entries[at + 1], entries[at + 3]
        if length < 0x80 and long < 0x80:  # headers of two octets: nearly every entry
            yield bytes(entries[at + 4 : at + 4 + long])
            at += 2 + length
            continue
        _, start, end = header(entries, at)
        _, first, last = header(entries, start)
        yield bytes(entries[first:last])
        at = end


def _extensions(der: bytes) -> Iterator[bytes]:
    """The extensions of each entry as they stand, empty where there are none."""
    entries = parts_of(der).entries
    at, size = 0, len(entries)
    while at < size:
        length, long = entries[at + 1], entries[at + 3]
        if length < 0x80 and long < 0x80:  # a time always has a header of two octets
            date = at + 4 + long
            end = at + 2 + length
        else:
            _, start, end = header(entries, at)
            _, _, date = header(entries, start)
        yield bytes(entries[date + 2 + entries[date + 1] : end])
        at = end


def _reason(entry: x509.RevokedCertificate) -> str | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return None
    except PARSE_ERRORS:
        # Revoked it is, whatever stands beside it.
        return "unreadable"
