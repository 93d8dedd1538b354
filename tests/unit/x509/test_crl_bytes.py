"""A CRL read from its bytes: the same verdicts and the same digest as by way of the library, which writes it out anew."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.errors import InputError
from pkiops.x509 import pem
from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.crl import read_crls, view_crl
from pkiops.x509.crl_bytes import parts_of
from pkiops.x509.signatures import crl_signed_by
from tests.builders import AT, Issued, crl, key, root_ca
from tests.raw_crl import crl_der, entry, random_entries
from tests.raw_csr import SEQUENCE, Key, oid, tlv

RSA = root_ca(private_key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
EC = root_ca(private_key=key())
ED = root_ca(private_key=ed25519.Ed25519PrivateKey.generate())
ALL = [pytest.param(one, id=type(one.key).__name__) for one in (RSA, EC, ED)]


def signing_key(issued: Issued) -> Key:
    assert isinstance(issued.key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey))
    return issued.key


def raw(issuer: Issued, entries: list[bytes] | None, **changes: bytes) -> bytes:
    return crl_der(signing_key(issuer), issuer.certificate.subject.public_bytes(), entries, this_update=AT, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("issuer", ALL)
@pytest.mark.parametrize("entries", [None, [entry(5)], [random_entries(300, 1)[0]]], ids=["none", "one", "many"])
@pytest.mark.parametrize("version", [b"\x02\x01\x01", b""], ids=["v2", "v1"])
def test_parts_and_verdicts_are_those_of_the_library(
    issuer: Issued, entries: list[bytes] | None, version: bytes
) -> None:
    der = raw(issuer, entries, version=version)
    (loaded,) = read_crls(der, "a.crl")
    parts = parts_of(loaded.der)
    assert bytes(parts.signed) == loaded.crl.tbs_certlist_bytes
    assert bytes(parts.entries) == b"".join(entries or [])
    assert parts.inner_algorithm == parts.algorithm
    assert view_crl(loaded.crl, loaded.der) == view_crl(loaded.crl)
    assert view_crl(loaded.crl, loaded.der).sha256 == hashlib.sha256(der).hexdigest()
    for other in (RSA, EC, ED):
        expected = crl_signed_by(loaded.crl, other.certificate)
        assert crl_signed_by(loaded.crl, other.certificate, der) is expected is (other is issuer)


@pytest.mark.parametrize("issuer", [pytest.param(RSA, id="rsa"), pytest.param(EC, id="ec")])
def test_what_it_says_of_its_algorithm_must_be_what_it_is_signed_with(issuer: Issued) -> None:
    der = raw(issuer, [entry(5)], inner_algorithm=tlv(SEQUENCE, oid("1.2.840.10045.4.3.3")))
    with pytest.raises(InputError) as caught:
        read_crls(der, "a.crl")
    assert caught.value.code == "crl.malformed"
    honest = x509.load_der_x509_crl(raw(issuer, [entry(5)]))
    assert not crl_signed_by(honest, issuer.certificate, der)  # were the library less strict


@pytest.mark.parametrize("issuer", ALL)
def test_one_changed_bit_anywhere_is_judged_as_the_library_does(issuer: Issued) -> None:
    der = raw(issuer, [entry(5)])
    signed = bytes(parts_of(der).signed)
    refused = 0
    for at in range(len(der)):
        changed = der[:at] + bytes([der[at] ^ 1]) + der[at + 1 :]
        try:
            parsed = x509.load_der_x509_crl(changed)
        except PARSE_ERRORS:
            continue
        verdict = crl_signed_by(parsed, issuer.certificate, changed)
        assert verdict is crl_signed_by(parsed, issuer.certificate)
        # the count of unused bits is not part of what is signed
        assert not verdict or bytes(parts_of(changed).signed) == signed
        refused += not verdict
    assert refused > 20


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 48 * 4096 - 1, 48 * 4096, 48 * 4096 + 1])
def test_pem_is_what_the_library_writes(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    made = pem.encode(data[:size], pem.X509_CRL)
    assert pem.decode(made, pem.X509_CRL) == (data[:size],)
    lines = made.decode().splitlines()[1:-1]
    assert all(len(line) == 64 for line in lines[:-1])
    assert made.endswith(b"-----END X509 CRL-----\n")
    assert b"\n\n" not in made


def test_pem_of_a_crl_is_what_the_library_writes() -> None:
    made = crl(EC, revoked=dict.fromkeys(range(1, 200)))
    assert pem.encode(made.public_bytes(Encoding.DER), pem.X509_CRL) == made.public_bytes(Encoding.PEM)
