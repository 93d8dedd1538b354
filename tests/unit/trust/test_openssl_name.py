"""Names as OpenSSL prints them, compared with OpenSSL."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pkiops.errors import VerificationFailed
from pkiops.trust.openssl_name import openssl_name
from tests import builders
from tests.live_programs import require_program


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


NAMES = [
    name((NameOID.ORGANIZATION_NAME, "Example Ltd"), (NameOID.COMMON_NAME, "Clients CA G1")),
    name((NameOID.COUNTRY_NAME, "GB"), (NameOID.ORGANIZATION_NAME, 'Example, "Inc" <a>;+\\=/$~')),
    name((NameOID.COMMON_NAME, " # Größe \u4e2d "), (NameOID.ORGANIZATIONAL_UNIT_NAME, "#x"), (NameOID.LOCALITY_NAME, " ")),
    name(
        (NameOID.STATE_OR_PROVINCE_NAME, "a"), (NameOID.DOMAIN_COMPONENT, "b"), (NameOID.EMAIL_ADDRESS, "c@d.e"),
        (NameOID.SERIAL_NUMBER, "1"), (NameOID.GIVEN_NAME, "f"), (NameOID.SURNAME, "g"), (NameOID.TITLE, "h"),
        (NameOID.PSEUDONYM, "i"), (NameOID.INITIALS, "j"), (NameOID.GENERATION_QUALIFIER, "k"), (NameOID.DN_QUALIFIER, "l"),
    ),
    x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "two"), x509.NameAttribute(NameOID.LOCALITY_NAME, "v")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o")]),
        ]
    ),
]  # fmt: skip


@pytest.mark.live
@pytest.mark.parametrize("subject", NAMES, ids=range(len(NAMES)))
def test_it_is_what_openssl_prints(tmp_path: Path, subject: x509.Name) -> None:
    path = tmp_path / "ca.pem"
    certificate = x509.load_pem_x509_certificate(builders.root_ca(subject).certificate.public_bytes(Encoding.PEM))
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    command = [require_program("openssl"), "x509", "-in", str(path), "-noout", "-issuer", "-nameopt", "RFC2253"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert said == f"issuer={openssl_name(certificate.subject)}\n"


def test_an_attribute_of_uncertain_form_is_refused() -> None:
    odd = name((x509.ObjectIdentifier("1.2.3.4"), "x"))
    with pytest.raises(VerificationFailed) as caught:
        openssl_name(odd)
    assert caught.value.code == "trust.issuer-name"
