"""The shapes that the user guide's examples have, with names of our own: what is printed there must be taken here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from tests.unit.sandbox.test_passthrough import custom
from tests.unit.sandbox.world import ACCOUNT, OTHER_ACCOUNT, TEMPLATE, World, csr

READS = [
    "DescribeCertificateAuthority",
    "GetCertificate",
    "GetCertificateAuthorityCertificate",
    "ListPermissions",
    "ListTags",
]
ONLY = {"acm-pca:TemplateArn": TEMPLATE.format("EndEntityCertificate")}
ORGANIZATION = {"aws:PrincipalOrgID": "o-example1234"}


def statement(arn: str, principal: Any, actions: Any, condition: dict[str, str] | None) -> dict[str, Any]:
    """Each with the same Sid, as the guide has them."""
    return {
        "Sid": "1",
        "Effect": "Allow",
        "Principal": principal,
        "Action": actions,
        "Resource": arn,
        **({"Condition": {"StringEquals": condition}} if condition else {}),
    }


@pytest.mark.parametrize(
    ("principal", "everywhere"), [({"AWS": OTHER_ACCOUNT}, {}), ("*", ORGANIZATION)], ids=["account", "organization"]
)
def test_policies_of_two_statements(principal: Any, everywhere: dict[str, str]) -> None:
    """Resource-based policies: one statement to read, one to issue from a template."""
    world = World()
    arn = world.root()
    statements = [
        statement(arn, principal, [f"acm-pca:{action}" for action in READS], everywhere),
        statement(arn, principal, "acm-pca:IssueCertificate", {**ONLY, **everywhere}),
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=3)
    world.call("PutPolicy", ResourceArn=arn, Policy=document)
    assert world.call("GetPolicy", ResourceArn=arn) == {"Policy": document}


def test_attributes_of_an_industry_in_a_subject() -> None:
    """Issuing private end-entity certificates: custom attributes, those of the standard among them."""
    attributes = {"2.5.4.6": "GB", "1.3.6.1.4.1.37244.1.1": "0123456789ABCDEF", "1.3.6.1.4.1.37244.1.5": "FEDCBA"}
    world = World()
    certificate = world.issued(
        world.root(),
        csr(),
        TEMPLATE.format("BlankEndEntityCertificate_APIPassthrough"),
        ApiPassthrough={
            "Subject": {
                "CustomAttributes": [{"ObjectIdentifier": oid, "Value": value} for oid, value in attributes.items()]
            }
        },
    )
    assert {each.oid.dotted_string: each.value for each in certificate.subject} == attributes


def test_critical_name_constraints_in_a_leaf() -> None:
    """The same page: a custom extension that a leaf has no use for."""
    constraints = x509.NameConstraints([x509.DNSName(".example.com")], None)
    world = World()
    certificate = world.issued(
        world.root(),
        csr(),
        TEMPLATE.format("EndEntityCertificate_APIPassthrough"),
        ApiPassthrough={
            "Extensions": {"CustomExtensions": [custom("2.5.29.30", constraints.public_bytes(), critical=True)]}
        },
    )
    found = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert (found.value, found.critical) == (constraints, True)


def test_all_permissions_for_renewals() -> None:
    """Assigning certificate renewal permissions: the three actions, without a source account."""
    world = World()
    ca = {"CertificateAuthorityArn": world.root()}
    actions = ["IssueCertificate", "GetCertificate", "ListPermissions"]
    world.call("CreatePermission", Principal="acm.amazonaws.com", Actions=actions, **ca)
    (permission,) = world.call("ListPermissions", **ca)["Permissions"]
    assert (permission["Actions"], permission["SourceAccount"]) == (actions, ACCOUNT)
    world.call("DeletePermission", Principal="acm.amazonaws.com", **ca)


def test_deleted_restored_and_enabled() -> None:
    """Restoring a private CA, from the deletion to the last step."""
    world = World()
    arn = world.root()
    ca = {"CertificateAuthorityArn": arn}
    world.call("UpdateCertificateAuthority", Status="DISABLED", **ca)
    world.call("DeleteCertificateAuthority", PermanentDeletionTimeInDays=16, **ca)
    world.call("RestoreCertificateAuthority", **ca)
    world.call("UpdateCertificateAuthority", Status="ACTIVE", **ca)
    assert world.issued(arn, csr()).serial_number


@pytest.mark.parametrize("template", ["RootCACertificate_APIPassthrough", "BlankRootCACertificate_APIPassthrough"])
def test_a_root_takes_its_authority_key_identifier_from_the_api(template: str) -> None:
    """Template definitions: passed through from the API, and there is none otherwise."""
    world = World()
    arn = world.create()
    request = x509.load_pem_x509_csr(world.authority_csr(arn).encode())
    own = x509.SubjectKeyIdentifier.from_public_key(request.public_key()).digest
    identifier = x509.AuthorityKeyIdentifier(own, None, None)
    extensions = {"CustomExtensions": [custom("2.5.29.35", identifier.public_bytes())]}
    for passthrough, expected in (({}, None), ({"Extensions": extensions}, identifier)):
        certificate = world.issued(arn, world.authority_csr(arn), TEMPLATE.format(template), ApiPassthrough=passthrough)
        found = {extension.oid: extension.value for extension in certificate.extensions}
        assert found.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER) == expected
