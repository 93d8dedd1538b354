"""Bytes from anybody lead to the service's errors, never to another exception."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import given
from hypothesis import strategies as st

from pkiops.sandbox.engine.errors import ServiceError
from tests.seeded import seeded
from tests.unit.sandbox.test_installation import Offline, Pending, text
from tests.unit.sandbox.world import START, TEMPLATE, World, csr, san

KEY = ec.generate_private_key(ec.SECP256R1())
EXTENSIONS: list[tuple[x509.ExtensionType, bool]] = [
    san("a.example.com"),
    (x509.NameConstraints([x509.DNSName("a")], [x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))]), True),
    (
        x509.AuthorityInformationAccess(
            [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://a"))]
        ),
        False,
    ),
    (x509.PolicyConstraints(1, 2), True),
    (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
    (x509.PrivateKeyUsagePeriod(START, START), False),
]
INFO = x509.load_pem_x509_csr(csr(key=KEY, extensions=EXTENSIONS).encode()).tbs_certrequest_bytes
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
MUTATIONS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3)
QUICKLY = seeded(150)

WORLD = World()
ROOT = WORLD.root()
PENDING = Pending()
OFFLINE = Offline("Root")
INSTALLED = OFFLINE.sign_request(PENDING.csr).public_bytes(Encoding.DER)


def mutated(data: bytes, mutations: Sequence[tuple[int, int]]) -> bytes:
    result = bytearray(data)
    for position, value in mutations:
        result[position % len(result)] = value
    return bytes(result)


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255])) + content


def pem(der: bytes, label: str) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def only_service_errors(world: World, operation: str, **request: object) -> None:
    with contextlib.suppress(ServiceError):
        world.call(operation, **request)


def issue(request: str) -> None:
    only_service_errors(
        WORLD,
        "IssueCertificate",
        CertificateAuthorityArn=ROOT,
        Csr=request,
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
        TemplateArn=TEMPLATE.format("BlankEndEntityCertificate_CSRPassthrough"),
    )


@QUICKLY
@given(MUTATIONS)
def test_a_request_that_is_signed_but_odd_inside(mutations: list[tuple[int, int]]) -> None:
    info = mutated(INFO, mutations)
    signature = KEY.sign(info, ec.ECDSA(hashes.SHA256()))
    der = tlv(0x30, info + ECDSA_SHA256 + tlv(0x03, b"\x00" + signature))
    issue(pem(der, "CERTIFICATE REQUEST"))


@QUICKLY
@given(st.binary(min_size=1, max_size=300))
def test_a_request_of_any_bytes(data: bytes) -> None:
    issue(pem(data, "CERTIFICATE REQUEST"))
    issue(data.decode("latin-1"))


@QUICKLY
@given(MUTATIONS)
def test_a_certificate_that_is_odd_inside(mutations: list[tuple[int, int]]) -> None:
    odd = pem(mutated(INSTALLED, mutations), "CERTIFICATE")
    good, root = pem(INSTALLED, "CERTIFICATE"), text(OFFLINE.certificate)
    for certificate, chain in ((odd, root), (good, odd)):
        only_service_errors(
            PENDING.world,
            "ImportCertificateAuthorityCertificate",
            CertificateAuthorityArn=PENDING.arn,
            Certificate=certificate,
            CertificateChain=chain,
        )


def test_a_feature_nobody_knows() -> None:
    position = INFO.index(bytes.fromhex("2b06010505070118")) + 8
    odd = INFO[:position] + INFO[position:].replace(bytes.fromhex("020105"), bytes.fromhex("020163"), 1)
    assert odd != INFO
    signature = KEY.sign(odd, ec.ECDSA(hashes.SHA256()))
    issue(pem(tlv(0x30, odd + ECDSA_SHA256 + tlv(0x03, b"\x00" + signature)), "CERTIFICATE REQUEST"))


def test_a_version_nobody_knows() -> None:
    odd = INSTALLED.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020165"), 1)
    assert odd != INSTALLED
    PENDING.refused("MalformedCertificateException", pem(odd, "CERTIFICATE"), text(OFFLINE.certificate))
