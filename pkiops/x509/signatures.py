"""Signatures on certificates and CRLs: how they are called, and whether they verify under a key.

What this module decides: that an answer is yes or no, never an exception of a library,
and that digests broken by collisions (MD5, SHA-1) never count.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import SignatureAlgorithmOID

from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.crl_bytes import CrlParts, parts_of

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


def crl_signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate, der: bytes | None = None) -> bool:
    """Whether the signature of ``crl`` verifies under the key of ``issuer``; nothing else is looked at.

    ``der``: the bytes that ``crl`` was parsed from, if at hand; without them the library has to write it out anew, which takes a second for a
    million entries.
    """
    if has_broken_digest(crl):
        return False
    try:
        key = issuer.public_key()
        if der is not None and isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
            return _verifies(crl, key, parts_of(der))
        return crl.is_signature_valid(key)  # type: ignore[arg-type]
    except InvalidSignature:
        return False
    except PARSE_ERRORS:
        return False


def _verifies(
    crl: x509.CertificateRevocationList, key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, parts: CrlParts
) -> bool:
    """Raises InvalidSignature, or a parse error where key and algorithm are not of one kind."""
    if parts.inner_algorithm != parts.algorithm:  # RFC 5280 section 5.1.1.2
        return False
    how, algorithm = crl.signature_algorithm_parameters, crl.signature_hash_algorithm
    if algorithm is None:
        return False
    digest = hashes.Hash(algorithm)
    digest.update(parts.signed)
    hashed, prehashed = digest.finalize(), utils.Prehashed(algorithm)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(how, ec.ECDSA):
        key.verify(crl.signature, hashed, ec.ECDSA(prehashed))
    elif isinstance(key, rsa.RSAPublicKey) and isinstance(how, (padding.PKCS1v15, padding.PSS)):
        key.verify(crl.signature, hashed, how, prehashed)
    else:
        return False
    return True


def _digest(signed: Signed) -> str | None:
    try:
        algorithm = signed.signature_hash_algorithm
    except PARSE_ERRORS:
        return None
    return algorithm.name if algorithm else None
