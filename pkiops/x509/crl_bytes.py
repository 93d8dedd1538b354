"""A CRL as the bytes it came in (RFC 5280 section 5.1, X.690), for lists of a million entries.

What this module decides: where in DER that the library has parsed already the signed part, the algorithms, the signature
and the entries are. The library writes a parsed CRL out anew whenever it is asked for its bytes or for its signature,
which takes ten times as long as parsing; whoever keeps the bytes beside the object needs neither. What is said about the
CRL as a whole is the business of ``crl``, its entries are that of ``revoked``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509

_SEQUENCE = 0x30
_INTEGER = 0x02
_TIMES = frozenset({0x17, 0x18})


@dataclass(frozen=True, slots=True)
class LoadedCrl:
    """A parsed CRL and the very bytes that it was parsed from (DER)."""

    crl: x509.CertificateRevocationList = field(repr=False)
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CrlParts:
    """Views of a CRL's bytes, nothing is copied.

    ``signed``: the tbsCertList with its header; ``inner_algorithm`` and ``algorithm``: what it is signed with according to the signed part and
    to the outer one; ``entries``: the contents of revokedCertificates, empty where there are none.
    """

    signed: memoryview = field(repr=False)
    inner_algorithm: memoryview
    algorithm: memoryview
    entries: memoryview = field(repr=False)


def header(data: memoryview | bytes, at: int) -> tuple[int, int, int]:
    """Tag, start of the content and end of the value that begins at ``at``; one-octet tags and definite lengths, as a CRL in DER has."""
    tag, first = data[at], data[at + 1]
    if first < 0x80:
        return tag, at + 2, at + 2 + first
    start = at + 2 + (first & 0x7F)
    return tag, start, start + int.from_bytes(data[at + 2 : start], "big")


def parts_of(der: bytes) -> CrlParts:
    """The parts of a CRL that the library has parsed."""
    view = memoryview(der)
    _, signed_at, _ = header(view, 0)
    _, at, signed_end = header(view, signed_at)
    _, _, algorithm_end = header(view, signed_end)
    tag, _, end = header(view, at)
    if tag == _INTEGER:  # version
        at = end
    _, _, inner_end = header(view, at)
    inner = view[at:inner_end]
    _, _, at = header(view, inner_end)  # issuer
    _, _, at = header(view, at)  # thisUpdate
    if at < signed_end and view[at] in _TIMES:
        _, _, at = header(view, at)
    entries = view[:0]
    if at < signed_end and view[at] == _SEQUENCE:
        _, start, end = header(view, at)
        entries = view[start:end]
    return CrlParts(view[signed_at:signed_end], inner, view[signed_end:algorithm_end], entries)
