"""What a CA may be given as its certificate: one rule broken at a time, and the sound certificate that breaks none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from pkiops.ca.desired import OutsideAuthority
from pkiops.ca.import_finding import Expected, ImportFinding
from pkiops.ca.import_rules import import_findings, refuse_findings
from pkiops.errors import InputError, VerificationFailed
from pkiops.x509.certificate import fingerprint, load_certificate
from pkiops.x509.duration import Duration
from pkiops.x509.name_constraints import NO_CONSTRAINTS, constraints, encode_name_constraints
from tests import builders
from tests.builders import AT, Extra, Issued
from tests.seeded import seeded

NAME = "Example Test Clients CA G1"
KEY = builders.key()
ROOT_KEY = builders.key()
ROOT = builders.root_ca(private_key=ROOT_KEY)
REQUEST = x509.load_pem_x509_csr(builders.csr(NAME, sans=(), private_key=KEY))
EXPECTED = Expected(request=REQUEST, is_root=False, path_length=0, validity=Duration(2005, "d"))
ROOT_REQUEST = x509.load_pem_x509_csr(builders.csr(ROOT.name, sans=(), private_key=ROOT_KEY))
AS_ROOT = Expected(request=ROOT_REQUEST, is_root=True, path_length=None)
LIMITS = constraints([("dns", "example.com")])
DAY = timedelta(days=1)
RSA_WITH = bytes.fromhex("2a864886f70d0101")
USAGE = dict.fromkeys(
    ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
     "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False,
)  # fmt: skip
POINTS = x509.CRLDistributionPoints([x509.DistributionPoint([x509.DNSName("x")], None, None, None)])
CLIENT, CODE = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.CODE_SIGNING


def own(issuer: Issued = ROOT, **changes: Any) -> x509.Certificate:
    return builders.subordinate_ca(issuer, **{"subject": NAME, "private_key": KEY, **changes}).certificate


def judged(
    certificate: x509.Certificate | None = None,
    chain: Sequence[x509.Certificate] = (ROOT.certificate,),
    expected: Expected = EXPECTED,
) -> tuple[ImportFinding, ...]:
    return import_findings(certificate or own(), chain, expected, at=AT)


def wrong(found: Sequence[ImportFinding]) -> list[str]:
    return [one.rule for one in found if not one.remark]


def usage(**on: bool) -> Extra:
    return Extra(x509.KeyUsage(**{**USAGE, **on}), critical=True)


def limited(limits: bytes = encode_name_constraints(LIMITS), *, critical: bool = True) -> Extra:
    return Extra(x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.30"), limits), critical=critical)


def unknown(oid: str, value: bytes = b"\x05\x00", *, critical: bool = True) -> Extra:
    return Extra(x509.UnrecognizedExtension(ObjectIdentifier(oid), value), critical=critical)


def eku(*usages: ObjectIdentifier) -> Extra:
    return Extra(x509.ExtendedKeyUsage(usages))


def signed_otherwise(
    subject: x509.Name = REQUEST.subject,
    serial: int = 7,
) -> x509.Certificate:
    """A sound CA certificate of ours, but for what no builder of ours would make."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ROOT.name)
        .public_key(KEY.public_key())
        .serial_number(serial)
        .not_valid_before(AT - 180 * DAY)
        .not_valid_after(AT + 1825 * DAY)
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(x509.KeyUsage(**{**USAGE, "key_cert_sign": True, "crl_sign": True}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ROOT_KEY.public_key()), critical=False)
    )
    return builder.sign(ROOT_KEY, hashes.SHA256())


def with_negative_serial() -> x509.Certificate:
    """A certificate whose serial's first bit is set, signed anew: no builder makes one."""
    sound = signed_otherwise(serial=(0x41 << 120) | 1)
    tbs = sound.tbs_certificate_bytes.replace(b"\x02\x10\x41", b"\x02\x10\xc1", 1)
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    signature = b"\x00" + ROOT_KEY.sign(tbs, ec.ECDSA(hashes.SHA256()))
    body = tbs + ecdsa_with_sha256 + b"\x03" + bytes([len(signature)]) + signature
    return load_certificate(b"\x30\x82" + len(body).to_bytes(2, "big") + body, "odd")


def with_sha1(certificate: x509.Certificate) -> x509.Certificate:
    """The same, saying that it is signed with SHA-1 and RSA instead of SHA-256 and RSA; libraries no longer sign so."""
    der = certificate.public_bytes(Encoding.DER)
    return x509.load_der_x509_certificate(der.replace(RSA_WITH + b"\x0b", RSA_WITH + b"\x05"))


def renamed(kind: Any) -> x509.Name:
    """The request's subject, its common name as another type of string."""
    return x509.Name([
        x509.NameAttribute(one.oid, str(one.value), kind) if one.oid == NameOID.COMMON_NAME else one
        for one in REQUEST.subject
    ])  # fmt: skip


