"""Bytes from anybody lead to the service's errors, never to another exception."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import given
from hypothesis import strategies as st

from pkiops.clock import SystemClock
from pkiops.sandbox.engine.errors import ServiceError
from tests.seeded import seeded
from tests.unit.sandbox.test_installation import Offline, Pending, text
from tests.unit.sandbox.world import CRL, START, TEMPLATE, World, csr, san

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
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x80 | len(octets)]) + octets) + content


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


def sequence(*contents: bytes) -> bytes:
    return tlv(0x30, b"".join(contents))


def signed_request(name: bytes, extensions: bytes = b"") -> str:
    """A request with a name and extensions in DER, which need not make sense."""
    spki = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    asked = sequence(EXTENSION_REQUEST, tlv(0x31, sequence(extensions))) if extensions else b""
    info = sequence(b"\x02\x01\x00", name, spki, tlv(0xA0, asked))
    signature = KEY.sign(info, ec.ECDSA(hashes.SHA256()))
    return pem(sequence(info, ECDSA_SHA256, tlv(0x03, b"\x00" + signature)), "CERTIFICATE REQUEST")


def one_name(oid: str, tag: int, value: bytes) -> bytes:
    return sequence(tlv(0x31, sequence(bytes.fromhex(oid), tlv(tag, value))))


COMMON_NAME, COUNTRY, UNIT, SAN = "0603550403", "0603550406", "060355040b", bytes.fromhex("0603551d11")
EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")


def nested(depth: int, tag: int = 0x30) -> bytes:
    value = b""
    for _ in range(depth):
        value = tlv(tag, value)
    return value


@pytest.mark.parametrize(
    ("name", "names"),
    [
        pytest.param(one_name(COUNTRY, 0x13, b"GBR"), b"", id="country"),
        pytest.param(one_name(COMMON_NAME, 0x0C, "\u202e\x00\ud7ff\U0001d518".encode()), b"", id="unicode"),
        pytest.param(one_name(COMMON_NAME, 0x0C, b""), b"", id="empty value"),
        pytest.param(
            sequence(*(tlv(0x31, sequence(bytes.fromhex(UNIT), tlv(0x0C, b"x" * 10))) for _ in range(900))),
            b"",
            id="900 units",
        ),
        pytest.param(
            one_name(COMMON_NAME, 0x0C, b"x"),
            sequence(*(tlv(0x82, b"n%d.example.com" % number) for number in range(1200))),
            id="1200 names",
        ),
        pytest.param(
            one_name(COMMON_NAME, 0x0C, b"x"),
            sequence(tlv(0xA0, bytes.fromhex("06022a03") + nested(3000, 0xA0))),
            id="3000 levels",
        ),
        pytest.param(one_name(COMMON_NAME, 0x0C, b"x"), sequence(tlv(0x82, b"a\x00b")), id="zero in a name"),
        pytest.param(one_name(COMMON_NAME, 0x0C, b"x"), sequence(), id="no names"),
    ],
)
def test_what_is_odd_and_yet_issued_harms_nothing_afterwards(name: bytes, names: bytes) -> None:
    """Not even where warnings are errors, as in these tests: what cryptography warns of, the service issues."""
    world = World()
    root = world.root(RevocationConfiguration=CRL)
    extensions = sequence(SAN, tlv(0x04, names)) if names else b""
    arn = world.issue(
        root, signed_request(name, extensions), TEMPLATE.format("BlankEndEntityCertificate_CSRPassthrough")
    )
    world.get(root, arn)
    serial = arn.rpartition("/")[2]
    world.call(
        "RevokeCertificate", CertificateAuthorityArn=root, CertificateSerial=serial, RevocationReason="UNSPECIFIED"
    )
    assert [entry.serial_number for entry in world.crl(root)] == [int(serial, 16)]
    for kind in ("JSON", "CSV"):
        report = world.call(
            "CreateCertificateAuthorityAuditReport",
            CertificateAuthorityArn=root,
            S3BucketName="example-crl",
            AuditReportResponseFormat=kind,
        )
        world.advance(minutes=31)
        described = world.call(
            "DescribeCertificateAuthorityAuditReport",
            CertificateAuthorityArn=root,
            AuditReportId=report["AuditReportId"],
        )
        assert described["AuditReportStatus"] == "SUCCESS"
        assert serial[:2] in world.buckets.objects["example-crl", report["S3Key"]].decode("utf-8")


def rsa_request(modulus: int, exponent: int) -> str:
    def integer(number: int) -> bytes:
        return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))

    rsa_oid = bytes.fromhex("06092a864886f70d010101")
    key = sequence(sequence(rsa_oid, b"\x05\x00"), tlv(0x03, b"\x00" + sequence(integer(modulus), integer(exponent))))
    info = sequence(b"\x02\x01\x00", one_name(COMMON_NAME, 0x0C, b"x"), key, b"\xa0\x00")
    algorithm = sequence(bytes.fromhex("06092a864886f70d01010b"), b"\x05\x00")
    return pem(sequence(info, algorithm, tlv(0x03, b"\x00" + b"\x7f" * 2048)), "CERTIFICATE REQUEST")


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (0, 0),
        (15, 3),
        (1 << 2048, 65537),
        ((1 << 2047) | 1, 1),
        ((1 << 3071) | 1, 2),
        ((1 << 16383) | 1, 65537),
        ((1 << 16383) | 1, (1 << 16380) | 1),
        ((1 << 65535) | 1, 65537),
    ],
    ids=["zero", "tiny", "even", "exponent 1", "exponent 2", "16384 bits", "large exponent", "65536 bits"],
)
def test_an_rsa_key_of_any_size_is_refused_at_once(modulus: int, exponent: int) -> None:
    began = SystemClock().monotonic()
    WORLD.refused(
        "MalformedCSRException",
        "IssueCertificate",
        CertificateAuthorityArn=ROOT,
        Csr=rsa_request(modulus, exponent),
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
    )
    assert SystemClock().monotonic() - began < 10
