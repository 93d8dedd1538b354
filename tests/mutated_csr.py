"""Requests that are changed at random: some in their bytes, most in their structure and signed again, so that they get past the signature.

Everything follows from the random generator that is given. A mutant says whether its signature is genuine, by construction and not by verifying it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from tests.raw_csr import (
    BIT_STRING,
    BMP,
    BOOLEAN,
    CHALLENGE_PASSWORD,
    DIRECTORY,
    DNS,
    EMAIL,
    IA5,
    IP,
    MS_EXTENSION_REQUEST,
    OTHER_NAME,
    PRINTABLE,
    REGISTERED,
    SEQUENCE,
    SET,
    TELETEX,
    TYPES,
    URI,
    UTF8,
    Key,
    RawCsr,
    RawExtension,
    dns,
    oid,
    sign,
    tlv,
)

_WORDS = ("orders", "pay", "a", "x1", "svc", "deep", "admin", "xn--bcher-kva", "n" * 63, "web-1")
_DOMAINS = (
    "svc.example.com",
    "deep.example.com",
    "two.example.com",
    "example.com",
    "svc.example.org",
    "svc.example.com.evil.org",
    "com",
)
_URIS = ("spiffe://example.com/ns/{}/sa/{}", "spiffe://deep.example.com/{}/{}", "https://example.com/app/{}", "spiffe://example.com/ns/{}/../{}",
         "https://example.com/app/{}/{}", "urn:example:{}", "spiffe://evil.example/ns/{}/sa/{}", "HTTPS://example.com/app/{}")  # fmt: skip
_EXTENSIONS = (
    RawExtension("2.5.29.19", tlv(SEQUENCE, tlv(BOOLEAN, b"\xff")), critical=True),
    RawExtension("2.5.29.15", b"\x03\x02\x01\x06", critical=True),
    RawExtension("2.5.29.37", tlv(SEQUENCE, oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.3"))),
    RawExtension("1.3.6.1.5.5.7.1.24", tlv(SEQUENCE, b"\x02\x01\x05")),
    RawExtension("2.5.29.14", b"\x04\x04abcd"),
)
_TAGS = (UTF8, PRINTABLE, BMP, TELETEX, IA5)


@dataclass(frozen=True)
class Mutant:
    """A changed request: how it was changed, its bytes (PEM or DER), and whether its signature is by its own key over what it holds.

    ``genuine`` None: the change may have left the request as it was.
    """

    kind: Literal["bytes", "kept signature", "structure"]
    data: bytes
    genuine: bool | None
    der: bytes


def mutant(rng: Random, keys: Sequence[Key]) -> Mutant:
    """The next one: about a sixth with changed bytes, one in twenty changed under a signature that stays, the rest signed again."""
    base = RawCsr(key=rng.choice(keys), names=dns("orders.svc.example.com"))
    draw = rng.random()
    if draw < 0.16:
        return _packed(rng, "bytes", _bytes_changed(rng, base.der()), None)
    changed = _restructured(rng, base)
    if draw < 0.21:
        algorithm, signature = sign(base.key, base.information())
        information = changed.information()
        der = tlv(SEQUENCE, information, algorithm, tlv(BIT_STRING, b"\x00", signature))
        return _packed(rng, "kept signature", der, None if information == base.information() else False)
    if rng.random() < 0.1:
        changed = replace(changed, changed=_tree_changed(rng, changed.information()))
    return _packed(rng, "structure", changed.der(), True)


def _packed(
    rng: Random, kind: Literal["bytes", "kept signature", "structure"], der: bytes, genuine: bool | None
) -> Mutant:
    data = der
    if rng.random() < 0.2:
        text = base64.encodebytes(der)
        data = b"-----BEGIN CERTIFICATE REQUEST-----\n" + text + b"-----END CERTIFICATE REQUEST-----\n"
    return Mutant(kind, data, genuine, der)


def _bytes_changed(rng: Random, der: bytes) -> bytes:
    data = bytearray(der)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data))
        how = rng.random()
        if how < 0.6:
            data[place] ^= 1 << rng.randrange(8)
        elif how < 0.8:
            data[place] = rng.randrange(256)
        elif how < 0.9:
            del data[place]
        else:
            data.insert(place, rng.randrange(256))
    return bytes(data)


def _restructured(rng: Random, base: RawCsr) -> RawCsr:
    changed = base
    for _ in range(rng.randint(1, 4)):
        changed = rng.choice(_CHANGES)(rng, changed)
    return changed


def _names(rng: Random, csr: RawCsr) -> RawCsr:
    return replace(csr, names=tuple(_name(rng) for _ in range(rng.choice((0, 1, 1, 2, 3, 8)))))


def _name(rng: Random) -> tuple[int, bytes]:
    draw = rng.random()
    if draw < 0.55:
        labels = [rng.choice(_WORDS) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        name = ".".join([*labels, rng.choice(_DOMAINS)])
        if rng.random() < 0.1:
            name = f"*.{name}"
        return DNS, (name.upper() if rng.random() < 0.1 else name).encode()
    if draw < 0.75:
        return URI, rng.choice(_URIS).format(rng.choice(_WORDS), rng.choice(_WORDS)).encode()
    if draw < 0.85:
        return IP, bytes((10, rng.choice((1, 2)), rng.randrange(256), 7)) if rng.random() < 0.6 else rng.randbytes(16)
    if draw < 0.93:
        return EMAIL, f"{rng.choice(_WORDS)}@{rng.choice(('ops.example.com', 'example.com', 'a.example.org'))}".encode()
    if draw < 0.96:
        return REGISTERED, oid(f"1.2.{rng.randrange(1000)}")[2:]
    if draw < 0.98:
        return OTHER_NAME, oid("1.3.6.1.4.1.311.20.2.3") + tlv(0xA0, tlv(UTF8, b"root@example.com"))
    if draw < 0.99:
        return DIRECTORY, tlv(
            SEQUENCE, tlv(SET, tlv(SEQUENCE, oid(TYPES["CN"]), tlv(UTF8, rng.choice(_WORDS).encode())))
        )
    return rng.choice((DNS, URI, EMAIL)), rng.randbytes(rng.randrange(20))


def _subject(rng: Random, csr: RawCsr) -> RawCsr:
    texts = (
        *_WORDS,
        "orders.svc.example.com",
        "root",
        "Example Ltd",
        "system:masters",
        "\u00fcber",
        "a\u202eb" if rng.random() < 0.1 else "GB",
    )
    encodings = {BMP: "utf-16-be", TELETEX: "latin-1"}
    made = []
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        tag, text = rng.choice(_TAGS), rng.choice(texts)
        if tag in {PRINTABLE, IA5, TELETEX}:
            text = text.encode("ascii", "ignore").decode() or "x"
        made.append(((rng.choice(sorted(TYPES)), tag, text.encode(encodings.get(tag, "utf-8"))),))
    return replace(csr, subject=tuple(made))


def _extensions(rng: Random, csr: RawCsr) -> RawCsr:
    known = rng.sample(_EXTENSIONS, rng.randrange(len(_EXTENSIONS)))
    unknown = [
        RawExtension(f"1.3.6.1.4.1.99999.{number}", rng.randbytes(rng.randrange(40)), critical=rng.random() < 0.3)
        for number in range(rng.choice((0, 0, 1, 3)))
    ]
    return replace(csr, extensions=(*known, *unknown))


def _attributes(rng: Random, csr: RawCsr) -> RawCsr:
    password = tlv(SEQUENCE, oid(CHALLENGE_PASSWORD), tlv(SET, tlv(UTF8, rng.randbytes(8).hex().encode())))
    unknown = tlv(SEQUENCE, oid(f"1.3.6.1.4.1.99999.{rng.randrange(50)}"), tlv(SET, tlv(UTF8, b"x")))
    return replace(csr, attributes=tuple(rng.sample((password, unknown), rng.randint(1, 2))))


def _odds(rng: Random, csr: RawCsr) -> RawCsr:
    draw = rng.random()
    if draw < 0.3:
        return replace(csr, digest="SHA384")
    if draw < 0.6:
        return replace(csr, critical_names=True)
    if draw < 0.9:
        return replace(csr, request_oid=MS_EXTENSION_REQUEST)
    return replace(csr, version=rng.choice((0, 1, 2, 255)))


_CHANGES = (_names, _names, _names, _subject, _subject, _extensions, _attributes, _odds)


def _tree_changed(rng: Random, der: bytes) -> bytes:
    """One node of the tree of values dropped, doubled, given another tag or other content; the lengths around it are right."""
    tag, content, _ = read_tlv(der)
    children = _children(content) if tag & 0x20 else None
    if not children or rng.random() < 0.2:
        draw = rng.random()
        if draw < 0.3:
            return der + der
        if draw < 0.5:
            return b""
        if draw < 0.75:
            return tlv(rng.randrange(256), content)
        return tlv(tag, rng.randbytes(rng.randrange(12)))
    place = rng.randrange(len(children))
    children[place] = _tree_changed(rng, children[place])
    return tlv(tag, *children)


def read_tlv(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content and what follows, of a value with a definite length."""
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    if start + size > len(data):
        raise ValueError("cut off")
    return data[0], data[start : start + size], data[start + size :]


def _children(content: bytes) -> list[bytes]:
    found = []
    while content:
        _, _, rest = read_tlv(content)
        found.append(content[: len(content) - len(rest)])
        content = rest
    return found
