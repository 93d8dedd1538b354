"""What ApiPassthrough can carry: limits, qualifiers, object identifiers, names of every kind, custom extensions."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from tests.unit.sandbox.test_extensions import crl_urls, policy_ids
from tests.unit.sandbox.test_templates import FORMS, extended, usages
from tests.unit.sandbox.world import CRL, TEMPLATE, World, csr

BLANK = TEMPLATE.format("BlankEndEntityCertificate_APIPassthrough")
CUSTOM_OID = "1.3.6.1.4.1.99999.3"
OMIT = {
    "CrlConfiguration": {
        **CRL["CrlConfiguration"],
        "CrlDistributionPointExtensionConfiguration": {"OmitExtension": True},
    }
}


def issued(extensions: dict[str, Any], template: str = BLANK, **more: Any) -> x509.Certificate:
    world = World()
    return world.issued(world.root(**more), csr(), template, ApiPassthrough={"Extensions": extensions})


def custom(oid: str, value: bytes, *, critical: bool | None = None) -> dict[str, Any]:
    extension: dict[str, Any] = {"ObjectIdentifier": oid, "Value": base64.b64encode(value).decode()}
    return extension if critical is None else {**extension, "Critical": critical}


def names(count: int) -> dict[str, Any]:
    return {"SubjectAlternativeNames": [{"DnsName": f"n{i}.example.com"} for i in range(count)]}


def usage_oids(count: int) -> dict[str, Any]:
    return {
        "ExtendedKeyUsage": [{"ExtendedKeyUsageObjectIdentifier": f"1.3.6.1.4.1.99999.9.{i}"} for i in range(count)]
    }


def policies(count: int, qualifiers: int = 0) -> dict[str, Any]:
    cps = [
        {"PolicyQualifierId": "CPS", "Qualifier": {"CpsUri": f"http://cps.example.com/{i}"}} for i in range(qualifiers)
    ]
    more = {"PolicyQualifiers": cps} if qualifiers else {}
    return {"CertificatePolicies": [{"CertPolicyId": f"1.3.6.1.4.1.99999.8.{i}", **more} for i in range(count)]}


def customs(count: int) -> dict[str, Any]:
    return {"CustomExtensions": [custom(f"1.3.6.1.4.1.99999.7.{i}", b"\x05\x00") for i in range(count)]}


@pytest.mark.parametrize(
    ("most", "one_more"),
    [
        (names(150), names(151)),
        (usage_oids(20), usage_oids(21)),
        (policies(20), policies(21)),
        (policies(1, 20), policies(1, 21)),
        (customs(150), customs(151)),
        (
            {"CustomExtensions": [custom(CUSTOM_OID, b"\x04" * 3072)]},
            {"CustomExtensions": [custom(CUSTOM_OID, b"\x04" * 3073)]},
        ),
        ({"SubjectAlternativeNames": [{"DnsName": "a" * 253}]}, {"SubjectAlternativeNames": [{"DnsName": "a" * 254}]}),
        (
            {"SubjectAlternativeNames": [{"Rfc822Name": "a" * 245 + "@b.example"}]},
            {"SubjectAlternativeNames": [{"Rfc822Name": "a" * 247 + "@b.example"}]},
        ),
    ],
)
def test_the_limits_of_the_model(most: dict[str, Any], one_more: dict[str, Any]) -> None:
    assert issued(most).serial_number
    refused("ValidationException", one_more)


@pytest.mark.parametrize(
    "empty", ["SubjectAlternativeNames", "ExtendedKeyUsage", "CertificatePolicies", "CustomExtensions"]
)
def test_empty_lists_are_refused(empty: str) -> None:
    refused("ValidationException", {empty: []})


def refused(code: str, extensions: dict[str, Any]) -> str:
    world = World()
    return world.refused(
        code,
        "IssueCertificate",
        CertificateAuthorityArn=world.root(),
        Csr=csr(),
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
        TemplateArn=BLANK,
        ApiPassthrough={"Extensions": extensions},
    )


@pytest.mark.parametrize(
    "extensions",
    [
        {"ExtendedKeyUsage": [{"ExtendedKeyUsageObjectIdentifier": "3.1.1"}]},
        {"ExtendedKeyUsage": [{"ExtendedKeyUsageType": "IPSEC"}]},
        {"CertificatePolicies": [{"CertPolicyId": "1.2.x"}]},
        {"CustomExtensions": [{"ObjectIdentifier": CUSTOM_OID, "Value": "***"}]},
        {"CustomExtensions": [{"ObjectIdentifier": "1." + "2" * 63, "Value": "BQA="}]},
    ],
)
def test_what_the_model_does_not_know(extensions: dict[str, Any]) -> None:
    refused("ValidationException", extensions)


def test_two_ways_to_name_a_usage_at_once() -> None:
    both = {"ExtendedKeyUsageType": "CLIENT_AUTH", "ExtendedKeyUsageObjectIdentifier": "1.3.6.1.5.5.7.3.2"}
    refused("InvalidArgsException", {"ExtendedKeyUsage": [both]})


EXTENDED = {
    "SERVER_AUTH": "1.3.6.1.5.5.7.3.1",
    "CLIENT_AUTH": "1.3.6.1.5.5.7.3.2",
    "CODE_SIGNING": "1.3.6.1.5.5.7.3.3",
    "EMAIL_PROTECTION": "1.3.6.1.5.5.7.3.4",
    "TIME_STAMPING": "1.3.6.1.5.5.7.3.8",
    "OCSP_SIGNING": "1.3.6.1.5.5.7.3.9",
    "SMART_CARD_LOGIN": "1.3.6.1.4.1.311.20.2.2",
    "DOCUMENT_SIGNING": "1.3.6.1.4.1.311.10.3.12",
    "CERTIFICATE_TRANSPARENCY": "1.3.6.1.4.1.11129.2.4.4",
}


def test_every_extended_usage_by_name_and_one_by_number() -> None:
    usages = [{"ExtendedKeyUsageType": name} for name in EXTENDED]
    certificate = issued({"ExtendedKeyUsage": [*usages, {"ExtendedKeyUsageObjectIdentifier": "1.3.6.1.5.5.7.3.17"}]})
    assert extended(certificate) == ({*EXTENDED.values(), "1.3.6.1.5.5.7.3.17"}, False)


BITS = {
    "DigitalSignature": "digital_signature",
    "NonRepudiation": "content_commitment",
    "KeyEncipherment": "key_encipherment",
    "DataEncipherment": "data_encipherment",
    "KeyAgreement": "key_agreement",
    "KeyCertSign": "key_cert_sign",
    "CRLSign": "crl_sign",
}


@pytest.mark.parametrize("bit", BITS)
def test_every_bit_of_key_usage(bit: str) -> None:
    assert usages(issued({"KeyUsage": {bit: True}})) == {BITS[bit]}


def test_key_usages_that_need_key_agreement() -> None:
    certificate = issued({"KeyUsage": {"KeyAgreement": True, "EncipherOnly": True}})
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_agreement, usage.encipher_only, usage.decipher_only) == (True, True, False)


def test_policies_with_qualifiers() -> None:
    certificate = issued(policies(2, 2))
    extension = certificate.extensions.get_extension_for_class(x509.CertificatePolicies)
    assert not extension.critical
    for policy in extension.value:
        assert policy.policy_qualifiers == ["http://cps.example.com/0", "http://cps.example.com/1"]
    assert policy_ids(certificate) == ["1.3.6.1.4.1.99999.8.0", "1.3.6.1.4.1.99999.8.1"]


@pytest.mark.parametrize("critical", [None, False, True])
def test_custom_extensions_are_critical_if_they_say_so(critical: bool | None) -> None:
    certificate = issued({"CustomExtensions": [custom(CUSTOM_OID, b"\x05\x00", critical=critical)]})
    assert certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(CUSTOM_OID)).critical is bool(critical)


def point(url: str) -> bytes:
    name = x509.UniformResourceIdentifier(url)
    return x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None)]).public_bytes()


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (OMIT, ["http://own.example.com/a.crl"]),
        ({}, ["http://own.example.com/a.crl"]),
        (CRL, None),
    ],
)
@pytest.mark.parametrize("name", ["EndEntityClientAuthCertificate", "BlankEndEntityCertificate"])
def test_a_custom_distribution_point_stands_where_the_ca_writes_none(
    configuration: dict[str, Any], expected: list[str] | None, name: str
) -> None:
    own = {"CustomExtensions": [custom("2.5.29.31", point("http://own.example.com/a.crl"))]}
    certificate = issued(own, TEMPLATE.format(f"{name}_APIPassthrough"), RevocationConfiguration=configuration)
    found = crl_urls(certificate)
    if expected is None:
        assert found[0].startswith("http://example-crl.s3.eu-west-1.amazonaws.com/crl/")
    else:
        assert found == expected


GARBAGE = [
    b"\x05\x00",
    b"\x30\x80",
    b"\x30\x03\x02\x01",
    b"\xff" * 40,
    b"\x30\x84\xff\xff\xff\xff",
    b"\x30\x00\x00",
]
KNOWN = {  # each with a value that its definition in RFC 5280 allows
    "2.5.29.30": x509.NameConstraints([x509.DNSName("a")], None).public_bytes(),
    "2.5.29.31": point("http://own.example.com/a.crl"),
    "2.5.29.32": b"\x30\x06\x30\x04\x06\x02\x2a\x03",
    "2.5.29.36": b"\x30\x03\x80\x01\x00",
    "2.5.29.46": point("http://own.example.com/b.crl"),
    "2.5.29.54": b"\x02\x01\x01",
    "1.3.6.1.5.5.7.1.1": b"\x30\x11\x30\x0f\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86\x03\x61\x3a\x2f",
    "1.3.6.1.5.5.7.1.24": b"\x30\x03\x02\x01\x05",
    "2.5.29.17": b"\x30\x07\xa5\x05\xa1\x03\x0c\x01\x61",  # an EDI party name
}


@pytest.mark.parametrize("oid", KNOWN)
def test_a_custom_value_under_a_known_identifier_must_be_one(oid: str) -> None:
    for garbage in GARBAGE:
        refused("InvalidArgsException", {"CustomExtensions": [custom(oid, garbage)]})
    issued({"CustomExtensions": [custom(oid, KNOWN[oid])]})
    # under an identifier of one's own it may be anything
    for value in GARBAGE:
        issued({"CustomExtensions": [custom(CUSTOM_OID, value)]})


@pytest.mark.parametrize("oid", ["2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.14", "2.5.29.35"])
def test_what_a_template_fixes_cannot_be_customised(oid: str) -> None:
    template = TEMPLATE.format("EndEntityClientAuthCertificate_APIPassthrough")
    plain = issued({}, template)
    certificate = issued({"CustomExtensions": [custom(oid, b"\x30\x00")]}, template)
    for extension in certificate.extensions:
        other = plain.extensions.get_extension_for_oid(extension.oid)
        assert extension.critical == other.critical
        if extension.oid not in {ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER}:
            assert extension.value == other.value


@pytest.mark.parametrize(
    ("party", "encoded"),
    [
        ({"PartyName": "party"}, "a509 a107 0c05 7061727479"),
        ({"PartyName": "party", "NameAssigner": "by"}, "a50f a004 0c02 6279 a107 0c05 7061727479"),
        ({"PartyName": ""}, "a504 a102 0c00"),
    ],
)
def test_edi_party_names(party: dict[str, str], encoded: str) -> None:
    other = {"DnsName": "a.example.com"}
    certificate = issued({"SubjectAlternativeNames": [{"EdiPartyName": party}, other]})
    value = bytes.fromhex(encoded) + b"\x82\x0da.example.com"
    # cryptography cannot read such a name, so its bytes are looked for
    assert bytes([0x04, len(value) + 2, 0x30, len(value)]) + value in certificate.tbs_certificate_bytes
    with pytest.raises(x509.UnsupportedGeneralNameType):
        list(certificate.extensions)


def test_an_edi_party_in_the_request_of_a_ca() -> None:
    world = World()
    access = {
        "AccessMethod": {"CustomObjectIdentifier": "1.3.6.1.5.5.7.48.5"},
        "AccessLocation": {"EdiPartyName": {"PartyName": "party"}},
    }
    arn = world.create("SUBORDINATE", configuration={"CsrExtensions": {"SubjectInformationAccess": [access]}})
    request = x509.load_pem_x509_csr(world.authority_csr(arn).encode())
    description = bytes.fromhex("3015 0608 2b06010505073005 a509 a107 0c05 7061727479")
    assert description in request.tbs_certrequest_bytes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_each_form_in_the_other_partitions(partition: str, form: str) -> None:
    region = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}[partition]
    world = World(partition=partition, region=region)
    arn = world.root(template=f"arn:{partition}:acm-pca:::template/RootCACertificate/V1")
    template = f"arn:{partition}:acm-pca:::template/EndEntityClientAuthCertificate{form}/V1"
    assert extended(world.issued(arn, csr(), template)) == ({"1.3.6.1.5.5.7.3.2"}, False)
