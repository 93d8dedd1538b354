"""PEM armour (RFC 7468) without parsing what is inside it; imports nothing heavy."""

from __future__ import annotations

import base64
import binascii
import re

CERTIFICATE = "CERTIFICATE"
CERTIFICATE_REQUEST = "CERTIFICATE REQUEST"
X509_CRL = "X509 CRL"
# bytes that are encoded at once: whole lines of 48, few enough that a large CRL takes little more memory than its PEM
_PIECE = 48 * 4096


def encode(der: bytes, label: str) -> bytes:
    """One PEM block with lines of 64 characters and a final newline."""
    view = memoryview(der)
    pieces = [f"-----BEGIN {label}-----".encode("ascii")]
    for start in range(0, len(der), _PIECE):
        text = base64.b64encode(view[start : start + _PIECE])
        pieces.append(b"\n".join([text[at : at + 64] for at in range(0, len(text), 64)]))
    return b"\n".join([*pieces, f"-----END {label}-----\n".encode("ascii")])


def decode(data: bytes | str, label: str) -> tuple[bytes, ...]:
    """The DER inside every block with this label, in order; text around the blocks is ignored.

    Raises:
        ValueError: a block does not end, or holds no base64.
    """
    text = data.decode("ascii", errors="replace") if isinstance(data, bytes) else data
    begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
    if text.count(begin) != text.count(end):
        raise ValueError(f"a {label} block has no end")
    found = []
    for piece in text.split(begin)[1:]:
        body = re.sub(r"\s+", "", piece.split(end, 1)[0])
        try:
            found.append(base64.b64decode(body, validate=True))
        except binascii.Error as error:
            raise ValueError(f"a {label} block holds no base64") from error
    return tuple(found)
