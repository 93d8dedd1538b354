"""Certificates of one CA that follow each other: the same name and the same key.

What this module decides: that a chain leads as well over the certificate that a CA has now as over the one it had when the chain was made, because
what is below it names and verifies under the same name and key (RFC 5280 section 6.1.3). Services keep a chain as it was when a certificate was
installed.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pkiops.x509.armor import PARSE_ERRORS


def is_same_authority(one: bytes, other: bytes) -> bool:
    """Whether two certificates (DER) are of the same name and key; one that cannot be read is like itself only."""
    return _name_and_key(one) == _name_and_key(other)


def present_chains(chains: Sequence[Sequence[bytes]]) -> list[tuple[bytes, ...]]:
    """Chains (DER, own certificate first) in which each CA above has the certificate that it has now.

    What a CA has now is what its own chain among these begins with; a CA that has none here stays as it is.
    """
    present = {_name_and_key(chain[0]): chain[0] for chain in chains if chain}
    return [(*chain[:1], *(present.get(_name_and_key(der), der) for der in chain[1:])) for chain in chains]


def _name_and_key(der: bytes) -> tuple[bytes, bytes]:
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return certificate.subject.public_bytes(), key
    except PARSE_ERRORS:
        return der, b""
