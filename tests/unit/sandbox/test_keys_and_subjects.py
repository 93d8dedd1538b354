"""CA keys, signing algorithms and subjects."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from tests.unit.sandbox.world import World, csr

ML_DSA = ("ML_DSA_44", "ML_DSA_65", "ML_DSA_87")


@pytest.mark.parametrize(
    ("key", "signing", "size"),
    [
        ("RSA_2048", "SHA256WITHRSA", 2048),
        ("RSA_3072", "SHA384WITHRSA", 3072),
        ("RSA_2048", "SHA512WITHRSA_PSS", 2048),
        ("EC_prime256v1", "SHA256WITHECDSA", 256),
        ("EC_secp384r1", "SHA384WITHECDSA", 384),
        ("EC_secp521r1", "SHA512WITHECDSA", 521),
    ],
)
def test_key_and_signature_are_what_was_asked_for(key: str, signing: str, size: int) -> None:
    world = World()
    root = world.root(key=key, signing=signing)
    leaf = world.issued(root, csr())
    answer = world.call("GetCertificateAuthorityCertificate", CertificateAuthorityArn=root)
    authority = x509.load_pem_x509_certificate(answer["Certificate"].encode())
    public_key = authority.public_key()
    assert isinstance(public_key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey))
    assert public_key.key_size == size
    leaf.verify_directly_issued_by(authority)
    assert leaf.signature_hash_algorithm is not None
    assert leaf.signature_hash_algorithm.name.upper() == signing[:6]
    parameters = leaf.signature_algorithm_parameters
    if signing.endswith("_PSS"):
        assert leaf.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
        assert isinstance(parameters, padding.PSS)
    elif key.startswith("RSA"):
        assert isinstance(parameters, padding.PKCS1v15)


def test_a_leaf_may_be_signed_with_another_digest_than_the_ca() -> None:
    world = World()
    leaf = world.issued(world.root(key="RSA_2048", signing="SHA256WITHRSA"), csr(), SigningAlgorithm="SHA512WITHRSA")
    assert isinstance(leaf.signature_hash_algorithm, hashes.SHA512)


@pytest.mark.parametrize("algorithm", ML_DSA)
def test_post_quantum_keys(algorithm: str) -> None:
    pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa")
    world = World()
    root = world.root(key=algorithm, signing=algorithm)
    sub = world.subordinate(root, key=algorithm, signing=algorithm)
    assert world.issued(sub, csr()).signature_hash_algorithm is None


@pytest.mark.parametrize(
    ("key", "signing"),
    [
        ("RSA_2048", "SHA256WITHECDSA"),
        ("EC_prime256v1", "SHA256WITHRSA"),
        ("EC_prime256v1", "ML_DSA_44"),
        ("ML_DSA_44", "ML_DSA_65"),
    ],
)
def test_another_family_is_refused(key: str, signing: str) -> None:
    world = World()
    message = world.refused(
        "InvalidArgsException",
        "CreateCertificateAuthority",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": key,
            "SigningAlgorithm": signing,
            "Subject": {"CommonName": "a"},
        },
        CertificateAuthorityType="ROOT",
    )
    assert f"Signing algorithm {signing} cannot be used with key type {key}" in message


def test_another_family_is_refused_when_issuing() -> None:
    world = World()
    arn = world.root()
    world.refused(
        "InvalidArgsException",
        "IssueCertificate",
        CertificateAuthorityArn=arn,
        Csr=csr(),
        SigningAlgorithm="SHA384WITHRSA",
        Validity={"Type": "DAYS", "Value": 1},
    )


def test_a_key_of_china_is_not_there() -> None:
    world = World()
    world.refused(
        "SandboxNotImplemented",
        "CreateCertificateAuthority",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "SM2",
            "SigningAlgorithm": "SM3WITHSM2",
            "Subject": {"CommonName": "a"},
        },
        CertificateAuthorityType="ROOT",
    )


def subject_of(subject: dict[str, Any]) -> str:
    world = World()
    arn = world.create(configuration={"Subject": subject})
    return x509.load_pem_x509_csr(world.authority_csr(arn).encode()).subject.rfc4514_string()


def test_every_field_of_a_subject_is_in_the_csr() -> None:
    text = subject_of(
        {
            "Country": "GB",
            "Organization": "O",
            "OrganizationalUnit": "OU",
            "DistinguishedNameQualifier": "q",
            "State": "S",
            "CommonName": "CN",
            "SerialNumber": "1",
            "Locality": "L",
            "Title": "T",
            "Surname": "Su",
            "GivenName": "Gi",
            "Initials": "I",
            "Pseudonym": "P",
            "GenerationQualifier": "Jr",
        }
    )
    for part in ("C=GB", "O=O", "OU=OU", "ST=S", "CN=CN", "L=L", "2.5.4.46=q", "2.5.4.5=1", "2.5.4.12=T", "2.5.4.65=P"):
        assert part in text.split(",")


def test_fields_of_a_subject_stand_in_the_order_of_the_model() -> None:
    text = subject_of(
        {
            "Locality": "L",
            "CommonName": "CN",
            "State": "S",
            "OrganizationalUnit": "OU",
            "Organization": "O",
            "Country": "GB",
        }
    )
    assert text.split(",")[::-1] == ["C=GB", "O=O", "OU=OU", "ST=S", "CN=CN", "L=L"]


def test_custom_attributes_keep_their_order() -> None:
    text = subject_of(
        {
            "CustomAttributes": [
                {"ObjectIdentifier": "0.9.2342.19200300.100.1.25", "Value": "com"},
                {"ObjectIdentifier": "0.9.2342.19200300.100.1.25", "Value": "example"},
                {"ObjectIdentifier": "2.5.4.3", "Value": "svc"},
            ]
        }
    )
    assert text == "CN=svc,DC=example,DC=com"


@pytest.mark.parametrize(
    "subject",
    [
        {},
        {"CommonName": ""},
        {"CommonName": "a", "CustomAttributes": [{"ObjectIdentifier": "2.5.4.3", "Value": "b"}]},
        {"CustomAttributes": [{"ObjectIdentifier": "2.5.4.6", "Value": "too long for a country"}]},
        {"CustomAttributes": [{"ObjectIdentifier": "2.5.4.5", "Value": "\u00e9"}]},  # a PrintableString
    ],
)
def test_impossible_subjects(subject: dict[str, Any]) -> None:
    world = World()
    world.refused(
        "InvalidArgsException",
        "CreateCertificateAuthority",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": subject,
        },
        CertificateAuthorityType="ROOT",
    )


def test_csr_extensions_are_in_the_csr() -> None:
    world = World()
    access = {
        "AccessMethod": {"AccessMethodType": "CA_REPOSITORY"},
        "AccessLocation": {"UniformResourceIdentifier": "http://repository.example.com"},
    }
    extensions = {"KeyUsage": {"KeyCertSign": True, "CRLSign": True}, "SubjectInformationAccess": [access]}
    arn = world.create("SUBORDINATE", configuration={"CsrExtensions": extensions})
    request = x509.load_pem_x509_csr(world.authority_csr(arn).encode())
    critical = {extension.oid: extension.critical for extension in request.extensions}
    assert critical[ExtensionOID.KEY_USAGE]
    assert not critical[ExtensionOID.SUBJECT_INFORMATION_ACCESS]
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    (description,) = request.extensions.get_extension_for_class(x509.SubjectInformationAccess).value
    assert description.access_method.dotted_string == "1.3.6.1.5.5.7.48.5"


@pytest.mark.parametrize("given", [{}, {"KeyStorageSecurityStandard": "FIPS_140_2_LEVEL_3_OR_HIGHER"}])
def test_the_security_standard_of_china(given: dict[str, str]) -> None:
    world = World(partition="aws-cn", region="cn-north-1")
    configuration = {
        "KeyAlgorithm": "EC_prime256v1",
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Subject": {"CommonName": "a"},
    }
    request = {"CertificateAuthorityConfiguration": configuration, "CertificateAuthorityType": "ROOT"}
    message = world.refused("InvalidArgsException", "CreateCertificateAuthority", **request, **given)
    assert message == "A certificate authority cannot be created in this region with the specified security standard."
    standard = "CCPC_LEVEL_1_OR_HIGHER"
    made = world.call("CreateCertificateAuthority", **request, KeyStorageSecurityStandard=standard)
    assert world.describe(made["CertificateAuthorityArn"])["KeyStorageSecurityStandard"] == standard
