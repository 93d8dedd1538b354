"""Requests to send, and what is in a certificate, as plain words.

What this module decides: how an observation spells a certificate: extension by extension with its criticality, never an identifier, a key
or a time of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtendedKeyUsageOID, ExtensionOID, NameOID

from tests.canary.case import Observation

Holder: TypeAlias = (
    "x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList | x509.RevokedCertificate"
)
_EXTENSIONS = {
    ExtensionOID.BASIC_CONSTRAINTS: "basicConstraints",
    ExtensionOID.KEY_USAGE: "keyUsage",
    ExtensionOID.EXTENDED_KEY_USAGE: "extendedKeyUsage",
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: "subjectAltName",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "subjectKeyIdentifier",
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "authorityKeyIdentifier",
    ExtensionOID.CRL_DISTRIBUTION_POINTS: "cRLDistributionPoints",
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS: "authorityInfoAccess",
    ExtensionOID.CERTIFICATE_POLICIES: "certificatePolicies",
    ExtensionOID.CRL_NUMBER: "cRLNumber",
    ExtensionOID.ISSUING_DISTRIBUTION_POINT: "issuingDistributionPoint",
    CRLEntryExtensionOID.CRL_REASON: "cRLReason",
}
_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
_EXTENDED = {ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth", ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth"}
_ATTRIBUTES = {
    NameOID.COUNTRY_NAME: "Country",
    NameOID.ORGANIZATION_NAME: "Organization",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OrganizationalUnit",
    NameOID.STATE_OR_PROVINCE_NAME: "State",
    NameOID.COMMON_NAME: "CommonName",
    NameOID.LOCALITY_NAME: "Locality",
    NameOID.SERIAL_NUMBER: "SerialNumber",
    NameOID.TITLE: "Title",
}


def csr(
    common_name: str | None = "canary.example.com",
    *,
    extensions: Sequence[x509.ExtensionType] = (),
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> str:
    """A request with a new P-256 key unless one is given; extensions are not critical."""
    names = [] if common_name is None else [_unchecked(common_name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def _unchecked(common_name: str) -> x509.NameAttribute[str]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attribute's length")  # too long on purpose
        return x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=len(common_name) <= 64)


def csr_with_broken_signature() -> str:
    """A request whose last octet of the signature was changed."""
    der = bytearray(x509.load_pem_x509_csr(csr().encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()


def alternative_name(name: str) -> x509.ExtensionType:
    """A SAN of one DNS name."""
    return x509.SubjectAlternativeName([x509.DNSName(name)])


def distribution_point(url: str) -> x509.ExtensionType:
    """A distribution point of one URL."""
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return x509.CRLDistributionPoints([point])


def load(pem: str) -> x509.Certificate:
    """A certificate."""
    return x509.load_pem_x509_certificate(pem.encode())


def extensions_of(holder: Holder) -> Observation:
    """Extensions by name: ``critical`` or ``not critical``, and what is in those whose content is a rule."""
    found: list[x509.Extension[x509.ExtensionType]] = sorted(holder.extensions, key=lambda each: each.oid.dotted_string)
    return {
        _EXTENSIONS.get(each.oid, each.oid.dotted_string): ", ".join(
            ["critical" if each.critical else "not critical", *_content(each.value)]
        )
        for each in found
    }


def _content(value: x509.ExtensionType) -> list[str]:
    if isinstance(value, x509.BasicConstraints):
        length = [] if value.path_length is None else [f"path length {value.path_length}"]
        return ["CA:TRUE" if value.ca else "CA:FALSE", *length]
    if isinstance(value, x509.KeyUsage):
        return [word for name, word in _USAGES.items() if getattr(value, name)]
    if isinstance(value, x509.ExtendedKeyUsage):
        return [_EXTENDED.get(usage, usage.dotted_string) for usage in value]
    if isinstance(value, x509.CRLReason):
        return [value.reason.value]
    return []


def subject_of(holder: x509.Certificate | x509.CertificateSigningRequest) -> Observation:
    """The types of the subject's attributes, in their order."""
    return [_ATTRIBUTES.get(each.oid, each.oid.dotted_string) for each in holder.subject]


def urls_of(certificate: x509.Certificate) -> list[str]:
    """The URLs of the distribution points."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    return [name.value for point in points for name in point.full_name or () if isinstance(name.value, str)]
