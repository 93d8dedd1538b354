"""The OCSP responder of the engine, read by cryptography, and the URL in certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import given
from hypothesis import strategies as st

from pkiops.sandbox.engine.keys import SIGNING_ALGORITHMS
from pkiops.sandbox.engine.settings import Settings
from tests.seeded import seeded
from tests.unit.sandbox.ocsp_requests import SHA1, ask, read, request_for, request_for_serial
from tests.unit.sandbox.test_installation import Offline
from tests.unit.sandbox.test_revocation import REASONS, revoke
from tests.unit.sandbox.world import START, TEMPLATE, World, csr, key_of, load

OCSP = {"OcspConfiguration": {"Enabled": True}}


def authority_certificate(world: World, arn: str) -> x509.Certificate:
    answer = world.call("GetCertificateAuthorityCertificate", CertificateAuthorityArn=arn)
    return load(answer["Certificate"])


class Case:
    """A root with a responder, and one leaf."""

    def __init__(self, *, settings: Settings | None = None, **more: Any) -> None:
        self.world = World(settings=settings)
        self.arn = self.world.root(RevocationConfiguration=OCSP, **more)
        self.issuer = authority_certificate(self.world, self.arn)
        self.leaf = self.world.issued(self.arn, csr())

    def revoke(self, reason: str = "SUPERSEDED") -> None:
        revoke(self.world, self.arn, f"{self.leaf.serial_number:x}", reason)

    def answer(self) -> ocsp.OCSPResponse:
        return read(ask(self.world, request_for(self.leaf, self.issuer)))


def verified(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> None:
    """Under the issuer's key, with the algorithm of its (self-signed) certificate, which the response must name too."""
    key, data, signature = key_of(issuer), response.tbs_response_bytes, response.signature
    assert response.signature_algorithm_oid == issuer.signature_algorithm_oid
    parameters = issuer.signature_algorithm_parameters
    if isinstance(parameters, ec.ECDSA):
        key.verify(signature, data, parameters)
    elif isinstance(key, rsa.RSAPublicKey):
        assert isinstance(parameters, (padding.PKCS1v15, padding.PSS))
        assert issuer.signature_hash_algorithm is not None
        key.verify(signature, data, parameters, issuer.signature_hash_algorithm)
    else:
        key.verify(signature, data)


def test_good() -> None:
    case = Case()
    response = case.answer()
    assert response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert response.serial_number == case.leaf.serial_number
    assert response.produced_at_utc == response.this_update_utc == START
    assert response.next_update_utc == START + timedelta(hours=1)
    assert response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(key_of(case.issuer)).digest
    verified(response, case.issuer)


@pytest.mark.parametrize("reason", REASONS)
def test_revoked(reason: str) -> None:
    case = Case()
    case.world.advance(hours=2)
    case.revoke(reason)
    case.world.advance(hours=2)
    response = case.answer()
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_time_utc == START + timedelta(hours=2)
    assert response.revocation_reason == REASONS[reason]


def test_unknown() -> None:
    case = Case()
    response = read(ask(case.world, request_for_serial(case.issuer, 4711)))
    assert response.serial_number == 4711
    assert response.certificate_status is ocsp.OCSPCertStatus.UNKNOWN


