"""Signatures on certificates and CRLs: how they are called, and whether they verify under a key.

What this module decides: that an answer is yes or no, never an exception of a library,
and that digests broken by collisions (MD5, SHA-1) never count.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import SignatureAlgorithmOID

from pkiops.x509.armor import PARSE_ERRORS

_NAMES = {
    SignatureAlgorithmOID.RSA_WITH_SHA256: "SHA256WITHRSA",
    SignatureAlgorithmOID.RSA_WITH_SHA384: "SHA384WITHRSA",
    SignatureAlgorithmOID.RSA_WITH_SHA512: "SHA512WITHRSA",
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "SHA256WITHECDSA",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: "SHA384WITHECDSA",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: "SHA512WITHECDSA",
    SignatureAlgorithmOID.ED25519: "Ed25519",
    SignatureAlgorithmOID.ED448: "Ed448",
    x509.ObjectIdentifier("2.16.840.1.101.3.4.3.17"): "ML_DSA_44",
    x509.ObjectIdentifier("2.16.840.1.101.3.4.3.18"): "ML_DSA_65",
    x509.ObjectIdentifier("2.16.840.1.101.3.4.3.19"): "ML_DSA_87",
}
_BROKEN_DIGESTS = frozenset({"md5", "sha1"})

Signed = x509.Certificate | x509.CertificateRevocationList


def signature_name(signed: Signed) -> str:
    """The algorithm as SigningAlgorithm of AWS Private CA spells it (``SHA256WITHRSA_PSS``); the dotted OID of one without a name there."""
    oid = signed.signature_algorithm_oid
    if oid == SignatureAlgorithmOID.RSASSA_PSS:
        digest = _digest(signed)
        return f"{digest.upper()}WITHRSA_PSS" if digest else oid.dotted_string
    return _NAMES.get(oid, oid.dotted_string)


def has_broken_digest(signed: Signed) -> bool:
    """Whether it is signed with a digest that no longer stops forgers."""
    return _digest(signed) in _BROKEN_DIGESTS


def certificate_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the signature of ``certificate`` verifies under the key of ``issuer`` and the names match; nothing else is looked at."""
    if has_broken_digest(certificate):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except PARSE_ERRORS:
        return False
    return True


def crl_signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether the signature of ``crl`` verifies under the key of ``issuer``; nothing else is looked at."""
    if has_broken_digest(crl):
        return False
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except InvalidSignature:
        return False
    except PARSE_ERRORS:
        return False


def _digest(signed: Signed) -> str | None:
    try:
        algorithm = signed.signature_hash_algorithm
    except PARSE_ERRORS:
        return None
    return algorithm.name if algorithm else None