def huge() -> Extra:
    return Extra(x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x04\x82\x75\x30" + bytes(30_000)))


def test_a_sound_one_has_no_findings() -> None:
    assert judged() == ()
    middle = builders.subordinate_ca(ROOT, "Middle", path_length=1, not_after=AT + 3000 * DAY)
    assert judged(own(middle), (middle.certificate, ROOT.certificate)) == ()
    limits = replace(EXPECTED, name_constraints=LIMITS)
    assert judged(own(extra=(limited(),)), expected=limits) == ()
    assert judged(ROOT.certificate, (), AS_ROOT) == ()


OWN: list[tuple[str, x509.Certificate, str]] = [
    ("import.size", own(extra=(huge(),)), "32,768 are allowed"),
    ("import.public-key", own(private_key=builders.key()), "another public key"),
    ("import.subject", own(subject="Another CA"), "and the CA is"),
    ("import.subject", signed_otherwise(x509.Name(reversed(list(REQUEST.subject)))), "another order"),
    ("import.not-a-ca", own(without=(x509.BasicConstraints,)), "missing"),
    ("import.not-a-ca", own(extra=(Extra(x509.BasicConstraints(False, None), critical=True),)), "CA:FALSE"),
    ("import.basic-constraints", own(extra=(Extra(x509.BasicConstraints(True, 0)),)), "not critical"),
    ("import.path-length", own(path_length=None), "path length unlimited, and the file says 0"),
    ("import.path-length", own(path_length=1), "path length 1, and the file says 0"),
    ("import.key-usage", own(without=(x509.KeyUsage,)), "key usage is missing"),
    ("import.key-usage", own(extra=(usage(digital_signature=True, crl_sign=True),)), "lacks keyCertSign"),
    ("import.key-usage", own(extra=(usage(digital_signature=True, key_cert_sign=True),)), "lacks cRLSign"),
    ("import.extended-key-usage", own(extra=(eku(CODE),)), "limited to codeSigning, and certificates below it need clientAuth"),
    ("import.critical-extension", own(extra=(unknown("1.2.3.4"),)), "1.2.3.4 as critical"),
    ("import.critical-extension", own(extra=(Extra(POINTS, critical=True),)), "cRLDistributionPoints as critical"),
    ("import.serial", with_negative_serial(), "negative"),
    ("import.key-identifier", own(without=(x509.SubjectKeyIdentifier,)), "subject key identifier is missing"),
    ("import.key-identifier", own(without=(x509.AuthorityKeyIdentifier,)), "authority key identifier is missing"),
    ("import.key-identifier", own(extra=(Extra(x509.AuthorityKeyIdentifier(b"other", None, None)),)), "and that of certificate 1"),
    ("import.validity", own(not_before=AT + DAY), "valid only from"),
    ("import.validity", own(not_after=AT - DAY), "expired on"),
    ("import.name-constraints", own(extra=(limited(),)), "and the file says none"),
    ("import.outlives-issuer", own(not_after=AT + 4000 * DAY), "after certificate 1 of the chain (CN=Example Test Root CA G1"),
    ("import.self-signed", builders.root_ca(NAME, private_key=KEY, path_length=0).certificate, "for a root only"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "certificate", "words"), OWN)
def test_each_rule_for_the_certificate(rule: str, certificate: x509.Certificate, words: str) -> None:
    found = judged(certificate)
    assert wrong(found) == [rule]
    assert words in next(one.message for one in found if one.rule == rule)


def test_name_constraints_are_those_of_the_file_and_critical() -> None:
    limits = replace(EXPECTED, name_constraints=LIMITS)
    assert wrong(judged(expected=limits)) == ["import.name-constraints"]
    assert wrong(judged(own(extra=(limited(critical=False),)), expected=limits)) == ["import.name-constraints"]
    other = encode_name_constraints(constraints([("dns", "example.org")]))
    assert wrong(judged(own(extra=(limited(other),)), expected=limits)) == ["import.name-constraints"]


WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
MIDDLE = builders.subordinate_ca(ROOT, "Middle", path_length=1, not_after=AT + 3000 * DAY)
NARROW = builders.root_ca("Narrow", path_length=0)
LIMITED = builders.root_ca("Limited", extra=(eku(CODE),))
OLD = builders.root_ca("Old", not_after=AT - DAY)
NO_CA = builders.root_ca("Leaf", extra=(Extra(x509.BasicConstraints(False, None), critical=True),))
NO_SIGN = builders.root_ca("Signs nothing", extra=(usage(digital_signature=True),))
SMALL = builders.root_ca("Small", private_key=WEAK)
ODD = builders.root_ca("Odd", extra=(unknown("1.2.3.4"),))
ELSE = builders.root_ca("Elsewhere", extra=(limited(encode_name_constraints(constraints([("dns", "example.org")]))),))
TWIN = builders.root_ca(ROOT.name)
RSA_ROOT = builders.root_ca("RSA", private_key=rsa.generate_private_key(65537, 2048))
BLIND = builders.subordinate_ca(ROOT, "Blind", path_length=1, not_after=AT + 3000 * DAY, without=(x509.SubjectKeyIdentifier,))  # fmt: skip

CHAIN: list[tuple[str, x509.Certificate, tuple[x509.Certificate, ...], str]] = [
    ("import.chain-incomplete", own(), (), "--chain"),
    ("import.chain-incomplete", own(MIDDLE), (MIDDLE.certificate,), "which is no root: it was issued by CN=Example Test Root"),
    ("import.chain-order", own(MIDDLE), (ROOT.certificate,), "was issued by CN=Middle"),
    ("import.signature", own(signer=builders.key()), (ROOT.certificate,), "the signature on the certificate does not verify"),
    ("import.path-length", own(NARROW), (NARROW.certificate,), "allows 0 CAs below it"),
    ("import.extended-key-usage", own(LIMITED), (LIMITED.certificate,), "certificate 1 of the chain"),
    ("import.validity", own(OLD, not_after=AT + DAY), (OLD.certificate,), "not now"),
    ("import.not-a-ca", own(NO_CA), (NO_CA.certificate,), "is not the certificate of a CA"),
    ("import.key-usage", own(NO_SIGN), (NO_SIGN.certificate,), "may not sign certificates"),
    ("import.weak-key", own(SMALL), (SMALL.certificate,), "1024 bits"),
    ("import.critical-extension", own(ODD), (ODD.certificate,), "certificate 1 of the chain"),
    ("import.key-identifier", own(BLIND), (BLIND.certificate, ROOT.certificate), "certificate 1 of the chain (CN=Blind"),
    ("import.signature-algorithm", own(RSA_ROOT), (with_sha1(RSA_ROOT.certificate),), "the root, is signed with a digest that is broken"),
    ("import.signature-algorithm", with_sha1(own(RSA_ROOT)), (RSA_ROOT.certificate,), "the certificate is signed with a digest"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "certificate", "chain", "words"), CHAIN)
def test_each_rule_for_the_chain(
    rule: str, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...], words: str
) -> None:
    found = judged(certificate, chain)
    assert wrong(found) == [rule]
    texts = [f"{one.message} {one.hint}" for one in found if one.rule == rule]
    assert any(words in text for text in texts)


