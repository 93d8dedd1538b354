"""Which CAs of an environment have certificates that somebody may have to verify.

What this module decides: that an authority counts when it carries the environment's tags, is declared in the file in
this generation or was in an earlier one, has a certificate and that has not expired. A DISABLED CA counts: what it
issued lives on, and the service still writes its CRL. A pin binds the generation of the file alone, so one that says it
is older must be older: else whoever may make and tag a CA could add an anchor. It counts only in the account and region where
the file says it lives; an older generation in any that the file names. What does not count is named with the
reason, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from pkiops.backends.identity import TAG_AUTHORITY, TAG_GENERATION, confirmed_members, find_authority, of_environment
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority, ReadsAuthorities
from pkiops.environment.hierarchy import external_places
from pkiops.environment.homes import home_of, is_at_home
from pkiops.environment.models import Environment
from pkiops.errors import VerificationFailed
from pkiops.x509.certificate import load_certificate
from pkiops.x509.chain import verify_ca_chain
from pkiops.x509.keys import spki_sha256
from pkiops.x509.names import rfc4514
from pkiops.x509.present import present_chains

_HAS_CERTIFICATE = frozenset({AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED})
_LONGEST_CHAIN = 10
_EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class KnownAuthority:
    """One generation of a declared authority, with its certificate and those above it (own first, root last).

    ``indexed`` says that the CA was not asked: what is "observed" is what the published index and the file say (``indexed.py``).
    """

    label: str
    generation: int
    observed: ObservedAuthority
    chain: tuple[x509.Certificate, ...]
    indexed: bool = False

    @property
    def name(self) -> str:
        """``clients-g1``: unique in the environment, and safe as a file name."""
        return authority_name(self.label, self.generation)

    @property
    def certificate(self) -> x509.Certificate:
        """Its own certificate."""
        return self.chain[0]

    @property
    def root(self) -> x509.Certificate:
        """The certificate its chain ends in."""
        return self.chain[-1]


@dataclass(frozen=True, slots=True)
class SkippedAuthority:
    """An authority that does not count, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Authorities:
    """The authorities of an environment: those that count, roots first, and the others with their reasons.

    ``expired`` are the names (``clients-g1``) of those that would count had their certificate not run out.
    """

    known: tuple[KnownAuthority, ...]
    skipped: tuple[SkippedAuthority, ...]
    expired: frozenset[str] = frozenset()


def authority_name(label: str, generation: int) -> str:
    """The name of one generation of an authority; both come out of a checked environment file."""
    return f"{label}-g{generation}"


def observe_authorities(environment: Environment, backend: ReadsAuthorities, at: datetime) -> Authorities:
    """Ask the backend which authorities of the environment exist, and for the chain of each.

    Args:
        environment: what should exist.
        backend: what does.
        at: the moment (aware) at which the certificates must be valid.

    Raises:
        GuardRefused: two authorities carry the same identity.
        VerificationFailed: a chain does not verify.
        BackendError: the backend failed.
    """
    # an index of tags may be minutes behind, and who was taken them a moment ago must be no anchor
    listed = confirmed_members(backend, backend.list_authorities(), environment.environment)
    observed = of_environment(listed, environment.environment)
    found: list[tuple[str, int, ObservedAuthority]] = []
    skipped: list[SkippedAuthority] = []
    expired: set[str] = set()
    for one in observed:
        label, generation = _identity(one)
        reason = _reason_to_skip(environment, one, label, generation, at) or _reason_to_doubt(
            environment, observed, one, label, generation
        )
        if reason == _EXPIRED and generation is not None:
            expired.add(authority_name(label, generation))
        if reason is not None or generation is None:
            skipped.append(SkippedAuthority(f"{label} ({one.reference})", reason or "no generation"))
            continue
        find_authority(observed, environment.environment, label, generation)
        found.append((label, generation, one))
    # a CA above may have been renewed since a chain was installed
    chains = present_chains([_encoded_chain(environment, backend, one, label) for label, _, one in found])
    known = [
        KnownAuthority(label, generation, one, _chain(environment, encoded, label, at))
        for (label, generation, one), encoded in zip(found, chains, strict=True)
    ]
    skipped.extend(_missing(environment, observed))
    order = list(environment.authorities)
    known.sort(key=lambda a: (len(a.chain), order.index(a.label), -a.generation))
    return Authorities(tuple(known), tuple(sorted(skipped, key=lambda s: s.name)), frozenset(expired))


