"""The pure pieces of the AWS backend: templates, tokens, shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pkiops.backends.aws_private_ca import shapes
from pkiops.backends.aws_private_ca.crl_bucket import crl_bucket_statements
from pkiops.backends.aws_private_ca.templates import end_entity_template, root_template, subordinate_template
from pkiops.backends.aws_private_ca.tokens import idempotency_token
from pkiops.backends.interface import AuthorityRequest, AuthorityStatus, AuthorityType, CrlSettings
from pkiops.errors import NotSupported
from pkiops.homes import Home
from pkiops.x509 import pem
from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm
from pkiops.x509.san import SanKind, SubjectAltName

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
CRL = CrlSettings(bucket="example-crl", host="pki.example.com", validity_days=7)
REQUEST = AuthorityRequest(
    type=AuthorityType.ROOT,
    subject={"country": "GB", "organization": "Example Ltd", "common_name": "Root G1"},
    key_algorithm=KeyAlgorithm.EC_secp384r1,
    signing_algorithm=SigningAlgorithm.SHA384WITHECDSA,
    usage_mode="GENERAL_PURPOSE",
    crl=CRL,
    tags={"pkiops:environment": "dev", "pkiops:authority": "root", "pkiops:generation": "1"},
)


@pytest.mark.parametrize(
    ("usages", "passthrough", "name", "extended"),
    [
        (["clientAuth"], False, "EndEntityClientAuthCertificate", ("clientAuth",)),
        (["clientAuth"], True, "EndEntityClientAuthCertificate_APIPassthrough", ("clientAuth",)),
        (["serverAuth"], False, "EndEntityServerAuthCertificate", ("serverAuth",)),
        (["clientAuth", "serverAuth"], False, "EndEntityCertificate", ("serverAuth", "clientAuth")),
    ],
)
def test_end_entity_templates(usages: list[str], passthrough: bool, name: str, extended: tuple[str, ...]) -> None:
    template = end_entity_template(usages, passthrough=passthrough)
    assert template.name == name
    assert template.extended_key_usage == extended
    assert template.key_usage == ("digitalSignature", "keyEncipherment")
    assert template.arn("aws-us-gov") == f"arn:aws-us-gov:acm-pca:::template/{name}/V1"


def test_a_usage_without_template_is_not_supported() -> None:
    with pytest.raises(NotSupported):
        end_entity_template(["codeSigning"], passthrough=False)


def test_ca_templates() -> None:
    assert root_template(None).name == "RootCACertificate"
    assert root_template(1).name == "BlankRootCACertificate_PathLen1_APIPassthrough"
    assert subordinate_template(0).name == "SubordinateCACertificate_PathLen0"
    assert shapes.authority_passthrough(root_template(1), None) == {
        "Extensions": {"KeyUsage": {"DigitalSignature": True, "KeyCertSign": True, "CRLSign": True}}
    }


def test_the_create_request_holds_crl_and_identity() -> None:
    assert shapes.create_parameters(REQUEST) == {
        "CertificateAuthorityType": "ROOT",
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": "EC_secp384r1",
            "SigningAlgorithm": "SHA384WITHECDSA",
            "Subject": {"Country": "GB", "Organization": "Example Ltd", "CommonName": "Root G1"},
        },
        "RevocationConfiguration": {
            "CrlConfiguration": {
                "Enabled": True,
                "ExpirationInDays": 7,
                "CustomCname": "pki.example.com",
                "S3BucketName": "example-crl",
                "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
            }
        },
        "UsageMode": "GENERAL_PURPOSE",
        "Tags": [
            {"Key": "pkiops:authority", "Value": "root"},
            {"Key": "pkiops:environment", "Value": "dev"},
            {"Key": "pkiops:generation", "Value": "1"},
        ],
    }


def issue_request(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "authority": "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/x",
        "csr_pem": b"pem",
        "signing_algorithm": "SHA256WITHECDSA",
        "template_arn": "arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1",
        "not_before": NOW,
        "not_after": NOW.replace(year=2027),
        "api_passthrough": None,
    }
    return shapes.issue_parameters(**{**given, **changes})


def test_china_names_the_only_key_storage_it_has() -> None:
    assert "KeyStorageSecurityStandard" not in shapes.create_parameters(REQUEST, "aws-us-gov")
    assert shapes.create_parameters(REQUEST, "aws-cn")["KeyStorageSecurityStandard"] == "CCPC_LEVEL_1_OR_HIGHER"


def test_both_ends_of_a_validity_are_absolute_and_the_template_is_explicit() -> None:
    request = issue_request()
    assert request["Validity"] == {"Type": "ABSOLUTE", "Value": 1_795_608_000 + 365 * 86_400}
    assert request["ValidityNotBefore"] == {"Type": "ABSOLUTE", "Value": 1_795_608_000}
    assert request["TemplateArn"].endswith("/V1")
    assert "ApiPassthrough" not in request


def test_approved_names_pass_through_the_api_one_choice_each() -> None:
    sans = [
        SubjectAltName(SanKind.DNS, "a.example.com"),
        SubjectAltName(SanKind.URI, "spiffe://example.com/a"),
        SubjectAltName(SanKind.IP, "10.0.0.1"),
        SubjectAltName(SanKind.EMAIL, "a@example.com"),
    ]
    assert shapes.names_passthrough({"common_name": "a.example.com"}, sans) == {
        "Subject": {"CommonName": "a.example.com"},
        "Extensions": {
            "SubjectAlternativeNames": [
                {"DnsName": "a.example.com"},
                {"UniformResourceIdentifier": "spiffe://example.com/a"},
                {"IpAddress": "10.0.0.1"},
                {"Rfc822Name": "a@example.com"},
            ]
        },
    }


def test_a_token_is_36_characters_and_depends_on_every_input() -> None:
    parameters = issue_request()
    token = idempotency_token("IssueCertificate", parameters)
    assert len(token) == 36
    assert token == idempotency_token("IssueCertificate", dict(reversed(list(parameters.items()))))
    others = {
        idempotency_token("CreateCertificateAuthority", parameters),
        idempotency_token("IssueCertificate", parameters, salt="1"),
        *(
            idempotency_token("IssueCertificate", issue_request(**change))
            for change in (
                {"authority": "arn:other"},
                {"csr_pem": b"other"},
                {"signing_algorithm": "SHA384WITHECDSA"},
                {"template_arn": "arn:other"},
                {"not_before": NOW.replace(second=1)},
                {"not_after": NOW.replace(year=2028)},
                {"api_passthrough": {"Subject": {"CommonName": "x"}}},
            )
        ),
    }
    assert len(others) == 9
    assert token not in others


def test_an_answer_becomes_an_observed_authority() -> None:
    observed = shapes.authority_from_api(
        {
            "Arn": "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/x",
            "Type": "SUBORDINATE",
            "Status": "ACTIVE",
            "CreatedAt": NOW.replace(microsecond=5),
            "Serial": "0A:ff",
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": "RSA_2048",
                "SigningAlgorithm": "SHA256WITHRSA",
                "Subject": {"CommonName": "x", "Odd": "odd"},
            },
            "RevocationConfiguration": {
                "CrlConfiguration": {"Enabled": True, "ExpirationInDays": 3, "S3BucketName": "b"},
                "OcspConfiguration": {"Enabled": True},
            },
        },
        {"a": "b"},
    )
    assert observed.status is AuthorityStatus.ACTIVE
    assert observed.created_at == NOW
    assert observed.subject == {"common_name": "x", "Odd": "odd"}
    assert observed.crl == CrlSettings(bucket="b", host=None, validity_days=3)
    assert observed.ocsp


@pytest.mark.parametrize("configuration", [None, {}, {"Enabled": False}])
def test_no_crl_is_none(configuration: dict[str, Any] | None) -> None:
    assert shapes.crl_from_api(configuration) is None


def test_a_changed_crl_keeps_what_we_have_no_word_for_and_drops_what_contradicts_it() -> None:
    before = {
        "Enabled": True,
        "S3BucketName": "b",
        "ExpirationInDays": 3,
        "CrlType": "PARTITIONED",
        "CustomPath": "lists",
        "CrlDistributionPointExtensionConfiguration": {"OmitExtension": True},
        "FieldOfNextYear": 1,
    }
    found = shapes.crl_from_api(before)
    assert found is not None
    assert (found.named, found.complete, found.path) == (False, False, "lists")
    changed = shapes.changed_crl(before, CRL)
    assert changed == {
        **shapes.crl_to_api(CRL),
        "CrlType": "COMPLETE",
        "CrlDistributionPointExtensionConfiguration": {"OmitExtension": False},
        "FieldOfNextYear": 1,
    }
    assert shapes.changed_crl({}, CRL) == shapes.crl_to_api(CRL)


def test_pem_round_trip_and_damage() -> None:
    blocks = pem.encode(b"one", pem.CERTIFICATE) + b"text\n" + pem.encode(b"two", pem.CERTIFICATE)
    assert pem.decode(blocks, pem.CERTIFICATE) == (b"one", b"two")
    assert pem.decode(blocks.rstrip(b"\n"), pem.CERTIFICATE) == (b"one", b"two")
    for damaged in (b"-----BEGIN CERTIFICATE-----\nb25l", blocks.replace(b"b25l", b"b25!")):
        with pytest.raises(ValueError, match="CERTIFICATE block"):
            pem.decode(damaged, pem.CERTIFICATE)


def test_one_crl_bucket_for_several_homes() -> None:
    own = Home("111122223333", "eu-west-1")
    role = "arn:aws:iam::444455556666:role/keeper"
    writers = {
        own: ["arn:aws:iam::111122223333:role/own"],
        Home("444455556666", "eu-south-1"): [role],
        Home("111122223333", "us-east-1"): ["arn:aws:iam::111122223333:role/own"],
    }
    service, keepers, tls = crl_bucket_statements("b", own, writers)
    assert service["Principal"]["Service"] == ["acm-pca.amazonaws.com", "acm-pca.eu-south-1.amazonaws.com"]
    assert service["Condition"]["StringEquals"]["aws:SourceAccount"] == ["111122223333", "444455556666"]
    assert len(service["Condition"]["ArnLike"]["aws:SourceArn"]) == 3
    assert keepers["Principal"] == {"AWS": "arn:aws:iam::444455556666:root"}
    assert keepers["Condition"] == {"ArnEquals": {"aws:PrincipalArn": role}}
    assert tls["Effect"] == "Deny"
    alone = crl_bucket_statements("b", own, {own: []})
    assert [one["Sid"] for one in alone] == ["PkiopsPrivateCaWritesCrls", "PkiopsWritesNeedTls"]
    assert alone[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