def test_what_does_not_belong_into_the_chain() -> None:
    certificate = own()
    assert "import.chain-extra" in wrong(judged(certificate, (certificate, ROOT.certificate)))
    assert "import.chain-extra" in wrong(judged(certificate, (ROOT.certificate, ROOT.certificate)))
    assert wrong(judged(ROOT.certificate, (ROOT.certificate,), AS_ROOT)) == ["import.chain-extra"]
    assert "import.self-signed" in wrong(judged(certificate, (), replace(AS_ROOT, request=REQUEST, path_length=0)))


def test_six_levels_are_too_many() -> None:
    above = [ROOT]
    for number in range(4):
        above.insert(0, builders.subordinate_ca(above[0], f"Level {number}", path_length=5 - number))
    certificate = own(above[0])
    assert wrong(judged(certificate, [one.certificate for one in above])) == ["import.levels"]


def test_a_chain_that_is_too_large() -> None:
    value = b"\x04\x83\x18\x00\x00" + bytes(0x180000)
    large = builders.root_ca("Large", extra=(unknown("1.2.3.4", value, critical=False),))
    assert wrong(judged(own(large), (large.certificate,))) == ["import.size"]


def test_another_generation_of_the_issuer_is_told_from_a_forger() -> None:
    found = judged(own(), (TWIN.certificate,))
    assert wrong(found) == ["import.signature", "import.key-identifier"]
    assert "another generation" in (found[0].hint or "")


def test_the_chain_is_the_one_that_the_file_declares() -> None:
    subject = tuple((one.oid.dotted_string, str(one.value)) for one in ROOT.name)
    root = OutsideAuthority(label="offline-root", subject=subject, sha256=fingerprint(ROOT.certificate))
    assert judged(expected=replace(EXPECTED, outside=(root,))) == ()
    pinned = judged(expected=replace(EXPECTED, outside=(replace(root, sha256="ab" * 32),)))
    assert wrong(pinned) == ["import.pin"]
    assert f"the file pins {'ab' * 32} for offline-root" in pinned[0].message
    named = judged(expected=replace(EXPECTED, outside=(replace(root, subject=(*subject, ("2.5.4.6", "GB"))),)))
    assert wrong(named) == ["import.issuer"]
    middle = OutsideAuthority(label="middle")
    assert wrong(judged(expected=replace(EXPECTED, outside=(middle, root)))) == ["import.chain-length"]
    both = (MIDDLE.certificate, ROOT.certificate)
    assert judged(own(MIDDLE), both, replace(EXPECTED, outside=(middle, root))) == ()
    assert wrong(judged(own(MIDDLE), both, replace(EXPECTED, outside=(root,)))) == ["import.chain-length"]


