"""Public and private keys.

What this module decides: which keys have a name here, how a key is described to a person, and which well-formed keys are known to be weak. Keys
are cryptography objects and are never printed; a private key leaves as PKCS#8 only where a caller writes it to a file.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias, cast

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificatePublicKeyTypes,
)

from pkiops.errors import InputError
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.armor import PARSE_ERRORS, Kind, decode, scan, select

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # cryptography before ML-DSA
    mldsa = None  # type: ignore[assignment]

PrivateKey: TypeAlias = CertificateIssuerPrivateKeyTypes
PublicKey: TypeAlias = CertificatePublicKeyTypes

SigningHash: TypeAlias = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

PUBLIC_EXPONENT = 65_537
_MAX_KEY_BYTES = 65_536
_PRIVATE_KEY = Kind(
    code="key",
    title="private key",
    labels=frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"}),
    max_bytes=_MAX_KEY_BYTES,
)
_SIGNING_KEYS = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)
_RSA_SIZES = {2048: KeyAlgorithm.RSA_2048, 3072: KeyAlgorithm.RSA_3072, 4096: KeyAlgorithm.RSA_4096}
_CURVES: dict[str, tuple[KeyAlgorithm, type[ec.EllipticCurve], type[SigningHash]]] = {
    "secp256r1": (KeyAlgorithm.EC_prime256v1, ec.SECP256R1, hashes.SHA256),
    "secp384r1": (KeyAlgorithm.EC_secp384r1, ec.SECP384R1, hashes.SHA384),
    "secp521r1": (KeyAlgorithm.EC_secp521r1, ec.SECP521R1, hashes.SHA512),
}


def generate_private_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """A new private key: RSA with exponent 65537, EC on the named curve, ML-DSA where the library has it.

    Raises:
        InputError: code ``key.unsupported``, this version of cryptography cannot make such a key.
    """
    if algorithm.value.startswith("RSA_"):
        return rsa.generate_private_key(PUBLIC_EXPONENT, int(algorithm.value.removeprefix("RSA_")))
    for name, curve, _ in _CURVES.values():
        if name is algorithm:
            return ec.generate_private_key(curve())
    if mldsa is not None:
        if algorithm is KeyAlgorithm.ML_DSA_44:
            return mldsa.MLDSA44PrivateKey.generate()
        if algorithm is KeyAlgorithm.ML_DSA_65:
            return mldsa.MLDSA65PrivateKey.generate()
        return mldsa.MLDSA87PrivateKey.generate()
    raise InputError(
        f"the installed cryptography cannot make {algorithm.value} keys", hint="upgrade it", code="key.unsupported"
    )


def key_algorithm_of(public_key: object) -> KeyAlgorithm | None:
    """The name AWS Private CA gives to such a key; None for a type, size or curve without one."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return _RSA_SIZES.get(public_key.key_size)
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        known = _CURVES.get(public_key.curve.name)
        return known[0] if known else None
    if mldsa is not None:
        if isinstance(public_key, mldsa.MLDSA44PublicKey):
            return KeyAlgorithm.ML_DSA_44
        if isinstance(public_key, mldsa.MLDSA65PublicKey):
            return KeyAlgorithm.ML_DSA_65
        if isinstance(public_key, mldsa.MLDSA87PublicKey):
            return KeyAlgorithm.ML_DSA_87
    return None


def describe_key(public_key: object) -> str:
    """``RSA 1024``, ``EC secp256k1``, ``Ed25519``, ``ML-DSA-65``."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA {public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        name = public_key.curve.name
        return f"EC {'prime256v1' if name == 'secp256r1' else name}"
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    if isinstance(public_key, ed448.Ed448PublicKey):
        return "Ed448"
    algorithm = key_algorithm_of(public_key)
    if algorithm:
        return algorithm.value.replace("_", "-")
    return type(public_key).__name__.removesuffix("PublicKey")


def signing_hash(key: PrivateKey) -> SigningHash | None:
    """The digest to sign with: SHA-256 for RSA, the curve's partner for EC, None where the algorithm brings its own."""
    if isinstance(key, rsa.RSAPrivateKey):
        return hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        known = _CURVES.get(key.curve.name)
        return known[2]() if known else hashes.SHA256()
    return None


def private_key_pem(key: PrivateKey, passphrase: bytes | None = None) -> bytes:
    """The key as PKCS#8 (RFC 5958) in PEM, encrypted where there is a passphrase: PBES2 with AES-256-CBC (RFC 8018 section 6.2)."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def private_key_der(key: PrivateKey) -> bytes:
    """The key as PKCS#8 (RFC 5958) in DER, unencrypted."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_private_key(data: bytes, source: str, passphrase: bytes | None = None) -> PrivateKey:
    """Read one private key in PEM (PKCS#8 or the older RSA and EC forms) or DER; an encrypted one must be PKCS#8 (RFC 5958 section 3).

    Raises:
        InputError: code ``key.too-big``, ``key.not-pem``, ``key.wrong-pem-type``, ``key.encrypted``, ``key.passphrase``, ``key.malformed`` or
            ``key.unsupported``.
    """
    block = select(scan(data, source, _PRIVATE_KEY), source, _PRIVATE_KEY)[0]
    encrypted = block.label == "ENCRYPTED PRIVATE KEY"
    if (encrypted and passphrase is None) or b"ENCRYPTED" in block.body[:200]:
        raise InputError(
            f"{source}: the private key is encrypted",
            hint="decrypt it first (openssl pkey -in FILE -out FILE), or keep it and use the program that holds its passphrase",
            code="key.encrypted",
        )
    try:
        # a passphrase for a key that has none is an error of the library's, and none of the caller's
        password = passphrase if encrypted else None
        key = serialization.load_der_private_key(decode(block, source, _PRIVATE_KEY), password=password)
    except PARSE_ERRORS as error:
        if encrypted:
            raise InputError(
                f"{source}: the private key cannot be read with this passphrase", code="key.passphrase"
            ) from error
        raise InputError(f"{source}: the private key cannot be read", code="key.malformed") from error
    if isinstance(key, _SIGNING_KEYS) or key_algorithm_of(key.public_key()):
        return cast("PrivateKey", key)
    raise InputError(f"{source}: a {type(key).__name__} cannot sign a request", code="key.unsupported")


def spki_der(public_key: PublicKey) -> bytes:
    """The SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in DER."""
    return public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def spki_sha256(public_key: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, lower-case hexadecimal: the identity of a key pair."""
    return hashlib.sha256(spki_der(public_key)).hexdigest()
