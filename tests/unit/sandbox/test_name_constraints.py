"""Name constraints of an imported CA certificate are enforced when it issues."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.sandbox.engine.errors import ServiceError
from tests.unit.sandbox.test_installation import Offline, Pending, text
from tests.unit.sandbox.world import TEMPLATE, World, csr

Names = Sequence[x509.GeneralName] | None
API = TEMPLATE.format("EndEntityClientAuthCertificate_APIPassthrough")


def dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


def network(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_network(text))


def directory(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes]))


def constrained(permitted: Names, excluded: Names = None, *, root: x509.NameConstraints | None = None) -> Pending:
    """A subordinate below an offline root; the constraints are in its certificate, ``root``'s in the root's."""
    pending = Pending()
    offline = Offline("Offline Root")
    if root is not None:
        constraints = [(x509.BasicConstraints(ca=True, path_length=None), True), (root, True)]
        offline.certificate = offline.sign(offline.subject, offline.key.public_key(), constraints)
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.BasicConstraints(ca=True, path_length=1), True)]
    if permitted is not None or excluded is not None:
        extensions.append((x509.NameConstraints(permitted, excluded), True))
    pending.install(text(offline.sign_request(pending.csr, extensions)), text(offline.certificate))
    return pending


def is_allowed(pending: Pending, *names: dict[str, Any], **more: Any) -> bool:
    request: dict[str, Any] = {
        "CertificateAuthorityArn": pending.arn,
        "Csr": csr(),
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
        "TemplateArn": API,
        "ApiPassthrough": {"Extensions": {"SubjectAlternativeNames": list(names)}, **more},
    }
    try:
        return bool(pending.world.call("IssueCertificate", **request))
    except ServiceError:
        assert "name constraints" in pending.world.refused("ValidationException", "IssueCertificate", **request)
        return False


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("a.private", True),
        ("A.B.Private", True),
        ("private", False),
        ("a.notprivate", False),
        ("a.corp", True),
        ("a.secret.corp", False),
        ("secret.corp", True),  # a leading dot means below
        ("exact.example", True),
        ("below.exact.example", True),
        ("inexact.example", False),
        ("*.corp", True),
        ("*.other", False),
    ],
)
def test_dns_names(name: str, allowed: bool) -> None:
    pending = constrained(dns(".private", ".corp", "exact.example"), dns(".secret.corp"))
    assert is_allowed(pending, {"DnsName": name}) is allowed
    # a form without constraints is free
    assert is_allowed(pending, {"IpAddress": "192.0.2.1"})


def test_one_bad_name_is_enough() -> None:
    pending = constrained(dns(".private"))
    assert not is_allowed(pending, {"DnsName": "a.private"}, {"DnsName": "a.public"})


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("192.0.2.7", True), ("192.0.3.7", False), ("192.0.2.129", False), ("2001:db8::1", True), ("2001:db9::1", False)],
)
def test_addresses(name: str, allowed: bool) -> None:
    pending = constrained([network("192.0.2.0/24"), network("2001:db8::/32")], [network("192.0.2.128/25")])
    assert is_allowed(pending, {"IpAddress": name}) is allowed


def test_every_address_excluded() -> None:
    pending = constrained(None, [network("0.0.0.0/0"), network("::/0")])
    assert not is_allowed(pending, {"IpAddress": "192.0.2.1"})
    assert not is_allowed(pending, {"IpAddress": "2001:db8::1"})
    assert is_allowed(pending, {"DnsName": "a.example"})


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("https://host.example/path", True),
        ("spiffe://host.example/a", True),
        ("https://below.host.example/", False),
        ("https://a.domain.example:8443/", True),
        ("https://domain.example/", False),
        ("urn:nothing", False),
    ],
)
def test_uris(name: str, allowed: bool) -> None:
    permitted = [x509.UniformResourceIdentifier("host.example"), x509.UniformResourceIdentifier(".domain.example")]
    assert is_allowed(constrained(permitted), {"UniformResourceIdentifier": name}) is allowed


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("anyone@host.example", True),
        ("anyone@below.host.example", False),
        ("me@exact.example", True),
        ("you@exact.example", False),
    ],
)
def test_mailboxes(name: str, allowed: bool) -> None:
    pending = constrained([x509.RFC822Name("host.example"), x509.RFC822Name("me@exact.example")])
    assert is_allowed(pending, {"Rfc822Name": name}) is allowed


def test_a_mailbox_in_the_subject_counts() -> None:
    pending = constrained([x509.RFC822Name("host.example")])
    for host, allowed in (("host.example", True), ("other.example", False)):
        attributes = [
            {"ObjectIdentifier": "2.5.4.3", "Value": "a"},
            {"ObjectIdentifier": "1.2.840.113549.1.9.1", "Value": f"a@{host}"},
        ]
        assert is_allowed(pending, {"DnsName": "a"}, Subject={"CustomAttributes": attributes}) is allowed


@pytest.mark.parametrize(
    ("subject", "allowed"),
    [
        ({"Country": "GB", "Organization": "Example Ltd", "CommonName": "a"}, True),
        ({"Country": "GB", "Organization": "Other Ltd", "CommonName": "a"}, False),
        ({"CommonName": "a"}, False),
    ],
)
def test_directory_names(subject: dict[str, str], allowed: bool) -> None:
    base = directory((NameOID.COUNTRY_NAME, "GB"), (NameOID.ORGANIZATION_NAME, "Example Ltd"))
    assert is_allowed(constrained([base]), {"DnsName": "a"}, Subject=subject) is allowed
    assert is_allowed(constrained(None, [base]), {"DnsName": "a"}, Subject=subject) is not allowed


def test_a_permitted_form_without_pattern_is_forbidden() -> None:
    pending = constrained([*dns(".private"), x509.UniformResourceIdentifier("")])
    assert not is_allowed(pending, {"UniformResourceIdentifier": "https://a.example"})
    assert is_allowed(
        constrained(None, [x509.UniformResourceIdentifier("")]), {"UniformResourceIdentifier": "https://a"}
    )


def test_the_constraints_of_the_root_count_too() -> None:
    pending = constrained(dns("sub.private"), root=x509.NameConstraints(dns(".private", ".corp"), None))
    assert is_allowed(pending, {"DnsName": "a.sub.private"})
    assert not is_allowed(pending, {"DnsName": "a.corp"})


def test_subordinates_below_are_held_to_them() -> None:
    pending = constrained([directory((NameOID.COUNTRY_NAME, "FR"))])
    other = World()
    request = other.authority_csr(other.create("SUBORDINATE", "Below"))
    pending.world.refused(
        "ValidationException",
        "IssueCertificate",
        CertificateAuthorityArn=pending.arn,
        Csr=request,
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
        TemplateArn=TEMPLATE.format("SubordinateCACertificate_PathLen0"),
    )


@pytest.mark.parametrize(
    "base",
    [
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01a"),
    ],
)
def test_forms_the_service_does_not_support_are_not_imported(base: x509.GeneralName) -> None:
    pending, root = Pending(), Offline("Offline Root")
    extensions = [(x509.BasicConstraints(ca=True, path_length=0), True), (x509.NameConstraints([base], None), True)]
    message = pending.refused(
        "MalformedCertificateException", text(root.sign_request(pending.csr, extensions)), text(root.certificate)
    )
    assert "not supported" in message


def test_an_edi_party_name_below_constraints_is_refused() -> None:
    assert not is_allowed(constrained(dns(".private")), {"EdiPartyName": {"PartyName": "x"}})
