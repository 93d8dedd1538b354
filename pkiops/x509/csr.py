"""Certification requests (RFC 2986): what somebody asks for, read as claims.

What this module decides: that a request is within bounds, well-formed, free of characters that could fool a reader, and signed by the key that it
names (proof of possession). Whether anything in it is granted is policy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID

from pkiops.errors import InputError, PolicyDenied
from pkiops.x509 import armor, pem
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.keys import PrivateKey, PublicKey, describe_key, key_algorithm_of, signing_hash, spki_sha256
from pkiops.x509.names import has_unprintable, name_attributes, printable
from pkiops.x509.san import SubjectAltName, general_names, problem_of, sans_of, unsupported_names_of

MAX_CSR_BYTES = 32_768
_KIND = armor.Kind(
    code="csr",
    title="certificate signing request",
    labels=frozenset({"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"}),
    max_bytes=MAX_CSR_BYTES,
)
# pkcs-9-at-extensionRequest (RFC 2985 section 5.4.2) and Microsoft's older one, which the library reads as well.
_EXTENSION_REQUESTS = frozenset({"1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"})


@dataclass(frozen=True)
class CertificationRequest:
    """A request whose self-signature has been verified.

    ``subject`` is (short name or OID, value) in encoded order; ``other_extensions`` are dotted OIDs; ``sha256`` is of the DER, and like
    ``spki_sha256`` lower-case hexadecimal.
    """

    der: bytes = field(repr=False)
    pem: bytes = field(repr=False)
    public_key: PublicKey = field(repr=False, compare=False)
    key_algorithm: KeyAlgorithm | None
    key_description: str
    subject: tuple[tuple[str, str], ...]
    common_name: str | None
    sans: tuple[SubjectAltName, ...]
    unsupported: tuple[str, ...]
    other_extensions: tuple[str, ...]
    spki_sha256: str
    sha256: str


def load_csr(data: bytes, source: str) -> CertificationRequest:
    """Read and verify exactly one request in PEM (text around it allowed) or DER.

    Raises:
        InputError: codes ``csr.too-big``, ``csr.not-pem``, ``csr.wrong-pem-type``, ``csr.private-key``, ``csr.truncated``, ``csr.malformed``,
            ``csr.several``.
        PolicyDenied: codes ``csr.bad-name`` (control characters, or a name that is none) and ``csr.proof-of-possession``.
    """
    der = _single_request(data, source)
    try:
        with armor.quiet():
            request = x509.load_der_x509_csr(der)
            subject = name_attributes(request.subject)
            extensions = request.extensions
            sans = sans_of(extensions)
            unsupported = unsupported_names_of(extensions)
            others = tuple(e.oid.dotted_string for e in extensions if e.oid != ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
            requests = [a for a in request.attributes if a.oid.dotted_string in _EXTENSION_REQUESTS]
            public_key = request.public_key()
            key_description, spki = describe_key(public_key), spki_sha256(public_key)
    except PARSE_ERRORS as error:
        raise _not_a_request(der, source, error) from error
    if len(requests) > 1:
        # Two readers could each believe another one.
        raise InputError(f"{source}: the request holds more than one list of extensions", code="csr.malformed")
    _refuse_bad_names(subject, sans, source)
    _verify_possession(request, source)
    common_names = [value for name, value in subject if name == "CN" and value]
    return CertificationRequest(
        der=der,
        pem=pem.encode(der, pem.CERTIFICATE_REQUEST),
        public_key=public_key,
        key_algorithm=key_algorithm_of(public_key),
        key_description=key_description,
        subject=subject,
        common_name=common_names[0] if common_names else None,
        sans=sans,
        unsupported=unsupported,
        other_extensions=others,
        spki_sha256=spki,
        sha256=hashlib.sha256(der).hexdigest(),
    )


def build_csr(
    key: PrivateKey, subject: x509.Name, sans: Sequence[SubjectAltName], *, repeatable: bool = False
) -> bytes:
    """A request for ``subject`` and ``sans``, signed with ``key``, in PEM.

    ``repeatable``: the same arguments give the same bytes, as far as the algorithm can (RSA does, EC by RFC 6979, ML-DSA does not).
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if sans:
        names = x509.SubjectAlternativeName(general_names(sans))
        # RFC 5280 section 4.2.1.6: critical where the subject is empty.
        builder = builder.add_extension(names, critical=not list(subject))
    fixed = repeatable and isinstance(key, ec.EllipticCurvePrivateKey)
    request = builder.sign(key, signing_hash(key), ecdsa_deterministic=True if fixed else None)
    return request.public_bytes(serialization.Encoding.PEM)


def _single_request(data: bytes, source: str) -> bytes:
    blocks = armor.scan(data, source, _KIND)
    if any(block.label and block.label.endswith("PRIVATE KEY") for block in blocks):
        raise _private_key_refused(source)
    chosen = armor.select(blocks, source, _KIND)
    if len(chosen) > 1:
        raise InputError(
            f"{source}: holds {len(chosen)} requests",
            hint="give one request per file; cert bulk takes many",
            code="csr.several",
        )
    return armor.decode(chosen[0], source, _KIND)


def _private_key_refused(source: str) -> InputError:
    return InputError(
        f"{source}: holds a private key; a request must never travel with it",
        hint="send only the request (openssl req -new -key KEY -out REQUEST); if this file left your machine, make a new key",
        code="csr.private-key",
    )


def _not_a_request(der: bytes, source: str, error: Exception) -> InputError:
    """The error for DER that is no request; says so when it is a certificate or a private key."""
    try:
        serialization.load_der_private_key(der, password=None)
    except PARSE_ERRORS:
        pass
    else:
        return _private_key_refused(source)
    try:
        with armor.quiet():
            x509.load_der_x509_certificate(der)
    except PARSE_ERRORS:
        return InputError(
            f"{source}: not a well-formed certificate signing request ({printable(str(error))[:200]})",
            code="csr.malformed",
        )
    return InputError(f"{source}: holds a certificate, not a certificate signing request", code="csr.wrong-pem-type")


def _refuse_bad_names(subject: tuple[tuple[str, str], ...], sans: tuple[SubjectAltName, ...], source: str) -> None:
    problems = [
        f"subject {name}={printable(value)}: control or invisible characters"
        for name, value in subject
        if has_unprintable(value)
    ]
    problems += [f"{san}: {problem}" for san in sans if (problem := problem_of(san))]
    if problems:
        raise PolicyDenied(
            f"{source}: the request holds names that are not acceptable: {'; '.join(problems[:10])}",
            code="csr.bad-name",
            details={"problems": problems},
        )


def _verify_possession(request: x509.CertificateSigningRequest, source: str) -> None:
    """RFC 2986 section 4.2: the request is signed with the private key that belongs to its public key."""
    try:
        valid = request.is_signature_valid
    except PARSE_ERRORS:
        # A signature that cannot be checked proves nothing.
        valid = False
    if not valid:
        raise PolicyDenied(
            f"{source}: the request's own signature does not verify, so nothing shows that its sender holds the private key",
            hint="make the request again from the key it is for; a request changed after signing fails this way too",
            code="csr.proof-of-possession",
        )
