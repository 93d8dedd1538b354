"""Certificates (RFC 5280 section 4): reading them, and looking at them as plain data.

What this module decides: what counts as a certificate file, and the spelling of everything that is shown about one (serials, fingerprints, usages).
Whether a certificate is to be believed is ``chain``'s business.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from pkiops.errors import InputError
from pkiops.x509 import armor
from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.keys import describe_key, spki_sha256
from pkiops.x509.names import name_attributes, printable, rfc4514
from pkiops.x509.san import SubjectAltName, sans_of
from pkiops.x509.signatures import signature_name

_KIND = armor.Kind(
    code="certificate",
    title="certificate",
    labels=frozenset({"CERTIFICATE", "X509 CERTIFICATE"}),
    max_bytes=16 * 1024 * 1024,
)
_MAX_SERIAL_TEXT = 128
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

EXTENDED_KEY_USAGES = MappingProxyType(
    {
        ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
        ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
        ExtendedKeyUsageOID.CODE_SIGNING: "codeSigning",
        ExtendedKeyUsageOID.EMAIL_PROTECTION: "emailProtection",
        ExtendedKeyUsageOID.TIME_STAMPING: "timeStamping",
        ExtendedKeyUsageOID.OCSP_SIGNING: "OCSPSigning",
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
    }
)
_KEY_USAGES = (
    ("digitalSignature", "digital_signature"),
    ("contentCommitment", "content_commitment"),
    ("keyEncipherment", "key_encipherment"),
    ("dataEncipherment", "data_encipherment"),
    ("keyAgreement", "key_agreement"),
    ("keyCertSign", "key_cert_sign"),
    ("cRLSign", "crl_sign"),
)


@dataclass(frozen=True)
class CertificateView:
    """A certificate as data. Every text is safe to print; moments are aware UTC; hexadecimal is lower case without separators.

    ``extended_key_usage`` holds RFC 5280 names, or dotted OIDs; ``subject_attributes`` (short name or OID, value) in encoded order.
    """

    subject: str
    issuer: str
    subject_attributes: tuple[tuple[str, str], ...]
    serial: str
    not_before: datetime
    not_after: datetime
    sha256: str
    spki_sha256: str
    key_algorithm: str
    signature_algorithm: str
    sans: tuple[SubjectAltName, ...]
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    is_ca: bool
    path_length: int | None
    subject_key_identifier: str | None
    authority_key_identifier: str | None
    crl_urls: tuple[str, ...]
    ocsp_urls: tuple[str, ...]


def load_certificate(data: bytes, source: str) -> x509.Certificate:
    """The first certificate of PEM text, or the one in DER.

    Raises:
        InputError: codes ``certificate.too-big``, ``.not-pem``, ``.wrong-pem-type``, ``.truncated``, ``.malformed``.
    """
    blocks = armor.select(armor.scan(data, source, _KIND), source, _KIND)
    return _parse(armor.decode(blocks[0], source, _KIND), source)


def load_certificates(data: bytes, source: str) -> tuple[x509.Certificate, ...]:
    """Every certificate of PEM text, in order, other blocks and text ignored; or the one in DER. At most 16 MiB.

    Raises:
        InputError: as ``load_certificate``; a single bad block spoils the file.
    """
    return tuple(_parse(der, source) for der in armor.read(data, source, _KIND))


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate in PEM, a newline at the end."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER, lower-case hexadecimal."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def serial_hex(number: int) -> str:
    """A serial number in lower-case hexadecimal without prefix, padding or separators."""
    return f"{number:x}"


def parse_serial(text: str) -> int:
    """Read a serial number in hexadecimal, with or without ``0x``, colons or spaces.

    Raises:
        InputError: code ``certificate.serial``.
    """
    digits = re.sub(r"[:\s]", "", text[: _MAX_SERIAL_TEXT + 1]).lower().removeprefix("0x")
    if len(text) > _MAX_SERIAL_TEXT or not re.fullmatch(r"[0-9a-f]+", digits) or not int(digits, 16):
        raise InputError(
            f"{printable(text[:80])!r} is not a certificate serial number",
            hint="write it in hexadecimal as cert show prints it; colons and 0x are allowed",
            code="certificate.serial",
        )
    return int(digits, 16)


def extension_of(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """The value of one extension, or None."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def key_usage_of(certificate: x509.Certificate) -> tuple[str, ...] | None:
    """The key usages by their RFC 5280 names; None without the extension, which allows every usage (section 4.2.1.3)."""
    usage = extension_of(certificate, x509.KeyUsage)
    if usage is None:
        return None
    names = [name for name, attribute in _KEY_USAGES if getattr(usage, attribute)]
    if usage.key_agreement:
        names += [
            name for name, on in (("encipherOnly", usage.encipher_only), ("decipherOnly", usage.decipher_only)) if on
        ]
    return tuple(names)


