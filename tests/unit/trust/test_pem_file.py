"""Canonical PEM: what is written every loader takes, and what is read is nothing but what it should be."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from pkiops.crl.check import check_crl
from pkiops.errors import InputError, InternalError, PkiopsError, VerificationFailed
from pkiops.trust.bundle import BundleCertificate, BundleCrl, Role
from pkiops.trust.pem_file import ca_file, comment, crl_file, read_ca_file, read_crl_file
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.builders import AT
from tests.seeded import seeded

ROOT = builders.root_ca()
CLIENTS = builders.subordinate_ca(ROOT)
CA = ca_file([BundleCertificate("root-g1", Role.ANCHOR, ROOT.certificate, False)])
ROOT_CRL = builders.crl(ROOT)
CRL = crl_file([BundleCrl("root-g1", check_crl(ROOT_CRL, ROOT.certificate, "root", at=AT))])
KEY = private_key_pem(ROOT.key)


def test_what_is_written_reads_back() -> None:
    assert read_ca_file(CA, "ca.pem") == (ROOT.certificate,)
    (found,) = read_crl_file(CRL, "crl.pem")
    assert (found.crl, found.der) == (ROOT_CRL, ROOT_CRL.public_bytes(Encoding.DER))
    for data in (CA, CRL):
        assert data.isascii()
        assert b"\r" not in data
        assert data.endswith(b"-----\n")
        assert b"\n\n" not in data


def test_an_empty_file_is_never_written() -> None:
    with pytest.raises(InternalError):
        ca_file([])
    with pytest.raises(InternalError):
        crl_file([])


def test_a_name_cannot_break_out_of_its_comment() -> None:
    evil = builders.root_ca(
        x509.Name(
            [
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "\u2028\u202e\u0085" + "ä" * 50),
                x509.NameAttribute(
                    x509.NameOID.COMMON_NAME, "x\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
                ),
            ]
        )
    )
    data = ca_file([BundleCertificate("root-g1", Role.ANCHOR, evil.certificate, False)])
    assert data.count(b"-----BEGIN") == 1
    assert data.isascii()
    assert read_ca_file(data, "ca.pem") == (evil.certificate,)


@seeded(300)
@example("-----BEGIN CERTIFICATE-----")
@example("-" * 400)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("-\r\n\x0b\x0c\u2028")), max_size=400))
def test_a_comment_is_one_short_line_whatever_it_holds(text: str) -> None:
    line = comment(text)
    assert line.startswith(b"# ")
    assert line.endswith(b"\n")
    assert len(line.splitlines()) == 1
    assert len(line) < 254
    assert b"-----" not in line
    assert line.isascii()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "trust.file-empty"),
        (b"\n \n", "trust.file-empty"),
        (CA + CRL, "trust.file-mixed"),
        (CA + KEY, "trust.private-key"),
        (b"\xef\xbb\xbf" + CA, "trust.file-form"),
        (CA.replace(b"\n", b"\r\n"), "trust.file-form"),
        (b"hello\n" + CA, "trust.file-form"),
        (ROOT.certificate.public_bytes(Encoding.DER), "trust.file-mixed"),
        (CA.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), "trust.file-mixed"),
    ],
)
def test_a_file_of_cas_holds_nothing_else(data: bytes, code: str) -> None:
    with pytest.raises(VerificationFailed) as caught:
        read_ca_file(data, "ca.pem")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "trust.file-empty"),
        (CRL + CA, "trust.file-mixed"),
        (CA, "trust.file-mixed"),
        (CRL + KEY, "trust.private-key"),
        (ROOT_CRL.public_bytes(Encoding.DER), "trust.file-mixed"),
    ],
)
def test_a_file_of_crls_holds_nothing_else(data: bytes, code: str) -> None:
    with pytest.raises(VerificationFailed) as caught:
        read_crl_file(data, "crl.pem")
    assert caught.value.code == code


@pytest.mark.parametrize("data", [CA[:-30], CA.replace(b"MII", b"!!!", 1), b"# only a comment\n", b"\x00\x01"])
def test_a_damaged_file_is_an_error(data: bytes) -> None:
    with pytest.raises(InputError):
        read_ca_file(data, "ca.pem")


@seeded(200)
@given(st.integers(0, len(CA) - 1), st.integers(0, 255))
def test_a_changed_octet_never_makes_another_certificate_pass_unseen(position: int, octet: int) -> None:
    changed = bytearray(CA)
    changed[position] = octet
    try:
        found = read_ca_file(bytes(changed), "ca.pem")
    except PkiopsError:
        return
    # what still reads is either the same certificate, or one with another fingerprint, which trust verify refuses
    assert len(found) == 1
