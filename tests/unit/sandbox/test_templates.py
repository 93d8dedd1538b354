"""Every template of the user guide against a table written by hand from it."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from pkiops.sandbox.engine.templates import TEMPLATES
from tests.unit.sandbox.world import CRL, TEMPLATE, World, csr, load, san

SERVER, CLIENT = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
CODE, OCSP = "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.9"
DIGITAL, ENCIPHER, CERT_SIGN, CRL_SIGN = "digital_signature", "key_encipherment", "key_cert_sign", "crl_sign"
ISSUER = {DIGITAL, CERT_SIGN, CRL_SIGN}
FORMS = ("", "_CSRPassthrough", "_APIPassthrough", "_APICSRPassthrough")
BLANK = FORMS[1:]

# family: forms, basicConstraints (critical, ca, path length), key usage, extended key usage and whether it is critical
GOLDEN = {
    "EndEntityCertificate": (FORMS, (False, False, None), {DIGITAL, ENCIPHER}, {SERVER, CLIENT}, False),
    "EndEntityClientAuthCertificate": (FORMS, (False, False, None), {DIGITAL, ENCIPHER}, {CLIENT}, False),
    "EndEntityServerAuthCertificate": (FORMS, (False, False, None), {DIGITAL, ENCIPHER}, {SERVER}, False),
    "CodeSigningCertificate": (FORMS, (False, False, None), {DIGITAL}, {CODE}, True),
    "OCSPSigningCertificate": (FORMS, (False, False, None), {DIGITAL}, {OCSP}, True),
    "BlankEndEntityCertificate": (BLANK, (False, False, None), None, None, False),
    "BlankEndEntityCertificate_CriticalBasicConstraints": (BLANK, (True, False, None), None, None, False),
    "RootCACertificate": (("", "_APIPassthrough"), (True, True, None), ISSUER, None, False),
    "BlankRootCACertificate": (("_APIPassthrough",), (True, True, None), None, None, False),
    "BlankRootCACertificate_PathLen0": (("_APIPassthrough",), (True, True, 0), None, None, False),
    "BlankRootCACertificate_PathLen1": (("_APIPassthrough",), (True, True, 1), None, None, False),
    "BlankRootCACertificate_PathLen2": (("_APIPassthrough",), (True, True, 2), None, None, False),
    "BlankRootCACertificate_PathLen3": (("_APIPassthrough",), (True, True, 3), None, None, False),
    "SubordinateCACertificate_PathLen0": (FORMS, (True, True, 0), ISSUER, None, False),
    "SubordinateCACertificate_PathLen1": (FORMS, (True, True, 1), ISSUER, None, False),
    "SubordinateCACertificate_PathLen2": (FORMS, (True, True, 2), ISSUER, None, False),
    "SubordinateCACertificate_PathLen3": (FORMS, (True, True, 3), ISSUER, None, False),
    "BlankSubordinateCACertificate_PathLen0": (BLANK, (True, True, 0), None, None, False),
    "BlankSubordinateCACertificate_PathLen1": (BLANK, (True, True, 1), None, None, False),
    "BlankSubordinateCACertificate_PathLen2": (BLANK, (True, True, 2), None, None, False),
    "BlankSubordinateCACertificate_PathLen3": (BLANK, (True, True, 3), None, None, False),
}
CASES = [(family + form, row) for family, (forms, *row) in GOLDEN.items() for form in forms]


def usages(certificate: x509.Certificate) -> set[str] | None:
    """The bits of keyUsage, which must be critical; None without the extension."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        return None
    assert extension.critical
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return {name for name in (*names, "key_cert_sign", "crl_sign") if getattr(extension.value, name)}


