"""A CA gets a new certificate on the same ARN; what was issued before and after keeps verifying."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, SubjectInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store

from tests.unit.sandbox.test_extensions import load_authority
from tests.unit.sandbox.test_installation import Offline, Pending, text
from tests.unit.sandbox.test_revocation import number_of, revoke
from tests.unit.sandbox.world import CRL, START, TEMPLATE, World, csr, key_of, san

ROOT = TEMPLATE.format("RootCACertificate")
SUBORDINATE = TEMPLATE.format("SubordinateCACertificate_PathLen0")


def verify(world: World, leaf: x509.Certificate, chain: list[x509.Certificate], root: x509.Certificate) -> None:
    verifier = PolicyBuilder().store(Store([root])).time(world.clock.now()).build_client_verifier()
    verifier.verify(leaf, chain)


def renew_root(world: World, arn: str, *, years: int) -> x509.Certificate:
    """CSR, issue, import: the same three calls as the first time."""
    validity = {"Type": "YEARS", "Value": years}
    issued = world.get(arn, world.issue(arn, world.authority_csr(arn), ROOT, Validity=validity))
    world.call("ImportCertificateAuthorityCertificate", CertificateAuthorityArn=arn, Certificate=issued["Certificate"])
    return load_authority(world, arn)


def renew_subordinate(world: World, arn: str, parent: str, *, years: int) -> x509.Certificate:
    validity = {"Type": "YEARS", "Value": years}
    issued = world.get(parent, world.issue(parent, world.authority_csr(arn), SUBORDINATE, Validity=validity))
    world.call("ImportCertificateAuthorityCertificate", CertificateAuthorityArn=arn, **issued)
    return load_authority(world, arn)


def ski(certificate: x509.Certificate) -> bytes:
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def aki(certificate: x509.Certificate) -> bytes | None:
    return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier


def test_a_root_and_a_subordinate_are_renewed() -> None:
    world = World()
    root = world.root(years=10, RevocationConfiguration=CRL)
    sub = world.subordinate(root, years=5, RevocationConfiguration=CRL)
    old_root, old_sub = load_authority(world, root), load_authority(world, sub)
    request = csr(extensions=[san("a.example.com")])
    before = world.issued(sub, request, Validity={"Type": "DAYS", "Value": 1800})
    revoke(world, sub, world.issue(sub, request).rpartition("/")[2])
    number = number_of(world.crl(sub))
    world.advance(days=1000)
    new_root = renew_root(world, root, years=20)
    new_sub = renew_subordinate(world, sub, root, years=8)
    after = world.issued(sub, request, Validity={"Type": "DAYS", "Value": 2000})
    assert new_root.not_valid_after_utc > old_root.not_valid_after_utc
    assert (ski(new_root), ski(new_sub)) == (ski(old_root), ski(old_sub))
    assert aki(before) == aki(after) == ski(new_sub)
    for leaf in (before, after):
        for sub_certificate in (old_sub, new_sub):
            for root_certificate in (old_root, new_root):
                verify(world, leaf, [sub_certificate], root_certificate)
    revoke(world, sub, f"{after.serial_number:x}")
    crl = world.crl(sub)
    assert number_of(crl) > number
    assert crl.is_signature_valid(key_of(old_sub))
    assert crl.is_signature_valid(key_of(new_sub))
    assert world.status(sub) == "ACTIVE"


def test_after_renewal_issuance_goes_to_the_new_end() -> None:
    world = World()
    root = world.root(years=1)
    late = {"Type": "DAYS", "Value": 700}
    world.refused(
        "ValidationException",
        "IssueCertificate",
        CertificateAuthorityArn=root,
        Csr=csr(),
        SigningAlgorithm="SHA256WITHECDSA",
        Validity=late,
    )
    renew_root(world, root, years=5)
    assert world.issued(root, csr(), Validity=late).not_valid_after_utc == START + timedelta(days=700)


@pytest.mark.parametrize("status", ["ACTIVE", "DISABLED"])
def test_an_expired_root_signs_itself_again_and_is_what_it_was(status: str) -> None:
    world = World()
    root = world.root(years=1)
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=root, Status=status)
    world.advance(days=366)
    assert world.status(root) == "EXPIRED"
    renew_root(world, root, years=5)
    assert world.status(root) == status


def test_the_same_key_may_be_certified_by_another_parent() -> None:
    pending, first, second = Pending(), Offline("First"), Offline("Second")
    pending.install(text(first.sign_request(pending.csr)), text(first.certificate))
    pending.install(text(second.sign_request(pending.csr)), text(second.certificate))
    leaf = pending.world.issue(pending.arn, csr())
    assert pending.world.get(pending.arn, leaf)["CertificateChain"].endswith(text(second.certificate))


def test_a_disabled_authority_takes_no_certificate() -> None:
    """The guide says both; the stricter reading holds."""
    pending, root = Pending(), Offline("Root")
    certificate = text(root.sign_request(pending.csr))
    pending.install(certificate, text(root.certificate))
    pending.world.call("UpdateCertificateAuthority", CertificateAuthorityArn=pending.arn, Status="DISABLED")
    pending.refused("InvalidStateException", certificate, text(root.certificate))


@pytest.mark.parametrize(("member", "most"), [("Certificate", 32_768), ("CertificateChain", 2_097_152)])
def test_how_much_may_be_imported(member: str, most: int) -> None:
    pending, root = Pending(), Offline("Root")
    request: dict[str, Any] = {
        "CertificateAuthorityArn": pending.arn,
        "Certificate": text(root.sign_request(pending.csr)),
        "CertificateChain": text(root.certificate),
    }
    request[member] = request[member].ljust(most + 1)
    message = pending.world.refused("ValidationException", "ImportCertificateAuthorityCertificate", **request)
    assert f"less than or equal to {most}" in message
    request[member] = request[member][:-1]
    pending.world.call("ImportCertificateAuthorityCertificate", **request)


def test_a_path_length_must_fit_below_every_parent() -> None:
    pending = Pending()
    root = Offline("Root", path_length=2)
    middle = Offline("Middle", root)  # promises nothing
    chain = text(middle.certificate, root.certificate)
    wide = middle.sign_request(pending.csr, [(x509.BasicConstraints(ca=True, path_length=1), True)])
    assert "does not fit" in pending.refused("ValidationException", text(wide), chain)
    narrow = middle.sign_request(pending.csr, [(x509.BasicConstraints(ca=True, path_length=0), True)])
    pending.install(text(narrow), chain)


@pytest.mark.parametrize(
    "extension",
    [
        x509.AuthorityInformationAccess(
            [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://a"))]
        ),
        x509.CRLDistributionPoints(
            [x509.DistributionPoint([x509.UniformResourceIdentifier("http://a")], None, None, None)]
        ),
        x509.FreshestCRL([x509.DistributionPoint([x509.UniformResourceIdentifier("http://a")], None, None, None)]),
        x509.PolicyConstraints(0, None),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    ],
)
def test_what_must_not_be_critical_may_be_there(extension: x509.ExtensionType) -> None:
    constraints = (x509.BasicConstraints(ca=True, path_length=0), True)
    for critical in (True, False):
        pending, root = Pending(), Offline("Root")
        certificate = text(root.sign_request(pending.csr, [constraints, (extension, critical)]))
        if critical:
            pending.refused("MalformedCertificateException", certificate, text(root.certificate))
        else:
            pending.install(certificate, text(root.certificate))


def key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.mark.parametrize(
    "extension",
    [
        x509.AuthorityKeyIdentifier(b"a" * 20, None, None),
        x509.SubjectKeyIdentifier(b"b" * 20),
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), None)]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        x509.InhibitAnyPolicy(0),
        x509.IssuerAlternativeName([x509.DNSName("a")]),
        key_usage(),
        x509.NameConstraints([x509.DNSName("a")], None),
        x509.SubjectAlternativeName([x509.DNSName("a")]),
        x509.SubjectInformationAccess(
            [
                x509.AccessDescription(
                    SubjectInformationAccessOID.CA_REPOSITORY, x509.UniformResourceIdentifier("http://a")
                )
            ]
        ),
        x509.UnrecognizedExtension(
            x509.ObjectIdentifier("2.5.29.33"), b"\x30\x0c\x30\x0a\x06\x03\x2a\x03\x04\x06\x03\x2a\x03\x05"
        ),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.9"), b"\x30\x00"),
    ],
)
def test_what_may_be_critical(extension: x509.ExtensionType) -> None:
    pending, root = Pending(), Offline("Root")
    constraints = (x509.BasicConstraints(ca=True, path_length=0), True)
    certificate = root.sign_request(pending.csr, [constraints, (extension, True)])
    pending.install(text(certificate), text(root.certificate))
