"""What came back, field by field against what was asked for.

What this module decides: which fields of a certificate are compared and with what. The intent (names, usages, validity, key) binds everyone; the
expected certificate says what the backend's recipe adds to it (key usage, distribution point). An extension that neither announces is a difference:
nothing gets into a certificate by surprise. Whether a difference is forgiven is decided by nobody. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from pkiops.backends.interface import ExpectedCertificate
from pkiops.policy.findings import Intent
from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.certificate import crl_urls_of, extended_key_usage_of, extension_of, key_usage_of
from pkiops.x509.keys import spki_sha256
from pkiops.x509.names import build_name, name_attributes, rfc4514, same_name
from pkiops.x509.san import sans_of, unsupported_names_of
from pkiops.x509.signatures import certificate_signed_by

_COMPARED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
    }
)
_LONGEST_SERIAL = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not as it should be."""

    field: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, got {self.actual}"


def differences(
    certificate: x509.Certificate,
    intent: Intent,
    expected: ExpectedCertificate,
    issuer: x509.Certificate,
    *,
    ocsp: bool,
) -> tuple[Difference, ...]:
    """Every field in which ``certificate`` is not what was asked for; none means it is exactly that.

    Args:
        certificate: what came back.
        intent: what policy approved.
        expected: what the backend said it would make of it.
        issuer: the certificate of the CA that was asked.
        ocsp: whether that CA announces an OCSP responder, so that an authority information access is no surprise.
    """
    try:
        return tuple(
            Difference(field, wanted, got)
            for field, wanted, got in (
                *_fixed_fields(certificate, intent, issuer),
                *_names(certificate, intent, expected),
                *_usages(certificate, intent, expected),
                *_key_identifiers(certificate, issuer),
                *_extensions(certificate, expected, ocsp=ocsp),
            )
            if wanted != got
        )
    except PARSE_ERRORS as error:
        return (Difference("encoding", "a certificate that can be read", str(error)[:200]),)


_Pairs = Iterator[tuple[str, str, str]]


def _fixed_fields(certificate: x509.Certificate, intent: Intent, issuer: x509.Certificate) -> _Pairs:
    yield "version", "v3", certificate.version.name
    serial = certificate.serial_number
    if serial <= 0 or (serial.bit_length() + 8) // 8 > _LONGEST_SERIAL:
        yield "serial", "a positive number of at most 20 octets", str(serial)
    yield "public_key", hashlib.sha256(intent.public_key_spki).hexdigest(), spki_sha256(certificate.public_key())
    yield "issuer", rfc4514(issuer.subject), rfc4514(certificate.issuer)
    yield (
        "signature",
        "the issuer's",
        "the issuer's" if certificate_signed_by(certificate, issuer) else "not the issuer's",
    )
    # to the second: what the ledger promised is what relying parties will see
    yield "not_before", _moment(intent.not_before), _moment(certificate.not_valid_before_utc)
    yield "not_after", _moment(intent.not_after), _moment(certificate.not_valid_after_utc)


def _names(certificate: x509.Certificate, intent: Intent, expected: ExpectedCertificate) -> _Pairs:
    subject = build_name(dict(intent.subject))
    if not same_name(subject, certificate.subject):
        yield "subject", _subject(subject), _subject(certificate.subject)
    yield "sans", _listed(map(str, intent.sans)), _listed(map(str, sans_of(certificate.extensions)))
    yield "other_names", "none", _listed(unsupported_names_of(certificate.extensions))
    # a recipe that promises other names than policy approved is found even where the CA did not follow it
    if not same_name(subject, build_name(dict(expected.subject))):
        yield "subject", _subject(subject), f"the backend's {_subject(build_name(dict(expected.subject)))}"
    yield "sans", _listed(map(str, intent.sans)), _listed(map(str, expected.sans))


def _usages(certificate: x509.Certificate, intent: Intent, expected: ExpectedCertificate) -> _Pairs:
    yield "extended_key_usage", _listed(intent.usage), _listed(extended_key_usage_of(certificate) or ())
    yield "extended_key_usage", _listed(intent.usage), _listed(expected.extended_key_usage)
    yield "key_usage", _listed(expected.key_usage), _listed(key_usage_of(certificate) or ())
    constraints = extension_of(certificate, x509.BasicConstraints)
    yield "is_ca", "no", "yes" if constraints is not None and constraints.ca else "no"
    yield "is_ca", "no", "yes" if expected.is_ca else "no"
    yield (
        "path_length",
        "none",
        str(constraints.path_length) if constraints and constraints.path_length is not None else "none",
    )


def _key_identifiers(certificate: x509.Certificate, issuer: x509.Certificate) -> _Pairs:
    own = extension_of(certificate, x509.SubjectKeyIdentifier)
    yield "subject_key_identifier", "present", "present" if own and own.digest else "missing"
    above = extension_of(issuer, x509.SubjectKeyIdentifier)
    authority = extension_of(certificate, x509.AuthorityKeyIdentifier)
    wanted = above.digest.hex() if above else "present"
    got = authority.key_identifier.hex() if authority and authority.key_identifier else "missing"
    yield "authority_key_identifier", wanted, got if above or got == "missing" else "present"


def _extensions(certificate: x509.Certificate, expected: ExpectedCertificate, *, ocsp: bool) -> _Pairs:
    named = crl_urls_of(certificate)
    wanted = [expected.crl_url] if expected.crl_url else []
    if expected.crl_url and expected.crl_url.endswith("/") and len(named) == 1 and _is_part(named[0], expected.crl_url):
        wanted = list(named)
    yield "crl_url", _listed(wanted), _listed(named)
    allowed = _COMPARED | ({ExtensionOID.AUTHORITY_INFORMATION_ACCESS} if ocsp else set())
    surprises = sorted(e.oid.dotted_string for e in certificate.extensions if e.oid not in allowed)
    yield "other_extensions", "none", _listed(surprises)


def _is_part(url: str, folder: str) -> bool:
    """Whether a URL names one of the parts of a partitioned CRL, whose names the service makes up."""
    name = url.removeprefix(folder)
    return name != url and name.endswith(".crl") and "/" not in name


def _subject(name: x509.Name) -> str:
    return ", ".join(f"{field}={value}" for field, value in name_attributes(name)) or "empty"


def _listed(values: Iterable[str]) -> str:
    ordered: Sequence[str] = sorted(values)
    return ", ".join(ordered) if ordered else "none"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
