"""The few DER encodings (X.690) that trust stores, keystores and name hashes need."""

from __future__ import annotations

_INTEGER, _OCTET_STRING, _OID, _BMP_STRING, _SEQUENCE, _SET, _CONTEXT = 0x02, 0x04, 0x06, 0x1E, 0x30, 0x31, 0xA0


def encode(tag: int, content: bytes) -> bytes:
    """One value: tag, definite length, content."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*values: bytes) -> bytes:
    """A SEQUENCE of encoded values."""
    return encode(_SEQUENCE, b"".join(values))


def set_of(*values: bytes) -> bytes:
    """A SET OF encoded values, in DER's order."""
    return encode(_SET, b"".join(sorted(values)))


def explicit(number: int, value: bytes) -> bytes:
    """An encoded value under the context tag ``[number]``."""
    return encode(_CONTEXT | number, value)


def integer(value: int) -> bytes:
    """A number that is not negative."""
    return encode(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octet_string(value: bytes) -> bytes:
    """An OCTET STRING."""
    return encode(_OCTET_STRING, value)


def bmp_string(text: str) -> bytes:
    """A BMPString."""
    return encode(_BMP_STRING, text.encode("utf-16-be"))


def object_identifier(dotted: str) -> bytes:
    """An object identifier from its dotted numbers."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return encode(_OID, b"".join(_base128(arc) for arc in (40 * first + second, *rest)))


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | (arc & 0x7F))
    return bytes(reversed(octets))