def extended_key_usage_of(certificate: x509.Certificate) -> tuple[str, ...] | None:
    """The extended key usages by name or dotted OID; None without the extension (section 4.2.1.12)."""
    usage = extension_of(certificate, x509.ExtendedKeyUsage)
    return None if usage is None else tuple(EXTENDED_KEY_USAGES.get(oid, oid.dotted_string) for oid in usage)


def crl_urls_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Every URI of the CRL distribution points (section 4.2.1.13), in encoded order."""
    points = extension_of(certificate, x509.CRLDistributionPoints) or ()
    return tuple(
        name.value
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def view(certificate: x509.Certificate) -> CertificateView:
    """Everything that is shown about a certificate."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    subject_key = extension_of(certificate, x509.SubjectKeyIdentifier)
    authority_key = extension_of(certificate, x509.AuthorityKeyIdentifier)
    authority_key_id = authority_key.key_identifier if authority_key else None
    key_description, spki = _describe_public_key(certificate)
    with armor.quiet():
        serial = certificate.serial_number
    return CertificateView(
        subject=rfc4514(certificate.subject),
        issuer=rfc4514(certificate.issuer),
        subject_attributes=tuple((name, printable(value)) for name, value in name_attributes(certificate.subject)),
        serial=serial_hex(serial),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha256=fingerprint(certificate),
        spki_sha256=spki,
        key_algorithm=key_description,
        signature_algorithm=signature_name(certificate),
        sans=sans_of(certificate.extensions),
        key_usage=key_usage_of(certificate) or (),
        extended_key_usage=extended_key_usage_of(certificate) or (),
        is_ca=bool(constraints and constraints.ca),
        path_length=constraints.path_length if constraints else None,
        subject_key_identifier=subject_key.digest.hex() if subject_key else None,
        authority_key_identifier=authority_key_id.hex() if authority_key_id else None,
        crl_urls=tuple(printable(url) for url in crl_urls_of(certificate)),
        ocsp_urls=_ocsp_urls(certificate),
    )


def _ocsp_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    access = extension_of(certificate, x509.AuthorityInformationAccess) or ()
    return tuple(
        printable(description.access_location.value)
        for description in access
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    )


def _describe_public_key(certificate: x509.Certificate) -> tuple[str, str]:
    """Description and SPKI digest; a key of a type that the library does not know is named by its OID and has no digest."""
    try:
        public_key = certificate.public_key()
        return describe_key(public_key), spki_sha256(public_key)
    except PARSE_ERRORS:
        return f"unknown key {certificate.public_key_algorithm_oid.dotted_string}", ""


def _parse(der: bytes, source: str) -> x509.Certificate:
    """Parse, and touch what the library reads late, so that nothing surprises later users."""
    try:
        with armor.quiet():
            certificate = x509.load_der_x509_certificate(der)
            _ = (certificate.version, certificate.subject, certificate.issuer, certificate.extensions)
            _ = (certificate.serial_number, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    except PARSE_ERRORS as error:
        raise InputError(
            f"{source}: not a well-formed certificate ({printable(str(error))[:200]})", code="certificate.malformed"
        ) from error
    return certificate
