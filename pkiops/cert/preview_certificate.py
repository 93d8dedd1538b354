"""The certificate that a CA would make of a request, made here below CAs whose keys exist for a moment only.

What this module decides: that every CA of the chain is copied with another key and all else as it is, so that path lengths, constraints, usages and
lifetimes are the real ones; and how an expected certificate becomes a certificate: what the backend takes from the CSR as it stands is taken from
there, all else is RFC 5280's usual form. The keys are local variables of one function: they are neither written nor returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID

from pkiops.backends.interface import ExpectedCertificate
from pkiops.errors import InternalError
from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm
from pkiops.x509.certificate import EXTENDED_KEY_USAGES, extension_of
from pkiops.x509.csr import CertificationRequest
from pkiops.x509.keys import PrivateKey, PublicKey, SigningHash, generate_private_key, key_algorithm_of, signing_hash
from pkiops.x509.names import build_name
from pkiops.x509.san import general_names

# a part of a CRL has a name that the service makes up
UNKNOWN_PART = "chosen-by-the-service.crl"
_DIGESTS: Mapping[str, type[SigningHash]] = {"SHA256": hashes.SHA256, "SHA384": hashes.SHA384, "SHA512": hashes.SHA512}
_KEY_USAGES = {
    "digitalSignature": "digital_signature",
    "contentCommitment": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}


@dataclass(frozen=True, slots=True)
class PreviewChain:
    """A preview and the copies of the CAs above it, root last. Nobody can sign with any of their keys."""

    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...]


def preview_chain(
    csr: CertificationRequest,
    expected: ExpectedCertificate,
    chain: Sequence[x509.Certificate],
    signing_algorithm: SigningAlgorithm,
    serial: int,
) -> PreviewChain:
    """The certificate that ``expected`` describes, below copies of ``chain``.

    Args:
        csr: gives its public key, and its names where the backend takes these as they stand.
        expected: what the backend would make.
        chain: the issuing CA's certificate and those above it, root last.
        signing_algorithm: the issuing CA's.
        serial: a positive number in the place of the one that the CA would choose.
    """
    copies: list[x509.Certificate] = []
    signer: PrivateKey | None = None
    for depth, original in reversed(list(enumerate(chain))):
        # only the issuer's algorithm shows in the certificate; those above may be what is quick
        known = key_algorithm_of(original.public_key()) if depth == 0 else None
        key = generate_private_key(known or KeyAlgorithm.EC_prime256v1)
        by = signer or key
        copies.insert(0, _copy(original, key).sign(by, signing_hash(by)))
        signer = key
    if signer is None:
        raise InternalError("a preview needs the chain of its issuer")
    made = _end_entity(csr, expected, copies[0], serial)
    if isinstance(signer, rsa.RSAPrivateKey) and signing_algorithm.value.endswith("_PSS"):
        pss = padding.PSS(padding.MGF1(_digest(signing_algorithm)), padding.PSS.DIGEST_LENGTH)
        certificate = made.sign(signer, _digest(signing_algorithm), rsa_padding=pss)
    else:
        certificate = made.sign(signer, _digest(signing_algorithm) if signing_hash(signer) else None)
    return PreviewChain(certificate, tuple(copies))


def _digest(algorithm: SigningAlgorithm) -> SigningHash:
    return _DIGESTS[algorithm.value[:6]]()


def _copy(original: x509.Certificate, key: PrivateKey) -> x509.CertificateBuilder:
    """A CA certificate with another key; its key identifiers stay, so that what it issues names it as its own would."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(original.subject)
        .issuer_name(original.issuer)
        .public_key(key.public_key())
        .serial_number(original.serial_number)
        .not_valid_before(original.not_valid_before_utc)
        .not_valid_after(original.not_valid_after_utc)
    )
    for one in original.extensions:
        builder = builder.add_extension(one.value, one.critical)
    return builder


def _end_entity(
    csr: CertificationRequest, expected: ExpectedCertificate, issuer: x509.Certificate, serial: int
) -> x509.CertificateBuilder:
    request = x509.load_der_x509_csr(csr.der)
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject if expected.names_from_csr else build_name(dict(expected.subject)))
        .issuer_name(issuer.subject)
        .public_key(csr.public_key)
        .serial_number(serial)
        .not_valid_before(expected.not_before)
        .not_valid_after(expected.not_after)
    )
    for value, critical in (
        *_fixed(expected, issuer, csr.public_key),
        *_alternative_names(expected, request),
        *_addresses(expected),
    ):
        builder = builder.add_extension(value, critical)
    return builder


_Extensions = Iterator[tuple[x509.ExtensionType, bool]]


def _fixed(expected: ExpectedCertificate, issuer: x509.Certificate, public_key: PublicKey) -> _Extensions:
    constraints = x509.BasicConstraints(ca=expected.is_ca, path_length=expected.path_length)
    yield constraints, "basicConstraints" in expected.critical
    above = extension_of(issuer, x509.SubjectKeyIdentifier)
    if above is not None:
        yield x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), False
    yield x509.SubjectKeyIdentifier.from_public_key(public_key), False
    usages = {field: name in expected.key_usage for name, field in _KEY_USAGES.items()}
    yield x509.KeyUsage(**usages), "keyUsage" in expected.critical
    oids = {name: oid for oid, name in EXTENDED_KEY_USAGES.items()}
    if expected.extended_key_usage:
        wanted = [oids[name] for name in expected.extended_key_usage]
        yield x509.ExtendedKeyUsage(wanted), "extKeyUsage" in expected.critical


def _alternative_names(expected: ExpectedCertificate, request: x509.CertificateSigningRequest) -> _Extensions:
    if expected.names_from_csr:
        yield from (
            (e.value, e.critical) for e in request.extensions if isinstance(e.value, x509.SubjectAlternativeName)
        )
    elif expected.sans:
        # RFC 5280 section 4.2.1.6: critical where the subject is empty
        yield x509.SubjectAlternativeName(general_names(expected.sans)), not any(expected.subject.values())


def _addresses(expected: ExpectedCertificate) -> _Extensions:
    if expected.crl_url:
        url = expected.crl_url + (UNKNOWN_PART if expected.crl_url.endswith("/") else "")
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
        yield x509.CRLDistributionPoints([point]), False
    if expected.ocsp_url:
        location = x509.UniformResourceIdentifier(expected.ocsp_url)
        yield (
            x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)]),
            False,
        )