def test_the_certificate_is_the_one_that_the_file_pins() -> None:
    certificate = own()
    assert judged(certificate, expected=replace(EXPECTED, sha256=fingerprint(certificate))) == ()
    assert wrong(judged(expected=replace(EXPECTED, sha256="ab" * 32))) == ["import.pin"]


def test_names_that_the_issuer_forbids() -> None:
    promised = replace(EXPECTED, names=(("dns", "svc.example.com"),))
    assert judged(expected=promised) == ()
    found = judged(own(ELSE), (ELSE.certificate,), promised)
    assert wrong(found) == ["import.issuer-names"]
    assert "dns svc.example.com" in found[0].message


def test_remarks_stop_nothing_and_come_last() -> None:
    plain = builders.subordinate_ca(
        ROOT, NAME, private_key=KEY, extra=(Extra(x509.KeyUsage(**{**USAGE, "key_cert_sign": True, "crl_sign": True})), eku(CLIENT))
    ).certificate  # fmt: skip
    found = judged(plain, expected=replace(EXPECTED, validity=Duration(5, "y")))
    assert wrong(found) == []
    assert sorted(one.rule for one in found) == [
        "import.extended-key-usage", "import.key-usage", "import.key-usage", "import.validity",
    ]  # fmt: skip
    assert refuse_findings("clients", found) == found
    mixed = judged(own(path_length=1, extra=(eku(CLIENT),)))
    assert [one.remark for one in mixed] == [False, True]


def test_the_subject_in_another_type_of_string_is_remarked_on() -> None:
    # the same name to RFC 5280 (section 7.1); signers written in Go choose the types of strings themselves
    (remark,) = (
        one for one in judged(signed_otherwise(renamed(x509.name._ASN1Type.BMPString))) if one.rule == "import.subject"
    )
    assert remark.remark
    assert "another type of string" in remark.message


def test_an_issuer_with_an_unusual_algorithm_is_remarked_on() -> None:
    signer = ed25519.Ed25519PrivateKey.generate()
    root = builders.root_ca("Ed", private_key=signer)
    (remark,) = judged(own(root), (root.certificate,))
    assert (remark.rule, remark.remark) == ("import.signature-algorithm", True)
    assert "1.3.101.112" in remark.message


def test_everything_is_said_at_once() -> None:
    certificate = own(subject="Another CA", path_length=3, without=(x509.KeyUsage,), not_after=AT - DAY)
    found = judged(certificate, expected=replace(EXPECTED, name_constraints=LIMITS))
    assert wrong(found) == [
        "import.subject", "import.path-length", "import.key-usage", "import.validity", "import.name-constraints",
    ]  # fmt: skip
    with pytest.raises(VerificationFailed) as caught:
        refuse_findings("clients", found)
    assert (caught.value.code, caught.value.exit_code) == ("ca.import", 8)
    assert caught.value.message.count("\n") == 5
    assert [one["rule"] for one in caught.value.details["findings"]] == wrong(found)
    assert EXPECTED.name_constraints == NO_CONSTRAINTS


FUZZED = tuple(
    one.public_bytes(Encoding.DER)
    for one in (own(extra=(limited(), eku(CODE), Extra(POINTS))), own(MIDDLE), MIDDLE.certificate, ROOT.certificate)
)


@seeded(300)
@given(
    which=st.integers(0, len(FUZZED) - 1),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    above=st.permutations(range(len(FUZZED))),
)
def test_whatever_can_be_read_is_judged(which: int, changes: list[tuple[int, int]], above: list[int]) -> None:
    data = bytearray(FUZZED[which])
    for place, value in changes:
        data[place % len(data)] = value
    try:
        odd = load_certificate(bytes(data), "odd")
    except InputError:
        return
    others = [load_certificate(FUZZED[number], "sound") for number in above[:3]]
    declared = (OutsideAuthority(label="a", sha256="ab" * 32), OutsideAuthority(label="b", subject=(("2.5.4.3", "B"),)))
    wide = replace(EXPECTED, names=(("dns", "x.example.com"), ("ip", "10.0.0.0/8")), outside=declared)
    for certificate, chain in ((odd, others), (others[0], [odd, *others[1:]]), (odd, [odd])):
        assert all(one.message for one in import_findings(certificate, chain, wide, at=AT))
