"""The little DER that ``cryptography`` cannot write: names of EDI parties, and structures signed with every algorithm of the service."""

from __future__ import annotations

BIT_STRING, OCTET_STRING, OBJECT_IDENTIFIER, ENUMERATED, UTF8_STRING = 0x03, 0x04, 0x06, 0x0A, 0x0C
GENERALIZED_TIME, SEQUENCE = 0x18, 0x30


def tlv(tag: int, *contents: bytes) -> bytes:
    """One value with a tag of one octet; ``contents`` are joined."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def explicit(number: int, content: bytes) -> bytes:
    """``content`` under a constructed context tag."""
    return tlv(0xA0 | number, content)


def first_value(data: bytes) -> bytes:
    """The first value of well-formed DER, tag and length included."""
    return data[: _end(data)]


def content_of(data: bytes) -> bytes:
    """The content of the first value of well-formed DER."""
    return data[_header(data)[0] : _end(data)]


def _header(data: bytes) -> tuple[int, int]:
    if data[1] < 0x80:
        return 2, data[1]
    octets = data[1] & 0x7F
    return 2 + octets, int.from_bytes(data[2 : 2 + octets], "big")


def _end(data: bytes) -> int:
    start, size = _header(data)
    return start + size
