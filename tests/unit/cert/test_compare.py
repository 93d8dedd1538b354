"""Every field that a CA could get wrong is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from pkiops.backends.interface import ExpectedCertificate
from pkiops.cert.compare import differences
from pkiops.policy.findings import Intent
from pkiops.policy.rules import Usage
from pkiops.x509.keys import spki_der
from pkiops.x509.san import parse_san
from tests import builders
from tests.builders import AT, Extra, Issued

ROOT = builders.root_ca()
ISSUER = builders.subordinate_ca(ROOT)
OTHER = builders.subordinate_ca(ROOT, "Example Other CA G1")
KEY = builders.key()
NAME = "orders.svc.test.example.com"
URL = "http://pki.test.example.com/crl/clients.crl"
INTENT = Intent(
    subject=(("organization", "Example Ltd"), ("common_name", NAME)),
    sans=(parse_san(f"dns:{NAME}"), parse_san("uri:spiffe://test.example.com/ns/a/sa/b")),
    usage=(Usage.CLIENT_AUTH,),
    not_before=AT,
    not_after=AT + timedelta(days=30),
    public_key_spki=spki_der(KEY.public_key()),
)
EXPECTED = ExpectedCertificate(
    template="t",
    subject=dict(INTENT.subject),
    sans=INTENT.sans,
    key_usage=("digitalSignature",),
    extended_key_usage=("clientAuth",),
    is_ca=False,
    path_length=None,
    crl_url=URL,
    not_before=INTENT.not_before,
    not_after=INTENT.not_after,
)


def leaf(issuer: Issued = ISSUER, **changes: object) -> x509.Certificate:
    settings: dict[str, object] = {
        "subject": dict(INTENT.subject),
        "private_key": KEY,
        "sans": (f"dns:{NAME}", "uri:spiffe://test.example.com/ns/a/sa/b"),
        "not_before": INTENT.not_before,
        "not_after": INTENT.not_after,
        "crl_urls": (URL,),
        **changes,
    }
    return builders.end_entity(issuer, **settings).certificate  # type: ignore[arg-type]


def fields(
    certificate: x509.Certificate,
    expected: ExpectedCertificate = EXPECTED,
    intent: Intent = INTENT,
    *,
    ocsp: bool = False,
) -> set[str]:
    return {one.field for one in differences(certificate, intent, expected, ISSUER.certificate, ocsp=ocsp)}


def test_what_was_asked_for_has_no_difference() -> None:
    assert differences(leaf(), INTENT, EXPECTED, ISSUER.certificate, ocsp=False) == ()


AIA = Extra(
    x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                x509.oid.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example")
            )
        ]
    )
)
TAMPERED: dict[str, tuple[Callable[[], x509.Certificate], set[str]]] = {
    "subject": (lambda: leaf(subject={"organization": "Example Ltd", "common_name": "other"}), {"subject"}),
    "subject lacks": (lambda: leaf(subject={"common_name": NAME}), {"subject"}),
    "one name more": (lambda: leaf(sans=(f"dns:{NAME}", "uri:spiffe://test.example.com/ns/a/sa/b", "dns:b")), {"sans"}),
    "one name less": (lambda: leaf(sans=(f"dns:{NAME}",)), {"sans"}),
    "no names": (lambda: leaf(sans=()), {"sans"}),
    "key": (lambda: leaf(private_key=builders.key()), {"public_key"}),
    "starts a second later": (lambda: leaf(not_before=AT + timedelta(seconds=1)), {"not_before"}),
    "ends a second later": (lambda: leaf(not_after=INTENT.not_after + timedelta(seconds=1)), {"not_after"}),
    "more usages": (lambda: leaf(usage=("clientAuth", "serverAuth")), {"extended_key_usage"}),
    "another usage": (lambda: leaf(usage=("serverAuth",)), {"extended_key_usage"}),
    "any usage": (lambda: leaf(usage=("clientAuth", "2.5.29.37.0")), {"extended_key_usage"}),
    "no usage": (lambda: leaf(usage=()), {"extended_key_usage"}),
    "no key usage": (lambda: leaf(without=(x509.KeyUsage,)), {"key_usage"}),
    "signs certificates": (
        lambda: leaf(extra=(Extra(builders._key_usage(digital_signature=True, key_cert_sign=True), critical=True),)),
        {"key_usage"},
    ),
    "is a CA": (
        lambda: leaf(extra=(Extra(x509.BasicConstraints(ca=True, path_length=0), critical=True),)),
        {"is_ca", "path_length"},
    ),
    "another issuer": (lambda: leaf(OTHER), {"issuer", "signature", "authority_key_identifier"}),
    "another signer": (lambda: leaf(signer=builders.key()), {"signature"}),
    "no subject key identifier": (lambda: leaf(without=(x509.SubjectKeyIdentifier,)), {"subject_key_identifier"}),
    "no authority key identifier": (lambda: leaf(without=(x509.AuthorityKeyIdentifier,)), {"authority_key_identifier"}),
    "another distribution point": (lambda: leaf(crl_urls=("http://evil.example/a.crl",)), {"crl_url"}),
    "no distribution point": (lambda: leaf(crl_urls=()), {"crl_url"}),
    "an extension nobody asked for": (
        lambda: leaf(extra=(Extra(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")),)),
        {"other_extensions"},
    ),
    "an OCSP responder nobody announced": (lambda: leaf(extra=(AIA,)), {"other_extensions"}),
    "a name of another kind": (
        lambda: leaf(
            extra=(
                Extra(
                    x509.SubjectAlternativeName(
                        [
                            x509.DNSName(NAME),
                            x509.UniformResourceIdentifier("spiffe://test.example.com/ns/a/sa/b"),
                            x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
                        ]
                    )
                ),
            )
        ),
        {"other_names"},
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_each_field_that_is_wrong_is_named(name: str) -> None:
    make, wrong = TAMPERED[name]
    assert fields(make()) == wrong


def test_an_announced_ocsp_responder_is_no_surprise() -> None:
    assert fields(leaf(extra=(AIA,)), ocsp=True) == set()


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        (replace(EXPECTED, extended_key_usage=("clientAuth", "serverAuth")), "extended_key_usage"),
        (replace(EXPECTED, subject={"common_name": "other"}), "subject"),
        (replace(EXPECTED, sans=()), "sans"),
        (replace(EXPECTED, is_ca=True), "is_ca"),
    ],
)
def test_a_recipe_that_promises_something_else_is_found(expected: ExpectedCertificate, wrong: str) -> None:
    assert wrong in fields(leaf(), expected)


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("http://pki.test.example.com/lists/0f.crl", True),
        ("http://pki.test.example.com/lists/a/0f.crl", False),
        ("http://pki.test.example.com/other/0f.crl", False),
        ("http://pki.test.example.com/lists/0f", False),
        (None, False),
    ],
)
def test_a_part_of_a_crl_is_anywhere_in_its_folder(url: str | None, fits: bool) -> None:
    expected = replace(EXPECTED, crl_url="http://pki.test.example.com/lists/")
    found = fields(leaf(crl_urls=(url,) if url else ()), expected)
    assert found == (set() if fits else {"crl_url"})
