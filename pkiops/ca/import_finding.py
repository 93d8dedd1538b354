"""What is looked for in a CA certificate before it is installed, and what is found, as data."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from pkiops.ca.desired import OutsideAuthority
from pkiops.x509.chain import Purpose
from pkiops.x509.duration import Duration
from pkiops.x509.name_constraints import NO_CONSTRAINTS, NameConstraints, Subtree


@dataclass(frozen=True, slots=True)
class ImportFinding:
    """What is wrong, by the name of its rule; a ``remark`` is worth knowing and stops nothing."""

    rule: str
    message: str
    hint: str | None = None
    remark: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What the certificate of one CA has to be.

    Args:
        request: the CA's own certification request: its key and its subject.
        is_root: whether it signs itself.
        path_length: the path length the file says; None for no limit.
        name_constraints: those the file says.
        validity: how long the file says it lasts; None where nobody says.
        usages: extended key usages of what will be issued below it, by RFC 5280 name.
        names: subtrees of names that will be issued below it.
        sha256: the certificate that the file pins for this CA.
        outside: who is above it, as declared, the issuer first; empty where the file names none of them.
    """

    request: x509.CertificateSigningRequest
    is_root: bool
    path_length: int | None
    name_constraints: NameConstraints = NO_CONSTRAINTS
    validity: Duration | None = None
    usages: tuple[str, ...] = (Purpose.CLIENT.value,)
    names: tuple[Subtree, ...] = ()
    sha256: str | None = None
    outside: tuple[OutsideAuthority, ...] = ()
