"""Certificates, requests and CRLs for tests, sound unless a keyword says otherwise.

Every builder takes ``at``, the moment around which the dates are laid out, so that nothing depends on the day a test runs. Keys are EC P-256 unless
given. ``extra`` adds extensions or replaces those of the same type; ``without`` leaves types out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkiops.x509.csr import build_csr
from pkiops.x509.keys import PrivateKey, signing_hash, spki_der
from pkiops.x509.names import build_name
from pkiops.x509.san import general_names, parse_san

AT = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
_DAY = timedelta(days=1)
_USAGES = {"clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH, "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH}


@dataclass(frozen=True)
class Issued:
    """A certificate and the private key that belongs to it."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    @property
    def name(self) -> x509.Name:
        return self.certificate.subject

    @property
    def serial(self) -> int:
        return self.certificate.serial_number


@dataclass(frozen=True)
class Extra:
    """An extension with its criticality."""

    value: x509.ExtensionType
    critical: bool = False


def key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def subject_of(subject: str | Mapping[str, str] | x509.Name) -> x509.Name:
    """A name from a common name, a mapping of subject fields, or itself."""
    if isinstance(subject, x509.Name):
        return subject
    if isinstance(subject, str):
        return build_name({"organization": "Example Ltd", "common_name": subject})
    return build_name(subject)


def root_ca(
    subject: str | Mapping[str, str] | x509.Name = "Example Test Root CA G1",
    *,
    at: datetime = AT,
    private_key: PrivateKey | None = None,
    path_length: int | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    extra: Sequence[Extra] = (),
    without: Sequence[type[x509.ExtensionType]] = (),
) -> Issued:
    """A self-signed CA, valid from a year before ``at`` to ten years after."""
    own = private_key or key()
    name = subject_of(subject)
    return _issue(
        name,
        own,
        name,
        own,
        (not_before or at - 365 * _DAY, not_after or at + 3650 * _DAY),
        _extensions(_ca_extensions(own, own, path_length), extra, without),
    )


def subordinate_ca(
    issuer: Issued,
    subject: str | Mapping[str, str] | x509.Name = "Example Test Clients CA G1",
    *,
    at: datetime = AT,
    private_key: PrivateKey | None = None,
    path_length: int | None = 0,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    crl_urls: Sequence[str] = (),
    signer: PrivateKey | None = None,
    extra: Sequence[Extra] = (),
    without: Sequence[type[x509.ExtensionType]] = (),
) -> Issued:
    """A CA below ``issuer``, valid from 180 days before ``at`` to five years after; ``signer`` replaces the issuer's key."""
    own = private_key or key()
    return _issue(
        subject_of(subject),
        own,
        issuer.name,
        signer or issuer.key,
        (not_before or at - 180 * _DAY, not_after or at + 1825 * _DAY),
        _extensions([*_ca_extensions(own, issuer.key, path_length), *_crl_points(crl_urls)], extra, without),
    )


def end_entity(
    issuer: Issued,
    subject: str | Mapping[str, str] | x509.Name = "orders.svc.test.example.com",
    *,
    at: datetime = AT,
    private_key: PrivateKey | None = None,
    sans: Sequence[str] = ("dns:orders.svc.test.example.com",),
    usage: Sequence[str] = ("clientAuth",),
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    serial: int | None = None,
    crl_urls: Sequence[str] = (),
    signer: PrivateKey | None = None,
    extra: Sequence[Extra] = (),
    without: Sequence[type[x509.ExtensionType]] = (),
) -> Issued:
    """A service's certificate below ``issuer``, valid from a day before ``at`` to thirty days after."""
    own = private_key or key()
    extensions = [
        Extra(x509.BasicConstraints(ca=False, path_length=None), critical=True),
        Extra(_key_usage(digital_signature=True), critical=True),
        Extra(x509.SubjectKeyIdentifier.from_public_key(own.public_key())),
        Extra(_authority_key(issuer.key)),
        *_crl_points(crl_urls),
    ]
    if usage:
        extensions.append(Extra(x509.ExtendedKeyUsage([_USAGES.get(u) or x509.ObjectIdentifier(u) for u in usage])))
    if sans:
        extensions.append(Extra(x509.SubjectAlternativeName(general_names([parse_san(text) for text in sans]))))
    return _issue(
        subject_of(subject),
        own,
        issuer.name,
        signer or issuer.key,
        (not_before or at - _DAY, not_after or at + 30 * _DAY),
        _extensions(extensions, extra, without),
        serial,
    )


