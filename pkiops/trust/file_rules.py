"""What no rendered file may be, whoever wrote its template: looked for in the bytes that would be written.

What this module decides: that a file which servers load as PEM holds certificates or CRLs, never both, never none, and never a private key. nginx,
HAProxy, Apache and PostgreSQL trust a certificate that they find in the file of CRLs, Envoy takes an empty one for "revocation off". Files of other
forms (YAML, JSON, configurations) keep several of them apart by themselves; in these, too, a private key is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from pkiops.errors import VerificationFailed
from pkiops.trust.targets.interface import RenderedFile

_LOADED = frozenset({".pem", ".crt", ".crl"})
_PEM = frozenset({".pem", ".crt"})
_LABEL = re.compile(rb"-----BEGIN ([^\r\n]{0,60}?)-----")
_ALONE = (b"CERTIFICATE", b"X509 CRL")


def require_sound_files(files: Sequence[RenderedFile], where: str) -> None:
    """Refuse a rendering with a file that would fail open, or lock everyone out.

    Args:
        files: what would be written.
        where: the target, for messages.

    Raises:
        VerificationFailed: code ``trust.file-empty``, ``trust.file-mixed``, ``trust.private-key``.
    """
    for file in files:
        # a SEQUENCE in DER, in which a hostile name may spell anything
        labels = set() if file.data[:1] == b"\x30" else {match[1] for match in _LABEL.finditer(file.data)}
        suffix = PurePosixPath(file.path).suffix.lower()
        if any(b"PRIVATE KEY" in label for label in labels):
            raise VerificationFailed(f"{where}: {file.path} would hold a private key", code="trust.private-key")
        if suffix in _LOADED and (not file.data.strip() or (suffix in _PEM and not labels)):
            raise VerificationFailed(
                f"{where}: {file.path} would be empty; some servers take that for no revocation, others refuse everybody",
                hint="leave the file out where the bundle has nothing for it (with_crls in target.yaml)",
                code="trust.file-empty",
            )
        if suffix in _LOADED and labels and (len(labels) > 1 or not labels <= set(_ALONE)):
            found = ", ".join(sorted(label.decode("ascii", "replace") for label in labels))
            raise VerificationFailed(
                f"{where}: {file.path} would hold {found}; servers trust a certificate wherever they find it",
                hint="certificates and CRLs belong in files of their own",
                code="trust.file-mixed",
            )
