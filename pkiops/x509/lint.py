"""Certificates before pkilint's rules for RFC 5280.

What this module decides: which of the linter's rule sets judges (PKIX certificates), and that what it cannot read is its worst finding. pkilint is
an extra and is imported by the first certificate that is linted, never before; its modules are untyped, so they are loaded by name. Which findings
refuse a certificate is left to ``pkiops.cert.lint``.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.x509.names import printable

_MAX_MESSAGE = 300
# scheme, authority and path of RFC 3986, of a scheme that is not one of the web's: those pkilint does judge
_OTHER_URI = re.compile(
    r"(?!https?:|ftp:)[A-Za-z][A-Za-z0-9+.-]{0,30}://[A-Za-z0-9._~!$&'()*+,;=:@%-]+(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*",
    re.IGNORECASE,
)


class LintSeverity(StrEnum):
    """How bad a finding is, in pkilint's words, the worst first."""

    FATAL = "fatal"
    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"

    def reaches(self, floor: LintSeverity) -> bool:
        """Whether it is as bad as ``floor``, or worse."""
        order = list(LintSeverity)
        return order.index(self) <= order.index(floor)


@dataclass(frozen=True, slots=True)
class LintFinding:
    """What a rule found: its code (``pkix....``), how bad it is, where in the certificate, and what there is to say, safe to print."""

    code: str
    severity: LintSeverity
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity.value} {self.code} at {self.where}{f': {self.message}' if self.message else ''}"


def linter_is_installed() -> bool:
    """Whether pkilint is there; imports nothing."""
    return importlib.util.find_spec("pkilint") is not None


def lint_certificate(certificate: x509.Certificate) -> tuple[LintFinding, ...]:
    """Every finding of pkilint about a certificate, in its own order.

    Raises:
        ImportError: pkilint is not installed; ask ``linter_is_installed`` before.
    """
    unreadable = importlib.import_module("pyasn1.error").PyAsn1Error

    try:
        document = _module("loader").load_certificate(certificate.public_bytes(Encoding.DER), "certificate")
        results = list(_validator().validate(document.root))
    except (unreadable, ValueError) as error:
        return (LintFinding("lint.unreadable", LintSeverity.FATAL, "certificate", _shown(error)),)
    return tuple(
        LintFinding(
            code=str(one.finding.code),
            severity=_severity(str(one.finding.code), one.finding.severity.name.lower(), result.node),
            where=_shown(result.node.path),
            message=_shown(one.message or ""),
        )
        for result in results
        for one in result.finding_descriptions
    )


def _severity(code: str, severity: str, node: Any) -> LintSeverity:
    """That of the rule; pkilint takes every URI for a broken one whose scheme it does not know, a SPIFFE ID for one."""
    if code == "pkix.invalid_uri_syntax" and _OTHER_URI.fullmatch(str(node.pdu)):
        return LintSeverity.INFO
    return LintSeverity(severity)


@cache
def _validator() -> Any:
    certificate, extension, name = (_module(f"pkix.{one}") for one in ("certificate", "extension", "name"))
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def _module(name: str) -> Any:
    return importlib.import_module(f"pkilint.{name}")


def _shown(value: object) -> str:
    return printable(str(value))[:_MAX_MESSAGE]