def csr(
    subject: str | Mapping[str, str] | x509.Name = "orders.svc.test.example.com",
    *,
    sans: Sequence[str] = ("dns:orders.svc.test.example.com",),
    private_key: PrivateKey | None = None,
) -> bytes:
    """A request in PEM."""
    return build_csr(private_key or key(), subject_of(subject), [parse_san(text) for text in sans])


def crl(
    issuer: Issued,
    *,
    at: datetime = AT,
    revoked: Mapping[int, x509.ReasonFlags | None] | None = None,
    number: int | None = 1,
    this_update: datetime | None = None,
    next_update: datetime | None = None,
    signer: PrivateKey | None = None,
    issuer_name: x509.Name | None = None,
    extra: Sequence[Extra] = (),
    without: Sequence[type[x509.ExtensionType]] = (),
) -> x509.CertificateRevocationList:
    """A CRL of ``issuer``, from an hour before ``at`` to seven days after; ``revoked`` is serial number -> reason."""
    this = this_update or at - timedelta(hours=1)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer_name or issuer.name)
        .last_update(this)
        .next_update(next_update or at + 7 * _DAY)
    )
    extensions = [Extra(_authority_key(issuer.key))]
    if number is not None:
        extensions.append(Extra(x509.CRLNumber(number)))
    for extension in _extensions(extensions, extra, without):
        builder = builder.add_extension(extension.value, extension.critical)
    for serial, reason in (revoked or {}).items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(this)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    signing = signer or issuer.key
    return builder.sign(signing, signing_hash(signing))


def _issue(
    subject: x509.Name,
    own: PrivateKey,
    issuer: x509.Name,
    signer: PrivateKey,
    validity: tuple[datetime, datetime],
    extensions: Sequence[Extra],
    serial: int | None = None,
) -> Issued:
    public_key = own.public_key()
    seed = subject.public_bytes() + spki_der(public_key) + str(validity).encode()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        # As long as a CA's own (16 octets, positive), and the same for the same inputs.
        .serial_number(serial or int.from_bytes(hashlib.sha256(seed).digest()[:16], "big") >> 1 | 1)
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
    )
    for extension in extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return Issued(builder.sign(signer, signing_hash(signer)), own)


def _ca_extensions(own: PrivateKey, issuer_key: PrivateKey, path_length: int | None) -> list[Extra]:
    extensions = [
        Extra(x509.BasicConstraints(ca=True, path_length=path_length), critical=True),
        Extra(_key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True), critical=True),
        Extra(x509.SubjectKeyIdentifier.from_public_key(own.public_key())),
    ]
    return extensions if own is issuer_key else [*extensions, Extra(_authority_key(issuer_key))]


def _authority_key(issuer_key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())


def _crl_points(urls: Sequence[str]) -> list[Extra]:
    if not urls:
        return []
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    return [Extra(x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)]))]


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _extensions(
    defaults: Sequence[Extra], extra: Sequence[Extra], without: Sequence[type[x509.ExtensionType]]
) -> list[Extra]:
    replaced = (
        *without,
        *(type(item.value) for item in extra if not isinstance(item.value, x509.UnrecognizedExtension)),
    )
    return [item for item in defaults if not isinstance(item.value, replaced)] + list(extra)
