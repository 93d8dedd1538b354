"""Requests held to botocore's model, as the service does and botocore does not."""

from __future__ import annotations

from typing import Any

import pytest

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.request_model import checked_request, operation_names
from pkiops.sandbox.engine.service import OPERATIONS
from tests.unit.sandbox.world import World

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/00000000-0000-4000-8000-000000000000"
SUBJECT = {"CommonName": "a"}
CONFIGURATION = {"KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA", "Subject": SUBJECT}
CREATE: dict[str, Any] = {"CertificateAuthorityConfiguration": CONFIGURATION, "CertificateAuthorityType": "ROOT"}


def message(operation: str, request: dict[str, Any], code: str = "ValidationException") -> str:
    with pytest.raises(ServiceError) as caught:
        checked_request(operation, request)
    assert caught.value.code == code
    return caught.value.message


def test_there_are_twenty_three_operations_and_all_of_them_exist() -> None:
    assert len(operation_names()) == 23
    assert set(OPERATIONS) == set(operation_names())


def test_an_operation_of_a_later_model_says_that_it_is_not_there() -> None:
    assert "MoveAuthority" in World().refused("SandboxNotImplemented", "MoveAuthority", Anything="goes")


def test_what_is_missing_is_named() -> None:
    assert message("CreateCertificateAuthority", {}) == (
        "2 validation errors detected: "
        "Value null at 'certificateAuthorityConfiguration' failed to satisfy constraint: Member must not be null; "
        "Value null at 'certificateAuthorityType' failed to satisfy constraint: Member must not be null"
    )


def test_length_range_enumeration_and_pattern() -> None:
    long = {**CREATE, "CertificateAuthorityConfiguration": {**CONFIGURATION, "Subject": {"CommonName": "a" * 65}}}
    assert message("CreateCertificateAuthority", long) == (
        f"1 validation error detected: Value '{'a' * 65}' at 'certificateAuthorityConfiguration.subject.commonName' "
        "failed to satisfy constraint: Member must have length less than or equal to 64"
    )
    days = {"CertificateAuthorityArn": ARN, "PermanentDeletionTimeInDays": 31}
    assert message("DeleteCertificateAuthority", days).endswith("Member must be less than or equal to 30")
    assert "satisfy enum value set: [ROOT, SUBORDINATE]" in message(
        "CreateCertificateAuthority", {**CREATE, "CertificateAuthorityType": "BANANA"}
    )
    assert "satisfy regular expression pattern" in message("ListTags", {"CertificateAuthorityArn": "not an arn"})


@pytest.mark.parametrize(
    "tag",
    [
        {"Key": ""},
        {"Key": "a" * 129},
        {"Key": "a", "Value": "b" * 257},
        {"Key": "bad#key"},
        {"Key": "a", "Value": "new\nline"},
        {},
    ],
)
def test_tags_that_are_refused(tag: dict[str, str]) -> None:
    assert "'tags.1.member" in message("CreateCertificateAuthority", {**CREATE, "Tags": [tag]})


@pytest.mark.parametrize("key", ["pkiops:environment", "a b", "\u00fcml\u00e4ut", "\u6f22\u5b57", "x/y=z+w-v@u.t_s"])
def test_tags_that_are_fine(key: str) -> None:
    request = {**CREATE, "Tags": [{"Key": key, "Value": key}]}
    assert checked_request("CreateCertificateAuthority", request) == request


def test_at_most_fifty_tags_at_once() -> None:
    tags = [{"Key": f"k{i}"} for i in range(51)]
    assert "length less than or equal to 50" in message("CreateCertificateAuthority", {**CREATE, "Tags": tags})


@pytest.mark.parametrize(
    "request_",
    [
        {"CertificateAuthorityArn": 1},
        {"CertificateAuthorityArn": ["x"]},
        {"CertificateAuthorityArn": ARN, "MaxResults": True},
        {"CertificateAuthorityArn": ARN, "MaxResults": "1"},
    ],
)
def test_a_wrong_type_cannot_be_deserialised(request_: dict[str, Any]) -> None:
    message("ListTags", request_, "SerializationException")


def test_blobs_are_base64() -> None:
    request = {"CertificateAuthorityArn": ARN, "Certificate": "!"}
    message("ImportCertificateAuthorityCertificate", request, "SerializationException")
    checked = checked_request("ImportCertificateAuthorityCertificate", {**request, "Certificate": "QUJD"})
    assert checked["Certificate"] == b"ABC"


def test_a_csr_has_a_limit() -> None:
    import base64

    request = {
        "CertificateAuthorityArn": ARN,
        "Csr": base64.b64encode(b"x" * 32769).decode(),
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
    }
    assert "32768" in message("IssueCertificate", request)
    assert "'idempotencyToken'" in message("IssueCertificate", {**request, "Csr": "QQ==", "IdempotencyToken": "x" * 37})
    assert "'validity.value'" in message(
        "IssueCertificate", {**request, "Csr": "QQ==", "Validity": {"Type": "DAYS", "Value": 0}}
    )
    assert "'validity.type'" in message(
        "IssueCertificate", {**request, "Csr": "QQ==", "Validity": {"Type": "FURLONGS", "Value": 1}}
    )


def test_members_the_model_does_not_know_are_left_out() -> None:
    assert checked_request("ListCertificateAuthorities", {"Bogus": 1}) == {}


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_half_a_character_is_in_no_text(value: str) -> None:
    for request in (
        {**CREATE, "CertificateAuthorityConfiguration": {**CONFIGURATION, "Subject": {"CommonName": value}}},
        {**CREATE, "Tags": [{"Key": value}]},
        {**CREATE, "IdempotencyToken": value},
    ):
        message("CreateCertificateAuthority", request, "SerializationException")
    name = {"EdiPartyName": {"PartyName": value}}
    passed = {"Extensions": {"SubjectAlternativeNames": [name]}}
    issue = {
        "CertificateAuthorityArn": ARN,
        "Csr": "eA==",
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
        "ApiPassthrough": passed,
    }
    message("IssueCertificate", issue, "SerializationException")
