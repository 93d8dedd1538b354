"""CRLs: which are believed, about whom they speak, and which files are refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pkiops.errors import InputError, PkiopsError, VerificationFailed
from pkiops.x509.certificate import pem
from pkiops.x509.crl import covers, crl_der, crl_pem, load_crls, verify_crl, view_crl
from pkiops.x509.revoked import revoked_entry
from tests.builders import AT, Extra, Issued, crl, end_entity, key, root_ca, subordinate_ca
from tests.seeded import seeded

ROOT = root_ca()
CLIENTS = subordinate_ca(ROOT)
URL = "http://pki.example.com/crl/1.crl"


def _point(url: str | None = URL, **flags: bool) -> Extra:
    names = [x509.UniformResourceIdentifier(url)] if url else None
    scope = {
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
        **flags,
    }
    point = x509.IssuingDistributionPoint(full_name=names, relative_name=None, only_some_reasons=None, **scope)
    return Extra(point, critical=True)


def test_view_and_entries() -> None:
    leaf = end_entity(CLIENTS)
    made = crl(CLIENTS, number=7, revoked={leaf.serial: x509.ReasonFlags.key_compromise, 99: None})
    seen = view_crl(made)
    assert (seen.issuer, seen.number, seen.entries) == ("CN=Example Test Clients CA G1,O=Example Ltd", 7, 2)
    assert (seen.this_update, seen.next_update) == (AT - timedelta(hours=1), AT + timedelta(days=7))
    assert (seen.partitioned, seen.delta, seen.signature_algorithm) == (False, False, "SHA256WITHECDSA")
    entry = revoked_entry(made, leaf.serial)
    assert entry is not None
    assert (entry.date, entry.reason) == (AT - timedelta(hours=1), "keyCompromise")
    without_reason = revoked_entry(made, 99)
    assert without_reason is not None
    assert without_reason.reason is None
    assert revoked_entry(made, 100) is None


def test_files_hold_crls_and_nothing_else() -> None:
    first, second = crl(ROOT), crl(CLIENTS)
    assert load_crls(crl_pem(first) + crl_pem(second), "a.pem") == (first, second)
    assert load_crls(crl_pem(first).rstrip(b"\n") + crl_pem(second), "a.pem") == (first, second)
    assert load_crls(crl_der(first), "a.crl") == (first,)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "crl.not-pem"),
        (crl_pem(crl(ROOT)) + pem(ROOT.certificate), "crl.certificate-inside"),
        (pem(ROOT.certificate), "crl.certificate-inside"),
        (crl_pem(crl(ROOT))[:100], "crl.truncated"),
        (crl_der(crl(ROOT))[:100], "crl.truncated"),
        (ROOT.certificate.public_bytes(serialization.Encoding.DER), "crl.malformed"),
        (b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", "crl.wrong-pem-type"),
    ],
)
def test_one_clear_error_for_what_is_no_crl(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        load_crls(data, "a.crl")
    assert caught.value.code == code


def test_a_current_crl_of_the_ca_is_believed() -> None:
    verify_crl(crl(CLIENTS), CLIENTS.certificate, at=AT)
    verify_crl(crl(CLIENTS, extra=[_point()]), CLIENTS.certificate, at=AT)
    verify_crl(crl(CLIENTS), CLIENTS.certificate, at=AT + timedelta(days=7))


_NO_CRL_SIGN = subordinate_ca(
    ROOT,
    extra=[
        Extra(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    ],
)


@pytest.mark.parametrize(
    ("made", "issuer", "code"),
    [
        (crl(ROOT), CLIENTS, "crl.issuer"),
        (crl(CLIENTS), subordinate_ca(ROOT), "crl.issuer"),
        (crl(_NO_CRL_SIGN), _NO_CRL_SIGN, "crl.issuer"),
        (crl(CLIENTS, signer=key()), CLIENTS, "crl.signature"),
        (crl(CLIENTS, next_update=AT - timedelta(seconds=1)), CLIENTS, "crl.expired"),
        (crl(CLIENTS, this_update=AT + timedelta(seconds=1)), CLIENTS, "crl.not-yet-valid"),
        (crl(CLIENTS, extra=[Extra(x509.DeltaCRLIndicator(1), critical=True)]), CLIENTS, "crl.delta"),
        (crl(CLIENTS, extra=[_point(indirect_crl=True)]), CLIENTS, "crl.indirect"),
        (
            crl(
                CLIENTS,
                extra=[Extra(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), critical=True)],
            ),
            CLIENTS,
            "crl.unknown-critical-extension",
        ),
    ],
)
def test_every_other_crl_is_refused_for_its_reason(
    made: x509.CertificateRevocationList, issuer: Issued, code: str
) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify_crl(made, issuer.certificate, at=AT)
    assert caught.value.code == code
    assert caught.value.exit_code == 8


def test_a_crl_without_an_end_is_refused() -> None:
    """The builder insists on nextUpdate, so its octets are cut out and the signature made again."""
    made = crl(CLIENTS, without=[x509.AuthorityKeyIdentifier])
    tbs = made.tbs_certlist_bytes
    next_update = (AT + timedelta(days=7)).strftime("%y%m%d%H%M%SZ").encode()
    inner = tbs[2:] if tbs[1] < 0x80 else tbs[3:]
    shorter = inner.replace(b"\x17\x0d" + next_update, b"")
    assert len(inner) - len(shorter) == 15
    tbs = _sequence(shorter)
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    assert isinstance(CLIENTS.key, ec.EllipticCurvePrivateKey)
    signature = b"\x00" + CLIENTS.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    bits = bytes([0x03, len(signature)]) + signature
    (loaded,) = load_crls(_sequence(tbs + algorithm + bits), "a.crl")
    assert view_crl(loaded).next_update is None
    with pytest.raises(VerificationFailed) as caught:
        verify_crl(loaded, CLIENTS.certificate, at=AT)
    assert caught.value.code == "crl.no-next-update"


def _sequence(content: bytes) -> bytes:
    size = len(content)
    header = bytes([0x30, size]) if size < 0x80 else b"\x30\x82" + size.to_bytes(2, "big")
    if 0x80 <= size < 0x100:
        header = bytes([0x30, 0x81, size])
    return header + content


def test_scope_of_partitioned_crls() -> None:
    leaf = end_entity(CLIENTS, crl_urls=(URL,))
    other = end_entity(CLIENTS, crl_urls=("http://pki.example.com/crl/2.crl",))
    nowhere = end_entity(CLIENTS)
    complete, partition = crl(CLIENTS), crl(CLIENTS, extra=[_point()])
    assert all(covers(complete, item.certificate) for item in (leaf, other, nowhere))
    assert [covers(partition, item.certificate) for item in (leaf, other, nowhere)] == [True, False, False]
    users = crl(CLIENTS, extra=[_point(None, only_contains_user_certs=True)])
    authorities = crl(CLIENTS, extra=[_point(None, only_contains_ca_certs=True)])
    attributes = crl(CLIENTS, extra=[_point(None, only_contains_attribute_certs=True)])
    assert [covers(item, leaf.certificate) for item in (users, authorities, attributes)] == [True, False, False]
    assert [covers(item, CLIENTS.certificate) for item in (users, authorities, attributes)] == [False, True, False]


@seeded(200)
@given(st.data())
def test_a_changed_crl_is_never_believed(data: st.DataObject) -> None:
    original = crl_der(_SAMPLE)
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    if bytes(mutated) == original:
        return
    with pytest.raises(PkiopsError):
        _load_and_verify(bytes(mutated))


def _load_and_verify(data: bytes) -> None:
    for loaded in load_crls(data, "a.crl"):
        view_crl(loaded)
        verify_crl(loaded, CLIENTS.certificate, at=AT)


_SAMPLE = crl(CLIENTS, revoked={7: x509.ReasonFlags.superseded, 8: None})
