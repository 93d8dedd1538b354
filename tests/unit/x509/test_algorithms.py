"""Which signing algorithms fit which key."""

from __future__ import annotations

import pytest

from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm, default_signing_algorithm, signing_algorithms


@pytest.mark.parametrize("key", list(KeyAlgorithm))
def test_every_key_can_sign_and_its_default_comes_first(key: KeyAlgorithm) -> None:
    fitting = signing_algorithms(key)
    assert fitting
    assert default_signing_algorithm(key) is fitting[0]
    assert len(set(fitting)) == len(fitting)


def test_every_signing_algorithm_fits_some_key() -> None:
    assert {signing for key in KeyAlgorithm for signing in signing_algorithms(key)} == set(SigningAlgorithm)


@pytest.mark.parametrize(
    ("key", "signing"),
    [
        (KeyAlgorithm.EC_prime256v1, SigningAlgorithm.SHA256WITHECDSA),
        (KeyAlgorithm.EC_secp384r1, SigningAlgorithm.SHA384WITHECDSA),
        (KeyAlgorithm.EC_secp521r1, SigningAlgorithm.SHA512WITHECDSA),
        (KeyAlgorithm.RSA_2048, SigningAlgorithm.SHA256WITHRSA),
        (KeyAlgorithm.ML_DSA_65, SigningAlgorithm.ML_DSA_65),
    ],
)
def test_defaults(key: KeyAlgorithm, signing: SigningAlgorithm) -> None:
    assert default_signing_algorithm(key) is signing


def test_a_family_never_signs_with_another() -> None:
    for key in KeyAlgorithm:
        for signing in signing_algorithms(key):
            family = "RSA" if "RSA" in signing.value else "EC" if "ECDSA" in signing.value else "ML"
            assert key.value.startswith(family)
