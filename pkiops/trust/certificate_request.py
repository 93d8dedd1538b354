"""What a server says when it asks for a client's certificate: the CertificateRequest of TLS 1.2 and of TLS 1.3.

What this module decides: how the message is read (RFC 5246 section 7.4.4; RFC 8446 sections 4.3.2 and 4.2.4, where the names are an extension), and
how a name in it becomes text. The other side wrote it: every length is checked, and a name that is none is shown as its octets.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from pkiops.trust.name_hash import canonical_name
from pkiops.trust.tls_reader import Reader
from pkiops.trust.wire import TLS_1_3, Message
from pkiops.x509.der import encode, integer, sequence
from pkiops.x509.names import rfc4514

_SIGNATURE_ALGORITHMS, _CERTIFICATE_AUTHORITIES = 13, 47
_SEQUENCE, _BIT_STRING, _CONTEXT_0 = 0x30, 0x03, 0xA0
_ED25519 = sequence(bytes.fromhex("06032b6570"))
_SHOWN_OCTETS = 48
_SHOWN_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class AdvertisedName:
    """A name of a CA as it was advertised. ``key`` is equal for names that OpenSSL takes for the same; ``readable`` off: it is no name, ``text``
    holds its octets.
    """

    text: str
    key: bytes = field(repr=False)
    readable: bool = True


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What was asked for: the names of CAs, and signature schemes by their numbers (RFC 8446 section 4.2.3)."""

    names: tuple[AdvertisedName, ...]
    signature_schemes: tuple[int, ...]


def read_certificate_request(message: Message) -> CertificateRequest:
    """Read one.

    Raises:
        MalformedMessage: a length in it is wrong.
    """
    whole = Reader(message.body, "the certificate request")
    if message.version >= TLS_1_3:
        return _read_1_3(whole)
    whole.vector(1, "the list of certificate types")
    schemes = _schemes(whole.vector(2, "the list of signature algorithms"))
    names = _names(whole.vector(2, "the list of CA names"))
    whole.end()
    return CertificateRequest(names, schemes)


def _read_1_3(whole: Reader) -> CertificateRequest:
    whole.vector(1, "the context of the request")
    extensions = whole.vector(2, "the list of extensions")
    whole.end()
    names: tuple[AdvertisedName, ...] = ()
    schemes: tuple[int, ...] = ()
    while extensions:
        kind, body = extensions.number(2), extensions.vector(2, "an extension")
        if kind == _CERTIFICATE_AUTHORITIES:
            names = _names(body.vector(2, "the list of CA names"))
            body.end()
        elif kind == _SIGNATURE_ALGORITHMS:
            schemes = _schemes(body.vector(2, "the list of signature algorithms"))
            body.end()
    return CertificateRequest(names, schemes)


def _schemes(listed: Reader) -> tuple[int, ...]:
    found = []
    while listed:
        found.append(listed.number(2))
    return tuple(found)


def _names(listed: Reader) -> tuple[AdvertisedName, ...]:
    found = []
    while listed:
        found.append(advertised_name(listed.take(listed.number(2))))
    return tuple(found)


def advertised_name(der: bytes) -> AdvertisedName:
    """A name from its DER, as text that is safe to print, cut off where it is very long; octets if it is none."""
    name = _parse_name(der)
    if name is None:
        shown = der[:_SHOWN_OCTETS].hex()
        return AdvertisedName(f"#{shown}{'...' if len(der) > _SHOWN_OCTETS else ''}", der, readable=False)
    text = rfc4514(name) or "(empty name)"
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "..."
    return AdvertisedName(text, canonical_name(name))


def _parse_name(der: bytes) -> x509.Name | None:
    """Cryptography reads names inside of other things only, so the name is put into a request that nobody signed."""
    header = 2 if der[1:2] < b"\x80" else 2 + (der[1] & 0x7F)
    if encode(_SEQUENCE, der[header:]) != der:
        return None  # not one value, or not in DER
    key = sequence(_ED25519, encode(_BIT_STRING, bytes(33)))
    info = sequence(integer(0), der, key, encode(_CONTEXT_0, b""))
    request = sequence(info, _ED25519, encode(_BIT_STRING, bytes(65)))
    with warnings.catch_warnings():
        # names of the world out there that newer rules would not allow
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            return x509.load_der_x509_csr(request).subject
        except (ValueError, TypeError):
            return None
