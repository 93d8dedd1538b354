"""Who belongs to the environment: authorities with its tags, and DELETED ones with the subject of a declared one.

What this module decides: that a CA whose certificate cannot be read stays a member without it, the reason told, while the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pkiops.backends.identity import TAG_AUTHORITY, TAG_GENERATION, of_environment
from pkiops.backends.interface import AuthorityStatus, AuthorityType, ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import subject_of
from pkiops.environment.models import Environment
from pkiops.errors import BackendError, InputError
from pkiops.inventory.records import Identity
from pkiops.x509.certificate import CertificateView, load_certificate, view

_HAS_CERTIFICATE = frozenset({AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED, AuthorityStatus.EXPIRED})
# GetCertificateAuthorityCertificate is limited to 20 calls a second; more threads would only be throttled
_READERS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """An existing authority of the environment: what it calls itself, and its chain (own certificate first) or why there is none."""

    observed: ObservedAuthority
    label: str | None
    generation: int | None
    identified_by: Identity
    chain: tuple[CertificateView, ...] = ()
    unread: str | None = None


def read_members(environment: Environment, backend: ReadsAuthorities) -> tuple[Member, ...]:
    """Everything of the environment that exists, with its chain.

    Raises:
        BackendError: the authorities cannot be listed. A chain that cannot be read is no error, see ``Member.unread``.
    """
    found = backend.list_authorities()
    members = [_by_tags(one) for one in of_environment(found, environment.environment)]
    members += _deleted(environment, found)
    if not members:
        return ()
    with ThreadPoolExecutor(max_workers=min(_READERS, len(members))) as pool:
        return tuple(pool.map(lambda member: _with_chain(backend, member), members))


def may_have_certificate(observed: ObservedAuthority) -> bool:
    """Whether the service gives out a certificate for a CA of this status."""
    return observed.status in _HAS_CERTIFICATE


def _by_tags(observed: ObservedAuthority) -> Member:
    tags = observed.tags or {}
    generation = tags.get(TAG_GENERATION, "")
    is_number = generation.isascii() and generation.isdigit() and len(generation) <= 9
    number = int(generation) if is_number else None
    return Member(observed=observed, label=tags.get(TAG_AUTHORITY), generation=number, identified_by=Identity.TAGS)


def _deleted(environment: Environment, found: Iterable[ObservedAuthority]) -> list[Member]:
    """DELETED authorities with the subject and type of a declared one; their tags cannot be read, so the generation is not known."""
    return [
        Member(observed=one, label=label, generation=None, identified_by=Identity.SUBJECT)
        for one in found
        if one.status is AuthorityStatus.DELETED
        for label, declared in environment.authorities.items()
        if dict(one.subject) == subject_of(declared.subject)
        and (one.type is AuthorityType.ROOT) == (declared.issuer is None)
    ]


def _with_chain(backend: ReadsAuthorities, member: Member) -> Member:
    observed = member.observed
    if not may_have_certificate(observed):
        return replace(member, unread=f"a CA that is {observed.status.value} has no certificate that can be read")
    try:
        encoded = backend.authority_chain(observed.reference)
        certificates = tuple(view(load_certificate(der, f"chain of {observed.reference}")) for der in encoded)
    except (BackendError, InputError) as error:
        return replace(member, unread=error.message)
    return replace(member, chain=certificates)
