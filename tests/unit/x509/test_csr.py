"""Requests: what is read, and what every hostile one is answered with: one error, the right exit code."""

from __future__ import annotations

import base64
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pkiops.errors import InputError, PkiopsError, PolicyDenied
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.certificate import pem
from pkiops.x509.csr import MAX_CSR_BYTES, load_csr
from pkiops.x509.keys import private_key_pem
from pkiops.x509.san import SanKind, SubjectAltName
from tests.builders import csr, key, root_ca
from tests.seeded import seeded

GOOD = csr(sans=("dns:a.example", "uri:spiffe://example.com/ns/a/sa/b"))
GOOD_DER = x509.load_pem_x509_csr(GOOD).public_bytes(serialization.Encoding.DER)


def _request(*attributes: x509.NameAttribute[str], extensions: tuple[x509.ExtensionType, ...] = ()) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _common_name(value: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, value)


def _armoured(der: bytes, label: str = "CERTIFICATE REQUEST") -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def test_reads_the_claims() -> None:
    private_key = key()
    request = load_csr(csr("a.example", sans=("dns:A.example", "ip:::1"), private_key=private_key), "a.csr")
    assert request.common_name == "a.example"
    assert request.subject == (("O", "Example Ltd"), ("CN", "a.example"))
    assert request.sans == (SubjectAltName(SanKind.DNS, "a.example"), SubjectAltName(SanKind.IP, "::1"))
    assert request.key_algorithm is KeyAlgorithm.EC_prime256v1
    assert request.unsupported == request.other_extensions == ()
    assert load_csr(request.pem, "again") == load_csr(request.der, "again") == request
    assert "PublicKey" not in repr(request)


def test_reads_extensions_and_names_that_will_be_refused_or_ignored_later() -> None:
    names = x509.SubjectAlternativeName([x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))])
    request = load_csr(_request(extensions=(names, x509.BasicConstraints(ca=True, path_length=None))), "a.csr")
    assert request.unsupported == ("registeredID 1.2.3",)
    assert request.other_extensions == ("2.5.29.19",)
    assert request.common_name is None


@pytest.mark.parametrize(
    "data",
    [
        GOOD.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + GOOD,
        b"Certificate Request:\n    Data: 0\n" + GOOD + b"\ntrailing text\n",
        b"0 comment\n" + GOOD,
        GOOD.rstrip(b"\n"),
        GOOD.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"),
        b"-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----" + GOOD,
        GOOD_DER,
    ],
)
def test_accepts_every_usual_packaging(data: bytes) -> None:
    assert load_csr(data, "a.csr").der == GOOD_DER


