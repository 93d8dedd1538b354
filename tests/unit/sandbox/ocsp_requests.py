"""OCSP asked of an engine, and read back by cryptography."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pkiops.sandbox.engine.ocsp import OcspAnswer, respond
from tests.unit.sandbox.world import World

SHA1 = hashes.SHA1()  # noqa: S303 - RFC 5019 asks with nothing else


def request_for(leaf: x509.Certificate, issuer: x509.Certificate, algorithm: hashes.HashAlgorithm = SHA1) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, algorithm)
    return builder.build().public_bytes(Encoding.DER)


def request_for_serial(issuer: x509.Certificate, serial: int) -> bytes:
    """For a certificate nobody has: the hash of the name is the issuer's own subject."""
    name, key = hashes.Hash(SHA1), x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
    name.update(issuer.subject.public_bytes())
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name.finalize(), key, serial, SHA1)
    return builder.build().public_bytes(Encoding.DER)


def ask(world: World, request: bytes) -> OcspAnswer:
    world.service.maintain(world.region)
    candidates = [(world.region, authority) for authority in world.region.authorities.values()]
    return respond(world.service.context, candidates, request)


def read(answer: OcspAnswer) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(answer.data)
