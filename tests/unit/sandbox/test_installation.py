"""ImportCertificateAuthorityCertificate: what a CA accepts as its own certificate and chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from tests.unit.sandbox.world import START, TEMPLATE, World, csr

_CONSTRAINTS = x509.BasicConstraints(ca=True, path_length=0)
Extensions = Sequence[tuple[x509.ExtensionType, bool]]


@dataclass
class Offline:
    """A CA outside the service, as an offline root would be."""

    name: str
    issuer: Offline | None = None
    path_length: int | None = None
    ca: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        constraints = x509.BasicConstraints(ca=self.ca, path_length=self.path_length if self.ca else None)
        issuer = self.issuer or self
        self.certificate = issuer.sign(self.subject, self.key.public_key(), [(constraints, True)])

    @property
    def subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    def sign(
        self, subject: x509.Name, public_key: Any, extensions: Extensions, *, days: int = 3000
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(public_key)
            .serial_number(1000 + hash(self.name) % 1000)
            .not_valid_before(START - timedelta(days=4000))
            .not_valid_after(START + timedelta(days=days))
        )
        for value, critical in extensions:
            builder = builder.add_extension(value, critical=critical)
        return builder.sign(self.key, hashes.SHA256())

    def sign_request(
        self, request: str, extensions: Extensions = ((_CONSTRAINTS, True),), **more: Any
    ) -> x509.Certificate:
        parsed = x509.load_pem_x509_csr(request.encode())
        return self.sign(parsed.subject, parsed.public_key(), extensions, **more)


def text(*certificates: x509.Certificate) -> str:
    return "\n".join(certificate.public_bytes(Encoding.PEM).decode().strip() for certificate in certificates)


@dataclass
class Pending:
    """A subordinate of the service waiting for a certificate from outside."""

    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.arn = self.world.create("SUBORDINATE", "Sub")
        self.csr = self.world.authority_csr(self.arn)

    def install(self, certificate: str, chain: str | None = None) -> None:
        request = {"CertificateAuthorityArn": self.arn, "Certificate": certificate}
        if chain is not None:
            request["CertificateChain"] = chain
        self.world.call("ImportCertificateAuthorityCertificate", **request)

    def refused(self, code: str, certificate: str, chain: str | None = None) -> str:
        request = {"CertificateAuthorityArn": self.arn, "Certificate": certificate}
        if chain is not None:
            request["CertificateChain"] = chain
        return self.world.refused(code, "ImportCertificateAuthorityCertificate", **request)


MALFORMED, INVALID = "MalformedCertificateException", "ValidationException"


def test_a_subordinate_of_an_offline_root() -> None:
    pending, root = Pending(), Offline("Offline Root")
    pending.install(text(root.sign_request(pending.csr)), text(root.certificate))
    assert pending.world.status(pending.arn) == "ACTIVE"
    leaf = pending.world.issued(pending.arn, csr())
    # no SKI in what was installed: the hash of the key stands in
    key_id = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    own = x509.load_pem_x509_csr(pending.csr.encode()).public_key()
    assert key_id == x509.SubjectKeyIdentifier.from_public_key(own).digest


def test_the_ski_of_the_installed_certificate_counts() -> None:
    pending, root = Pending(), Offline("Offline Root")
    extensions = [(_CONSTRAINTS, True), (x509.SubjectKeyIdentifier(b"own identifier"), False)]
    pending.install(text(root.sign_request(pending.csr, extensions)), text(root.certificate))
    leaf = pending.world.issued(pending.arn, csr())
    key_id = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert key_id == b"own identifier"


def test_installing_the_same_again_is_fine() -> None:
    pending, root = Pending(), Offline("Offline Root")
    certificate = text(root.sign_request(pending.csr))
    pending.install(certificate, text(root.certificate))
    pending.install(certificate, text(root.certificate))
    assert pending.world.status(pending.arn) == "ACTIVE"


def test_text_that_is_no_certificate() -> None:
    pending, root = Pending(), Offline("Offline Root")
    certificate = root.sign_request(pending.csr)
    for bad in ("x", pending.csr, text(certificate)[:200], text(certificate, certificate)):
        pending.refused(MALFORMED, bad, text(root.certificate))
    for bad in ("x", text(root.certificate)[:200]):
        pending.refused(MALFORMED, text(certificate), bad)


def test_an_edi_party_name_cannot_be_read() -> None:
    pending, root = Pending(), Offline("Offline Root")
    party = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3007a505a1030c0161"))
    certificate = root.sign_request(pending.csr, [(_CONSTRAINTS, True), (party, False)])
    assert "parsed" in pending.refused(MALFORMED, text(certificate), text(root.certificate))


def test_it_must_be_for_this_key_and_this_subject() -> None:
    pending, root = Pending(), Offline("Offline Root")
    other = Offline("Other", root, 0)
    pending.refused("CertificateMismatchException", text(other.certificate), text(root.certificate))
    request = x509.load_pem_x509_csr(pending.csr.encode())
    renamed = root.sign(other.subject, request.public_key(), [(_CONSTRAINTS, True)])
    pending.refused("CertificateMismatchException", text(renamed), text(root.certificate))
    rekeyed = root.sign(request.subject, other.key.public_key(), [(_CONSTRAINTS, True)])
    pending.refused("CertificateMismatchException", text(rekeyed), text(root.certificate))


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        ([], "must be there"),
        ([(x509.BasicConstraints(ca=False, path_length=None), True)], "CA:TRUE"),
        ([(_CONSTRAINTS, False)], "must be critical"),
        (
            [
                (_CONSTRAINTS, True),
                (
                    x509.CRLDistributionPoints(
                        [x509.DistributionPoint([x509.UniformResourceIdentifier("http://a")], None, None, None)]
                    ),
                    True,
                ),
            ],
            "must not be critical",
        ),
        (
            [(_CONSTRAINTS, True), (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)],
            "1.2.3.4",
        ),
        ([(_CONSTRAINTS, True), (x509.PolicyConstraints(0, None), True)], "must not be critical"),
    ],
)
def test_what_a_ca_certificate_must_hold(extensions: Extensions, why: str) -> None:
    pending, root = Pending(), Offline("Offline Root")
    code = INVALID if why in {"must be there", "CA:TRUE", "must be critical"} else MALFORMED
    assert why in pending.refused(code, text(root.sign_request(pending.csr, extensions)), text(root.certificate))


def test_what_may_be_critical() -> None:
    pending, root = Pending(), Offline("Offline Root")
    constraints = x509.NameConstraints([x509.DNSName("example.com")], None)
    certificate = root.sign_request(pending.csr, [(_CONSTRAINTS, True), (constraints, True)])
    pending.install(text(certificate), text(root.certificate))


def test_expired_certificates() -> None:
    pending, root = Pending(), Offline("Offline Root")
    certificate = root.sign_request(pending.csr, days=-1)
    assert "expired" in pending.refused(MALFORMED, text(certificate), text(root.certificate))
    old = Offline("Old Root")
    old.certificate = old.sign(old.subject, old.key.public_key(), [(x509.BasicConstraints(True, None), True)], days=-1)
    refusal = pending.refused(MALFORMED, text(old.sign_request(pending.csr)), text(old.certificate))
    assert "certificate 1 of the chain has expired" in refusal


def test_chains_that_do_not_hold() -> None:
    pending = Pending()
    root, stranger = Offline("Root"), Offline("Stranger")
    middle = Offline("Middle", root, 1)
    certificate = middle.sign_request(pending.csr)
    impostor = Offline("Middle", Offline("Root"), 1)
    for chain, why in (
        (None, "needs its certificate chain"),
        (text(middle.certificate), "self-signed root"),
        (text(root.certificate, middle.certificate), "did not issue"),
        (text(middle.certificate, stranger.certificate), "did not issue"),
        (text(impostor.certificate, root.certificate), "did not issue"),
        (text(certificate, middle.certificate, root.certificate), "the certificate itself"),
    ):
        assert why in pending.refused(MALFORMED, text(certificate), chain)
    pending.install(text(certificate), text(middle.certificate, root.certificate))


def test_path_lengths_of_the_chain() -> None:
    pending = Pending()
    root = Offline("Root", path_length=1)
    middle = Offline("Middle", root, 1)
    certificate = middle.sign_request(pending.csr)
    chain = text(middle.certificate, root.certificate)
    assert "path length" in pending.refused(INVALID, text(certificate), chain)
    none = Offline("None", Offline("Root"), 0)
    certificate = none.sign_request(pending.csr)
    assert none.issuer is not None
    pending.refused(INVALID, text(certificate), text(none.certificate, none.issuer.certificate))
    narrow = Offline("Narrow", path_length=1)
    wide = narrow.sign_request(pending.csr, [(x509.BasicConstraints(ca=True, path_length=3), True)])
    assert "does not fit" in pending.refused(INVALID, text(wide), text(narrow.certificate))


@pytest.mark.parametrize(
    ("extensions", "code", "why"),
    [
        (
            [(x509.BasicConstraints(ca=True, path_length=None), False)],
            INVALID,
            "certificate 1 of the chain must be critical",
        ),
        (
            [(x509.BasicConstraints(ca=True, path_length=None), True), (x509.PolicyConstraints(0, None), True)],
            MALFORMED,
            "certificate 1 of the chain: its extension 2.5.29.36 must not be critical",
        ),
    ],
)
def test_what_must_be_critical_in_a_chain_and_what_must_not(extensions: Extensions, code: str, why: str) -> None:
    pending, root = Pending(), Offline("Offline Root")
    root.certificate = root.sign(root.subject, root.key.public_key(), extensions)
    assert why in pending.refused(code, text(root.sign_request(pending.csr)), text(root.certificate))


def test_an_issuer_that_is_no_ca() -> None:
    pending = Pending()
    fake = Offline("Fake", Offline("Root"), ca=False)
    assert fake.issuer is not None
    chain = text(fake.certificate, fake.issuer.certificate)
    assert "not of a certificate authority" in pending.refused(INVALID, text(fake.sign_request(pending.csr)), chain)


def test_at_most_five_levels() -> None:
    pending = Pending()
    line = [Offline("Level 1")]
    for level in range(2, 6):
        line.append(Offline(f"Level {level}", line[-1]))
    chain = text(*(authority.certificate for authority in reversed(line)))
    assert "levels" in pending.refused(MALFORMED, text(line[-1].sign_request(pending.csr)), chain)


def test_a_root_is_self_signed_and_takes_no_chain() -> None:
    world = World()
    arn = world.create("ROOT", "Root")
    request = world.authority_csr(arn)
    own = world.get(arn, world.issue(arn, request, TEMPLATE.format("RootCACertificate")))["Certificate"]
    foreign = Offline("Foreign")
    call = "ImportCertificateAuthorityCertificate"
    message = world.refused(
        MALFORMED, call, CertificateAuthorityArn=arn, Certificate=text(foreign.sign_request(request))
    )
    assert "self-signed" in message
    world.refused(
        "InvalidRequestException",
        call,
        CertificateAuthorityArn=arn,
        Certificate=own,
        CertificateChain=text(foreign.certificate),
    )
    world.call(call, CertificateAuthorityArn=arn, Certificate=own)
    assert world.status(arn) == "ACTIVE"
