"""OpenSSL's subject name hash, by which its certificate folders are searched.

What this module decides: the canonical encoding of a name (string values as UTF8String, ASCII letters in lower case,
spaces at the ends dropped and inner runs collapsed; each RDN a SET, without the outer SEQUENCE), of which the hash is
the first four octets of SHA-1, read little-endian. Equal to ``openssl x509 -subject_hash``.
"""

from __future__ import annotations

import hashlib
import re
import string

from cryptography import x509

_SET, _SEQUENCE, _UTF8_STRING, _OID, _BIT_STRING = 0x31, 0x30, 0x0C, 0x06, 0x03
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_SPACES = re.compile(r"[ \t\n\v\f\r]+")


def subject_hash(name: x509.Name) -> str:
    """Eight lower-case hex digits."""
    encoded = b"".join(
        _der(_SET, b"".join(sorted(_attribute(attribute) for attribute in relative))) for relative in name.rdns
    )
    digest = hashlib.sha1(encoded, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _attribute(attribute: x509.NameAttribute[str | bytes]) -> bytes:
    if isinstance(attribute.value, bytes):
        value = _der(_BIT_STRING, attribute.value)
    else:
        text = _SPACES.sub(" ", attribute.value.strip(" \t\n\v\f\r")).translate(_LOWER)
        value = _der(_UTF8_STRING, text.encode())
    return _der(_SEQUENCE, _object_identifier(attribute.oid.dotted_string) + value)


def _object_identifier(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return _der(_OID, b"".join(_base128(arc) for arc in (40 * first + second, *rest)))


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | (arc & 0x7F))
    return bytes(reversed(octets))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
