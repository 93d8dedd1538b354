"""Key and signing algorithms by the names AWS Private CA gives them.

What this module decides: which names exist, which signing algorithms fit a key, and which one is used unless a file says
otherwise. It imports nothing heavy, so that environment files are checked without loading cryptography.

Source: enumerations of CreateCertificateAuthority; digest and curve are paired because regions outside the legacy ones insist.
"""

from __future__ import annotations

from enum import StrEnum


class KeyAlgorithm(StrEnum):
    """KeyAlgorithm of CreateCertificateAuthority (SM2, which only the China regions offer, is left out)."""

    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"
    EC_prime256v1 = "EC_prime256v1"
    EC_secp384r1 = "EC_secp384r1"
    EC_secp521r1 = "EC_secp521r1"
    ML_DSA_44 = "ML_DSA_44"
    ML_DSA_65 = "ML_DSA_65"
    ML_DSA_87 = "ML_DSA_87"


class SigningAlgorithm(StrEnum):
    """SigningAlgorithm of CreateCertificateAuthority and IssueCertificate."""

    SHA256WITHRSA = "SHA256WITHRSA"
    SHA384WITHRSA = "SHA384WITHRSA"
    SHA512WITHRSA = "SHA512WITHRSA"
    SHA256WITHRSA_PSS = "SHA256WITHRSA_PSS"
    SHA384WITHRSA_PSS = "SHA384WITHRSA_PSS"
    SHA512WITHRSA_PSS = "SHA512WITHRSA_PSS"
    SHA256WITHECDSA = "SHA256WITHECDSA"
    SHA384WITHECDSA = "SHA384WITHECDSA"
    SHA512WITHECDSA = "SHA512WITHECDSA"
    ML_DSA_44 = "ML_DSA_44"
    ML_DSA_65 = "ML_DSA_65"
    ML_DSA_87 = "ML_DSA_87"


_RSA = tuple(s for s in SigningAlgorithm if "WITHRSA" in s.value)

# The first of each row is the default.
_SIGNING: dict[KeyAlgorithm, tuple[SigningAlgorithm, ...]] = {
    KeyAlgorithm.RSA_2048: _RSA,
    KeyAlgorithm.RSA_3072: _RSA,
    KeyAlgorithm.RSA_4096: _RSA,
    KeyAlgorithm.EC_prime256v1: (SigningAlgorithm.SHA256WITHECDSA,),
    KeyAlgorithm.EC_secp384r1: (SigningAlgorithm.SHA384WITHECDSA,),
    KeyAlgorithm.EC_secp521r1: (SigningAlgorithm.SHA512WITHECDSA,),
    KeyAlgorithm.ML_DSA_44: (SigningAlgorithm.ML_DSA_44,),
    KeyAlgorithm.ML_DSA_65: (SigningAlgorithm.ML_DSA_65,),
    KeyAlgorithm.ML_DSA_87: (SigningAlgorithm.ML_DSA_87,),
}


def signing_algorithms(key_algorithm: KeyAlgorithm) -> tuple[SigningAlgorithm, ...]:
    """The signing algorithms a key can use, the default first."""
    return _SIGNING[key_algorithm]


def default_signing_algorithm(key_algorithm: KeyAlgorithm) -> SigningAlgorithm:
    """The signing algorithm used with a key unless a file names another."""
    return _SIGNING[key_algorithm][0]
