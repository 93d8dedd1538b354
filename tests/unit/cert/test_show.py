"""Showing certificates and requests."""

from __future__ import annotations

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pkiops.cert.show import certificate_json, certificates_text, load_shown, request_json, request_text
from pkiops.errors import InputError, PolicyDenied
from pkiops.x509.certificate import pem
from pkiops.x509.csr import CertificationRequest
from tests import builders

ROOT = builders.root_ca()
LEAF = builders.end_entity(ROOT, crl_urls=("http://pki.test.example.com/a.crl",))


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_certificates_are_recognised(encoding: Encoding) -> None:
    found = load_shown(LEAF.certificate.public_bytes(encoding), "a.pem")
    assert not isinstance(found, CertificationRequest)
    assert found[0] == LEAF.certificate


@pytest.mark.parametrize("der", [False, True])
def test_requests_are_recognised(der: bool) -> None:
    data = builders.csr()
    if der:
        data = x509.load_pem_x509_csr(data).public_bytes(Encoding.DER)
    found = load_shown(data, "a.csr")
    assert isinstance(found, CertificationRequest)
    assert "orders.svc.test.example.com" in request_text(found)
    assert request_json(found)["sans"] == ["dns:orders.svc.test.example.com"]


def test_everything_that_matters_is_shown() -> None:
    text = certificates_text([LEAF.certificate, ROOT.certificate])
    for part in (
        "clientAuth",
        "dns:orders.svc.test.example.com",
        "http://pki.test.example.com/a.crl",
        "Example Test Root CA G1",
    ):
        assert part in text
    body = certificate_json(LEAF.certificate)
    assert body["extended_key_usage"] == ["clientAuth"]
    assert json.dumps(body, default=str)


def test_hostile_names_are_escaped() -> None:
    hostile = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\x1b[2Jb\u202ec")])
    certificate = builders.end_entity(ROOT, hostile).certificate
    text = certificates_text([certificate])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x1b" not in certificate_json(certificate)["subject"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x30\x03\x02\x01\x00",
        pem(LEAF.certificate)[:100],
        b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        load_shown(data, "a.pem")


def test_a_request_without_possession_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_csr(builders.csr()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    with pytest.raises((PolicyDenied, InputError)):
        load_shown(bytes(der), "a.csr")
