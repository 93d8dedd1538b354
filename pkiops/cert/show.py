"""Certificates and requests as people and programs read them.

What this module decides: which fields are shown, in which order, and what a file holds that may be either. Every text is safe to print: control and
invisible characters of a hostile name are escapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509

from pkiops.errors import InputError
from pkiops.x509.certificate import load_certificates, pem, view
from pkiops.x509.csr import CertificationRequest, load_csr
from pkiops.x509.names import printable

_REQUEST_LABEL = b"CERTIFICATE REQUEST-----"


def load_shown(data: bytes, source: str) -> CertificationRequest | tuple[x509.Certificate, ...]:
    """The request or the certificates in ``data`` (PEM or DER).

    Raises:
        InputError: it holds neither.
        PolicyDenied: it holds a request with unacceptable names, or without proof of possession.
    """
    if _REQUEST_LABEL in data and b"-----BEGIN CERTIFICATE-----" not in data:
        return load_csr(data, source)
    try:
        return load_certificates(data, source)
    except InputError as error:
        if error.code not in {"certificate.malformed", "certificate.wrong-pem-type"} or b"-----BEGIN" in data:
            raise
        if source.endswith((".p12", ".pfx", ".p7b")):
            raise InputError(
                f"{source}: PKCS#12 and PKCS#7 are not shown",
                hint="openssl pkcs12 -in FILE -nokeys, or openssl pkcs7 -in FILE -inform DER -print_certs, gives the certificates",
                code=error.code,
            ) from error
        try:
            return load_csr(data, source)
        except InputError:
            raise error from None


def certificate_json(certificate: x509.Certificate) -> dict[str, Any]:
    """Everything shown about a certificate, JSON-ready."""
    shown = view(certificate)
    return {
        "subject": shown.subject,
        "issuer": shown.issuer,
        "serial": shown.serial,
        "not_before": shown.not_before,
        "not_after": shown.not_after,
        "sans": [str(san) for san in shown.sans],
        "key_algorithm": shown.key_algorithm,
        "signature_algorithm": shown.signature_algorithm,
        "key_usage": list(shown.key_usage),
        "extended_key_usage": list(shown.extended_key_usage),
        "is_ca": shown.is_ca,
        "path_length": shown.path_length,
        "subject_key_identifier": shown.subject_key_identifier,
        "authority_key_identifier": shown.authority_key_identifier,
        "crl_urls": list(shown.crl_urls),
        "ocsp_urls": list(shown.ocsp_urls),
        "sha256": shown.sha256,
        "spki_sha256": shown.spki_sha256,
        "pem": pem(certificate).decode("ascii"),
    }


def request_json(csr: CertificationRequest) -> dict[str, Any]:
    """Everything shown about a request, JSON-ready."""
    return {
        "subject": [{"name": name, "value": printable(value)} for name, value in csr.subject],
        "sans": [str(san) for san in csr.sans],
        "other_names": list(csr.unsupported),
        "other_extensions": list(csr.other_extensions),
        "key_algorithm": csr.key_description,
        "sha256": csr.sha256,
        "spki_sha256": csr.spki_sha256,
        "pem": csr.pem.decode("ascii"),
    }


def certificates_text(certificates: Sequence[x509.Certificate]) -> str:
    """One paragraph for each certificate."""
    return "\n\n".join(fields_text("certificate", certificate_json(one)) for one in certificates)


def request_text(csr: CertificationRequest) -> str:
    """A request as one paragraph."""
    fields = request_json(csr)
    # most specific first and without blanks, as certificates show theirs (RFC 4514)
    fields["subject"] = ",".join(f"{one['name']}={one['value']}" for one in reversed(fields["subject"]))
    return fields_text("certificate signing request (its signature verifies)", fields)


def fields_text(title: str, fields: dict[str, Any]) -> str:
    """A title and a line for each field that says something."""
    lines = [title]
    for name, value in fields.items():
        if name == "pem" or value is None or value in ([], ""):
            continue
        lines.append(f"  {name.replace('_', ' '):<26}{_text(value)}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(value, "strftime") else str(value)
