"""Leaf keys of any family below CA keys of any family; subjects of requests are taken as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pkiops.sandbox.engine.keys import SIGNING_ALGORITHMS
from tests.unit.sandbox.test_extensions import load_authority
from tests.unit.sandbox.world import CRL, World, key_of

LEAF_KEYS: dict[str, Callable[[], Any]] = {
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
}
CA_KEYS = {"RSA_2048": "SHA256WITHRSA_PSS", "EC_secp521r1": "SHA512WITHECDSA", "ML_DSA_65": "ML_DSA_65"}


def request(key: Any, subject: x509.Name | None = None) -> str:
    name = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "svc-a")])
    digest = hashes.SHA256() if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)) else None
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, digest)
    return built.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("leaf", LEAF_KEYS)
@pytest.mark.parametrize("authority", CA_KEYS)
def test_a_leaf_may_have_a_key_of_another_family(authority: str, leaf: str) -> None:
    world = World()
    arn = world.root(key=authority, signing=CA_KEYS[authority])
    key = LEAF_KEYS[leaf]()
    certificate = world.issued(arn, request(key))
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(load_authority(world, arn))


@pytest.mark.parametrize("algorithm", SIGNING_ALGORITHMS)
def test_from_the_request_to_the_crl(algorithm: str) -> None:
    """Each key algorithm as root, subordinate and signer of a CRL."""
    signing = {"RSA": "SHA256WITHRSA", "EC_": "SHA384WITHECDSA"}.get(algorithm[:3], algorithm)
    world = World()
    root = world.root(key=algorithm, signing=signing, RevocationConfiguration=CRL)
    sub = world.subordinate(root, key=algorithm, signing=signing, RevocationConfiguration=CRL)
    leaf_arn = world.issue(sub, request(ec.generate_private_key(ec.SECP256R1())))
    serial = leaf_arn.rpartition("/")[2]
    world.call(
        "RevokeCertificate", CertificateAuthorityArn=sub, CertificateSerial=serial, RevocationReason="SUPERSEDED"
    )
    assert world.crl(sub).is_signature_valid(key_of(load_authority(world, sub)))
    assert world.crl(root).is_signature_valid(key_of(load_authority(world, root)))
    assert world.crl(sub).get_revoked_certificate_by_serial_number(int(serial, 16)) is not None
    csr = x509.load_pem_x509_csr(world.authority_csr(sub).encode())
    assert csr.is_signature_valid
    assert world.authority_csr(sub).encode() == csr.public_bytes(Encoding.PEM)
    constraints = csr.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.critical) == (True, True)


def test_weak_keys_and_the_same_key_again_are_certified() -> None:
    world = World()
    arn = world.root()
    weak = request(rsa.generate_private_key(65537, 1024))  # noqa: S505 - weak on purpose
    serials = {world.issued(arn, weak).serial_number for _ in range(2)}
    assert len(serials) == 2


def test_a_subject_keeps_its_order_its_repetitions_and_its_multiple_values() -> None:
    several = x509.RelativeDistinguishedName(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.USER_ID, "u")]
    )
    unit = [x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, x)]) for x in "21"]
    subject = x509.Name([several, *unit])
    world = World()
    key = ec.generate_private_key(ec.SECP256R1())
    assert world.issued(world.root(), request(key, subject)).subject == subject