def extended(certificate: x509.Certificate) -> tuple[set[str], bool] | None:
    """The OIDs of extendedKeyUsage and its criticality; None without the extension."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return None
    return {oid.dotted_string for oid in extension.value}, extension.critical


def test_the_table_is_complete() -> None:
    assert {name for name, _ in CASES} == set(TEMPLATES)


@pytest.mark.parametrize(("name", "row"), CASES, ids=[name for name, _ in CASES])
def test_extensions_of_each_template(name: str, row: list[object]) -> None:
    constraints, key_usage, extended_usage, extended_critical = row
    world = World()
    is_root = "Root" in name
    arn = world.create() if is_root else world.root()
    request = world.authority_csr(arn) if is_root else csr(extensions=[san("a.example.com")])
    certificate = world.issued(arn, request, TEMPLATE.format(name))
    found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (found.critical, found.value.ca, found.value.path_length) == constraints
    assert usages(certificate) == key_usage
    assert extended(certificate) == ((extended_usage, extended_critical) if extended_usage else None)
    oids = {extension.oid for extension in certificate.extensions}
    assert ExtensionOID.SUBJECT_KEY_IDENTIFIER in oids
    assert (ExtensionOID.AUTHORITY_KEY_IDENTIFIER in oids) is not is_root
    assert (ExtensionOID.SUBJECT_ALTERNATIVE_NAME in oids) is not is_root


REGIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
REVOCATION = {**CRL, "OcspConfiguration": {"Enabled": True}}


@pytest.mark.parametrize("partition", REGIONS)
@pytest.mark.parametrize(("name", "row"), CASES, ids=[name for name, _ in CASES])
def test_nothing_but_the_extensions_of_the_table_in_each_partition(
    partition: str, name: str, row: list[object]
) -> None:
    """With CRL and OCSP on, every extension there is, in each partition, and not one more."""
    _, key_usage, extended_usage, _ = row
    world = World(partition=partition, region=REGIONS[partition])
    template = f"arn:{partition}:acm-pca:::template/{{}}/V1"
    is_root = "Root" in name
    arn = world.create(RevocationConfiguration=REVOCATION)
    if not is_root:
        arn = world.root("Other", template=template.format("RootCACertificate"), RevocationConfiguration=REVOCATION)
    request = world.authority_csr(arn) if is_root else csr(extensions=[san("a.example.com")])
    certificate = world.issued(arn, request, template.format(name))
    expected = {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.SUBJECT_KEY_IDENTIFIER}
    if key_usage:
        expected.add(ExtensionOID.KEY_USAGE)
    if extended_usage:
        expected.add(ExtensionOID.EXTENDED_KEY_USAGE)
    if not is_root:
        expected |= {
            ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
            ExtensionOID.CRL_DISTRIBUTION_POINTS,
            ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        }
    assert {extension.oid for extension in certificate.extensions} == expected
    domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    if not is_root:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        assert [description.access_location.value for description in access] == [
            f"http://ocsp.acm-pca.{REGIONS[partition]}.{domain}"
        ]


def test_a_fixture_leaf_has_client_auth() -> None:
    world = World()
    leaf = world.issued(world.subordinate(world.root()), csr())
    assert extended(leaf) == ({CLIENT}, False)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_without_a_template_it_is_an_end_entity_for_both_sides() -> None:
    world = World()
    assert extended(world.issued(world.root(), csr(), None)) == ({SERVER, CLIENT}, False)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_each_partition_has_its_own_template_arns(partition: str) -> None:
    region = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}[partition]
    world = World(partition=partition, region=region)
    template = f"arn:{partition}:acm-pca:::template/EndEntityClientAuthCertificate/V1"
    arn = world.root(template=f"arn:{partition}:acm-pca:::template/RootCACertificate/V1")
    assert extended(world.issued(arn, csr(), template)) == ({CLIENT}, False)
    foreign = "arn:aws-cn:" if partition == "aws" else "arn:aws:"
    request = {"CertificateAuthorityArn": arn, "Csr": csr(), "SigningAlgorithm": "SHA256WITHECDSA"}
    world.refused(
        "InvalidArgsException",
        "IssueCertificate",
        **request,
        Validity={"Type": "DAYS", "Value": 1},
        TemplateArn=template.replace(f"arn:{partition}:", foreign),
    )


@pytest.mark.parametrize(
    "template",
    [
        "arn:aws:acm-pca:::template/Bogus/V1",
        "arn:aws:acm-pca:::template/EndEntityCertificate/V9",
        "arn:aws:acm-pca:::template/BlankRootCACertificate/V1",
        "arn:aws-iso:acm-pca:::template/EndEntityCertificate/V1",
        "arn:aws:acm-pca:eu-west-1:111122223333:template/EndEntityCertificate/V1",
    ],
)
def test_an_unknown_template_is_refused(template: str) -> None:
    world = World()
    arn = world.root()
    world.refused(
        "InvalidArgsException",
        "IssueCertificate",
        CertificateAuthorityArn=arn,
        Csr=csr(),
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
        TemplateArn=template,
    )


def test_a_root_with_path_length_comes_from_the_blank_template() -> None:
    world = World()
    arn = world.create()
    extensions = {"KeyUsage": {"KeyCertSign": True, "CRLSign": True, "DigitalSignature": True}}
    answer = world.get(
        arn,
        world.issue(
            arn,
            world.authority_csr(arn),
            TEMPLATE.format("BlankRootCACertificate_PathLen1_APIPassthrough"),
            ApiPassthrough={"Extensions": extensions},
        ),
    )
    certificate = load(answer["Certificate"])
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 1
    assert usages(certificate) == ISSUER
    assert "CertificateChain" not in answer
    assert not answer["Certificate"].endswith("\n")
