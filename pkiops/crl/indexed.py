"""The CAs of an environment out of its published index, without asking the service: one read, where the file pins every root.

What this module decides:

- an index that is absent, may not be read, or was made for another version of the file (``index.stale``) is passed by, and so is one that names what
  the file's pins do not reach (a generation below an older root): whoever has the rights asks the service, which knows better;
- an index that says something which no ``ca`` verb would have written stops everything: another environment, account or Region, another subject, a
  broken chain, another root, another CA than the pinned one, no index at all, too large;
- what the index does not hold is taken from the file. For an older generation that may not be so any more, which ``as_it_is`` asks the CA itself for.

What makes an entry trustworthy is ``environment.index``. What changes CAs, or hands out their CRLs, asks the service: the index says neither what
state a CA is in nor how it publishes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from pkiops.backends.interface import ReadsAuthorities
from pkiops.clock import Clock
from pkiops.crl.authorities import Authorities, KnownAuthority, SkippedAuthority, authority_name
from pkiops.crl.declared import as_declared
from pkiops.environment.hierarchy import declaration, root_of
from pkiops.environment.index import (
    MAX_BYTES,
    AuthorityIndex,
    IndexedAuthority,
    decode_index,
    index_key,
    trusted_entry,
)
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, InputError, NotFound, VerificationFailed
from pkiops.stores.interface import Store
from pkiops.x509.certificate import load_certificate

_Found = TypeVar("_Found")
_PASSED_BY = frozenset({"index.stale", "index.older-root"})


@dataclass(frozen=True, slots=True)
class PassedBy:
    """Why the index was of no use, though nothing is wrong with it."""

    reason: str


def index_counts(environment: Environment, label: str) -> bool:
    """Whether an index can be relied on for an authority: the file pins the root above it."""
    return declaration(environment, root_of(environment, label)).sha256 is not None


def index_suffices(environment: Environment) -> bool:
    """Whether an index can name every CA: the file pins every root, and none has an older generation, which no pin reaches."""
    roots = {root_of(environment, label) for label in environment.authorities}
    pinned = all(declaration(environment, root).sha256 is not None for root in roots)
    return pinned and all(
        environment.authorities[root].generation == 1 for root in roots & environment.authorities.keys()
    )


def judge_index(
    environment: Environment, store: Store, judge: Callable[[AuthorityIndex, str], _Found]
) -> _Found | PassedBy:
    """What ``judge`` makes of the index, which it is given with where that is; or why the index is passed by.

    Raises:
        VerificationFailed: the index holds what no ``ca`` verb writes (codes of ``trusted_entry``, ``decode_index`` and ``store.too-big``).
        BackendError: the bucket does not answer.
    """
    key = index_key(environment.environment)
    where = f"{store.describe()}/{key}"
    try:
        found = store.get(key, max_bytes=MAX_BYTES)
    except (NotFound, AccessDenied) as error:
        return PassedBy(error.message)
    except VerificationFailed as error:
        raise _suspect(error, environment, where) from error
    if found is None:
        return PassedBy(f"there is no {where}")
    try:
        return judge(decode_index(found.data), where)
    except VerificationFailed as error:
        if error.code in _PASSED_BY:
            return PassedBy(error.message)
        raise _suspect(error, environment, where) from error


def indexed_authorities(environment: Environment, store: Store | None, clock: Clock) -> Authorities | PassedBy:
    """Every CA of the environment that has a valid certificate, as the index names them; or why the service has to be asked.

    Args:
        environment: the file; it pins the roots.
        store: the trust bucket; None where there is none to look at.
        clock: the moment as of which chains must be valid; read after the bucket answered, whose date it may follow.

    Raises:
        VerificationFailed: the index holds what no ``ca`` verb writes.
        BackendError: the bucket does not answer.
    """
    if store is None:
        return PassedBy("there is no index to look at")
    unpinned = sorted(
        {root_of(environment, label) for label in environment.authorities if not index_counts(environment, label)}
    )
    if unpinned:
        return PassedBy(f"the file does not pin {', '.join(unpinned)} (sha256)")
    return judge_index(environment, store, lambda index, where: _authorities(index, environment, clock, where))


def _authorities(index: AuthorityIndex, environment: Environment, clock: Clock, where: str) -> Authorities:
    at = clock.now()
    known: list[KnownAuthority] = []
    expired: list[str] = []
    named = [one for one in index.authorities if one.label in environment.authorities]
    present = {(one.label, one.generation) for one in named}
    for label, declared in environment.authorities.items():
        if (label, declared.generation) not in present:
            # says why, in words: the index was written before that CA was there
            trusted_entry(index, environment, label, at=at)
    for one in named:
        if _has_expired(one, at):
            expired.append(authority_name(one.label, one.generation))
        else:
            known.append(_known(index, environment, one, where, at))
    order = list(environment.authorities)
    known.sort(key=lambda one: (len(one.chain), order.index(one.label), -one.generation))
    skipped = tuple(SkippedAuthority(name, "expired") for name in sorted(expired))
    return Authorities(tuple(known), skipped, frozenset(expired))


def _has_expired(entry: IndexedAuthority, at: datetime) -> bool:
    try:
        return load_certificate(entry.chain[0], entry.label).not_valid_after_utc <= at
    except InputError:
        # which is said where it is judged
        return False


def _known(
    index: AuthorityIndex, environment: Environment, found: IndexedAuthority, where: str, at: datetime
) -> KnownAuthority:
    label = found.label
    if found.generation == environment.authorities[label].generation:
        entry = trusted_entry(index, environment, label, at=at)
        require_pinned_arn(environment, label, entry.reference)
    else:
        _require_reached(environment, found)
        entry = trusted_entry(index, environment, label, at=at, generation=found.generation)
    chain = tuple(load_certificate(der, where) for der in entry.chain)
    observed = as_declared(environment, label, entry.reference, chain[0])
    return KnownAuthority(label, entry.generation, observed, chain, indexed=True)


def _require_reached(environment: Environment, older: IndexedAuthority) -> None:
    """A root that was replaced is no forgery, but nothing vouches for it either."""
    root = root_of(environment, older.label)
    pin = declaration(environment, root).sha256
    if hashlib.sha256(older.chain[-1]).hexdigest() != pin:
        raise VerificationFailed(
            f"the index names {authority_name(older.label, older.generation)} below another {root} than the pinned one",
            code="index.older-root",
        )


def as_it_is(environment: Environment, backend: ReadsAuthorities, authority: KnownAuthority) -> KnownAuthority:
    """The same CA with what the index cannot say of it: of an older generation the file does not say any more where its CRL is.

    Raises:
        BackendError: the CA cannot be asked.
    """
    if not authority.indexed or authority.generation == environment.authorities[authority.label].generation:
        return authority
    return replace(authority, observed=backend.describe_authority(authority.observed.reference), indexed=False)


def require_pinned_arn(environment: Environment, label: str, reference: str) -> None:
    """Check that a CA is the one whose ARN the file pins, if it does.

    Raises:
        VerificationFailed: code ``index.arn``.
    """
    pinned = environment.authorities[label].arn
    if pinned is not None and pinned != reference:
        raise VerificationFailed(f"the index names {reference} for {label}, the file pins {pinned}", code="index.arn")


def _suspect(error: VerificationFailed, environment: Environment, where: str) -> VerificationFailed:
    name = environment.environment
    hint = f"only ca verbs of pkiops write it: find out who else did, then write it anew with pkiops ca apply {name}"
    if error.code in {"index.pin", "cert.pin"}:
        hint = (
            f"is the pin in the file the right one? pkiops ca show {name} shows the CAs' fingerprints; if it is, {hint}"
        )
    return VerificationFailed(
        f"{where} is not relied on: {error.message}",
        hint=hint,
        code=error.code,
        details=error.details,
    )
