"""Keys: their names, their files, and the weaknesses that are found."""

from __future__ import annotations

from math import gcd, prod

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from pkiops.errors import InputError
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.keys import (
    describe_key,
    generate_private_key,
    key_algorithm_of,
    load_private_key,
    private_key_pem,
    signing_hash,
    spki_sha256,
)
from pkiops.x509.weak_keys import weakness_of

QUICK = [a for a in KeyAlgorithm if a not in {KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096}]
PRIMES = [n for n in range(2, 752) if all(n % d for d in range(2, int(n**0.5) + 1))]


@pytest.mark.parametrize("algorithm", QUICK)
def test_a_key_is_made_named_written_and_read(algorithm: KeyAlgorithm) -> None:
    key = generate_private_key(algorithm)
    assert key_algorithm_of(key.public_key()) is algorithm
    written = private_key_pem(key)
    assert written.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    again = load_private_key(written, "key.pem")
    assert spki_sha256(again.public_key()) == spki_sha256(key.public_key())
    assert weakness_of(key.public_key()) is None


def test_keys_without_a_name_are_described() -> None:
    small = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - weak on purpose
    koblitz = ec.generate_private_key(ec.SECP256K1())
    assert (key_algorithm_of(small), describe_key(small)) == (None, "RSA 1024")
    assert (key_algorithm_of(koblitz.public_key()), describe_key(koblitz.public_key())) == (None, "EC secp256k1")
    assert describe_key(ed25519.Ed25519PrivateKey.generate().public_key()) == "Ed25519"
    assert describe_key(ec.generate_private_key(ec.SECP256R1()).public_key()) == "EC prime256v1"
    assert describe_key(x25519.X25519PrivateKey.generate().public_key()) == "X25519"
    assert key_algorithm_of("no key") is None
    digest = signing_hash(koblitz)
    assert digest is not None
    assert digest.name == "sha256"


def test_older_forms_and_text_around_are_read() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    sec1 = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    parameters = b"-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for data in (sec1, parameters + sec1, b"comment\r\n" + sec1.replace(b"\n", b"\r\n"), der):
        assert spki_sha256(load_private_key(data, "key").public_key()) == spki_sha256(key.public_key())


def _encrypted(form: serialization.PrivateFormat) -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_encrypted(serialization.PrivateFormat.PKCS8), "key.encrypted"),
        (_encrypted(serialization.PrivateFormat.TraditionalOpenSSL), "key.encrypted"),
        (b"", "key.not-pem"),
        (b"hello", "key.not-pem"),
        (b"x" * 70_000, "key.too-big"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "key.wrong-pem-type"),
        (b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "key.malformed"),
        (b"-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----\n", "key.truncated"),
    ],
)
def test_one_clear_error_for_what_is_no_usable_key(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        load_private_key(data, "key.pem")
    assert caught.value.code == code
    assert caught.value.exit_code == 2


def test_a_key_that_cannot_sign_is_refused() -> None:
    data = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(InputError) as caught:
        load_private_key(data, "key.pem")
    assert caught.value.code == "key.unsupported"


def _public(modulus: int, exponent: int = 65537) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _coprime_from(start: int) -> int:
    candidate = start | 1
    while gcd(candidate, prod(PRIMES)) != 1:
        candidate += 2
    return candidate


def test_finds_small_factors_close_factors_and_exponents() -> None:
    factor = _coprime_from(3 << 1022)
    close = factor * _coprime_from(factor + 1000)
    far = factor * _coprime_from(5 << 1021)
    assert weakness_of(_public(far)) is None
    assert "Fermat" in str(weakness_of(_public(close)))
    assert "small factor" in str(weakness_of(_public(751 * _coprime_from(1 << 2040))))
    assert "exponent 3" in str(weakness_of(_public(far, 3)))


def test_finds_keys_of_the_flawed_chip() -> None:
    modulus_of_primes = prod(p for p in PRIMES if p <= 167)
    base = pow(65537, 123_457, modulus_of_primes)
    multiple = 1 << 1830
    while gcd(base + multiple * modulus_of_primes, prod(PRIMES)) != 1:
        multiple += 1
    assert "ROCA" in str(weakness_of(_public(base + multiple * modulus_of_primes)))
