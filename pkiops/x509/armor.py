"""Encoded objects as they arrive: PEM blocks (RFC 7468) with anything around them, or one DER object.

What this module decides: how much is read at most, what counts as a block, and the words for input that is not what was asked for. What is
inside a block is the business of ``csr``, ``certificate``, ``crl`` and ``keys``. Everything runs in linear time.
"""

from __future__ import annotations

import base64
import binascii
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from pkiops.errors import InputError

_BEGIN = b"-----BEGIN "
_END = b"-----END "
_DASHES = b"-----"
_LONGEST_LABEL = 64
_SEQUENCE = 0x30
_BLANKS = b" \t\n\r\x0b\x0c"

# Whatever the library raises on hostile input; some of it does not derive from ValueError.
PARSE_ERRORS: tuple[type[Exception], ...] = (
    ValueError,
    TypeError,
    OverflowError,
    AssertionError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)

_warnings_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that is asked for: the prefix of its error codes, its name in sentences, its PEM labels, the size bound in bytes."""

    code: str
    title: str
    labels: frozenset[str]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Block:
    """A PEM block, or DER (then ``label`` is None and ``body`` is the object itself)."""

    label: str | None
    body: bytes


@contextmanager
def quiet() -> Iterator[None]:
    """Parse without the library's warnings about odd but harmless encodings: they would reach the terminal of whoever looks at a file.

    The filters are global to the process, hence the lock.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read(data: bytes, source: str, kind: Kind) -> tuple[bytes, ...]:
    """The DER of every object of ``kind`` in ``data``; at least one.

    Args:
        data: PEM blocks with text around them, or exactly one DER object.
        source: what to call the input in messages (a file name, ``standard input``).
        kind: what is asked for.

    Raises:
        InputError: code ``KIND.too-big``, ``.not-pem``, ``.wrong-pem-type``, ``.truncated`` or ``.malformed``.
    """
    return tuple(decode(block, source, kind) for block in select(scan(data, source, kind), source, kind))


def scan(data: bytes, source: str, kind: Kind) -> tuple[Block, ...]:
    """Every PEM block of ``data``, whatever its label, or the one DER object; at least one. Raises as ``read`` does."""
    if len(data) > kind.max_bytes:
        raise InputError(
            f"{source}: {len(data):,} bytes are more than a {kind.title} may have ({kind.max_bytes:,})",
            code=f"{kind.code}.too-big",
        )
    declared = _declared_length(data)
    if declared == len(data):
        return (Block(None, data),)
    if _BEGIN in data:
        return tuple(_pem_blocks(data, source, kind))
    if declared is not None and not _is_text(data):
        if declared > len(data):
            raise InputError(
                f"{source}: truncated: the DER object says it has {declared:,} bytes, {len(data):,} are there",
                code=f"{kind.code}.truncated",
            )
        raise InputError(
            f"{source}: {len(data) - declared:,} bytes follow the end of the DER object", code=f"{kind.code}.malformed"
        )
    raise InputError(
        f"{source}: {_describe_non_pem(data)}; expected a {kind.title}",
        hint=f"give a PEM file with a line -----BEGIN {_first_label(kind)}-----, or the same in DER",
        code=f"{kind.code}.not-pem",
    )


def select(blocks: tuple[Block, ...], source: str, kind: Kind) -> tuple[Block, ...]:
    """Those blocks that are of ``kind``.

    Raises:
        InputError: there is none; the message says what is there instead.
    """
    chosen = tuple(block for block in blocks if block.label is None or block.label in kind.labels)
    if chosen:
        return chosen
    found = ", ".join(sorted({str(block.label) for block in blocks})[:5])
    raise InputError(
        f"{source}: holds {found}, not a {kind.title}",
        hint=f"a {kind.title} starts with -----BEGIN {_first_label(kind)}-----",
        code=f"{kind.code}.wrong-pem-type",
    )


def decode(block: Block, source: str, kind: Kind) -> bytes:
    """The DER of a block, whose outer length is checked here."""
    if block.label is None:
        return block.body
    try:
        der = base64.b64decode(block.body.translate(None, _BLANKS), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(
            f"{source}: the block {block.label} is not base64 ({error}): damaged or cut off",
            code=f"{kind.code}.malformed",
        ) from error
    declared = _declared_length(der)
    if declared is not None and declared > len(der):
        raise InputError(
            f"{source}: truncated: the block {block.label} says it has {declared:,} bytes, {len(der):,} are there",
            code=f"{kind.code}.truncated",
        )
    if declared != len(der):
        raise InputError(f"{source}: the block {block.label} holds no {kind.title}", code=f"{kind.code}.malformed")
    return der


def _pem_blocks(data: bytes, source: str, kind: Kind) -> Iterator[Block]:
    position = data.find(_BEGIN)
    while position >= 0:
        label_start = position + len(_BEGIN)
        label_end = data.find(_DASHES, label_start, label_start + _LONGEST_LABEL + len(_DASHES))
        label = data[label_start:label_end] if label_end >= 0 else b""
        if not label or not all(0x20 <= byte < 0x7F for byte in label):
            raise InputError(f"{source}: a BEGIN line without an end", code=f"{kind.code}.malformed")
        name = label.decode("ascii")
        body_start = label_end + len(_DASHES)
        body_end = data.find(_DASHES, body_start)
        if body_end < 0:
            raise InputError(f"{source}: truncated: the block {name} has no END line", code=f"{kind.code}.truncated")
        closing = _END + label + _DASHES
        if data[body_end : body_end + len(closing)] != closing:
            code = "truncated" if closing.startswith(data[body_end:]) else "malformed"
            raise InputError(
                f"{source}: the block {name} is not closed by a line -----END {name}-----", code=f"{kind.code}.{code}"
            )
        yield Block(name, data[body_start:body_end])
        position = data.find(_BEGIN, body_end + len(closing))


def _declared_length(data: bytes) -> int | None:
    """How long the outer SEQUENCE says it is, its header included; None if this is no SEQUENCE (X.690 section 8.1.3)."""
    if len(data) < 2 or data[0] != _SEQUENCE:
        return None
    first = data[1]
    if first < 0x80:
        return 2 + first
    octets = first & 0x7F
    if not 1 <= octets <= 4 or len(data) < 2 + octets:
        return None
    return 2 + octets + int.from_bytes(data[2 : 2 + octets], "big")


def _is_text(data: bytes) -> bool:
    return all(byte in b"\t\r\n" or 0x20 <= byte < 0x7F for byte in data[:256])


def _describe_non_pem(data: bytes) -> str:
    if not data.strip():
        return "empty"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16 text, save it as UTF-8"
    if _is_text(data):
        return "text without a PEM block"
    return "neither PEM nor DER"


def _first_label(kind: Kind) -> str:
    return min(kind.labels, key=len)