HOSTILE: list[tuple[str, bytes, type[PkiopsError], str]] = [
    ("empty", b"", InputError, "csr.not-pem"),
    ("text", b"hello\n", InputError, "csr.not-pem"),
    ("text that starts like DER", b"0123456789", InputError, "csr.not-pem"),
    ("binary", b"\x7fELF\x00\x01", InputError, "csr.not-pem"),
    ("utf-16", GOOD.decode().encode("utf-16"), InputError, "csr.not-pem"),
    ("5 MB of zeros", bytes(5_000_000), InputError, "csr.too-big"),
    ("5 MB of PEM", GOOD + b"\n" * 5_000_000, InputError, "csr.too-big"),
    ("one byte too many", GOOD + b"\n" * (MAX_CSR_BYTES + 1 - len(GOOD)), InputError, "csr.too-big"),
    ("PEM without its end", GOOD[: len(GOOD) // 2], InputError, "csr.truncated"),
    ("PEM cut inside its end", GOOD[:-8], InputError, "csr.truncated"),
    ("PEM of half the DER", _armoured(GOOD_DER[: len(GOOD_DER) // 2]), InputError, "csr.truncated"),
    ("half the DER", GOOD_DER[: len(GOOD_DER) // 2], InputError, "csr.truncated"),
    ("DER with a tail", GOOD_DER + b"\x00", InputError, "csr.malformed"),
    ("PEM with a tail in the DER", _armoured(GOOD_DER + b"\x00"), InputError, "csr.malformed"),
    ("no base64", b"-----BEGIN CERTIFICATE REQUEST-----\n!!!!\n-----END CERTIFICATE REQUEST-----\n", InputError, "csr.malformed"),
    ("empty block", _armoured(b""), InputError, "csr.malformed"),
    ("begin without a label", b"-----BEGIN " + b"A" * 300, InputError, "csr.malformed"),
    ("many begins", b"-----BEGIN CERTIFICATE REQUEST-----\n" * 800, InputError, "csr.malformed"),
    ("other sequence", _armoured(b"\x30\x03\x02\x01\x05"), InputError, "csr.malformed"),
    ("deep nesting", _armoured(b"\x30\x80" * 5000), InputError, "csr.malformed"),
    ("two requests", GOOD + csr(), InputError, "csr.several"),
    ("a certificate", pem(root_ca().certificate), InputError, "csr.wrong-pem-type"),
    ("a certificate in DER", root_ca().certificate.public_bytes(serialization.Encoding.DER), InputError, "csr.wrong-pem-type"),
    ("a certificate labelled a request", _armoured(root_ca().certificate.public_bytes(serialization.Encoding.DER)), InputError, "csr.wrong-pem-type"),
    ("a private key", private_key_pem(key()), InputError, "csr.private-key"),
    ("request and private key", GOOD + private_key_pem(key()), InputError, "csr.private-key"),
    ("an encrypted key", _armoured(b"\x30\x00", "ENCRYPTED PRIVATE KEY"), InputError, "csr.private-key"),
    (
        "a private key in DER",
        key().private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        InputError,
        "csr.private-key",
    ),
    ("NUL in the common name", _request(_common_name("a.example\x00.evil")), PolicyDenied, "csr.bad-name"),
    ("escape sequence in the common name", _request(_common_name("a\x1b[2J")), PolicyDenied, "csr.bad-name"),
    ("right-to-left override", _request(_common_name("a\u202eb")), PolicyDenied, "csr.bad-name"),
    (
        "NUL in a DNS name",
        _request(extensions=(x509.SubjectAlternativeName([x509.DNSName("a.example\x00.evil")]),)),
        PolicyDenied,
        "csr.bad-name",
    ),
    (
        "newline in a URI",
        _request(extensions=(x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://a/b\nc")]),)),
        PolicyDenied,
        "csr.bad-name",
    ),
    ("broken signature", _armoured(GOOD_DER[:-1] + bytes([GOOD_DER[-1] ^ 1])), PolicyDenied, "csr.proof-of-possession"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "kind", "code"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_hostile_input_gets_one_clear_error(data: bytes, kind: type[PkiopsError], code: str) -> None:
    with pytest.raises(PkiopsError) as caught:
        load_csr(data, "in.csr")
    error = caught.value
    assert (type(error), error.code) == (kind, code)
    assert error.exit_code == (2 if kind is InputError else 4)
    assert error.message.startswith("in.csr: ")
    assert error.message.isprintable()
    assert len(error.message) < 500


def test_the_key_of_another_does_not_prove_possession() -> None:
    """A request with somebody else's public key, signed with one's own: what step 1 of issuance is for."""
    mine = load_csr(csr(), "mine").der
    theirs = load_csr(csr(), "theirs").der
    # Both are P-256 requests of one shape: put their key where mine is.
    marker = bytes.fromhex("03420004")
    position, their_position = mine.index(marker), theirs.index(marker)
    forged = mine[:position] + theirs[their_position : their_position + 68] + mine[position + 68 :]
    with pytest.raises(PolicyDenied) as caught:
        load_csr(forged, "in.csr")
    assert caught.value.code == "csr.proof-of-possession"


@pytest.mark.parametrize(
    ("private_key", "digest", "description"),
    [
        (rsa.generate_private_key(65537, 1024), hashes.SHA256(), "RSA 1024"),  # noqa: S505 - weak on purpose
        (ed25519.Ed25519PrivateKey.generate(), None, "Ed25519"),
        (ec.generate_private_key(ec.SECP256K1()), hashes.SHA256(), "EC secp256k1"),
        (dsa.generate_private_key(2048), hashes.SHA256(), "DSA"),
    ],
)
def test_keys_that_policy_will_refuse_are_still_read(
    private_key: rsa.RSAPrivateKey, digest: hashes.SHA256 | None, description: str
) -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private_key, digest)
    read = load_csr(request.public_bytes(serialization.Encoding.PEM), "a.csr")
    assert (read.key_algorithm, read.key_description) == (None, description)


def test_odd_names_raise_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        country = x509.NameAttribute(NameOID.COUNTRY_NAME, "GBR", _validate=False)
        request = _request(country, x509.NameAttribute(NameOID.COMMON_NAME, "x" * 65, _validate=False))
    read = load_csr(request, "a.csr")
    assert read.subject == (("C", "GBR"), ("CN", "x" * 65))


@seeded(300)
@given(st.data())
def test_a_changed_request_is_never_accepted(data: st.DataObject) -> None:
    mutated = bytearray(GOOD_DER)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(mutated) - 1))
        change = data.draw(st.sampled_from(["set", "delete", "insert"]))
        octet = data.draw(st.integers(0, 255))
        if change == "set":
            mutated[position] = octet
        elif change == "delete":
            del mutated[position]
        else:
            mutated.insert(position, octet)
    if bytes(mutated) == GOOD_DER:
        return
    with pytest.raises(PkiopsError):
        load_csr(bytes(mutated), "a.csr")


@seeded(200)
@given(st.binary(max_size=300), st.sampled_from(["raw", "armoured", "sequence"]))
def test_noise_gets_an_error_of_ours(noise: bytes, packaging: str) -> None:
    data = {
        "raw": noise,
        "armoured": _armoured(noise),
        "sequence": _armoured(b"\x30\x82" + len(noise).to_bytes(2, "big") + noise),
    }[packaging]
    with pytest.raises(InputError):
        load_csr(data, "a.csr")