@pytest.mark.parametrize("algorithm", [SHA1, hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_each_hash_of_a_request(algorithm: hashes.HashAlgorithm) -> None:
    case = Case()
    response = read(ask(case.world, request_for(case.leaf, case.issuer, algorithm)))
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert response.hash_algorithm.name == algorithm.name


CASES = [(key, algorithm) for key, algorithms in SIGNING_ALGORITHMS.items() for algorithm in algorithms]


@pytest.mark.parametrize(("key", "signing"), [case for case in CASES if case[0] not in {"RSA_3072", "RSA_4096"}])
def test_signed_with_the_algorithm_of_the_authority(key: str, signing: str) -> None:
    case = Case(key=key, signing=signing)
    verified(case.answer(), case.issuer)


def test_a_disabled_authority_answers_and_an_expired_one_does_not() -> None:
    case = Case(years=1)
    case.world.call("UpdateCertificateAuthority", CertificateAuthorityArn=case.arn, Status="DISABLED")
    assert case.answer().certificate_status is ocsp.OCSPCertStatus.GOOD
    case.world.advance(days=366)
    assert case.answer().response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_a_deleted_authority_does_not_answer() -> None:
    case = Case()
    case.world.call("UpdateCertificateAuthority", CertificateAuthorityArn=case.arn, Status="DISABLED")
    case.world.call("DeleteCertificateAuthority", CertificateAuthorityArn=case.arn)
    assert case.answer().response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_only_for_its_own_issuer() -> None:
    case = Case()
    foreign = Offline("Foreign").certificate
    response = read(ask(case.world, request_for(case.leaf, foreign)))
    assert response.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
    without = case.world.root("Without")
    leaf = case.world.issued(without, csr())
    response = read(ask(case.world, request_for(leaf, authority_certificate(case.world, without))))
    assert response.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_revocations_show_after_the_delay() -> None:
    case = Case(settings=Settings(ocsp_delay=timedelta(minutes=60)))
    case.revoke()
    case.world.advance(minutes=60, seconds=-1)
    assert case.answer().certificate_status is ocsp.OCSPCertStatus.GOOD
    case.world.advance(seconds=1)
    assert case.answer().certificate_status is ocsp.OCSPCertStatus.REVOKED


FUZZED = Case()
GOOD_REQUEST = request_for(FUZZED.leaf, FUZZED.issuer)


@seeded(150)
@given(st.binary(max_size=300))
def test_any_bytes_are_answered(data: bytes) -> None:
    assert read(ask(FUZZED.world, data)).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@seeded(150)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3))
def test_odd_requests_are_answered(mutations: list[tuple[int, int]]) -> None:
    odd = bytearray(GOOD_REQUEST)
    for position, value in mutations:
        odd[position % len(odd)] = value
    assert isinstance(read(ask(FUZZED.world, bytes(odd))).response_status, ocsp.OCSPResponseStatus)


def test_a_request_that_is_too_large() -> None:
    response = read(ask(FUZZED.world, GOOD_REQUEST + b"\0" * 20_000))
    assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def responders(certificate: x509.Certificate) -> list[str]:
    try:
        value = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    assert all(description.access_method == AuthorityInformationAccessOID.OCSP for description in value)
    return [str(description.access_location.value) for description in value]


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({"Enabled": False}, []),
        ({"Enabled": True}, ["http://ocsp.acm-pca.eu-west-1.amazonaws.com"]),
        ({"Enabled": True, "OcspCustomCname": "ocsp.example.com"}, ["http://ocsp.example.com"]),
    ],
)
def test_the_url_in_certificates(configuration: dict[str, Any], expected: list[str]) -> None:
    world = World()
    root = world.root(RevocationConfiguration={"OcspConfiguration": configuration})
    assert responders(world.issued(root, csr())) == expected
    assert responders(authority_certificate(world, world.subordinate(root))) == expected
    assert responders(authority_certificate(world, root)) == []
    assert world.describe(root)["RevocationConfiguration"]["OcspConfiguration"] == configuration


def own_access() -> x509.AuthorityInformationAccess:
    location = x509.UniformResourceIdentifier("http://own.example.com")
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)])


@pytest.mark.parametrize("enabled", [True, False])
def test_passthrough_cannot_bring_its_own_while_ocsp_is_on(enabled: bool) -> None:
    world = World()
    root = world.root(RevocationConfiguration={"OcspConfiguration": {"Enabled": enabled}})
    request = csr(extensions=[(own_access(), False)])
    leaf = world.issued(root, request, TEMPLATE.format("EndEntityClientAuthCertificate_CSRPassthrough"))
    expected = "http://ocsp.acm-pca.eu-west-1.amazonaws.com" if enabled else "http://own.example.com"
    assert responders(leaf) == [expected]
