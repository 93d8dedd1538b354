"""Name constraints of CA certificates, enforced when something is issued below them (RFC 5280 4.2.1.10).

What this module decides: the five forms the user guide names; a form without constraints is free; an empty pattern matches nothing, so an empty
permitted one forbids its form, as the guide says. The error code of a violation is not documented: the one of the neighbouring rules is used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.sandbox.engine.certificates import UNREADABLE, malformed_certificate
from pkiops.sandbox.engine.errors import ServiceError, validation

_SUPPORTED = (x509.IPAddress, x509.DirectoryName, x509.UniformResourceIdentifier, x509.RFC822Name, x509.DNSName)


def require_supported(certificates: Iterable[x509.Certificate]) -> None:
    """Refuse CA certificates with constraints on forms of names that the service does not support.

    Raises:
        ServiceError: ``MalformedCertificateException``.
    """
    for constraints in _constraints(certificates):
        for name in (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())):
            if not isinstance(name, _SUPPORTED):
                raise malformed_certificate(f"name constraints on {type(name).__name__} are not supported")


def require_allowed(certificate: x509.Certificate, issuers: Iterable[x509.Certificate]) -> None:
    """Refuse a certificate whose subject or alternative names one of its issuers does not allow.

    Raises:
        ServiceError: ``ValidationException``.
    """
    constraints = list(_constraints(issuers))
    if not constraints:
        return
    try:
        names = list(_names(certificate))
    except UNREADABLE as error:
        raise validation(
            "The names of the certificate cannot be held to the name constraints of its issuers"
        ) from error
    for one in constraints:
        for name in names:
            _require_allowed(name, one)


def _constraints(certificates: Iterable[x509.Certificate]) -> Iterator[x509.NameConstraints]:
    for certificate in certificates:
        try:
            yield certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            continue


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    if len(certificate.subject):
        yield x509.DirectoryName(certificate.subject)
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        yield x509.RFC822Name(str(attribute.value))
    try:
        yield from certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return


def _require_allowed(name: x509.GeneralName, constraints: x509.NameConstraints) -> None:
    permitted = [base for base in constraints.permitted_subtrees or () if type(base) is type(name)]
    excluded = [base for base in constraints.excluded_subtrees or () if type(base) is type(name)]
    if any(_matches(name, base) for base in excluded):
        raise _violation(name, "excluded")
    if permitted and not any(_matches(name, base) for base in permitted):
        raise _violation(name, "not permitted")


def _violation(name: x509.GeneralName, how: str) -> ServiceError:
    return validation(f"{name.value} is {how} by the name constraints of the certificate authority or of its issuers")


def _matches(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName) and isinstance(base, x509.DNSName):
        return _is_below(name.value, base.value, exact=not base.value.startswith("."), deeper=True)
    if isinstance(name, x509.RFC822Name) and isinstance(base, x509.RFC822Name):
        local, _, host = name.value.rpartition("@")
        base_local, has_local, base_host = base.value.rpartition("@")
        if has_local:
            return local == base_local and host.lower() == base_host.lower()
        return _is_host(host, base.value)
    if isinstance(name, x509.UniformResourceIdentifier) and isinstance(base, x509.UniformResourceIdentifier):
        return _is_host(urlsplit(name.value).hostname or "", base.value)
    if isinstance(name, x509.IPAddress) and isinstance(base, x509.IPAddress):
        network = base.value
        return isinstance(network, (ipaddress.IPv4Network, ipaddress.IPv6Network)) and name.value in network
    if isinstance(name, x509.DirectoryName) and isinstance(base, x509.DirectoryName):
        prefix = base.value.rdns
        return bool(prefix) and name.value.rdns[: len(prefix)] == prefix
    return False


def _is_host(host: str, base: str) -> bool:
    """Hosts of URIs and mailboxes: the very host, or with a leading dot whatever is below."""
    below = base.startswith(".")
    return _is_below(host, base, exact=not below, deeper=below)


def _is_below(host: str, base: str, *, exact: bool, deeper: bool) -> bool:
    host, suffix = host.lower().rstrip("."), base.lower().strip(".")
    if not suffix:
        return False
    return (exact and host == suffix) or (deeper and host.endswith(f".{suffix}"))
