"""What no list tells about authorities: what their certificates say, their resource policies, what ACM may do with them.

What this module decides: that each is read only where the file speaks of it (or pins the certificate), or where there is reason to doubt that the
certificate is as declared, because every CA would cost a call of its own otherwise; asked to look deep, policies and permissions of all. Only reads,
eight at once, at the pace that the backend keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority, ReadsAuthorities, SharesAuthorities
from pkiops.ca.desired import DesiredAuthority
from pkiops.errors import InputError, NotSupported
from pkiops.progress import Counted

if TYPE_CHECKING:
    from pkiops.x509.name_constraints import NameConstraints

Count: TypeAlias = Callable[[int], Counted | None]
_READERS = 8
_SHARED = {AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED, AuthorityStatus.EXPIRED}


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a CA certificate says that cannot be changed about it; ``sha256`` is hexadecimal.

    ``issuer`` is (OID, value), ``above`` the SHA-256 of each certificate above it; both empty where nobody told.
    """

    sha256: str
    path_length: int | None
    name_constraints: NameConstraints
    issuer: tuple[tuple[str, str], ...] = ()
    above: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Details:
    """What was read of one CA; None or empty where there is none, or nobody asked."""

    certificate: CertificateFacts | None = None
    policy: Mapping[str, Any] | None = None
    acm_permission: tuple[str, ...] = ()


NO_DETAILS = Details()


def read_details(
    reader: ReadsAuthorities,
    wanted: Iterable[tuple[DesiredAuthority, ObservedAuthority | None]],
    *,
    doubtful: Collection[str] = (),
    deep: bool = False,
    count: Count = lambda total: None,
) -> dict[str, Details]:
    """The details of those authorities whose declarations speak of them, by reference.

    Args:
        reader: reads them.
        wanted: each authority with the CA that it is.
        doubtful: the CAs (references) whose certificates are read whatever the file says.
        deep: policies and permissions of every CA, spoken of or not.
        count: given how many will be read, what is told of each.

    Raises:
        BackendError: something could not be read.
        NotSupported: a file speaks of sharing, and this backend knows none.
    """
    asked = [
        (one, found)
        for one, found in wanted
        if found is not None and (deep or _speaks_of_details(one) or found.reference in doubtful)
    ]
    counted = count(len(asked))

    def read_one(pair: tuple[DesiredAuthority, ObservedAuthority]) -> Details:
        details = details_of(reader, *pair, deep=deep, doubted=pair[1].reference in doubtful)
        if counted is not None:
            counted.one_done()
        return details

    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        read = pool.map(read_one, asked)
        return {found.reference: details for (_, found), details in zip(asked, read, strict=True)}


def has_certificate(found: ObservedAuthority) -> bool:
    """Whether a CA has a certificate that can be asked for."""
    return found.not_after is not None and found.status in _SHARED


def details_of(
    reader: ReadsAuthorities,
    wanted: DesiredAuthority,
    found: ObservedAuthority,
    *,
    deep: bool = False,
    doubted: bool = False,
) -> Details:
    """The details of one authority: ``deep`` those that the file does not speak of too, its certificate if ``doubted``.

    Nothing is asked of a CA in a state that has no answer.
    """
    can_be_asked = has_certificate(found)
    certificate = None
    if can_be_asked and (doubted or wanted.sha256 is not None or wanted.name_constraints):
        certificate = certificate_facts(*reader.authority_chain(found.reference))
    policy: Mapping[str, Any] | None = None
    permission: tuple[str, ...] = ()
    if can_be_asked and (deep or wanted.policy is not None):
        policy = sharing(reader, wanted).authority_policy(found.reference)
    if can_be_asked and (deep or wanted.acm_permission is not None):
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


def certificate_facts(der: bytes, *above: bytes) -> CertificateFacts:
    """What a CA certificate (DER) says, with those above it.

    Raises:
        InputError: it cannot be read.
    """
    from cryptography import x509

    from pkiops.x509.certificate import load_certificate
    from pkiops.x509.name_constraints import name_constraints_of

    certificate = load_certificate(der, "a CA's certificate")
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        constraints = name_constraints_of(certificate)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise InputError(f"a CA's certificate cannot be read: {error}", code="certificate.malformed") from error
    return CertificateFacts(
        hashlib.sha256(der).hexdigest(),
        basic.path_length,
        constraints,
        tuple((one.oid.dotted_string, str(one.value)) for one in certificate.issuer),
        tuple(hashlib.sha256(one).hexdigest() for one in above),
    )


def _speaks_of_details(wanted: DesiredAuthority) -> bool:
    asked: tuple[object, ...] = (wanted.sha256, wanted.policy, wanted.acm_permission)
    return bool(wanted.name_constraints) or any(one is not None for one in asked)
