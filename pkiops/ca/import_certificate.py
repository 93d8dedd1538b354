"""The rules for a CA's own certificate before it is installed. Pure.

They are those of ImportCertificateAuthorityCertificate (AWS Private CA User Guide, "Installing the CA certificate"), what RFC 5280 asks of a CA
certificate (section 4.2.1), and what the environment file says of this CA. What is above it is judged by ``import_chain.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from pkiops.ca.import_finding import Expected, ImportFinding
from pkiops.x509 import pem
from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.certificate import extended_key_usage_of, extension_of, fingerprint, key_usage_of
from pkiops.x509.keys import spki_der
from pkiops.x509.name_constraints import name_constraints_of
from pkiops.x509.names import printable, rfc4514, same_name
from pkiops.x509.refusal import moment

MAX_CERTIFICATE = 32_768  # Certificate of ImportCertificateAuthorityCertificate, in PEM
_MAX_SERIAL_BITS = 160  # RFC 5280 section 4.1.2.2
# calendar years differ by a day, and a certificate may begin an hour before it is signed
_TOLERANCE = timedelta(days=2)
_MAY_BE_CRITICAL = frozenset({
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.INHIBIT_ANY_POLICY, ExtensionOID.ISSUER_ALTERNATIVE_NAME, ExtensionOID.KEY_USAGE,
    ExtensionOID.NAME_CONSTRAINTS, ExtensionOID.POLICY_MAPPINGS, ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.SUBJECT_DIRECTORY_ATTRIBUTES, ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.SUBJECT_INFORMATION_ACCESS,
})  # fmt: skip
# all others, known or not, are refused where they are critical
_NEVER_CRITICAL = {
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS: "authorityInfoAccess",
    ExtensionOID.CRL_DISTRIBUTION_POINTS: "cRLDistributionPoints",
    ExtensionOID.FRESHEST_CRL: "freshestCRL",
    ExtensionOID.POLICY_CONSTRAINTS: "policyConstraints",
}

_AS_A_CA = "have it signed as a CA certificate (CA:TRUE)"
_CRITICAL = "have them marked as critical"
_USAGES = "have digitalSignature, keyCertSign and cRLSign signed"


def critical_extensions(certificate: x509.Certificate, what: str) -> Iterator[ImportFinding]:
    """Critical extensions that the service refuses, in the CA's certificate and in those above it."""
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _MAY_BE_CRITICAL:
            name = _NEVER_CRITICAL.get(extension.oid, extension.oid.dotted_string)
            yield ImportFinding(
                "import.critical-extension",
                f"{what} marks the extension {name} as critical, and the service refuses that",
                "have it signed without it, or with it not critical",
            )


def usage_findings(certificate: x509.Certificate, what: str, usages: Sequence[str]) -> Iterator[ImportFinding]:
    """Whether extended key usages stand in the way of what will be issued below (RFC 5280 section 4.2.1.12, as verifiers apply it to CAs)."""
    limits = extended_key_usage_of(certificate)
    if limits is None or "anyExtendedKeyUsage" in limits:
        return
    missing = [usage for usage in usages if usage not in limits]
    if missing:
        yield ImportFinding(
            "import.extended-key-usage",
            f"{what} is limited to {', '.join(limits)}, and certificates below it need {', '.join(missing)}",
            "have it signed without an extended key usage",
        )
    else:
        message = f"{what} is limited to {', '.join(limits)}: no other usage will ever be believed below it"
        yield ImportFinding("import.extended-key-usage", message, remark=True)


def certificate_findings(certificate: x509.Certificate, expected: Expected, at: datetime) -> Iterator[ImportFinding]:
    """Everything that is wrong with the CA's own certificate."""
    size = len(pem.encode(certificate.public_bytes(Encoding.DER), pem.CERTIFICATE))
    if size > MAX_CERTIFICATE:
        yield ImportFinding(
            "import.size", f"the certificate has {size:,} bytes in PEM, and {MAX_CERTIFICATE:,} are allowed"
        )
    if (own := _spki(certificate)) is None or own != _spki(expected.request):
        yield ImportFinding(
            "import.public-key",
            "the certificate holds another public key than the CA: it was made from another request",
            "have the request signed that pkiops ca csr gives out now; its fingerprints are on the signing sheet",
        )
    if expected.sha256 not in {None, fingerprint(certificate)}:
        yield ImportFinding(
            "import.pin",
            f"the certificate has the sha256 {fingerprint(certificate)}, and the file pins {expected.sha256} for this CA",
            "pin the new one by a reviewed commit first, if it is right",
        )
    yield from _subject(certificate, expected)
    yield from _basic_constraints(certificate, expected)
    yield from _key_usage(certificate)
    yield from usage_findings(certificate, "the certificate", expected.usages)
    yield from critical_extensions(certificate, "the certificate")
    yield from _form(certificate)
    yield from _validity(certificate, expected, at)
    yield from _name_constraints(certificate, expected)


