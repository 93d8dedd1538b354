"""Subject alternative names (RFC 5280 section 4.2.1.6): the four kinds pkiops issues.

What this module decides: how a name is spelled, normalised and checked for syntax. Which names somebody may have is policy.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509

from pkiops.errors import InputError
from pkiops.x509.idna import PREFIX, a_label_problem, to_ascii
from pkiops.x509.names import printable, rfc4514

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
_LONGEST_DNS = 253
_LONGEST_URI = 2048


class SanKind(StrEnum):
    """A kind of GeneralName."""

    DNS = "dns"
    URI = "uri"
    IP = "ip"
    EMAIL = "email"


@dataclass(frozen=True, order=True, slots=True)
class SubjectAltName:
    """One name; ``value`` is normalised: DNS in lower case (A-labels), IP in its canonical text, the domain of an address in lower case."""

    kind: SanKind
    value: str

    def __hash__(self) -> int:
        # two kinds of one value are rare, and an enumeration's own hash is slow
        return hash(self.value)

    def __str__(self) -> str:
        return f"{self.kind.value}:{printable(self.value)}"


def parse_san(text: str) -> SubjectAltName:
    """Read ``dns:a.example``, ``uri:spiffe://...``, ``ip:10.0.0.1`` or ``email:a@b.example``; an international DNS name becomes its ASCII form.

    Raises:
        InputError: code ``usage.san``.
    """
    kind_text, separator, value = text.partition(":")
    try:
        kind = SanKind(kind_text.lower())
    except ValueError:
        separator = ""
    if not separator or not value:
        raise InputError(
            f"{printable(text)!r} is not a subject alternative name",
            hint="write dns:a.example, uri:spiffe://..., ip:10.0.0.1 or email:a@b.example",
            code="usage.san",
        )
    value, problem = value.strip(), None
    if kind is SanKind.DNS and not value.isascii():
        try:
            value = to_ascii(value)
        except ValueError as error:
            problem = str(error)
    san = normalised(kind, value)
    problem = problem or problem_of(san)
    if problem:
        raise InputError(f"{san}: {problem}", code="usage.san")
    return san


def normalised(kind: SanKind, value: str) -> SubjectAltName:
    """The name in its one spelling; what cannot be normalised stays as it is and is left to ``problem_of``."""
    if kind is SanKind.DNS:
        value = value.lower()
    elif kind is SanKind.IP:
        with contextlib.suppress(ValueError):
            value = str(ipaddress.ip_address(value))
    elif kind is SanKind.EMAIL:
        local, at, domain = value.rpartition("@")
        value = f"{local}{at}{domain.lower()}"
    return SubjectAltName(kind, value)


def problem_of(san: SubjectAltName) -> str | None:
    """What is wrong with the syntax of a name, or None. A wildcard (``*.a.example``) is well-formed; whether it is wanted is policy."""
    if san.kind is SanKind.DNS:
        return _dns_problem(san.value.removeprefix("*."))
    if san.kind is SanKind.URI:
        if len(san.value) > _LONGEST_URI:
            return f"longer than {_LONGEST_URI} characters"
        return None if _URI.fullmatch(san.value) else "not an absolute URI of printable ASCII characters (RFC 3986)"
    if san.kind is SanKind.IP:
        return None if _is_ip(san.value) else "not an IPv4 or IPv6 address"
    local, at, domain = san.value.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local):
        return "not an address like name@domain (RFC 5321, ASCII)"
    return _dns_problem(domain)


def sans_of(extensions: x509.Extensions) -> tuple[SubjectAltName, ...]:
    """The names of the four kinds, in encoded order, normalised but not checked (see ``problem_of``)."""
    return tuple(san for name in _names(extensions) if (san := _from_general_name(name)) is not None)


def unsupported_names_of(extensions: x509.Extensions) -> tuple[str, ...]:
    """The names of other kinds, printable: ``otherName 1.3.6.1.4.1.311.20.2.3``, ``directoryName CN=a``, ``registeredID 1.2.3``."""
    return tuple(_describe(name) for name in _names(extensions) if _from_general_name(name) is None)


def general_names(sans: Sequence[SubjectAltName]) -> list[x509.GeneralName]:
    """The same names for a certificate builder."""
    return [_to_general_name(san) for san in sans]


def _names(extensions: x509.Extensions) -> list[x509.GeneralName]:
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            return list(extension.value)
    return []


def _from_general_name(name: x509.GeneralName) -> SubjectAltName | None:
    if isinstance(name, x509.DNSName):
        return normalised(SanKind.DNS, name.value)
    if isinstance(name, x509.UniformResourceIdentifier):
        return SubjectAltName(SanKind.URI, name.value)
    if isinstance(name, x509.RFC822Name):
        return normalised(SanKind.EMAIL, name.value)
    if isinstance(name, x509.IPAddress) and isinstance(name.value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return SubjectAltName(SanKind.IP, str(name.value))
    return None


def _describe(name: x509.GeneralName) -> str:
    if isinstance(name, x509.OtherName):
        return f"otherName {name.type_id.dotted_string}"
    if isinstance(name, x509.DirectoryName):
        return f"directoryName {rfc4514(name.value)}"
    if isinstance(name, x509.RegisteredID):
        return f"registeredID {name.value.dotted_string}"
    return f"{type(name).__name__} {printable(str(name.value))}"


def _to_general_name(san: SubjectAltName) -> x509.GeneralName:
    if san.kind is SanKind.DNS:
        return x509.DNSName(san.value)
    if san.kind is SanKind.URI:
        return x509.UniformResourceIdentifier(san.value)
    if san.kind is SanKind.EMAIL:
        return x509.RFC822Name(san.value)
    return x509.IPAddress(ipaddress.ip_address(san.value))


def _dns_problem(value: str) -> str | None:
    """Preferred name syntax of RFC 1034 section 3.5 as RFC 5280 asks for; no trailing dot, and no bare number as the last label."""
    if not value.isascii():
        return "write international names in their ASCII form (xn--...)"
    if len(value) > _LONGEST_DNS:
        return f"longer than {_LONGEST_DNS} characters"
    labels = value.split(".")
    for label in labels:
        if not _LABEL.fullmatch(label):
            return f"{printable(label)!r} is not a DNS label (letters, digits and hyphens, 1 to 63)"
        if label.startswith(PREFIX) and (problem := a_label_problem(label)):
            return f"{printable(label)!r} {problem}"
    return "an IP address or a number, not a DNS name" if labels[-1].isdigit() else None


def _is_ip(value: str) -> bool:
    try:
        # A zone ("fe80::1%eth0") means something on one machine only and cannot be encoded.
        return "%" not in value and bool(ipaddress.ip_address(value))
    except ValueError:
        return False
