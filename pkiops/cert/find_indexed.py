"""Which CA issues, without asking the service: out of the published index, where the file pins the root above the CA.

What this module decides:

- an index that is absent, may not be read, or was made for another version of the file (``index.stale``) is passed by: whoever has the rights asks
  the service, which knows better;
- an index that says something which no ``ca`` verb would have written stops everything: another environment, account or Region, another subject, a
  broken chain, another root, no index at all, too large;
- what the index does not hold is taken from the file. A CA that is not ACTIVE refuses to issue by itself, and a CRL address that is not the declared
  one is found when the certificate is compared with the intent (step 9).

What makes an entry trustworthy is ``environment.index``; how a CA is judged that was asked for itself is ``issuer``.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkiops.cert.issuer import Issuer, check_pins
from pkiops.clock import Clock
from pkiops.crl.declared import as_declared
from pkiops.environment.hierarchy import declaration, root_of
from pkiops.environment.index import MAX_BYTES, decode_index, index_key, trusted_entry
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, NotFound, VerificationFailed
from pkiops.stores.interface import Store
from pkiops.x509.certificate import load_certificate

_PASSED_BY = "index.stale"


@dataclass(frozen=True, slots=True)
class PassedBy:
    """Why the index was of no use, though nothing is wrong with it."""

    reason: str


def index_counts(environment: Environment, label: str) -> bool:
    """Whether an index can be relied on for an authority: the file pins the root above it."""
    return declaration(environment, root_of(environment, label)).sha256 is not None


def indexed_issuer(environment: Environment, store: Store, label: str, clock: Clock) -> Issuer | PassedBy:
    """The CA with that label as the index names it, in one read; or why the service has to be asked.

    Args:
        environment: the file; it pins the root above the authority.
        store: the trust bucket.
        label: the authority.
        clock: the moment as of which the chain must be valid.

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
        # read only now: the clock may follow the answers of the server
        entry = trusted_entry(decode_index(found.data), environment, label, at=clock.now())
        chain = tuple(load_certificate(der, where) for der in entry.chain)
        check_pins(environment, label, chain)
        _require_pinned_arn(environment, label, entry.reference)
    except VerificationFailed as error:
        if error.code == _PASSED_BY:
            return PassedBy(error.message)
        raise _suspect(error, environment, where) from error
    return Issuer(
        label, entry.generation, as_declared(environment, label, entry.reference, chain[0]), chain, indexed=True
    )


def _require_pinned_arn(environment: Environment, label: str, reference: str) -> None:
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
