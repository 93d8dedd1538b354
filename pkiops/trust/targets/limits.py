"""What a relying party would not load, or would take for something else: refused before anything is written.

What this module decides: how a bundle is measured against its target's description, and that every excess is an error, because a file that a service
cuts or refuses leaves the old one in force. Sources of the numbers: each ``target.yaml``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pkiops.environment.models import Revocation
from pkiops.errors import VerificationFailed
from pkiops.trust.bundle import TrustBundle
from pkiops.trust.targets.contents import bare_ca_pem
from pkiops.trust.targets.description import Depth, Intermediates, Limits, TargetDescription
from pkiops.trust.targets.interface import RenderedFile
from pkiops.x509.names import rfc4514


def depth_setting(bundle: TrustBundle, depth: Depth) -> int:
    """The limit on the length of chains to configure, counted as the relying party counts."""
    return bundle.intermediate_depth + (1 if depth is Depth.AUTHORITIES else 0)


def require_fit(bundle: TrustBundle, description: TargetDescription) -> None:
    """Refuse a bundle that the target cannot hold.

    Raises:
        VerificationFailed: it has intermediates where they must not be, or lacks them where they must be, or exceeds a limit.
    """
    _require_intermediates(bundle, description)
    for what, size, limit in _measured(bundle, description.limits):
        _require(bundle, description, what, size, limit)


def require_file_sizes(bundle: TrustBundle, description: TargetDescription, files: Sequence[RenderedFile]) -> None:
    """Refuse a rendering of which one file is too large.

    Raises:
        VerificationFailed: one is.
    """
    trusted = {description.trusted_files[0]}
    for file in files:
        _require(bundle, description, f"bytes of {file.path}", len(file.data), description.limits.file_bytes)
        if file.path in trusted:
            _require(bundle, description, f"bytes of {file.path}", len(file.data), description.limits.ca_bytes)


def _require_intermediates(bundle: TrustBundle, description: TargetDescription) -> None:
    rule = description.intermediates
    where = _where(bundle, description)
    if bundle.intermediates and rule is Intermediates.REFUSED:
        raise VerificationFailed(
            f"{where}: it takes roots only",
            hint="declare a bundle of its own for it with include_intermediates: false",
            code="trust.intermediates",
        )
    if bundle.intermediates and rule is Intermediates.REFUSED_WITH_CRLS and bundle.revocation is not Revocation.NONE:
        raise VerificationFailed(
            f"{where}: it takes every certificate in its file for an anchor, and would not notice that a CA below the root is revoked",
            hint="declare a bundle of its own for it with include_intermediates: false, and let clients send their chain",
            code="trust.intermediates",
        )
    if bundle.intermediate_depth and not bundle.intermediates and rule is Intermediates.REQUIRED:
        raise VerificationFailed(
            f"{where}: it needs the whole chain of every issuing CA, and would refuse every client",
            hint="declare a bundle of its own for it with include_intermediates: true",
            code="trust.intermediates",
        )


def _measured(bundle: TrustBundle, limits: Limits) -> Iterator[tuple[str, int, int | None]]:
    certificates = bundle.certificates
    yield "certificates", len(certificates), limits.certificates
    yield "bytes of a certificate", max(len(bare_ca_pem([one])) for one in certificates), limits.certificate_bytes
    subjects = sum(len(rfc4514(one.certificate.subject).encode()) for one in certificates)
    yield "bytes of all subjects", subjects, limits.subject_bytes
    yield "certificates in a chain", bundle.intermediate_depth + 2, limits.chain
    yield "CRLs", len(bundle.crls), limits.crls
    yield "entries of all CRLs", sum(one.checked.view.entries for one in bundle.crls), limits.crl_entries
    if limits.crl_bytes is not None:
        largest = max((len(one.checked.pem()) for one in bundle.crls), default=0)
        yield "bytes of a CRL", largest, limits.crl_bytes


def _require(bundle: TrustBundle, description: TargetDescription, what: str, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise VerificationFailed(
            f"{_where(bundle, description)}: {size} {what}, but it takes {limit}",
            hint="declare a bundle of its own for it, with fewer anchors or a shorter chain; certificates that live shorter keep CRLs small",
            code="trust.limit",
            details={"what": what, "size": size, "limit": limit},
        )


def _where(bundle: TrustBundle, description: TargetDescription) -> str:
    return f"bundle {bundle.environment}/{bundle.name} for {description.title}"