def require_whole_chains(environment: Environment, known: Sequence[KnownAuthority]) -> None:
    """Check that every CA of ours above a known one is known too: without its CRL, servers that check whole chains refuse every client below it.

    Those that are kept elsewhere have a CRL here only if somebody brings it (``outside_crls.py``); a bundle that needs one is refused without.

    Raises:
        VerificationFailed: code ``crl.chain-incomplete``.
    """
    keys = {(one.certificate.subject, spki_sha256(one.certificate.public_key())) for one in known}
    for one in known:
        elsewhere = external_places(environment, one.label, len(one.chain)).values()
        for place, above in enumerate(one.chain[1:], 1):
            if place in elsewhere:
                continue
            if (above.subject, spki_sha256(above.public_key())) not in keys:
                raise VerificationFailed(
                    f"{one.name} is below {rfc4514(above.subject)}, and {environment.environment} has no such CA any more that publishes a CRL",
                    hint="servers that check the whole chain would refuse every client below it; restore that CA, or bring "
                    f"{one.label} below another: pkiops ca plan {environment.environment}",
                    code="crl.chain-incomplete",
                    details={"authority": one.name, "missing": rfc4514(above.subject)},
                )


def _identity(observed: ObservedAuthority) -> tuple[str, int | None]:
    tags = observed.tags or {}
    generation = tags.get(TAG_GENERATION, "")
    return tags.get(TAG_AUTHORITY, ""), int(generation) if generation.isascii() and generation.isdigit() else None


def _reason_to_skip(
    environment: Environment, observed: ObservedAuthority, label: str, generation: int | None, at: datetime
) -> str | None:
    declared = environment.authorities.get(label)
    if declared is None:
        return "not declared in the environment file"
    if generation is None or not 1 <= generation <= declared.generation:
        return f"its generation is not among those of the environment file (1 to {declared.generation})"
    if not is_at_home(environment, label, generation, observed.reference):
        return f"is not in {home_of(environment, label)}, where the file says it is: find out who tagged it"
    if observed.status is AuthorityStatus.EXPIRED or (observed.not_after is not None and observed.not_after <= at):
        return _EXPIRED
    if observed.status not in _HAS_CERTIFICATE:
        return f"has no certificate ({observed.status.value})"
    return None


def _reason_to_doubt(
    environment: Environment,
    all_observed: Sequence[ObservedAuthority],
    observed: ObservedAuthority,
    label: str,
    generation: int | None,
) -> str | None:
    current = environment.authorities[label].generation
    if generation is None or generation >= current:
        return None
    successor = find_authority(all_observed, environment.environment, label, current)
    if successor is None or observed.created_at <= successor.created_at:
        return None
    return f"it says it is generation {generation}, but was made after generation {current}: find out who made it"


def _missing(environment: Environment, observed: Sequence[ObservedAuthority]) -> list[SkippedAuthority]:
    return [
        SkippedAuthority(authority_name(label, authority.generation), "does not exist yet")
        for label, authority in environment.authorities.items()
        if find_authority(observed, environment.environment, label, authority.generation) is None
    ]


def _encoded_chain(
    environment: Environment, backend: ReadsAuthorities, observed: ObservedAuthority, label: str
) -> tuple[bytes, ...]:
    encoded = backend.authority_chain(observed.reference)
    if not 1 <= len(encoded) <= _LONGEST_CHAIN:
        source = f"the chain of {environment.environment}/ca/{label}"
        raise VerificationFailed(f"{source} has {len(encoded)} certificates", code="chain.length")
    return encoded


def _chain(
    environment: Environment, encoded: tuple[bytes, ...], label: str, at: datetime
) -> tuple[x509.Certificate, ...]:
    source = f"the chain of {environment.environment}/ca/{label}"
    chain = tuple(load_certificate(der, source) for der in encoded)
    verify_ca_chain(chain, at=at)
    return chain
