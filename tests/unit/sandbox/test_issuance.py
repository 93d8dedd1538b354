"""IssueCertificate and GetCertificate: requests, serials, ARNs, chains, path lengths."""

from __future__ import annotations

import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from tests.unit.sandbox.world import TEMPLATE, World, csr, load, san


def refused_csr(request: str | bytes) -> str:
    world = World()
    text = request if isinstance(request, str) else request.decode("latin-1")
    return world.refused(
        "MalformedCSRException",
        "IssueCertificate",
        CertificateAuthorityArn=world.root(),
        Csr=text,
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
    )


def test_requests_that_cannot_be_read() -> None:
    good = csr()
    der = x509.load_pem_x509_csr(good.encode()).public_bytes(Encoding.DER)
    for bad in (
        "x",
        "\x00",
        good[: len(good) // 2],
        good.replace("REQUEST", "BOGUS"),
        der,
        "-----BEGIN CERTIFICATE REQUEST-----",
    ):
        assert "parsed" in refused_csr(bad)


def test_a_private_key_is_not_a_request() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    refused_csr(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_a_broken_proof_of_possession() -> None:
    request = x509.load_pem_x509_csr(csr().encode())
    der = bytearray(request.public_bytes(Encoding.DER))
    position = bytes(der).index(b"svc-a")
    der[position : position + 5] = b"svc-b"
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM)
    assert "signature" in refused_csr(forged)


def test_a_request_must_name_somebody() -> None:
    assert "neither" in refused_csr(csr(None))
    world = World()
    assert world.issued(world.root(), csr(None, extensions=[san("a.example.com")])).serial_number


def test_an_edi_party_name_in_a_request_cannot_be_read() -> None:
    party = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3007a505a1030c0161"))
    assert "parsed" in refused_csr(csr(extensions=[(party, False)]))


def test_a_common_name_has_64_octets() -> None:
    world = World()
    assert world.issued(world.root(), csr("a" * 64)).serial_number
    with pytest.warns(UserWarning, match="length"):  # cryptography builds it only against its own advice
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "b" * 65, _validate=False)])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    assert "64 octets" in refused_csr(request.public_bytes(Encoding.PEM))


def test_serial_and_arn_agree() -> None:
    world = World()
    root = world.root()
    seen = set()
    for _ in range(20):
        arn = world.issue(root, csr())
        serial = load(world.get(root, arn)["Certificate"]).serial_number
        assert arn == f"{root}/certificate/{serial:032x}"
        assert 0 < serial < 1 << 128
        seen.add(serial)
    assert len(seen) == 20


def test_the_chain_runs_from_the_issuer_to_the_root() -> None:
    world = World()
    root = world.root()
    middle = world.subordinate(root, "Middle", path_length=1)
    issuing = world.subordinate(middle, "Issuing", years=2)
    answer = world.get(issuing, world.issue(issuing, csr()))
    chain = x509.load_pem_x509_certificates(answer["CertificateChain"].encode())
    names = [certificate.subject.rfc4514_string() for certificate in chain]
    assert [name.partition(",")[0] for name in names] == ["CN=Issuing", "CN=Middle", "CN=Example Root"]
    certificates = [load(answer["Certificate"]), *chain]
    for lower, upper in itertools.pairwise(certificates):
        lower.verify_directly_issued_by(upper)
    assert not answer["CertificateChain"].endswith("\n")
    own = world.call("GetCertificateAuthorityCertificate", CertificateAuthorityArn=issuing)
    assert len(x509.load_pem_x509_certificates(own["CertificateChain"].encode())) == 2
    assert "CertificateChain" not in world.call("GetCertificateAuthorityCertificate", CertificateAuthorityArn=root)


@pytest.mark.parametrize(("below", "allowed"), [(0, True), (1, False), (2, False)])
def test_path_lengths_nest(below: int, allowed: bool) -> None:
    world = World()
    middle = world.subordinate(world.root(), "Middle", path_length=1)
    lower = world.create("SUBORDINATE", "Lower")
    request = world.authority_csr(lower)
    template = TEMPLATE.format(f"SubordinateCACertificate_PathLen{below}")
    if allowed:
        assert world.issued(middle, request, template).serial_number
        return
    message = world.refused(
        "ValidationException",
        "IssueCertificate",
        CertificateAuthorityArn=middle,
        Csr=request,
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Type": "DAYS", "Value": 1},
        TemplateArn=template,
    )
    assert "Path length" in message


def test_a_root_template_signs_only_the_ca_itself() -> None:
    world = World()
    request = {
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": {"Type": "DAYS", "Value": 1},
        "TemplateArn": TEMPLATE.format("RootCACertificate"),
    }
    root = world.root()
    world.refused("ValidationException", "IssueCertificate", CertificateAuthorityArn=root, Csr=csr(), **request)
    subordinate = world.create("SUBORDINATE", "Sub")
    own = world.authority_csr(subordinate)
    world.refused("ValidationException", "IssueCertificate", CertificateAuthorityArn=subordinate, Csr=own, **request)


def test_certificates_that_are_not_there() -> None:
    world = World()
    first, second = world.root("A"), world.root("B")
    mine = world.issue(first, csr())
    unknown = f"{first}/certificate/{'0' * 31}1"
    world.refused("ResourceNotFoundException", "GetCertificate", CertificateAuthorityArn=first, CertificateArn=unknown)
    world.refused("ResourceNotFoundException", "GetCertificate", CertificateAuthorityArn=second, CertificateArn=mine)
    world.refused("InvalidArnException", "GetCertificate", CertificateAuthorityArn=first, CertificateArn=first)


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/none", "InvalidArnException"),
        ("arn:aws:acm-pca:eu-west-1:111122223333:nonsense", "InvalidArnException"),
        ("nonsense", "ValidationException"),
        (
            "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/00000000-0000-4000-8000-000000000000",
            "ResourceNotFoundException",
        ),
    ],
)
def test_authorities_that_are_not_there(arn: str, code: str) -> None:
    World().refused(code, "DescribeCertificateAuthority", CertificateAuthorityArn=arn)
