"""The CA certificates that published CRLs are checked under, for somebody who may be allowed very little.

What this module decides: the published index is asked first, because it takes one read of the bucket that is read anyway, and it counts as far as it
leads to a root that the file pins (``environment.index``). Where it does not know every declared authority, the service is asked; where that is not
allowed or does not answer, what the index knows is all there is, and why is said. Nothing that is found makes this fail: it is an alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from pkiops.backends.interface import ReadsAuthorities
from pkiops.crl.authorities import Authorities, KnownAuthority, SkippedAuthority, authority_name, observe_authorities
from pkiops.crl.declared import as_declared
from pkiops.crl.status_facts import CrlProblem, SkippedCheck
from pkiops.environment.index import MAX_BYTES, AuthorityIndex, decode_index, index_key, trusted_entry
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, BackendError, GuardRefused, NotFound, VerificationFailed
from pkiops.stores.interface import Store
from pkiops.x509.certificate import load_certificate

INDEX, SERVICE = "index", "service"
# what says no more than that the index cannot be used for this
_PASSED_BY = frozenset({"index.stale", "index.no-pin"})
_EXPIRED = "chain.expired"


@dataclass(frozen=True, slots=True)
class FoundCas:
    """The CAs that were found, where (``index``, ``service``, None where nowhere), what is wrong with the source, and what nobody could look at."""

    authorities: Authorities
    source: str | None
    problem: CrlProblem | None = None
    skipped: tuple[SkippedCheck, ...] = ()


def find_cas(
    environment: Environment, store: Store, service: Callable[[], ReadsAuthorities], at: Callable[[], datetime]
) -> FoundCas:
    """The CAs of an environment with their certificates, out of the index or from the service.

    Args:
        environment: the file.
        store: the trust bucket.
        service: gives the backend, and may raise GuardRefused or a BackendError itself.
        at: the moment (aware) at which certificates must be valid, asked for after a read: the clock may follow the bucket's.

    Raises:
        BackendError: the bucket does not answer.
    """
    indexed, reason, problem = _from_index(environment, store, at)
    if reason is None and problem is None:
        return FoundCas(indexed, INDEX)
    try:
        return FoundCas(observe_authorities(environment, service(), at()), SERVICE, problem)
    except VerificationFailed as error:
        problem = problem or CrlProblem(error.code, error.message)
        refused = error.message
    except (BackendError, GuardRefused) as error:
        refused = error.message
    why = f"{reason or 'the index is not relied on'}; {refused}"
    unknown = SkippedCheck("authorities", None, why)
    return FoundCas(indexed, INDEX if indexed.known else None, problem, (unknown,))


def _from_index(
    environment: Environment, store: Store, at: Callable[[], datetime]
) -> tuple[Authorities, str | None, CrlProblem | None]:
    """What the index knows; why that is not all that there is, if so; and what is wrong with it."""
    nothing = Authorities((), ())
    key = index_key(environment.environment)
    where = f"{store.describe()}/{key}"
    try:
        found = store.get(key, max_bytes=MAX_BYTES)
        if found is None:
            return nothing, f"there is no {where}", None
        index = decode_index(found.data)
    except (AccessDenied, NotFound) as error:
        return nothing, error.message, None
    except VerificationFailed as error:
        return nothing, None, CrlProblem(error.code, f"{where} is not relied on: {error.message}")
    return _known(environment, index, where, at())


def _known(
    environment: Environment, index: AuthorityIndex, where: str, at: datetime
) -> tuple[Authorities, str | None, CrlProblem | None]:
    known: list[KnownAuthority] = []
    result = Authorities((), ())
    reason: str | None = None
    problem: CrlProblem | None = None
    for label, generation in sorted({(one.label, one.generation) for one in index.authorities}):
        declared, name = environment.authorities.get(label), authority_name(label, generation)
        if declared is None or not 1 <= generation <= declared.generation:
            result = _skip(result, name, "not declared in the environment file")
            continue
        try:
            entry = trusted_entry(index, environment, label, at=at, generation=generation)
        except VerificationFailed as error:
            is_older = generation < declared.generation
            if error.code in _PASSED_BY:
                reason = reason or error.message
            elif error.code == _EXPIRED:
                result = replace(_skip(result, name, "expired"), expired=result.expired | {name})
            elif is_older and error.code == "index.pin":
                # it may hang below an older root, of which the file has no pin
                reason = reason or f"the index's {name} is not below the root that the file pins"
            else:
                problem = problem or CrlProblem(error.code, f"{where} is not relied on: {error.message}")
            continue
        chain = tuple(load_certificate(der, where) for der in entry.chain)
        observed = as_declared(environment, label, entry.reference, chain[0])
        known.append(KnownAuthority(label, generation, observed, chain))
    order = list(environment.authorities)
    known.sort(key=lambda one: (len(one.chain), order.index(one.label), -one.generation))
    named = {one.name for one in known} | {one.name for one in result.skipped}
    for label, declared in environment.authorities.items():
        if reason is None and problem is None and authority_name(label, declared.generation) not in named:
            result = _skip(result, authority_name(label, declared.generation), "does not exist yet")
    return replace(result, known=tuple(known)), reason, problem


def _skip(authorities: Authorities, name: str, reason: str) -> Authorities:
    return replace(authorities, skipped=(*authorities.skipped, SkippedAuthority(name, reason)))
