"""Reading and writing certificates and requests as PEM.

What this module decides: sizes are bounded by the request model; here, that text is PEM, that every extension can be read,
and that a request proves possession of its key. Certificates leave without a trailing newline, as the service writes them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from pkiops.sandbox.engine.errors import ServiceError

# what cryptography raises on hostile input; several of these are no ValueError
UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,  # an unknown feature in a TLSFeature
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_COMMON_NAME_LIMIT = 64  # RFC 5280 appendix A, ub-common-name


def pem(certificate: x509.Certificate) -> str:
    """One certificate, no newline at the end."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii").rstrip("\n")


def pem_chain(certificates: Iterable[x509.Certificate]) -> str:
    """Several certificates, in order, no newline at the end."""
    return "\n".join(pem(certificate) for certificate in certificates)


def key_identifier(certificate: x509.Certificate) -> bytes:
    """The subject key identifier of a CA certificate, or the SHA-1 of its key where it carries none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


@dataclass(frozen=True, slots=True)
class Request:
    """What is used of a certificate signing request, read once."""

    subject: x509.Name
    public_key: Any
    extensions: x509.Extensions


def read_csr(data: bytes) -> Request:
    """A request whose self-signature holds and which names somebody.

    Raises:
        ServiceError: ``MalformedCSRException``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cryptography warns of what it tolerates; what we tolerate is said below
            csr = x509.load_pem_x509_csr(data)
            request = Request(csr.subject, csr.public_key(), csr.extensions)
            valid = csr.is_signature_valid
    except UNREADABLE as error:
        raise _malformed_csr(f"it cannot be parsed ({error})") from error
    if not valid:
        raise _malformed_csr("its signature does not verify under its own key")
    has_names = any(extension.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME for extension in request.extensions)
    if not len(request.subject) and not has_names:
        raise _malformed_csr("it has neither a subject nor subject alternative names")
    common_names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if any(len(str(attribute.value).encode()) > _COMMON_NAME_LIMIT for attribute in common_names):
        raise _malformed_csr(f"its common name is longer than {_COMMON_NAME_LIMIT} octets")
    return request


def _malformed_csr(why: str) -> ServiceError:
    return ServiceError("MalformedCSRException", f"The certificate signing request is invalid: {why}")


def malformed_certificate(why: str) -> ServiceError:
    """A certificate that cannot be installed."""
    return ServiceError("MalformedCertificateException", f"One or more fields in the certificate are invalid: {why}")


def read_certificates(data: bytes, what: str) -> list[x509.Certificate]:
    """All certificates of a PEM text, every extension of them readable.

    Raises:
        ServiceError: ``MalformedCertificateException``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificates = x509.load_pem_x509_certificates(data)
            for certificate in certificates:
                _touch(certificate)
    except UNREADABLE as error:
        raise malformed_certificate(f"{what} cannot be parsed ({error})") from error
    return certificates


def _touch(certificate: x509.Certificate) -> None:
    """Cryptography parses late; make it parse now what is read later."""
    list(certificate.extensions)
    certificate.public_key()
    len(certificate.subject)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether names match and the signature verifies."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True