def _subject(certificate: x509.Certificate, expected: Expected) -> Iterator[ImportFinding]:
    subject, wanted = certificate.subject, expected.request.subject
    if subject.public_bytes() == wanted.public_bytes():
        return
    if subject == wanted:
        message = "the subject is the request's in another type of string, and verifiers that compare bytes may break the chain"
        yield ImportFinding("import.subject", message, remark=True)
    elif same_name(subject, wanted):
        yield ImportFinding(
            "import.subject",
            f"the subject is that of the request in another order ({rfc4514(subject)}), which is another name",
            "have the subject copied from the request as it is (openssl x509 -req does; openssl ca needs preserve = yes)",
        )
    else:
        yield ImportFinding(
            "import.subject",
            f"the certificate is for {rfc4514(subject)}, and the CA is {rfc4514(wanted)}",
            "have the request's own subject signed",
        )


def _basic_constraints(certificate: x509.Certificate, expected: Expected) -> Iterator[ImportFinding]:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        yield ImportFinding(
            "import.not-a-ca",
            "basic constraints are missing: it is no CA certificate",
            "have it signed as a CA certificate (CA:TRUE)",
        )
        return
    if not constraints.value.ca:
        yield ImportFinding(
            "import.not-a-ca",
            "basic constraints say CA:FALSE: it is no CA certificate",
            "have it signed as a CA certificate (CA:TRUE)",
        )
        return
    if not constraints.critical:
        yield ImportFinding(
            "import.basic-constraints",
            "basic constraints are not critical, and the service refuses that",
            _CRITICAL,
        )
    found = constraints.value.path_length
    if found != expected.path_length:
        yield ImportFinding(
            "import.path-length",
            f"the certificate has path length {_limit(found)}, and the file says {_limit(expected.path_length)}",
            "write what it has as path_length in the file"
            if found is not None
            else "have it signed with the path length of the signing sheet",
        )


def _key_usage(certificate: x509.Certificate) -> Iterator[ImportFinding]:
    usages = key_usage_of(certificate)
    if usages is None:
        yield ImportFinding(
            "import.key-usage",
            "key usage is missing, and a CA certificate must have it (RFC 5280 section 4.2.1.3)",
            "have keyCertSign and cRLSign signed",
        )
        return
    missing = [usage for usage in ("keyCertSign", "cRLSign") if usage not in usages]
    if missing:
        yield ImportFinding(
            "import.key-usage",
            f"key usage lacks {' and '.join(missing)}: relying parties would refuse its certificates or its CRL",
            _USAGES,
        )
    elif "digitalSignature" not in usages:
        message = "key usage lacks digitalSignature, which CA certificates of the service itself have"
        yield ImportFinding("import.key-usage", message, remark=True)
    if not certificate.extensions.get_extension_for_class(x509.KeyUsage).critical:
        yield ImportFinding(
            "import.key-usage", "key usage is not critical, and RFC 5280 says it should be", remark=True
        )


def _form(certificate: x509.Certificate) -> Iterator[ImportFinding]:
    if certificate.version is not x509.Version.v3:
        yield ImportFinding("import.version", "the certificate is of X.509 version 1, which has no extensions")
    serial = certificate.serial_number
    if serial <= 0 or serial.bit_length() >= _MAX_SERIAL_BITS:
        yield ImportFinding(
            "import.serial",
            "the serial number is zero, negative or longer than 20 octets (RFC 5280 section 4.1.2.2)",
            "have it signed with another serial number",
        )
    if extension_of(certificate, x509.SubjectKeyIdentifier) is None:
        yield ImportFinding(
            "import.key-identifier",
            "the subject key identifier is missing, and verifiers demand it of a CA",
            "have subjectKeyIdentifier signed",
        )


def _validity(certificate: x509.Certificate, expected: Expected, at: datetime) -> Iterator[ImportFinding]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if at < begins:
        yield ImportFinding(
            "import.validity",
            f"the certificate is valid only from {moment(begins)}",
            "wait, or check the clocks of both machines",
        )
    if at >= ends:
        yield ImportFinding("import.validity", f"the certificate expired on {moment(ends)}", "have a new one signed")
    if expected.validity is not None and abs(expected.validity.after(begins) - ends) > _TOLERANCE:
        message = (
            f"the certificate is valid from {moment(begins)} to {moment(ends)}, and the file says {expected.validity}"
        )
        yield ImportFinding("import.validity", message, remark=True)


def _name_constraints(certificate: x509.Certificate, expected: Expected) -> Iterator[ImportFinding]:
    found = name_constraints_of(certificate)
    if found and not certificate.extensions.get_extension_for_class(x509.NameConstraints).critical:
        yield ImportFinding(
            "import.name-constraints",
            "the name constraints are not critical: who does not know them passes over them (RFC 5280 section 4.2.1.10)",
            _CRITICAL,
        )
    if found != expected.name_constraints:
        yield ImportFinding(
            "import.name-constraints",
            f"the name constraints are {printable(str(found))}, and the file says {expected.name_constraints}",
            "have those of the signing sheet signed, or write those it has in the file",
        )


def _spki(signed: x509.Certificate | x509.CertificateSigningRequest) -> bytes | None:
    try:
        return spki_der(signed.public_key())
    except PARSE_ERRORS:
        return None


def _limit(path_length: int | None) -> str:
    return "unlimited" if path_length is None else str(path_length)
