"""ImportCertificateAuthorityCertificate: which certificate and chain a CA accepts as its own.

What this module decides: the rules of "Installing a CA certificate" of the user guide, in this order: readable, the CA's key and
subject, a CA certificate with permitted critical extensions, self-signed exactly for a root, a complete chain that verifies. What breaks
basic constraints or a path length is a ``ValidationException``, as the guide says; other faults are ``MalformedCertificateException``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from pkiops.sandbox.engine.certificates import issued_by, malformed_certificate, read_certificates
from pkiops.sandbox.engine.errors import ServiceError, validation
from pkiops.sandbox.engine.name_constraints import require_supported
from pkiops.sandbox.engine.state import Context, Region, Status, find_authority, require_state

_MAX_LEVELS = 5
_MAY_BE_CRITICAL = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_DIRECTORY_ATTRIBUTES,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_INFORMATION_ACCESS,
    }
)


def import_certificate(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """ImportCertificateAuthorityCertificate."""
    now = context.clock.now()
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "ImportCertificateAuthorityCertificate", now)
    certificates = read_certificates(request["Certificate"], "the certificate")
    if len(certificates) != 1:
        raise malformed_certificate(f"{len(certificates)} certificates given where one belongs")
    certificate = certificates[0]
    chain_text = request.get("CertificateChain")
    chain = read_certificates(chain_text, "the chain") if chain_text else []
    if not authority.owns(certificate.public_key()) or certificate.subject != authority.subject:
        raise ServiceError(
            "CertificateMismatchException",
            "The certificate does not match the key and the subject of the certificate authority",
        )
    _require_ca_certificate(certificate, now)
    if authority.kind == "ROOT":
        _require_root(certificate, chain)
    else:
        _require_chain(certificate, chain, now)
    require_supported([certificate, *chain])
    authority.certificate = certificate
    authority.chain = tuple(chain)
    # an expired CA that had been disabled stays disabled
    authority.change_status(Status.DISABLED if authority.status is Status.DISABLED else Status.ACTIVE, now)
    return {}


def _require_ca_certificate(certificate: x509.Certificate, now: datetime) -> None:
    constraints = _constraints(certificate)
    if constraints is None or not constraints.value.ca:
        raise validation("The basic constraints of the certificate must be there and say CA:TRUE")
    if not constraints.critical:
        raise validation("The basic constraints of the certificate must be critical")
    _require_critical_extensions(certificate, "its")
    if now > certificate.not_valid_after_utc:
        raise malformed_certificate("it has expired")


def _require_critical_extensions(certificate: x509.Certificate, whose: str) -> None:
    """Of the certificate and of its chain alike (API reference, "Enforcement of Critical Constraints")."""
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _MAY_BE_CRITICAL:
            raise malformed_certificate(f"{whose} extension {extension.oid.dotted_string} must not be critical")


def _require_root(certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> None:
    if not issued_by(certificate, certificate):
        raise malformed_certificate("a root certificate authority needs a self-signed certificate")
    if chain:
        raise ServiceError("InvalidRequestException", "A root certificate authority takes no certificate chain")


def _require_chain(certificate: x509.Certificate, chain: Sequence[x509.Certificate], now: datetime) -> None:
    if issued_by(certificate, certificate):
        raise malformed_certificate("a self-signed certificate is for root certificate authorities only")
    if not chain:
        raise malformed_certificate("a subordinate certificate authority needs its certificate chain up to the root")
    if len(chain) + 1 > _MAX_LEVELS:
        raise malformed_certificate(f"the hierarchy would have more than {_MAX_LEVELS} levels")
    if certificate in chain:
        raise malformed_certificate("the chain must not hold the certificate itself")
    below = certificate
    for depth, issuer in enumerate(chain):
        constraints = _constraints(issuer)
        if constraints is None or not constraints.value.ca:
            raise validation(f"Certificate {depth + 1} of the chain is not of a certificate authority")
        if not constraints.critical:
            raise validation(f"The basic constraints of certificate {depth + 1} of the chain must be critical")
        _require_critical_extensions(issuer, f"certificate {depth + 1} of the chain: its")
        allowed = constraints.value.path_length
        if allowed is not None and allowed < depth + 1:
            raise validation(f"Certificate {depth + 1} of the chain allows a path length of {allowed} only")
        if now > issuer.not_valid_after_utc:
            raise malformed_certificate(f"certificate {depth + 1} of the chain has expired")
        if not issued_by(below, issuer):
            raise malformed_certificate(f"certificate {depth + 1} of the chain did not issue the one before it")
        below = issuer
    _require_own_path_length(certificate, chain)
    if not issued_by(below, below):
        raise malformed_certificate("the chain does not end in a self-signed root")


def _require_own_path_length(certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> None:
    """The path length must fit below every parent's; none at all promises nothing and fits everywhere."""
    own = _constraints(certificate)
    if own is None or own.value.path_length is None:
        return
    for depth, issuer in enumerate(chain):
        above = _constraints(issuer)
        allowed = above.value.path_length if above is not None else None
        if allowed is not None and own.value.path_length + depth + 1 > allowed:
            raise validation(f"Path length {own.value.path_length} does not fit below the {allowed} of a parent")


def _constraints(certificate: x509.Certificate) -> x509.Extension[x509.BasicConstraints] | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return None
