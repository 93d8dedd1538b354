"""CA keys: which algorithms exist, how a key is made, and which signing algorithms belong to it.

What this module decides: the pairs of ``KeyAlgorithm`` and ``SigningAlgorithm`` of the service, and how a signature is
made with each. SM2 exists in China Regions only and is not implemented.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from pkiops.sandbox.engine.errors import invalid_args, not_implemented

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # cryptography before 47
    mldsa = None  # type: ignore[assignment]

PrivateKey: TypeAlias = Any  # one of cryptography's private keys; ML-DSA is missing from older unions
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
_RSA = tuple(f"{digest}WITHRSA{suffix}" for suffix in ("", "_PSS") for digest in _HASHES)
_EC = tuple(f"{digest}WITHECDSA" for digest in _HASHES)
SIGNING_ALGORITHMS: dict[str, tuple[str, ...]] = {
    "RSA_2048": _RSA,
    "RSA_3072": _RSA,
    "RSA_4096": _RSA,
    "EC_prime256v1": _EC,
    "EC_secp384r1": _EC,
    "EC_secp521r1": _EC,
    "ML_DSA_44": ("ML_DSA_44",),
    "ML_DSA_65": ("ML_DSA_65",),
    "ML_DSA_87": ("ML_DSA_87",),
}


_RSA_OID, _ECDSA_OID = "06092a864886f70d0101", "06082a8648ce3d0403"
_PSS_PARAMETERS = (
    "304106092a864886f70d01010a3034a00f300d06096086480165030402{0}0500"
    "a11c301a06092a864886f70d010108300d06096086480165030402{0}0500a2030201{1}"
)
# AlgorithmIdentifier of each signing algorithm (RFC 4055, 5758, 9881), DER in hexadecimal
_IDENTIFIERS = {
    "SHA256WITHRSA": f"300d{_RSA_OID}0b0500",
    "SHA384WITHRSA": f"300d{_RSA_OID}0c0500",
    "SHA512WITHRSA": f"300d{_RSA_OID}0d0500",
    "SHA256WITHRSA_PSS": _PSS_PARAMETERS.format("01", "20"),
    "SHA384WITHRSA_PSS": _PSS_PARAMETERS.format("02", "30"),
    "SHA512WITHRSA_PSS": _PSS_PARAMETERS.format("03", "40"),
    "SHA256WITHECDSA": f"300a{_ECDSA_OID}02",
    "SHA384WITHECDSA": f"300a{_ECDSA_OID}03",
    "SHA512WITHECDSA": f"300a{_ECDSA_OID}04",
    "ML_DSA_44": "300b0609608648016503040311",
    "ML_DSA_65": "300b0609608648016503040312",
    "ML_DSA_87": "300b0609608648016503040313",
}


@dataclass(frozen=True, slots=True)
class Signer:
    """A CA key together with the algorithm asked for."""

    name: str
    key: PrivateKey
    digest: hashes.HashAlgorithm | None
    rsa_padding: padding.PSS | padding.PKCS1v15 | None

    def certificate(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """The signed certificate."""
        return builder.sign(self.key, self.digest, rsa_padding=self.rsa_padding)  # type: ignore[arg-type]

    def crl(self, builder: x509.CertificateRevocationListBuilder) -> x509.CertificateRevocationList:
        """The signed CRL."""
        return builder.sign(self.key, self.digest, rsa_padding=self.rsa_padding)  # type: ignore[arg-type]

    def csr(self, builder: x509.CertificateSigningRequestBuilder) -> x509.CertificateSigningRequest:
        """The signed request."""
        return builder.sign(self.key, self.digest, rsa_padding=self.rsa_padding)  # type: ignore[arg-type]

    def raw(self, data: bytes) -> tuple[bytes, bytes]:
        """The AlgorithmIdentifier (DER) and the signature of ``data``."""
        identifier = bytes.fromhex(_IDENTIFIERS[self.name])
        if self.digest is None:
            return identifier, self.key.sign(data)
        if self.rsa_padding is not None:
            return identifier, self.key.sign(data, self.rsa_padding, self.digest)
        return identifier, self.key.sign(data, ec.ECDSA(self.digest))


def generate(key_algorithm: str) -> PrivateKey:
    """A new private key.

    Raises:
        ServiceError: the algorithm is one the sandbox cannot do here.
    """
    makers: dict[str, Callable[[], PrivateKey]] = {
        "RSA_2048": lambda: rsa.generate_private_key(65537, 2048),
        "RSA_3072": lambda: rsa.generate_private_key(65537, 3072),
        "RSA_4096": lambda: rsa.generate_private_key(65537, 4096),
        "EC_prime256v1": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EC_secp384r1": lambda: ec.generate_private_key(ec.SECP384R1()),
        "EC_secp521r1": lambda: ec.generate_private_key(ec.SECP521R1()),
    }
    if mldsa is not None:
        makers["ML_DSA_44"] = mldsa.MLDSA44PrivateKey.generate
        makers["ML_DSA_65"] = mldsa.MLDSA65PrivateKey.generate
        makers["ML_DSA_87"] = mldsa.MLDSA87PrivateKey.generate
    if key_algorithm not in makers:
        raise not_implemented(f"the key algorithm {key_algorithm}")
    return makers[key_algorithm]()


def signer(key: PrivateKey, key_algorithm: str, signing_algorithm: str) -> Signer:
    """The signer for one signature.

    Raises:
        ServiceError: ``InvalidArgsException``, the algorithm is not of the key's family.
    """
    require_family(key_algorithm, signing_algorithm)
    if signing_algorithm.startswith("ML_DSA"):
        return Signer(signing_algorithm, key, None, None)
    digest = _HASHES[signing_algorithm.partition("WITH")[0]]
    if signing_algorithm.endswith("_PSS"):
        return Signer(signing_algorithm, key, digest, padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH))
    return Signer(signing_algorithm, key, digest, padding.PKCS1v15() if "WITHRSA" in signing_algorithm else None)


def require_family(key_algorithm: str, signing_algorithm: str) -> None:
    """Refuse a signing algorithm of another family than the key's.

    Raises:
        ServiceError: ``InvalidArgsException``.
    """
    valid = SIGNING_ALGORITHMS.get(key_algorithm)
    if valid is None:
        raise not_implemented(f"the key algorithm {key_algorithm}")
    if signing_algorithm not in valid:
        raise invalid_args(
            f"Signing algorithm {signing_algorithm} cannot be used with key type {key_algorithm}. "
            f"Valid signing algorithms are: {', '.join(valid)}"
        )
