"""No accepted request yields a certificate outside its profile, says a checker that shares nothing with the engine."""

from __future__ import annotations

import re
import tempfile
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, event, given
from hypothesis import strategies as st

from pkiops.errors import InputError, PolicyDenied
from pkiops.ledger.interface import EntryState
from pkiops.x509.duration import Duration
from pkiops.x509.san import SanKind, SubjectAltName
from tests.seeded import seeded
from tests.unit.cert.setting import AT, Setting, order

KEYS = [
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP384R1()),
    ec.generate_private_key(ec.SECP256K1()),
    rsa.generate_private_key(65537, 2048),
    rsa.generate_private_key(65537, 1024),  # noqa: S505 - must be refused
    ed25519.Ed25519PrivateKey.generate(),
]
GOOD_DNS = ["a.svc.test.example.com", "orders.svc.test.example.com", "A.SVC.test.example.com"]
BAD_DNS = [
    "svc.test.example.com",
    "a.b.svc.test.example.com",
    "*.svc.test.example.com",
    "a.svc.test.example.com.evil.org",
    "a.svc.test.example.org",
    ".svc.test.example.com",
    "a.svc.test.example.com.",
    "xsvc.test.example.com",
]
GOOD_URI = ["spiffe://test.example.com/ns/a/sa/b"]
BAD_URI = [
    "spiffe://test.example.com/ns/a/sa/b/c",
    "spiffe://test.example.com/ns/a%2Fb/sa/c",
    "spiffe://TEST.example.com/ns/a/sa/b",
    "spiffe://evil.example/ns/a/sa/b",
    "spiffe://test.example.com/ns/../sa/b",
    "https://test.example.com/ns/a/sa/b",
]
names = st.one_of(
    st.sampled_from(GOOD_DNS).map(x509.DNSName),
    st.sampled_from(GOOD_URI).map(x509.UniformResourceIdentifier),
    st.sampled_from(BAD_DNS).map(x509.DNSName),
    st.sampled_from(BAD_URI).map(x509.UniformResourceIdentifier),
    st.just(x509.RFC822Name("a@test.example.com")),
    st.just(x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))),
)
good_names = st.one_of(
    st.sampled_from(GOOD_DNS).map(x509.DNSName), st.sampled_from(GOOD_URI).map(x509.UniformResourceIdentifier)
)
common_names = st.one_of(st.none(), st.sampled_from([*GOOD_DNS, *BAD_DNS, "root", "postgres", *GOOD_URI]))
organizations = st.one_of(st.none(), st.sampled_from(["Example Ltd", "Evil Ltd"]))
usages = st.sets(st.sampled_from([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING]))
durations = st.one_of(st.none(), st.builds(Duration, st.integers(1, 200), st.sampled_from("smhdy")))
given_names = st.lists(st.sampled_from([*GOOD_DNS, *BAD_DNS]).map(lambda v: SubjectAltName(SanKind.DNS, v)), max_size=2)


def request(
    key: object,
    sans: list[x509.GeneralName],
    subject: list[tuple[x509.ObjectIdentifier, str]],
    wanted: set[x509.ObjectIdentifier],
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    )
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    if wanted:
        builder = builder.add_extension(x509.ExtendedKeyUsage(sorted(wanted, key=str)), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


def outside(certificate: x509.Certificate) -> list[str]:
    """What the profile ``service`` does not allow in a certificate, by the plainest means."""
    wrong = []
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    plain = [name.value for name in names]
    for name in names:
        if isinstance(name, x509.DNSName) and re.fullmatch(r"[a-z0-9-]+\.svc\.test\.example\.com", name.value):
            continue
        if isinstance(name, x509.UniformResourceIdentifier) and re.fullmatch(
            r"spiffe://test\.example\.com/ns/[A-Za-z0-9_-]+/sa/[A-Za-z0-9_-]+", name.value
        ):
            continue
        wrong.append(f"name {name!r}")
    if not plain:
        wrong.append("no name")
    common_names = [one.value for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    wrong += [f"common name {name!r}" for name in common_names if name not in plain]
    rest = [one for one in certificate.subject if one.oid != NameOID.COMMON_NAME]
    if [(one.oid, one.value) for one in rest] != [(NameOID.ORGANIZATION_NAME, "Example Ltd")]:
        wrong.append(f"subject {certificate.subject}")
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        wrong.append(f"usage {usage}")
    if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        wrong.append("CA")
    if certificate.not_valid_after_utc > AT + timedelta(days=90):
        wrong.append(f"until {certificate.not_valid_after_utc}")
    if certificate.not_valid_before_utc < AT - timedelta(hours=1):
        wrong.append(f"from {certificate.not_valid_before_utc}")
    key = certificate.public_key()
    if not (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size in {2048, 3072, 4096})
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in {"secp256r1", "secp384r1"})
    ):
        wrong.append("key")
    return wrong


@seeded(100, suppress_health_check=[HealthCheck.too_slow])
@given(
    key=st.sampled_from(KEYS),
    sans=st.one_of(st.lists(good_names, min_size=1, max_size=3), st.lists(names, max_size=3)),
    common_name=common_names,
    organization=organizations,
    wanted=usages,
    validity=durations,
    instead=st.one_of(st.just([]), given_names),
)
def test_no_accepted_request_leaves_its_profile(
    key: object,
    sans: list[x509.GeneralName],
    common_name: str | None,
    organization: str | None,
    wanted: set[x509.ObjectIdentifier],
    validity: Duration | None,
    instead: list[SubjectAltName],
) -> None:
    subject = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, organization)]
    csr = request(key, sans, [(oid, value) for oid, value in subject if value], wanted)
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder))
        try:
            issued = setting.issuance().issue(order(csr, validity=validity, sans=tuple(instead)))
        except (PolicyDenied, InputError):
            event("refused")
            assert setting.backend.made == []
            assert [entry.state for entry in setting.entries()] == [EntryState.REFUSED]
            return
        event("issued")
        assert outside(issued.certificate) == []
        assert issued.certificate.public_key() == key.public_key()  # type: ignore[attr-defined]
        assert len(setting.backend.made) == 1
