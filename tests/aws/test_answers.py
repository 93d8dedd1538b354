"""What the backend makes of answers that the sandbox seldom gives: refusals that pass, and refusals that hide their reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.backends.interface import AuthorityCertificateRequest, CrlSettings, RevocationReason
from pkiops.clock import ManualClock
from pkiops.errors import AccessDenied, InProgress, InvalidState
from pkiops.x509 import pem
from pkiops.x509.algorithms import SigningAlgorithm
from pkiops.x509.csr import build_csr, load_csr
from pkiops.x509.names import build_name
from tests import builders
from tests.sandbox_server import ACCOUNT, REGION, START

ARN = f"arn:aws:acm-pca:{REGION}:{ACCOUNT}:certificate-authority/11111111-2222-3333-4444-555555555555"
OTHER = ARN[:-1] + "6"
CERTIFICATE = f"{ARN}/certificate/0123456789abcdef0123456789abcdef"
BUSY = "ConcurrentModificationException"
SETTLING = "Permission error with your S3 bucket. Check your S3 bucket permissions and try again"


@pytest.fixture
def clients() -> AwsClients:
    return AwsClients(AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls={}, sandbox=True))


@pytest.fixture
def service(clients: AwsClients) -> Iterator[Stubber]:
    with Stubber(clients.private_ca()) as stubber:
        yield stubber


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def backend(clients: AwsClients, clock: ManualClock) -> AwsPrivateCa:
    return AwsPrivateCa(clients, clock)


def described(status: str) -> dict[str, Any]:
    return {"CertificateAuthority": {"Arn": ARN, "Type": "ROOT", "Status": status, "CreatedAt": START}}


def signing(authority: str) -> AuthorityCertificateRequest:
    return AuthorityCertificateRequest(
        authority=authority,
        issuer=ARN,
        issuer_signing_algorithm=SigningAlgorithm.SHA256WITHECDSA,
        csr_der=load_csr(build_csr(builders.key(), build_name({"common_name": "a"}), ()), "test").der,
        path_length=0,
        not_before=START,
        not_after=START + timedelta(days=30),
    )


def test_a_revocation_that_another_change_kept_out_is_made_again(
    backend: AwsPrivateCa, service: Stubber, clock: ManualClock
) -> None:
    service.add_client_error("revoke_certificate", BUSY)
    service.add_response("revoke_certificate", {})
    assert not backend.revoke_certificate(ARN, "1f", RevocationReason.KEY_COMPROMISE).already_revoked
    assert clock.monotonic() > 0


def test_a_revocation_that_never_got_through_is_no_success(backend: AwsPrivateCa, service: Stubber) -> None:
    for _ in range(60):
        service.add_client_error("revoke_certificate", BUSY)
    with pytest.raises(InProgress) as caught:
        backend.revoke_certificate(ARN, "1f", RevocationReason.KEY_COMPROMISE)
    assert caught.value.retryable


def test_a_revocation_under_way_is_as_good_as_made(backend: AwsPrivateCa, service: Stubber) -> None:
    service.add_client_error("revoke_certificate", "RequestInProgressException")
    assert backend.revoke_certificate(ARN, "1f", RevocationReason.KEY_COMPROMISE).already_revoked


def test_an_import_that_another_change_kept_out_is_made_again(backend: AwsPrivateCa, service: Stubber) -> None:
    service.add_client_error("import_certificate_authority_certificate", BUSY)
    service.add_response("import_certificate_authority_certificate", {})
    service.add_response("describe_certificate_authority", described("ACTIVE"))
    backend.install_authority(ARN, (b"one",))


def test_crl_settings_wait_for_the_policy_of_a_new_bucket(backend: AwsPrivateCa, service: Stubber) -> None:
    service.add_response("describe_certificate_authority", described("ACTIVE"))
    service.add_client_error("update_certificate_authority", "ValidationException", SETTLING)
    service.add_client_error("update_certificate_authority", BUSY)
    service.add_response("update_certificate_authority", {})
    backend.configure_revocation(ARN, CrlSettings(bucket="example-new", host="pki.example.com", validity_days=7))


def test_an_issuer_activated_a_moment_ago_is_asked_again(backend: AwsPrivateCa, service: Stubber) -> None:
    issued = pem.encode(builders.root_ca().certificate.public_bytes(Encoding.DER), pem.CERTIFICATE).decode()
    service.add_client_error("issue_certificate", "InvalidStateException", "not in a valid state for issuing")
    service.add_response("describe_certificate_authority", described("ACTIVE"))
    service.add_response("issue_certificate", {"CertificateArn": CERTIFICATE})
    service.add_response("get_certificate", {"Certificate": issued})
    (signed,) = backend.sign_authority(signing(OTHER))
    assert pem.encode(signed, pem.CERTIFICATE).decode() == issued


def test_an_issuer_that_is_disabled_is_said_at_once(
    backend: AwsPrivateCa, service: Stubber, clock: ManualClock
) -> None:
    service.add_client_error("issue_certificate", "InvalidStateException", "not in a valid state for issuing")
    service.add_response("describe_certificate_authority", described("DISABLED"))
    with pytest.raises(InvalidState):
        backend.sign_authority(signing(OTHER))
    assert clock.monotonic() == 0


def test_a_denied_template_is_named(backend: AwsPrivateCa, service: Stubber) -> None:
    service.add_client_error("issue_certificate", "AccessDeniedException", "no identity-based policy allows it")
    with pytest.raises(AccessDenied) as caught:
        backend.sign_authority(signing(OTHER))
    assert "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1" in str(caught.value.hint)
