"""A reader of JKS keystores, written from what Java reads and knowing nothing of the writer: structure, seal, hidden keys.

Every length is taken from the file, and nothing may be left over. ``ValueError`` is a file that Java would not open.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1

# SEQUENCE of the object identifier 1.3.6.1.4.1.42.2.17.1.1 and NULL, as keytool writes it
_PROTECTED_BY_SUN = bytes.fromhex("300e060a2b060104012a021101010500")


@dataclass(frozen=True)
class Entry:
    """One entry; ``key`` is PKCS#8, None for a trusted certificate, which has no ``salt`` either."""

    alias: str
    dated: datetime
    chain: tuple[bytes, ...]
    key: bytes | None = None
    salt: bytes = b""


def read_jks(data: bytes, passphrase: str) -> list[Entry]:
    """All entries of a keystore, their keys in the clear."""
    secret = b"".join(bytes([0, ord(one)]) for one in passphrase)
    body, seal = data[:-20], data[-20:]
    if sha1(secret + b"Mighty Aphrodite" + body, usedforsecurity=False).digest() != seal:
        raise ValueError("keystore was tampered with, or password was incorrect")
    source = io.BytesIO(body)
    if _take(source, 8) != bytes.fromhex("feedfeed00000002"):
        raise ValueError("invalid keystore format")
    entries = [_entry(source, secret) for _ in range(_number(source, 4))]
    if source.read():
        raise ValueError("octets after the last entry")
    return entries


def _entry(source: io.BytesIO, secret: bytes) -> Entry:
    tag, alias = _number(source, 4), _text(source)
    dated = datetime.fromtimestamp(_number(source, 8) / 1000, UTC)
    if tag == 2:
        return Entry(alias, dated, (_certificate(source),))
    if tag != 1:
        raise ValueError(f"an entry with tag {tag}")
    hidden = _take(source, _number(source, 4))
    chain = tuple(_certificate(source) for _ in range(_number(source, 4)))
    payload = _payload(hidden)
    return Entry(alias, dated, chain, _uncover(payload, secret), payload[:20])


def _certificate(source: io.BytesIO) -> bytes:
    if _text(source) != "X.509":
        raise ValueError("a certificate of another type")
    return _take(source, _number(source, 4))


def _payload(hidden: bytes) -> bytes:
    """The octets within an EncryptedPrivateKeyInfo."""
    outer = io.BytesIO(hidden)
    inside = io.BytesIO(_value(outer, 0x30))
    if outer.read() or _take(inside, len(_PROTECTED_BY_SUN)) != _PROTECTED_BY_SUN:
        raise ValueError("unsupported key protection algorithm")
    payload = _value(inside, 0x04)
    if inside.read():
        raise ValueError("octets after the hidden key")
    return payload


def _uncover(payload: bytes, secret: bytes) -> bytes:
    salt, hidden, check = payload[:20], payload[20:-20], payload[-20:]
    plain, block = b"", salt
    for start in range(0, len(hidden), 20):
        block = sha1(secret + block, usedforsecurity=False).digest()
        piece = hidden[start : start + 20]
        number = int.from_bytes(piece, "big") ^ int.from_bytes(block[: len(piece)], "big")
        plain += number.to_bytes(len(piece), "big")
    if sha1(secret + plain, usedforsecurity=False).digest() != check:
        raise ValueError("cannot recover key")
    return plain


def _value(source: io.BytesIO, tag: int) -> bytes:
    if _number(source, 1) != tag:
        raise ValueError("another type of value")
    size = _number(source, 1)
    if size > 0x80:
        size = _number(source, size - 0x80)
    return _take(source, size)


def _text(source: io.BytesIO) -> str:
    """``java.io.DataInput.readUTF``: units of UTF-16, each in one to three octets."""
    data, units = io.BytesIO(_take(source, _number(source, 2))), b""
    while first := data.read(1):
        lead = first[0]
        if lead < 0x80:
            unit = lead
        elif lead >> 5 == 0b110:
            unit = (lead & 0x1F) << 6 | data.read(1)[0] & 0x3F
        elif lead >> 4 == 0b1110:
            unit = (lead & 0x0F) << 12 | (data.read(1)[0] & 0x3F) << 6 | data.read(1)[0] & 0x3F
        else:
            raise ValueError("malformed input: four octets for one unit")
        units += unit.to_bytes(2, "big")
    return units.decode("utf-16-be")


def _number(source: io.BytesIO, size: int) -> int:
    return int.from_bytes(_take(source, size), "big")


def _take(source: io.BytesIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise ValueError("the file ends too early")
    return data
