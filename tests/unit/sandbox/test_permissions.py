"""Permissions for AWS Certificate Manager, and the limits of an account."""

from __future__ import annotations

import pytest

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.settings import Settings
from tests.unit.sandbox.world import ACCOUNT, CRL, START, World, csr

ACM = "acm.amazonaws.com"


def test_a_permission_comes_and_goes() -> None:
    world = World()
    root = world.root()
    ca = {"CertificateAuthorityArn": root}
    assert world.call("ListPermissions", **ca) == {"Permissions": []}
    actions = ["IssueCertificate", "GetCertificate", "ListPermissions"]
    world.call("CreatePermission", Principal=ACM, Actions=actions, SourceAccount=ACCOUNT, **ca)
    (listed,) = world.call("ListPermissions", MaxResults=1, **ca)["Permissions"]
    assert listed == {
        "CertificateAuthorityArn": root,
        "CreatedAt": int(START.timestamp()),
        "Principal": ACM,
        "SourceAccount": ACCOUNT,
        "Actions": actions,
    }
    world.refused("PermissionAlreadyExistsException", "CreatePermission", Principal=ACM, Actions=actions[:1], **ca)
    world.call("DeletePermission", Principal=ACM, **ca)
    world.refused("ResourceNotFoundException", "DeletePermission", Principal=ACM, **ca)
    assert world.call("ListPermissions", **ca) == {"Permissions": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"Principal": "lambda.amazonaws.com"},
        {"Principal": "*"},
        {"Actions": []},
        {"Actions": ["RevokeCertificate"]},
        {"SourceAccount": "999999999999"},
        {"SourceAccount": "12"},
    ],
)
def test_what_is_no_permission(wrong: dict[str, object]) -> None:
    world = World()
    root = world.root()
    request = {"Principal": ACM, "Actions": ["GetCertificate"], **wrong}
    world.refused("ValidationException", "CreatePermission", CertificateAuthorityArn=root, **request)
    assert world.call("ListPermissions", CertificateAuthorityArn=root) == {"Permissions": []}


def test_permissions_that_cannot_be_found() -> None:
    world = World()
    root = world.root()
    for arn, code in ((f"{root}x", "InvalidArnException"), (f"{root[:-4]}0000", "ResourceNotFoundException")):
        ca = {"CertificateAuthorityArn": arn}
        world.refused(code, "CreatePermission", Principal=ACM, Actions=["GetCertificate"], **ca)
        world.refused(code, "ListPermissions", **ca)
        world.refused(code, "DeletePermission", Principal=ACM, **ca)
    world.refused("InvalidNextTokenException", "ListPermissions", CertificateAuthorityArn=root, NextToken="x")


def test_an_account_has_so_many_authorities_and_a_deleted_one_counts_until_it_is_gone() -> None:
    world = World(settings=Settings(authorities_per_region=2))
    first = world.create(common_name="A")
    world.create(common_name="B")
    request = {
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "C"},
        },
        "CertificateAuthorityType": "ROOT",
    }
    assert "at most 2" in world.refused("LimitExceededException", "CreateCertificateAuthority", **request)
    assert world.create(common_name="A") == first  # the same request again makes nothing
    world.describe(first)
    world.call("DeleteCertificateAuthority", CertificateAuthorityArn=first, PermanentDeletionTimeInDays=7)
    world.refused("LimitExceededException", "CreateCertificateAuthority", **request)
    world.advance(days=8)
    assert world.call("CreateCertificateAuthority", **request)


def test_a_permission_too_many() -> None:
    world = World(settings=Settings(permissions_per_authority=0))
    request = {"CertificateAuthorityArn": world.root(), "Principal": ACM, "Actions": ["GetCertificate"]}
    world.refused("LimitExceededException", "CreatePermission", **request)


def test_certificates_too_many() -> None:
    # a root's own certificate counts
    world = World(settings=Settings(certificates_per_authority=2))
    root = world.root()
    request = csr()
    first = world.issue(root, request, IdempotencyToken="one")
    assert world.issue(root, request, IdempotencyToken="one") == first
    with pytest.raises(ServiceError) as caught:
        world.issue(root, csr())
    assert (caught.value.code, "at most 2 certificates" in caught.value.message) == ("LimitExceededException", True)


@pytest.mark.parametrize(("kind", "is_refused"), [("COMPLETE", True), ("PARTITIONED", False)])
def test_revocations_and_certificates_of_a_complete_crl_too_many(kind: str, is_refused: bool) -> None:
    limits = Settings(
        revocations_per_authority=1, certificates_per_authority=9, certificates_per_partitioned_authority=3
    )
    world = World(settings=limits)
    root = world.root(RevocationConfiguration={"CrlConfiguration": {**CRL["CrlConfiguration"], "CrlType": kind}})
    request = {"CertificateAuthorityArn": root, "RevocationReason": "SUPERSEDED"}
    serials = [world.issue(root, csr()).rpartition("/")[2] for _ in range(2)]
    world.call("RevokeCertificate", CertificateSerial=serials[0], **request)
    if is_refused:
        world.refused("LimitExceededException", "RevokeCertificate", CertificateSerial=serials[1], **request)
        assert world.issue(root, csr())
        assert len(world.crl(root)) == 1
        return
    world.call("RevokeCertificate", CertificateSerial=serials[1], **request)
    with pytest.raises(ServiceError, match="at most 3 certificates"):
        world.issue(root, csr())


def test_the_limits_are_those_of_the_service() -> None:
    settings = Settings()
    assert (settings.authorities_per_region, settings.tags_per_authority) == (200, 50)
    assert (settings.certificates_per_authority, settings.revocations_per_authority) == (1_000_000, 1_000_000)
