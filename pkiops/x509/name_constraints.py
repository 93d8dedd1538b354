"""Name constraints of CA certificates (RFC 5280 section 4.2.1.10): as data, as DER, and out of a certificate.

What this module decides: the four forms pkiops knows (``dns``, ``uri``, ``ip``, ``email``) and how each is encoded. Which constraints a CA should
have is ``pkiops.environment.name_constraints``. cryptography is imported late: environment files are checked without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptography import x509

OID = "2.5.29.30"
Form = Literal["dns", "uri", "ip", "email"]
FORMS: tuple[Form, ...] = ("dns", "uri", "ip", "email")

# a form and a value: ``("dns", "svc.example.com")``, ``("ip", "10.0.0.0/8")``
Subtree = tuple[str, str]


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """Sorted subtrees; ``other`` counts those of forms that pkiops does not know, so that they never compare as equal to none."""

    permitted: tuple[Subtree, ...] = ()
    excluded: tuple[Subtree, ...] = ()
    other: int = 0

    def __bool__(self) -> bool:
        return bool(self.permitted or self.excluded or self.other)

    def __str__(self) -> str:
        parts = [f"permitted {form} {value}" for form, value in self.permitted]
        parts += [f"excluded {form} {value or '(all)'}" for form, value in self.excluded]
        parts += [f"{self.other} of other forms"] if self.other else []
        return ", ".join(parts) or "none"


NO_CONSTRAINTS = NameConstraints()


def constraints(permitted: Iterable[Subtree], excluded: Iterable[Subtree] = ()) -> NameConstraints:
    """The same constraints in the one order and without repeats."""
    return NameConstraints(tuple(sorted(set(permitted))), tuple(sorted(set(excluded))))


def encode_name_constraints(wanted: NameConstraints) -> bytes:
    """The extension's value, DER."""
    from cryptography import x509

    permitted = [_general_name(form, value) for form, value in wanted.permitted]
    excluded = [_general_name(form, value) for form, value in wanted.excluded]
    return x509.NameConstraints(permitted or None, excluded or None).public_bytes()


def name_constraints_of(certificate: x509.Certificate) -> NameConstraints:
    """What a certificate says; empty where it has no such extension.

    Raises:
        ValueError: the extension cannot be read.
    """
    from cryptography import x509

    try:
        value = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return NameConstraints()
    except x509.DuplicateExtension as error:
        raise ValueError("an extension is there twice") from error
    permitted, excluded = list(value.permitted_subtrees or ()), list(value.excluded_subtrees or ())
    known = [_subtree(name) for name in (*permitted, *excluded)]
    found = constraints(
        (one for one in known[: len(permitted)] if one), (one for one in known[len(permitted) :] if one)
    )
    return NameConstraints(found.permitted, found.excluded, known.count(None))


def _general_name(form: str, value: str) -> x509.GeneralName:
    from ipaddress import ip_network

    from cryptography import x509

    if form == "dns":
        return x509.DNSName(value)
    if form == "uri":
        return x509.UniformResourceIdentifier(value)
    if form == "email":
        return x509.RFC822Name(value)
    return x509.IPAddress(ip_network(value))


def _subtree(name: x509.GeneralName) -> Subtree | None:
    from cryptography import x509

    if isinstance(name, x509.IPAddress):
        return ("ip", str(name.value))
    for form, kind in (("dns", x509.DNSName), ("uri", x509.UniformResourceIdentifier), ("email", x509.RFC822Name)):
        if isinstance(name, kind):
            return (form, str(name.value).lower() if form != "email" else str(name.value))
    return None
