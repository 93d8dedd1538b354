"""Checking a signed CA certificate before it is installed (RFC 5280 section 6, and the import rules of the service)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pkiops.ca.desired import DesiredAuthority
from pkiops.errors import VerificationFailed
from pkiops.x509.certificate import view
from pkiops.x509.chain import verify_ca_chain
from pkiops.x509.name_constraints import name_constraints_of
from pkiops.x509.names import rfc4514


def verify_authority_chain(wanted: DesiredAuthority, csr_der: bytes, chain: Sequence[bytes], *, at: datetime) -> None:
    """Check that the chain leads from exactly the CA that was asked for to its root.

    Raises:
        VerificationFailed: it does not; nothing may be installed.
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        own = view(certificates[0])
        request = x509.load_der_x509_csr(csr_der)
        found = name_constraints_of(certificates[0])
    except ValueError as error:
        raise VerificationFailed(
            f"what was signed for {wanted.label} cannot be read: {error}", code="ca.unreadable"
        ) from error
    if _spki(certificates[0].public_key()) != _spki(request.public_key()):
        raise VerificationFailed(
            f"the certificate signed for {wanted.label} holds another public key", code="ca.public-key"
        )
    if not own.is_ca:
        raise VerificationFailed(
            f"the certificate signed for {wanted.label} is not a CA certificate", code="ca.not-a-ca"
        )
    if own.path_length != wanted.path_length:
        raise VerificationFailed(
            f"the certificate signed for {wanted.label} has path length {own.path_length}, asked for {wanted.path_length}",
            code="ca.path-length",
        )
    if certificates[0].subject != request.subject:
        raise VerificationFailed(
            f"the certificate signed for {wanted.label} is for {rfc4514(certificates[0].subject)}, not for the subject of its request",
            code="ca.subject",
        )
    if found and not certificates[0].extensions.get_extension_for_class(x509.NameConstraints).critical:
        # RFC 5280 section 4.2.1.10: who does not know the extension would pass over it
        raise VerificationFailed(
            f"the name constraints signed for {wanted.label} are not critical", code="ca.name-constraints"
        )
    if found != wanted.name_constraints:
        raise VerificationFailed(
            f"the certificate signed for {wanted.label} has name constraints ({found}), asked for ({wanted.name_constraints})",
            code="ca.name-constraints",
        )
    if (wanted.issuer is None) != (len(chain) == 1):
        raise VerificationFailed(f"the chain of {wanted.label} has {len(chain)} certificates", code="ca.chain-length")
    verify_ca_chain(certificates, at=at)


def _spki(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded
