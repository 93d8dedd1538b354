"""Which source wins: template, CA configuration, API, CSR."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from tests.unit.sandbox.test_templates import CLIENT, extended, usages
from tests.unit.sandbox.world import CRL, TEMPLATE, World, csr, key_of, san

POLICY = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), None)])
FROM_CSR = "http://from-csr.example.com/a.crl"
POINT = x509.CRLDistributionPoints(
    [x509.DistributionPoint([x509.UniformResourceIdentifier(FROM_CSR)], None, None, None)]
)
API: dict[str, Any] = {
    "Subject": {"CommonName": "from-api"},
    "Extensions": {
        "SubjectAlternativeNames": [{"DnsName": "api.example.com"}],
        "ExtendedKeyUsage": [{"ExtendedKeyUsageType": "CODE_SIGNING"}],
        "KeyUsage": {"KeyAgreement": True},
        "CertificatePolicies": [
            {
                "CertPolicyId": "1.3.6.1.4.1.99999.2",
                "PolicyQualifiers": [{"PolicyQualifierId": "CPS", "Qualifier": {"CpsUri": "http://cps.example.com"}}],
            }
        ],
        "CustomExtensions": [
            {
                "ObjectIdentifier": "1.3.6.1.4.1.99999.3",
                "Value": base64.b64encode(b"\x05\x00").decode(),
                "Critical": True,
            }
        ],
    },
}


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def dns_names(certificate: x509.Certificate) -> list[str]:
    value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return value.get_values_for_type(x509.DNSName)


def policy_ids(certificate: x509.Certificate) -> list[str]:
    try:
        value = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound:
        return []
    return [policy.policy_identifier.dotted_string for policy in value]


def crl_urls(certificate: x509.Certificate) -> list[str]:
    try:
        value = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    return [name.value for point in value for name in point.full_name or []]


def greedy_csr() -> str:
    """A request that asks for everything."""
    wanted: list[tuple[x509.ExtensionType, bool]] = [
        san("csr.example.com"),
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (POLICY, False),
        (POINT, False),
    ]
    return csr("from-csr", extensions=wanted)


@pytest.mark.parametrize(
    ("form", "name", "dns", "policies"),
    [
        ("", "from-csr", "csr.example.com", []),
        ("_CSRPassthrough", "from-csr", "csr.example.com", ["1.3.6.1.4.1.99999.1"]),
        ("_APIPassthrough", "from-api", "api.example.com", ["1.3.6.1.4.1.99999.2"]),
        ("_APICSRPassthrough", "from-api", "api.example.com", ["1.3.6.1.4.1.99999.2"]),
    ],
)
def test_what_each_form_takes_from_where(form: str, name: str, dns: str, policies: list[str]) -> None:
    world = World()
    template = TEMPLATE.format(f"EndEntityClientAuthCertificate{form}")
    certificate = world.issued(world.root(), greedy_csr(), template, ApiPassthrough=API)
    assert common_name(certificate) == name
    assert dns_names(certificate) == [dns]
    assert policy_ids(certificate) == policies
    assert extended(certificate) == ({CLIENT}, False)
    assert usages(certificate) == {"digital_signature", "key_encipherment"}
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_the_subject_of_the_api_stands_in_the_order_of_the_model() -> None:
    world = World()
    template = TEMPLATE.format("EndEntityClientAuthCertificate_APIPassthrough")
    subject = {"Locality": "L", "CommonName": "CN", "Organization": "O", "Country": "GB"}
    certificate = world.issued(world.root(), csr(), template, ApiPassthrough={"Subject": subject})
    assert certificate.subject.rfc4514_string().split(",")[::-1] == ["C=GB", "O=O", "CN=CN", "L=L"]


def test_the_csr_speaks_where_the_api_is_silent() -> None:
    world = World()
    arn = world.root()
    certificate = world.issued(
        arn, greedy_csr(), TEMPLATE.format("EndEntityClientAuthCertificate_APIPassthrough"), ApiPassthrough={}
    )
    assert (common_name(certificate), dns_names(certificate)) == ("from-csr", ["csr.example.com"])
    certificate = world.issued(arn, greedy_csr(), TEMPLATE.format("BlankEndEntityCertificate_APICSRPassthrough"))
    assert extended(certificate) == ({"1.3.6.1.5.5.7.3.1"}, False)
    assert policy_ids(certificate) == ["1.3.6.1.4.1.99999.1"]


def test_a_blank_template_takes_usages_from_the_api() -> None:
    world = World()
    template = TEMPLATE.format("BlankEndEntityCertificate_APIPassthrough")
    certificate = world.issued(world.root(), csr(), template, ApiPassthrough=API)
    assert extended(certificate) == ({"1.3.6.1.5.5.7.3.3"}, False)
    assert usages(certificate) == {"key_agreement"}
    custom = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.4.1.99999.3"))
    assert custom.critical
    assert isinstance(custom.value, x509.UnrecognizedExtension)
    assert custom.value.value == b"\x05\x00"


def test_the_san_of_a_csr_keeps_its_criticality() -> None:
    world = World()
    request = csr(extensions=[(x509.SubjectAlternativeName([x509.DNSName("a.example.com")]), True)])
    certificate = world.issued(world.root(), request)
    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_key_identifiers_follow_the_installed_certificate() -> None:
    world = World()
    root = world.root()
    authority = load_authority(world, root)
    leaf = world.issued(root, csr())
    key_id = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert key_id == authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    own = leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert own == x509.SubjectKeyIdentifier.from_public_key(leaf.public_key())


def load_authority(world: World, arn: str) -> x509.Certificate:
    answer = world.call("GetCertificateAuthorityCertificate", CertificateAuthorityArn=arn)
    return x509.load_pem_x509_certificate(answer["Certificate"].encode())


@pytest.mark.parametrize(
    ("more", "host_and_path"),
    [
        ({}, "example-crl.s3.eu-west-1.amazonaws.com/crl"),
        ({"CustomCname": "pki.example.com"}, "pki.example.com/crl"),
        ({"CustomCname": "pki.example.com", "CustomPath": "a/b"}, "pki.example.com/a/b"),
        ({"CustomPath": "/"}, "example-crl.s3.eu-west-1.amazonaws.com"),
    ],
)
def test_where_the_distribution_point_points(more: dict[str, str], host_and_path: str) -> None:
    world = World()
    settings = {"CrlConfiguration": {**CRL["CrlConfiguration"], **more}}
    arn = world.root(RevocationConfiguration=settings)
    leaf = world.issued(arn, csr())
    identifier = arn.rpartition("/")[2]
    assert crl_urls(leaf) == [f"http://{host_and_path}/{identifier}.crl"]
    key = crl_urls(leaf)[0].split("/", 3)[3]
    assert ("example-crl", key) in world.buckets.objects
    assert crl_urls(load_authority(world, arn)) == []


def test_the_domain_of_china_is_another() -> None:
    world = World(partition="aws-cn", region="cn-north-1")
    arn = world.root(RevocationConfiguration=CRL, template="arn:aws-cn:acm-pca:::template/RootCACertificate/V1")
    leaf = world.issued(arn, csr(), "arn:aws-cn:acm-pca:::template/EndEntityClientAuthCertificate/V1")
    assert crl_urls(leaf)[0].startswith("http://example-crl.s3.cn-north-1.amazonaws.com.cn/crl/")


@pytest.mark.parametrize(
    ("form", "enabled", "expected"),
    [
        ("EndEntityCertificate", False, []),
        ("EndEntityClientAuthCertificate", False, [FROM_CSR]),
        ("EndEntityCertificate_CSRPassthrough", False, [FROM_CSR]),
        ("EndEntityCertificate_CSRPassthrough", True, None),
    ],
)
def test_a_distribution_point_of_the_csr(form: str, enabled: bool, expected: list[str] | None) -> None:
    world = World()
    arn = world.root(RevocationConfiguration=CRL if enabled else {})
    urls = crl_urls(world.issued(arn, greedy_csr(), TEMPLATE.format(form)))
    if expected is None:
        assert urls != [FROM_CSR]
        assert len(urls) == 1
    else:
        assert urls == expected


def test_an_omitted_distribution_point() -> None:
    world = World()
    settings = {
        "CrlConfiguration": {
            **CRL["CrlConfiguration"],
            "CrlDistributionPointExtensionConfiguration": {"OmitExtension": True},
        }
    }
    arn = world.root(RevocationConfiguration=settings)
    assert crl_urls(world.issued(arn, csr())) == []
    assert world.crl(arn).is_signature_valid(key_of(load_authority(world, arn)))


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"UniformResourceIdentifier": "spiffe://example.com/a"}, x509.UniformResourceIdentifier),
        ({"Rfc822Name": "a@example.com"}, x509.RFC822Name),
        ({"IpAddress": "192.0.2.1"}, x509.IPAddress),
        ({"IpAddress": "2001:db8::1"}, x509.IPAddress),
        ({"RegisteredId": "1.2.3"}, x509.RegisteredID),
        ({"DirectoryName": {"CommonName": "x"}}, x509.DirectoryName),
        ({"OtherName": {"TypeId": "1.3.6.1.4.1.311.20.2.3", "Value": "u" * 200}}, x509.OtherName),
    ],
)
def test_every_kind_of_general_name(choice: dict[str, Any], kind: type[x509.GeneralName]) -> None:
    world = World()
    certificate = world.issued(
        world.root(),
        csr(),
        TEMPLATE.format("EndEntityClientAuthCertificate_APIPassthrough"),
        ApiPassthrough={"Extensions": {"SubjectAlternativeNames": [choice]}},
    )
    (name,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert isinstance(name, kind)


@pytest.mark.parametrize(
    ("code", "api"),
    [
        ("InvalidArgsException", {"SubjectAlternativeNames": [{"DnsName": "a", "IpAddress": "192.0.2.1"}]}),
        ("InvalidArgsException", {"SubjectAlternativeNames": [{}]}),
        ("InvalidArgsException", {"SubjectAlternativeNames": [{"IpAddress": "not an address"}]}),
        ("InvalidArgsException", {"SubjectAlternativeNames": [{"IpAddress": "fe80::1%eth0"}]}),
        ("InvalidArgsException", {"SubjectAlternativeNames": [{"DnsName": "b\u00fccher.example"}]}),
        ("InvalidArgsException", {"SubjectAlternativeNames": [{"EdiPartyName": {"PartyName": "x"}, "DnsName": "a"}]}),
        ("InvalidArgsException", {"KeyUsage": {"EncipherOnly": True}}),
        ("InvalidArgsException", {"ExtendedKeyUsage": [{}]}),
    ],
)
def test_api_extensions_that_cannot_be(code: str, api: dict[str, Any]) -> None:
    world = World()
    world.refused(
        code,
        "IssueCertificate",
        CertificateAuthorityArn=world.root(),
        Csr=csr(),
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
        TemplateArn=TEMPLATE.format("BlankEndEntityCertificate_APIPassthrough"),
        ApiPassthrough={"Extensions": api},
    )


def test_san_alone_is_critical_when_it_comes_from_the_api() -> None:
    world = World()
    certificate = world.issued(
        world.root(),
        csr(None, extensions=[san("old.example.com")]),
        TEMPLATE.format("EndEntityClientAuthCertificate_APIPassthrough"),
        ApiPassthrough={"Extensions": {"SubjectAlternativeNames": [{"DnsName": "new.example.com"}]}},
    )
    found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    assert found.critical
    assert dns_names(certificate) == ["new.example.com"]
