"""The fingerprint of an authority's certificate: what a file pins."""

from __future__ import annotations

import hashlib

from pkiops.backends.interface import ReadsAuthorities


def fingerprint(reader: ReadsAuthorities, reference: str) -> str:
    """SHA-256 (hex) of an authority's certificate.

    Raises:
        BackendError: it cannot be read.
    """
    return hashlib.sha256(reader.authority_chain(reference)[0]).hexdigest()
