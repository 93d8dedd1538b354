"""The canonical PEM files that every tested loader takes, and a strict reader of them.

What this module decides: UTF-8 without byte order mark, LF, one block after another, comments above each,
certificates and CRLs never in one file, no file without a block. A name inside a comment cannot end it or look like a
block: it is ASCII, one line, without five dashes in a row, and shorter than the line buffer of OpenSSL's reader.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from pkiops.errors import InternalError, VerificationFailed
from pkiops.trust.bundle import BundleCertificate, BundleCrl
from pkiops.x509.armor import Block, Kind, scan
from pkiops.x509.certificate import fingerprint, load_certificates
from pkiops.x509.certificate import pem as certificate_pem
from pkiops.x509.crl import read_crls
from pkiops.x509.crl_bytes import LoadedCrl
from pkiops.x509.names import rfc4514

CERTIFICATE = "CERTIFICATE"
X509_CRL = "X509 CRL"
MAX_CA_BYTES = 16 * 1024 * 1024
MAX_CRL_FILE_BYTES = 192 * 1024 * 1024
# OpenSSL reads lines in pieces of 254 bytes, and takes the start of a piece for the start of a line
_LONGEST_COMMENT = 200
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def comment(text: str) -> bytes:
    """One comment line, whatever ``text`` holds."""
    printable = "".join(c if c.isprintable() else " " for c in text).encode("ascii", "backslashreplace")
    safe = printable.replace(b"-----", b"- - -")
    return b"# " + safe[:_LONGEST_COMMENT] + b"\n"


def ca_file(certificates: Sequence[BundleCertificate]) -> bytes:
    """The certificates as one file; at least one."""
    if not certificates:
        raise InternalError("a file of CA certificates must not be empty")
    pieces: list[bytes] = []
    for one in certificates:
        pieces.append(comment(f"{one.name} ({one.role.value}): {rfc4514(one.certificate.subject)}"))
        pieces.append(comment(f"sha256 {fingerprint(one.certificate)}"))
        pieces.append(comment(f"not after {one.certificate.not_valid_after_utc.strftime(_MOMENT)}"))
        pieces.append(certificate_pem(one.certificate))
    return b"".join(pieces)


def crl_file(crls: Sequence[BundleCrl]) -> bytes:
    """The CRLs as one file; at least one, because Envoy takes an empty file for "revocation off"."""
    if not crls:
        raise InternalError("a file of CRLs must not be empty")
    pieces: list[bytes] = []
    for one in crls:
        pieces.append(comment(f"{one.name}: {one.checked.view.issuer}"))
        pieces.append(comment(f"number {one.checked.number}, {one.checked.view.entries} revoked"))
        pieces.append(comment(f"next update {one.checked.next_update.strftime(_MOMENT)}"))
        pieces.append(one.checked.pem())
    return b"".join(pieces)


def read_ca_file(data: bytes, name: str) -> tuple[x509.Certificate, ...]:
    """The certificates of a file that a relying party loads as trusted CAs.

    Raises:
        VerificationFailed: it is empty, or holds anything but certificates.
        InputError: a block is damaged.
    """
    _require_blocks(data, name, CERTIFICATE, MAX_CA_BYTES)
    return load_certificates(data, name)


def read_crl_file(data: bytes, name: str) -> tuple[LoadedCrl, ...]:
    """The CRLs of a file that a relying party loads, with the bytes that they were parsed from.

    Raises:
        VerificationFailed: it is empty (Envoy would switch revocation off), or holds anything but CRLs (nginx, HAProxy and
            Apache would trust a certificate).
        InputError: a block is damaged.
    """
    _require_blocks(data, name, X509_CRL, MAX_CRL_FILE_BYTES)
    return read_crls(data, name)


def _require_blocks(data: bytes, name: str, label: str, max_bytes: int) -> None:
    if not data.strip():
        raise VerificationFailed(f"{name} is empty", code="trust.file-empty")
    blocks: tuple[Block, ...] = scan(data, name, Kind("trust", label, frozenset({label}), max_bytes))
    others = sorted({block.label or "DER" for block in blocks if block.label != label})
    if others:
        private = any("PRIVATE KEY" in other for other in others)
        raise VerificationFailed(
            f"{name} holds {', '.join(others)} besides {label}",
            hint="a private key in a public file is known to others: replace it"
            if private
            else "render the bundle again",
            code="trust.private-key" if private else "trust.file-mixed",
        )
    body = b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(b"#"))
    if data.startswith(b"\xef\xbb\xbf") or b"\r" in data or not body.startswith(b"-----BEGIN "):
        raise VerificationFailed(
            f"{name} is not canonical PEM (byte order mark, CR, or text between the blocks): some loaders skip what they cannot read",
            hint="render the bundle again",
            code="trust.file-form",
        )
