"""The AWS backend over HTTP against the sandbox, which was written by another mind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.backends.interface import (
    AuthorityCertificateRequest,
    AuthorityRequest,
    AuthorityStatus,
    AuthorityType,
    CreatesAuthorities,
    CrlSettings,
    IssuanceRequest,
    IssuesCertificates,
    KeepsCrlsInBucket,
    PublishesOwnCrls,
    ReadsAuthorities,
    RevocationReason,
    RevokesCertificates,
)
from pkiops.backends.prices import HasPrices
from pkiops.clock import ManualClock
from pkiops.errors import BackendError, InvalidState, NotFound
from pkiops.stores.interface import BucketSettings
from pkiops.stores.s3_buckets import S3Buckets
from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm, default_signing_algorithm
from pkiops.x509.certificate import view
from pkiops.x509.csr import build_csr, load_csr
from pkiops.x509.keys import generate_private_key
from pkiops.x509.names import build_name
from pkiops.x509.san import SanKind, SubjectAltName, general_names
from tests.sandbox_server import ACCOUNT, REGION, START, RunningSandbox, running_sandbox

BUCKET = "example-crl"
SANS = (SubjectAltName(SanKind.DNS, "a.svc.dev.example.com"),)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def clients(sandbox: RunningSandbox) -> AwsClients:
    urls = dict.fromkeys(("acm-pca", "s3", "sts"), sandbox.url)
    access = AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls=urls, sandbox=True)
    # calls that are paced, and waited for, take no time
    return AwsClients(access, clock=ManualClock(START))


@pytest.fixture
def backend(clients: AwsClients) -> AwsPrivateCa:
    made = AwsPrivateCa(clients, ManualClock(START))
    settings = BucketSettings(
        name=BUCKET,
        region=REGION,
        owner=ACCOUNT,
        statements=made.crl_bucket_policy(BUCKET),
        tags={"pkiops:environment": "test"},
    )
    assert S3Buckets(clients, ManualClock(START)).ensure_bucket(settings)
    return made


def authority_request(name: str, type_: AuthorityType, algorithm: KeyAlgorithm) -> AuthorityRequest:
    return AuthorityRequest(
        type=type_,
        subject={"country": "GB", "organization": "Example Ltd", "common_name": name},
        key_algorithm=algorithm,
        signing_algorithm=default_signing_algorithm(algorithm),
        usage_mode="GENERAL_PURPOSE",
        crl=CrlSettings(bucket=BUCKET, host="pki.example.com", validity_days=7),
        tags={"pkiops:environment": "test", "pkiops:authority": name, "pkiops:generation": "1"},
    )


def activate(backend: AwsPrivateCa, reference: str, issuer: str, path_length: int | None, years: int) -> None:
    signer = backend.describe_authority(issuer)
    request = AuthorityCertificateRequest(
        authority=reference,
        issuer=issuer,
        issuer_signing_algorithm=SigningAlgorithm(signer.signing_algorithm),
        csr_der=backend.authority_csr(reference),
        path_length=path_length,
        not_before=START - timedelta(hours=1),
        not_after=START + timedelta(days=365 * years),
    )
    chain = backend.sign_authority(request)
    assert backend.sign_authority(request) == chain  # the same request is the same certificate
    backend.install_authority(reference, chain)
    backend.install_authority(reference, chain)  # and installing it twice is no harm


@pytest.fixture
def hierarchy(backend: AwsPrivateCa) -> tuple[str, str]:
    root = backend.create_authority(authority_request("root", AuthorityType.ROOT, KeyAlgorithm.EC_secp384r1))
    activate(backend, root, root, 1, 20)
    issuing = backend.create_authority(
        authority_request("clients", AuthorityType.SUBORDINATE, KeyAlgorithm.EC_prime256v1)
    )
    activate(backend, issuing, root, 0, 5)
    return root, issuing


def issuance(authority: str, **changes: object) -> IssuanceRequest:
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    csr = load_csr(build_csr(key, build_name({"common_name": SANS[0].value}), SANS), "test")
    given: dict[str, object] = {
        "authority": authority,
        "authority_signing_algorithm": SigningAlgorithm.SHA256WITHECDSA,
        "csr_der": csr.der,
        "csr_subject": csr.subject,
        "csr_sans": csr.sans,
        "subject": {"common_name": SANS[0].value},
        "sans": SANS,
        "usages": ("clientAuth",),
        "not_before": START,
        "not_after": START + timedelta(days=30),
        "attempt": "1",
    }
    return IssuanceRequest(**{**given, **changes})  # type: ignore[arg-type]


def test_every_capability_is_there(backend: AwsPrivateCa) -> None:
    for capability in (
        ReadsAuthorities,
        CreatesAuthorities,
        IssuesCertificates,
        RevokesCertificates,
        PublishesOwnCrls,
        KeepsCrlsInBucket,
        HasPrices,
    ):
        assert isinstance(backend, capability)


def test_creating_twice_is_creating_once(backend: AwsPrivateCa) -> None:
    request = authority_request("root", AuthorityType.ROOT, KeyAlgorithm.EC_prime256v1)
    assert backend.create_authority(request) == backend.create_authority(request)
    assert len(backend.list_authorities()) == 1


def test_a_hierarchy_is_observed_with_tags_and_crl(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    observed = {one.reference: one for one in backend.list_authorities()}
    root, issuing = (observed[reference] for reference in hierarchy)
    assert root.status is issuing.status is AuthorityStatus.ACTIVE
    assert (root.tags or {})["pkiops:authority"] == "root"
    assert issuing.crl == CrlSettings(bucket=BUCKET, host="pki.example.com", validity_days=7)
    assert root.subject == {"country": "GB", "organization": "Example Ltd", "common_name": "root"}
    chain = backend.authority_chain(hierarchy[1])
    assert len(chain) == 2
    own = view(x509.load_der_x509_certificate(chain[0]))
    assert own.path_length == 0
    assert view(x509.load_der_x509_certificate(chain[1])).path_length == 1


def test_a_certificate_is_what_was_expected(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    request = issuance(hierarchy[1])
    expected = backend.expect_certificate(request, backend.describe_authority(hierarchy[1]))
    assert expected.template == "arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1"
    reference = backend.request_certificate(request)
    assert backend.request_certificate(request) == reference
    chain = backend.fetch_certificate(hierarchy[1], reference)
    assert len(chain) == 3
    seen = view(x509.load_der_x509_certificate(chain[0]))
    assert seen.extended_key_usage == ("clientAuth",)
    assert seen.key_usage == ("digitalSignature", "keyEncipherment")
    assert seen.sans == SANS
    assert seen.crl_urls == (expected.crl_url,)
    assert (seen.not_before, seen.not_after) == (expected.not_before.astimezone(UTC), expected.not_after)


def test_names_other_than_the_csr_s_pass_through_the_api(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    approved = (SubjectAltName(SanKind.DNS, "b.svc.dev.example.com"),)
    request = issuance(hierarchy[1], subject={"common_name": "b", "organization": "Example Ltd"}, sans=approved)
    expected = backend.expect_certificate(request, backend.describe_authority(hierarchy[1]))
    assert expected.template.endswith("EndEntityClientAuthCertificate_APIPassthrough/V1")
    chain = backend.fetch_certificate(hierarchy[1], backend.request_certificate(request))
    seen = view(x509.load_der_x509_certificate(chain[0]))
    assert seen.sans == approved
    assert dict(seen.subject_attributes) == {"CN": "b", "O": "Example Ltd"}


def test_a_distribution_point_in_the_csr_is_kept_out(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    elsewhere = x509.UniformResourceIdentifier("http://elsewhere.example.com/empty.crl")
    built = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(build_name({"common_name": SANS[0].value}))
        .add_extension(x509.SubjectAlternativeName(general_names(SANS)), critical=False)
        .add_extension(x509.CRLDistributionPoints([x509.DistributionPoint([elsewhere], None, None, None)]), False)
        .sign(key, hashes.SHA256())
    )
    csr = load_csr(built.public_bytes(Encoding.DER), "test")
    request = issuance(
        hierarchy[1],
        csr_der=csr.der,
        csr_subject=csr.subject,
        csr_sans=csr.sans,
        csr_extensions=csr.other_extensions,
    )
    expected = backend.expect_certificate(request, backend.describe_authority(hierarchy[1]))
    assert expected.template.endswith("EndEntityClientAuthCertificate_APIPassthrough/V1")
    chain = backend.fetch_certificate(hierarchy[1], backend.request_certificate(request))
    assert view(x509.load_der_x509_certificate(chain[0])).crl_urls == (expected.crl_url,)


def test_another_attempt_is_another_certificate(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    first = issuance(hierarchy[1])
    second = issuance(hierarchy[1], csr_der=first.csr_der, csr_sans=first.csr_sans, attempt="2")
    assert backend.request_certificate(first) != backend.request_certificate(second)


def test_revoking_twice_is_success_and_the_crl_carries_it(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    chain = backend.fetch_certificate(hierarchy[1], backend.request_certificate(issuance(hierarchy[1])))
    serial = view(x509.load_der_x509_certificate(chain[0])).serial
    first = backend.revoke_certificate(hierarchy[1], serial, RevocationReason.KEY_COMPROMISE)
    again = backend.revoke_certificate(hierarchy[1], serial, RevocationReason.KEY_COMPROMISE)
    assert (first.already_revoked, again.already_revoked) == (False, True)
    data = backend.fetch_crl(backend.describe_authority(hierarchy[1]))
    assert data is not None
    assert x509.load_der_x509_crl(data).get_revoked_certificate_by_serial_number(int(serial, 16)) is not None


def test_an_unknown_serial_is_not_found(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    with pytest.raises(NotFound):
        backend.revoke_certificate(hierarchy[1], "abcdef", RevocationReason.UNSPECIFIED)


def test_a_ca_that_never_issued_has_no_crl_yet(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    assert backend.fetch_crl(backend.describe_authority(hierarchy[1])) is None
    assert backend.fetch_crl(backend.describe_authority(hierarchy[0])) is not None


def test_crl_settings_change_and_the_rest_stays(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    changed = CrlSettings(bucket=BUCKET, host="crl.example.com", validity_days=30)
    backend.configure_revocation(hierarchy[0], changed)
    assert backend.describe_authority(hierarchy[0]).crl == changed


def test_errors_are_ours(backend: AwsPrivateCa, hierarchy: tuple[str, str]) -> None:
    with pytest.raises(NotFound) as missing:
        backend.describe_authority(hierarchy[0][:-1] + ("1" if hierarchy[0].endswith("0") else "0"))
    assert missing.value.details["aws_error"] == "ResourceNotFoundException"
    pending = backend.create_authority(
        authority_request("pending", AuthorityType.SUBORDINATE, KeyAlgorithm.EC_prime256v1)
    )
    backend.authority_csr(pending)
    with pytest.raises(InvalidState):
        backend.authority_chain(pending)
    with pytest.raises(BackendError) as refused:
        backend.request_certificate(issuance(hierarchy[1], authority_signing_algorithm=SigningAlgorithm.SHA256WITHRSA))
    assert refused.value.code == "backend.invalid-request"


def test_a_bucket_that_does_not_let_the_service_write_is_said_after_patience(
    backend: AwsPrivateCa, sandbox: RunningSandbox
) -> None:
    sandbox.client("s3").delete_bucket_policy(Bucket=BUCKET)
    with pytest.raises(BackendError, match="S3 bucket"):
        backend.create_authority(authority_request("root", AuthorityType.ROOT, KeyAlgorithm.EC_prime256v1))
    assert backend.list_authorities() == ()
