"""The fingerprint of an authority's certificate: what a file pins."""

from __future__ import annotations

import hashlib

from pkiops.backends.interface import ReadsAuthorities


def fingerprint(reader: ReadsAuthorities, reference: str) -> str:
    """SHA-256 (hex) of an authority's certificate.

    Raises:
        BackendError: it cannot be read.
    """
    return chain_fingerprints(reader, reference)[0]


def chain_fingerprints(reader: ReadsAuthorities, reference: str) -> tuple[str, ...]:
    """The same of its certificate and of those above it, the root's last.

    Raises:
        BackendError: they cannot be read.
    """
    return tuple(hashlib.sha256(der).hexdigest() for der in reader.authority_chain(reference))
