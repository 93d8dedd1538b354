"""Keeping the published index of authorities: every verb that changes an authority calls ``publish`` when it is done.

What this module decides: which authorities the index names (every declared label, current and older generations, that has a certificate and is not
deleted), that a chain leads over the certificates that the CAs above have now (a renewed root has the key of the one before it),
when what is published says the same already, and that it is replaced with If-Match, so that of two runs the later look at the world wins.
What the index means to its readers is ``pkiops.environment.index``.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from pkiops.backends.identity import Identities
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import desired_authorities
from pkiops.ca.homes import left_behind
from pkiops.ca.settle import settled
from pkiops.environment.index import (
    MAX_BYTES,
    AuthorityIndex,
    IndexedAuthority,
    decode_index,
    encode_index,
    index_digest,
    index_key,
)
from pkiops.environment.models import Environment
from pkiops.errors import AlreadyExists, InProgress, NotFound, VerificationFailed
from pkiops.stores.interface import IF_ABSENT, Condition, Store, StoredObject

_ATTEMPTS = 8
_READERS = 8
_HAS_CERTIFICATE = {AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED, AuthorityStatus.EXPIRED}


@dataclass(frozen=True, slots=True)
class IndexPublisher:
    """Publishes one environment's index.

    Args:
        environment: the environment.
        backend: the certificate authorities.
        store: the trust bucket.
    """

    environment: Environment
    backend: ReadsAuthorities
    store: Store

    def published(self) -> StoredObject | None:
        """The index as it is; None where there is none, or no bucket yet.

        Raises:
            BackendError: it cannot be read.
        """
        try:
            return self.store.get(index_key(self.environment.environment), max_bytes=MAX_BYTES)
        except NotFound:
            return None

    def is_current(self, published: StoredObject | None, observed: Sequence[ObservedAuthority]) -> bool:
        """Whether what is published names what was observed; makes no call."""
        index = _readable(published)
        wanted = self._members(observed)
        if index is None:
            return False
        named = {(one.label, one.generation, one.reference) for one in index.authorities}
        known = {(label, generation, one.reference) for label, generation, one in wanted}
        validity = {one.reference: (one.not_before, one.not_after) for _, _, one in wanted}
        return (
            index.digest == index_digest(self.environment)
            and (index.account, index.region) == (self.environment.backend.account, self.environment.backend.region)
            and named == known
            and all(_validity(one.chain[0]) == validity[one.reference] for one in index.authorities)
        )

    def named(self, published: StoredObject | None) -> dict[tuple[str, int], str]:
        """The reference that a published index names for each label and generation: hints, to be looked for among what exists."""
        index = _readable(published)
        return {(one.label, one.generation): one.reference for one in index.authorities} if index else {}

    def chains(self, published: StoredObject | None) -> dict[str, tuple[bytes, ...]]:
        """The CA certificates (DER) with those above them that the published index gives, by reference; makes no call."""
        index = _readable(published)
        return {one.reference: one.chain for one in index.authorities} if index else {}

    def left_behind(self, published: StoredObject | None) -> dict[tuple[str, int], str]:
        """What the published index names in homes that the file does not: references by label and generation; makes no call."""
        return left_behind(self.environment, _readable(published))

    def publish(self, *, anew: bool = False) -> bool:
        """Bring the index to what exists; returns whether it was written. ``anew`` writes it though it names what exists: a chain may have changed.

        Raises:
            GuardRefused: an identity exists twice.
            BackendError: something could not be read or written.
        """
        for _ in range(_ATTEMPTS):
            published = self.published()
            observed = settled(
                desired_authorities(self.environment),
                self.backend,
                self.backend.list_authorities(),
                named=self.named(published),
            )
            if not anew and self.is_current(published, observed):
                return False
            condition = Condition(version=published.version) if published else IF_ABSENT
            try:
                self.store.put(
                    index_key(self.environment.environment),
                    encode_index(self._index(observed)),
                    condition=condition,
                    content_type="application/json",
                    cache_control="no-cache",
                )
            except AlreadyExists:
                continue
            return True
        raise InProgress(
            f"the index of {self.environment.environment} changes all the time",
            hint=f"run pkiops ca apply {self.environment.environment} again",
            code="ca.index",
        )

    def _index(self, observed: Sequence[ObservedAuthority]) -> AuthorityIndex:
        members = self._members(observed)
        with ThreadPoolExecutor(max_workers=_READERS) as pool:
            kept = list(pool.map(self.backend.authority_chain, [one.reference for _, _, one in members]))
        # late: most looks at the index write none
        from pkiops.x509.present import present_chains

        backend = self.environment.backend
        return AuthorityIndex(
            environment=self.environment.environment,
            account=backend.account,
            region=backend.region,
            digest=index_digest(self.environment),
            authorities=tuple(
                IndexedAuthority(label=label, generation=generation, reference=one.reference, chain=chain)
                for (label, generation, one), chain in zip(members, present_chains(kept), strict=True)
            ),
        )

    def _members(self, observed: Sequence[ObservedAuthority]) -> list[tuple[str, int, ObservedAuthority]]:
        members = []
        identities = Identities(observed, self.environment.environment)
        for label, declared in self.environment.authorities.items():
            for generation in range(1, declared.generation + 1):
                one = identities.find(label, generation)
                if one is not None and one.status in _HAS_CERTIFICATE and one.not_after is not None:
                    members.append((label, generation, one))
        return members


def _readable(published: StoredObject | None) -> AuthorityIndex | None:
    return _decoded(published.data) if published is not None else None


@lru_cache(maxsize=2)
def _decoded(data: bytes) -> AuthorityIndex | None:
    """An index, asked for several times in each look at what exists."""
    try:
        return decode_index(data)
    except VerificationFailed:
        return None


def _validity(der: bytes) -> tuple[object, object] | None:
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
    except ValueError:
        return None
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc
