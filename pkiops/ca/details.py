"""What no list tells about authorities: what their certificates say, their resource policies, what ACM may do with them.

What this module decides: that each is read only where the file speaks of it (or pins the certificate), because every CA would cost a call of its own
otherwise. Only reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority, ReadsAuthorities, SharesAuthorities
from pkiops.ca.desired import DesiredAuthority
from pkiops.errors import NotSupported

if TYPE_CHECKING:
    from pkiops.x509.name_constraints import NameConstraints

_READERS = 8
_SHARED = {AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED, AuthorityStatus.EXPIRED}


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a CA certificate says that cannot be changed about it; ``sha256`` is hexadecimal."""

    sha256: str
    path_length: int | None
    name_constraints: NameConstraints


@dataclass(frozen=True, slots=True)
class Details:
    """What was read of one CA; None or empty where there is none, or nobody asked."""

    certificate: CertificateFacts | None = None
    policy: Mapping[str, Any] | None = None
    acm_permission: tuple[str, ...] = ()


NO_DETAILS = Details()


def read_details(
    reader: ReadsAuthorities, wanted: Iterable[tuple[DesiredAuthority, ObservedAuthority | None]]
) -> dict[str, Details]:
    """The details of those authorities whose declarations speak of them, by reference.

    Raises:
        BackendError: something could not be read.
        NotSupported: a file speaks of sharing, and this backend knows none.
    """
    asked = [(one, found) for one, found in wanted if found is not None and _speaks_of_details(one)]
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        read = pool.map(lambda pair: details_of(reader, *pair), asked)
        return {found.reference: details for (_, found), details in zip(asked, read, strict=True)}


def details_of(reader: ReadsAuthorities, wanted: DesiredAuthority, found: ObservedAuthority) -> Details:
    """The details of one authority; nothing is asked of a CA in a state that has no answer."""
    has_certificate = found.not_after is not None and found.status in _SHARED
    certificate = None
    if has_certificate and (wanted.sha256 is not None or wanted.name_constraints):
        certificate = certificate_facts(reader.authority_chain(found.reference)[0])
    policy: Mapping[str, Any] | None = None
    permission: tuple[str, ...] = ()
    if has_certificate and wanted.policy is not None:
        policy = sharing(reader, wanted).authority_policy(found.reference)
    if has_certificate and wanted.acm_permission is not None:
        permission = sharing(reader, wanted).acm_permission(found.reference)
    return Details(certificate, policy, permission)


def sharing(backend: object, wanted: DesiredAuthority) -> SharesAuthorities:
    """The backend as one that shares authorities.

    Raises:
        NotSupported: it is none.
    """
    if not isinstance(backend, SharesAuthorities):
        raise NotSupported(f"the backend of {wanted.label} knows no resource policies and permissions")
    return backend


def certificate_facts(der: bytes) -> CertificateFacts:
    """What a CA certificate (DER) says.

    Raises:
        InputError: it cannot be read.
    """
    from pkiops.x509.certificate import load_certificate, view
    from pkiops.x509.name_constraints import name_constraints_of

    certificate = load_certificate(der, "a CA's certificate")
    return CertificateFacts(
        hashlib.sha256(der).hexdigest(), view(certificate).path_length, name_constraints_of(certificate)
    )


def _speaks_of_details(wanted: DesiredAuthority) -> bool:
    asked: tuple[object, ...] = (wanted.sha256, wanted.policy, wanted.acm_permission)
    return bool(wanted.name_constraints) or any(one is not None for one in asked)
