"""Certificates: what is read, what is shown, and what is refused."""

from __future__ import annotations

import warnings
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pkiops.errors import InputError, PkiopsError
from pkiops.x509.certificate import (
    fingerprint,
    load_certificate,
    load_certificates,
    parse_serial,
    pem,
    serial_hex,
    view,
)
from pkiops.x509.san import SanKind, SubjectAltName
from tests.builders import AT, Extra, crl, csr, end_entity, key, root_ca, subordinate_ca
from tests.seeded import seeded

ROOT = root_ca(path_length=1)
CLIENTS = subordinate_ca(ROOT)
LEAF = end_entity(
    CLIENTS,
    sans=("dns:a.example", "uri:spiffe://example.com/ns/a/sa/b"),
    crl_urls=("http://pki.example.com/crl/a.crl",),
    extra=[
        Extra(
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(
                        x509.oid.AuthorityInformationAccessOID.OCSP,
                        x509.UniformResourceIdentifier("http://ocsp.example.com"),
                    )
                ]
            )
        )
    ],
)


def test_view_of_an_end_entity() -> None:
    seen = view(LEAF.certificate)
    assert seen.subject == "CN=orders.svc.test.example.com,O=Example Ltd"
    assert seen.issuer == "CN=Example Test Clients CA G1,O=Example Ltd"
    assert seen.subject_attributes == (("O", "Example Ltd"), ("CN", "orders.svc.test.example.com"))
    assert int(seen.serial, 16) == LEAF.serial
    assert (seen.not_before, seen.not_after) == (AT - timedelta(days=1), AT + timedelta(days=30))
    assert (seen.key_algorithm, seen.signature_algorithm) == ("EC prime256v1", "SHA256WITHECDSA")
    assert seen.sans == (
        SubjectAltName(SanKind.DNS, "a.example"),
        SubjectAltName(SanKind.URI, "spiffe://example.com/ns/a/sa/b"),
    )
    assert (seen.key_usage, seen.extended_key_usage) == (("digitalSignature",), ("clientAuth",))
    assert (seen.is_ca, seen.path_length) == (False, None)
    assert seen.crl_urls == ("http://pki.example.com/crl/a.crl",)
    assert seen.ocsp_urls == ("http://ocsp.example.com",)
    assert seen.authority_key_identifier == view(CLIENTS.certificate).subject_key_identifier
    assert seen.sha256 == fingerprint(LEAF.certificate)


def test_view_of_a_ca() -> None:
    seen = view(ROOT.certificate)
    assert (seen.is_ca, seen.path_length) == (True, 1)
    assert seen.key_usage == ("digitalSignature", "keyCertSign", "cRLSign")
    assert (seen.extended_key_usage, seen.sans, seen.crl_urls, seen.ocsp_urls) == ((), (), (), ())
    assert seen.authority_key_identifier is None


def test_unknown_usages_keep_their_number() -> None:
    assert view(end_entity(CLIENTS, usage=("clientAuth", "1.2.3.4")).certificate).extended_key_usage == (
        "clientAuth",
        "1.2.3.4",
    )


def test_pss_is_named_as_the_service_names_it() -> None:
    private_key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(1)
        .not_valid_before(AT)
        .not_valid_after(AT)
        .sign(private_key, hashes.SHA384(), rsa_padding=padding.PSS(padding.MGF1(hashes.SHA384()), 48))
    )
    assert view(certificate).signature_algorithm == "SHA384WITHRSA_PSS"
    assert view(certificate).key_algorithm == "RSA 2048"


def test_odd_certificates_are_shown_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        country = x509.NameAttribute(NameOID.COUNTRY_NAME, "GBR", _validate=False)
        odd = x509.NameAttribute(NameOID.COMMON_NAME, "a\x1b[2J", _validate=False)
        encoded = pem(end_entity(CLIENTS, x509.Name([country, odd])).certificate)
    seen = view(load_certificate(encoded, "a.pem"))
    assert seen.subject == r"CN=a\1b[2J,C=GBR"
    assert seen.subject_attributes == (("C", "GBR"), ("CN", r"a\1b[2J"))


def test_reads_bundles_as_people_make_them() -> None:
    first, second = pem(LEAF.certificate), pem(CLIENTS.certificate)
    for data in (
        first + second,
        first.rstrip(b"\n") + second,
        b"subject=/CN=a\n" + first + b"\n\ntext\n" + second,
        (first + second).replace(b"\n", b"\r\n"),
        first + b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n" + second,
    ):
        assert load_certificates(data, "bundle.pem") == (LEAF.certificate, CLIENTS.certificate)
        assert load_certificate(data, "bundle.pem") == LEAF.certificate
    der = LEAF.certificate.public_bytes(serialization.Encoding.DER)
    assert load_certificates(der, "a.der") == (LEAF.certificate,)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "certificate.not-pem"),
        (csr(), "certificate.wrong-pem-type"),
        (pem(LEAF.certificate)[:200], "certificate.truncated"),
        (pem(LEAF.certificate) + pem(CLIENTS.certificate)[:200], "certificate.truncated"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "certificate.malformed"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END X509 CRL-----\n", "certificate.malformed"),
        (bytes(17 * 1024 * 1024), "certificate.too-big"),
    ],
)
def test_one_clear_error_for_what_is_no_certificate(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        load_certificates(data, "a.pem")
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["0a:bc", "0A BC", "abc", "0xABC", "00000abc", " 0a:bc\n"])
def test_serial_numbers_are_read_in_every_spelling(text: str) -> None:
    assert parse_serial(text) == 0xABC


@pytest.mark.parametrize("text", ["", "0", "xyz", "0x", "-1", "\u0661", "a" * 129, "12,34"])
def test_what_is_no_serial_number_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_serial(text)
    assert caught.value.code == "certificate.serial"


@seeded(100)
@given(st.integers(min_value=1, max_value=2**160))
def test_serial_numbers_survive_the_round_trip(number: int) -> None:
    assert parse_serial(serial_hex(number)) == number


@seeded(200)
@given(st.data())
def test_a_changed_certificate_is_shown_or_refused(data: st.DataObject) -> None:
    mutated = bytearray(LEAF.certificate.public_bytes(serialization.Encoding.DER))
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        certificate = load_certificate(bytes(mutated), "a.der")
    except PkiopsError:
        return
    assert view(certificate).subject.isprintable()


def test_a_crl_and_a_key_are_no_certificates() -> None:
    with pytest.raises(InputError) as caught:
        load_certificate(crl(ROOT).public_bytes(serialization.Encoding.PEM), "a.pem")
    assert "X509 CRL" in caught.value.message
    assert view(end_entity(CLIENTS, private_key=key()).certificate).spki_sha256
