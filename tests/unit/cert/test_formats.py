"""What is in each format, read back with the library; programs of others read them in tests/live."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs7, pkcs12

from pkiops.cert.formats import (
    Material,
    SecretName,
    check_key_fits,
    check_passphrase,
    friendly_name,
    kubernetes_secret,
    render,
)
from pkiops.cert.output_formats import OutputFormat
from pkiops.clock import SeededRandomness
from pkiops.errors import InputError, InternalError
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.certificate import pem
from pkiops.x509.keys import generate_private_key, load_private_key, private_key_der, private_key_pem, spki_sha256
from tests import builders
from tests.jks import Entry, read_jks

ROOT = builders.root_ca()
ISSUER = builders.subordinate_ca(ROOT)
LEAF = builders.end_entity(ISSUER)
MATERIAL = Material(
    certificate=LEAF.certificate,
    chain=(ISSUER.certificate, ROOT.certificate),
    key=LEAF.key,
    passphrase=b"pass word",
    document='{"a": 1}\n',
    dated=builders.AT,
    randomness=SeededRandomness(12),
)
SENT = [LEAF.certificate, ISSUER.certificate]


def test_pem_pieces() -> None:
    leaf, issuer, key = pem(LEAF.certificate), pem(ISSUER.certificate), private_key_pem(LEAF.key)
    assert render(OutputFormat.FULLCHAIN, MATERIAL) == leaf + issuer
    assert render(OutputFormat.CERTIFICATE, MATERIAL) == leaf
    assert render(OutputFormat.CHAIN, MATERIAL) == issuer
    assert render(OutputFormat.KEY, MATERIAL) == key
    assert render(OutputFormat.COMBINED, MATERIAL) == leaf + issuer + key
    assert render(OutputFormat.JSON, MATERIAL) == b'{"a": 1}\n'


def test_der_and_pkcs7() -> None:
    assert x509.load_der_x509_certificate(render(OutputFormat.DER, MATERIAL)) == LEAF.certificate
    binary = pkcs7.load_der_pkcs7_certificates(render(OutputFormat.PKCS7, MATERIAL))
    text = pkcs7.load_pem_pkcs7_certificates(render(OutputFormat.PKCS7_PEM, MATERIAL))
    assert set(binary) == set(text) == set(SENT)


@pytest.mark.parametrize("format_", [OutputFormat.PKCS12, OutputFormat.PKCS12_LEGACY])
def test_pkcs12(format_: OutputFormat) -> None:
    data = render(format_, MATERIAL)
    found = pkcs12.load_pkcs12(data, MATERIAL.passphrase)
    assert found.key is not None
    assert found.cert is not None
    assert spki_sha256(found.key.public_key()) == spki_sha256(LEAF.key.public_key())  # type: ignore[arg-type]
    assert (found.cert.certificate, found.cert.friendly_name) == (LEAF.certificate, b"orders.svc.test.example.com")
    assert [one.certificate for one in found.additional_certs] == [ISSUER.certificate]
    with pytest.raises(ValueError, match="Invalid password"):
        pkcs12.load_pkcs12(data, b"another")


def test_jks() -> None:
    leaf = builders.end_entity(ISSUER, {"common_name": "Orders 🔑"})
    made = replace(MATERIAL, certificate=leaf.certificate, key=leaf.key, randomness=SeededRandomness(12))
    chain = tuple(one.public_bytes(Encoding.DER) for one in (leaf.certificate, ISSUER.certificate))
    salt = SeededRandomness(12).token_bytes(20)
    # in lower case: Java would not find another
    expected = Entry("orders 🔑", builders.AT, chain, private_key_der(leaf.key), salt)
    assert read_jks(render(OutputFormat.JKS, made), "pass word") == [expected]
    (again,) = read_jks(render(OutputFormat.JKS, made), "pass word")
    assert again == replace(expected, salt=again.salt)
    assert again.salt != salt


@pytest.mark.parametrize("missing", ["key", "passphrase", "dated", "randomness"])
def test_a_jks_lacks_nothing(missing: str) -> None:
    with pytest.raises(InternalError):
        render(OutputFormat.JKS, replace(MATERIAL, **{missing: None}))  # type: ignore[arg-type]


def test_the_alias_without_a_common_name() -> None:
    named = builders.end_entity(ISSUER, {"organization": "x"}, sans=("uri:spiffe://a/b", "dns:a.example.com"))
    nameless = builders.end_entity(ISSUER, {"organization": "x"}, sans=(), serial=0xAB)
    names = [friendly_name(Material(certificate=one.certificate, chain=MATERIAL.chain)) for one in (named, nameless)]
    assert names == ["spiffe://a/b", "ab"]


@pytest.mark.parametrize(("format_", "name"), [(OutputFormat.PKCS12, "PKCS#12"), (OutputFormat.JKS, "JKS")])
def test_what_a_keystore_cannot_hold_is_said_before_anything_is_issued(format_: OutputFormat, name: str) -> None:
    key = generate_private_key(KeyAlgorithm.ML_DSA_44)
    with pytest.raises(InputError, match=f"{name} cannot hold a key of ML-DSA-44"):
        check_key_fits(format_, key)
    check_key_fits(OutputFormat.COMBINED, key)
    check_key_fits(format_, LEAF.key)


@pytest.mark.parametrize("passphrase", ["pässword", "a\tb"])
def test_java_opens_ascii_only(passphrase: str) -> None:
    with pytest.raises(InputError, match="ASCII"):
        check_passphrase(passphrase.encode())
    check_passphrase(b"pass ~ word")


@pytest.mark.parametrize("word", ["key", "combined", "pkcs12", "pkcs12-legacy", "jks", "kubernetes"])
def test_no_key_is_no_output(word: str) -> None:
    bare = Material(certificate=LEAF.certificate, chain=MATERIAL.chain)
    format_ = OutputFormat(word)
    with pytest.raises(InternalError):
        kubernetes_secret(bare, SecretName("a")) if format_ is OutputFormat.KUBERNETES else render(format_, bare)


@pytest.mark.parametrize("name", ["orders-tls", "no", "1e3", "a.b-c.d"])
def test_kubernetes(name: str) -> None:
    parsed = yaml.safe_load(kubernetes_secret(MATERIAL, SecretName.parse(f"shop/{name}")))
    assert (parsed["apiVersion"], parsed["kind"], parsed["type"]) == ("v1", "Secret", "kubernetes.io/tls")
    assert parsed["metadata"]["name"] == name
    assert parsed["metadata"]["namespace"] == "shop"
    data = {key: base64.b64decode(value, validate=True) for key, value in parsed["data"].items()}
    assert data == {
        "tls.crt": render(OutputFormat.FULLCHAIN, MATERIAL),
        "tls.key": private_key_pem(LEAF.key),
        "ca.crt": pem(ROOT.certificate),
    }
    assert "namespace" not in yaml.safe_load(kubernetes_secret(MATERIAL, SecretName(name)))["metadata"]


@pytest.mark.parametrize("text", ["", "A", "a_b", "a/b/c", "/a", "a/", "-a", "a..b", "a\n", "x" * 254, "n.s/a", "é"])
def test_what_kubernetes_would_not_take(text: str) -> None:
    with pytest.raises(InputError) as caught:
        SecretName.parse(text)
    assert caught.value.code == "output.secret-name"


def test_nothing_shows_a_key_or_a_passphrase() -> None:
    assert "pass word" not in repr(MATERIAL)
    assert "PrivateKey" not in repr(MATERIAL)


def test_an_encrypted_key_needs_its_passphrase() -> None:
    data = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"right"))
    key = load_private_key(data, "a.key", b"right")
    assert spki_sha256(key.public_key()) == spki_sha256(LEAF.key.public_key())
    for passphrase, code in ((None, "key.encrypted"), (b"wrong", "key.passphrase")):
        with pytest.raises(InputError) as caught:
            load_private_key(data, "a.key", passphrase)
        assert caught.value.code == code
    plain = load_private_key(private_key_pem(LEAF.key), "a.key", b"not needed")
    assert spki_sha256(plain.public_key()) == spki_sha256(LEAF.key.public_key())
