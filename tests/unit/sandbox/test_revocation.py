"""RevokeCertificate and the CRL it leads to; the checks of a CRL configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from tests.unit.sandbox.world import ACCOUNT, CRL, START, TEMPLATE, World, csr, key_of, load

REASONS = {
    "UNSPECIFIED": None,
    "KEY_COMPROMISE": x509.ReasonFlags.key_compromise,
    "CERTIFICATE_AUTHORITY_COMPROMISE": x509.ReasonFlags.ca_compromise,
    "AFFILIATION_CHANGED": x509.ReasonFlags.affiliation_changed,
    "SUPERSEDED": x509.ReasonFlags.superseded,
    "CESSATION_OF_OPERATION": x509.ReasonFlags.cessation_of_operation,
    "PRIVILEGE_WITHDRAWN": x509.ReasonFlags.privilege_withdrawn,
    "A_A_COMPROMISE": x509.ReasonFlags.aa_compromise,
}


def with_crl() -> tuple[World, str]:
    world = World()
    return world, world.root(RevocationConfiguration=CRL)


def revoke(world: World, arn: str, serial: str, reason: str = "SUPERSEDED") -> None:
    world.call("RevokeCertificate", CertificateAuthorityArn=arn, CertificateSerial=serial, RevocationReason=reason)


def hex_serial(world: World, arn: str, **more: Any) -> str:
    return world.issue(arn, csr(), **more).rpartition("/")[2]


def reason_of(crl: x509.CertificateRevocationList, serial: str) -> x509.ReasonFlags | None:
    entry = crl.get_revoked_certificate_by_serial_number(int(serial, 16))
    assert entry is not None
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None


def test_the_first_crl_appears_with_the_first_certificate() -> None:
    world, arn = with_crl()
    assert [key for _, key in world.buckets.objects] == [
        "acm-pca-permission-test-key",
        "acm-pca-permission-test-key-private",
    ]
    leaf = world.issued(arn, csr())
    crl = world.crl(arn)
    assert len(crl) == 0
    assert crl.issuer == leaf.issuer
    assert crl.last_update_utc == START - timedelta(hours=1)
    assert crl.next_update_utc == START + timedelta(days=8)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert number == int(START.timestamp()) * 1000
    key_id = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert key_id == leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert {extension.oid.dotted_string for extension in crl.extensions} == {"2.5.29.35", "2.5.29.20"}
    assert world.buckets.content_types["example-crl", f"crl/{arn.rpartition('/')[2]}.crl"] == "application/pkix-crl"
    access, _ = world.buckets.writes[-1]
    assert (access.account, access.authority_arn, access.public) == (ACCOUNT, arn, False)


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason(reason: str) -> None:
    world, arn = with_crl()
    serial = hex_serial(world, arn)
    revoke(world, arn, serial, reason)
    crl = world.crl(arn)
    answer = world.call("GetCertificateAuthorityCertificate", CertificateAuthorityArn=arn)
    assert crl.is_signature_valid(key_of(load(answer["Certificate"])))
    assert reason_of(crl, serial) == REASONS[reason]


def test_serials_are_numbers() -> None:
    world, arn = with_crl()
    for turn in range(20):
        serial = hex_serial(world, arn)
        number = int(serial, 16)
        pairs = ":".join(serial[i : i + 2] for i in range(0, 32, 2))
        forms = [serial.upper(), f"{number:x}", pairs, pairs.upper()]
        revoke(world, arn, forms.pop(turn % 4))
        for form in forms:
            request = {"CertificateAuthorityArn": arn, "CertificateSerial": form, "RevocationReason": "SUPERSEDED"}
            world.refused("RequestAlreadyProcessedException", "RevokeCertificate", **request)
        assert world.crl(arn).get_revoked_certificate_by_serial_number(number) is not None


def test_what_cannot_be_revoked() -> None:
    world, arn = with_crl()
    serial = hex_serial(world, arn, Validity={"Type": "DAYS", "Value": 1})
    base = {"CertificateAuthorityArn": arn, "RevocationReason": "SUPERSEDED"}
    world.refused("ResourceNotFoundException", "RevokeCertificate", CertificateSerial="1234", **base)
    world.refused("ValidationException", "RevokeCertificate", CertificateSerial="0x12", **base)
    world.refused("ValidationException", "RevokeCertificate", CertificateSerial="", **base)
    own = f"{load(world.call('GetCertificateAuthorityCertificate', CertificateAuthorityArn=arn)['Certificate']).serial_number:x}"
    message = world.refused("InvalidRequestException", "RevokeCertificate", CertificateSerial=own, **base)
    assert message == "Self-signed certificate can not be revoked"
    revoke(world, arn, serial)
    world.refused("RequestAlreadyProcessedException", "RevokeCertificate", CertificateSerial=serial, **base)
    late = hex_serial(world, arn, Validity={"Type": "DAYS", "Value": 1})
    world.advance(days=2)
    world.refused("InvalidRequestException", "RevokeCertificate", CertificateSerial=late, **base)


def test_a_revoked_certificate_can_still_be_fetched() -> None:
    world, arn = with_crl()
    certificate_arn = world.issue(arn, csr())
    revoke(world, arn, certificate_arn.rpartition("/")[2])
    assert world.get(arn, certificate_arn)["Certificate"]


def test_a_disabled_authority_still_revokes() -> None:
    world, arn = with_crl()
    serial = hex_serial(world, arn)
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=arn, Status="DISABLED")
    revoke(world, arn, serial)
    assert reason_of(world.crl(arn), serial) == x509.ReasonFlags.superseded


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_numbers_rise_even_within_a_second() -> None:
    world, arn = with_crl()
    numbers = []
    for _ in range(3):
        revoke(world, arn, hex_serial(world, arn))
        numbers.append(number_of(world.crl(arn)))
    assert numbers == sorted(set(numbers))


def test_it_is_made_again_at_half_of_its_life() -> None:
    world, arn = with_crl()
    hex_serial(world, arn)
    first = number_of(world.crl(arn))
    world.advance(days=4, seconds=-1)
    world.status(arn)
    assert number_of(world.crl(arn)) == first
    world.advance(seconds=1)
    world.status(arn)
    assert number_of(world.crl(arn)) > first


def test_an_expired_certificate_is_in_one_more_crl() -> None:
    world, arn = with_crl()
    serial = hex_serial(world, arn, Validity={"Type": "DAYS", "Value": 1})
    revoke(world, arn, serial)
    lengths = []
    for _ in range(3):
        world.advance(days=4)
        world.status(arn)
        lengths.append(len(world.crl(arn)))
    assert lengths == [1, 0, 0]


def test_an_expired_authority_makes_no_more_crls() -> None:
    world = World()
    arn = world.root(years=1, RevocationConfiguration=CRL)
    hex_serial(world, arn)
    world.advance(days=366)
    before = number_of(world.crl(arn))
    world.advance(days=100)
    world.status(arn)
    assert number_of(world.crl(arn)) == before


def test_a_refused_write_is_tried_again_after_a_quarter_of_an_hour() -> None:
    world, arn = with_crl()
    serial = hex_serial(world, arn)
    world.buckets.refusing = "for a test"
    revoke(world, arn, serial)
    world.buckets.refusing = None
    world.advance(minutes=15, seconds=-1)
    world.status(arn)
    assert len(world.crl(arn)) == 0
    world.advance(seconds=1)
    world.status(arn)
    assert len(world.crl(arn)) == 1


def test_without_a_crl_revoking_works_and_writes_nothing() -> None:
    world = World()
    arn = world.root()
    revoke(world, arn, hex_serial(world, arn))
    assert world.buckets.objects == {}


def test_a_crl_turned_on_later_is_for_later_certificates() -> None:
    world = World()
    arn = world.root()
    early = hex_serial(world, arn)
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=arn, RevocationConfiguration=CRL)
    assert world.describe(arn)["RevocationConfiguration"]["CrlConfiguration"] == CRL["CrlConfiguration"]
    revoke(world, arn, early)
    assert len(world.crl(arn)) == 1
    world.call(
        "UpdateCertificateAuthority",
        CertificateAuthorityArn=arn,
        RevocationConfiguration={"CrlConfiguration": {"Enabled": False}},
    )
    assert world.describe(arn)["RevocationConfiguration"]["CrlConfiguration"] == {"Enabled": False}


def crl_with(**more: Any) -> dict[str, Any]:
    return {"CrlConfiguration": {**CRL["CrlConfiguration"], **more}}


@pytest.mark.parametrize(
    ("code", "configuration"),
    [
        ("InvalidArgsException", {"CrlConfiguration": {"Enabled": False, "ExpirationInDays": 7}}),
        ("InvalidArgsException", {"CrlConfiguration": {"Enabled": True, "S3BucketName": "example-crl"}}),
        ("InvalidArgsException", {"CrlConfiguration": {"Enabled": True, "ExpirationInDays": 7}}),
        ("InvalidArgsException", crl_with(CustomCname="http://pki.example.com")),
        (
            "InvalidArgsException",
            crl_with(CustomCname="pki.example.com", CrlDistributionPointExtensionConfiguration={"OmitExtension": True}),
        ),
        ("InvalidArgsException", {"OcspConfiguration": {"Enabled": False, "OcspCustomCname": "o.example.com"}}),
        ("InvalidArgsException", {"OcspConfiguration": {"Enabled": True, "OcspCustomCname": "https://o.example.com"}}),
        ("ValidationException", crl_with(CrlType="DELTA")),
        ("ValidationException", crl_with(ExpirationInDays=5001)),
        ("ValidationException", crl_with(CustomPath="/a/")),
    ],
)
def test_configurations_that_are_refused(code: str, configuration: dict[str, Any]) -> None:
    world = World()
    arn = world.root()
    world.refused(
        code, "UpdateCertificateAuthority", CertificateAuthorityArn=arn, RevocationConfiguration=configuration
    )
    assert world.describe(arn)["RevocationConfiguration"]["CrlConfiguration"] == {"Enabled": False}


def test_a_bucket_that_refuses_stops_create_and_update() -> None:
    world = World()
    arn = world.root()
    world.buckets.refusing = "its policy says no"
    message = world.refused(
        "ValidationException", "UpdateCertificateAuthority", CertificateAuthorityArn=arn, RevocationConfiguration=CRL
    )
    assert "Check your S3 bucket permissions and try again" in message
    world.refused(
        "ValidationException",
        "CreateCertificateAuthority",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "a"},
        },
        CertificateAuthorityType="ROOT",
        RevocationConfiguration=CRL,
    )
    assert len(world.call("ListCertificateAuthorities")["CertificateAuthorities"]) == 1


def test_the_default_acl_is_public_read() -> None:
    world = World()
    settings = {k: v for k, v in CRL["CrlConfiguration"].items() if k != "S3ObjectAcl"}
    arn = world.root(RevocationConfiguration={"CrlConfiguration": settings})
    assert world.describe(arn)["RevocationConfiguration"]["CrlConfiguration"]["S3ObjectAcl"] == "PUBLIC_READ"
    assert world.buckets.writes[0][0].public


def test_crl_of_a_subordinate_is_signed_by_it() -> None:
    world = World()
    sub = world.subordinate(world.root(), RevocationConfiguration=CRL)
    leaf = world.issue(sub, csr(), TEMPLATE.format("EndEntityCertificate"))
    revoke(world, sub, leaf.rpartition("/")[2])
    authority = load(world.call("GetCertificateAuthorityCertificate", CertificateAuthorityArn=sub)["Certificate"])
    assert world.crl(sub).is_signature_valid(key_of(authority))


@pytest.mark.parametrize(
    ("kept", "left_out"), [("OcspConfiguration", "CrlConfiguration"), ("CrlConfiguration", "OcspConfiguration")]
)
def test_half_a_revocation_configuration_turns_the_other_half_off(kept: str, left_out: str) -> None:
    """Whether the service keeps it is not documented."""
    both: dict[str, dict[str, Any]] = {**CRL, "OcspConfiguration": {"Enabled": True}}
    world = World()
    arn = world.root(RevocationConfiguration=both)
    half = {kept: both[kept]}
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=arn, RevocationConfiguration=half)
    found = world.describe(arn)["RevocationConfiguration"]
    assert (found[kept]["Enabled"], found[left_out]) == (True, {"Enabled": False})
