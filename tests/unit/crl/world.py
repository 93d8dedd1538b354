"""An environment with CAs, CRLs and a trust store of its own: a root, ``clients`` below it, and a bundle with both
targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import ObservedAuthority
from pkiops.clock import ManualClock
from pkiops.crl.authorities import KnownAuthority, observe_authorities
from pkiops.crl.publish import PublishOutcome, publish_crls
from pkiops.environment.models import Bundle, Environment, Revocation, Target, Trust
from pkiops.ledger.interface import Entry
from pkiops.stores.interface import Store
from pkiops.stores.local import LocalStore
from tests import builders
from tests.fakes.authority import FakeAuthorities, environment


def with_bundle(
    env: Environment, *, revocation: Revocation = Revocation.CHAIN, include_intermediates: bool = False
) -> Environment:
    """The environment with the bundle ``services``; nginx only where it can check revocation in that way."""
    targets = {"pem": Target()} if revocation is Revocation.LEAF else {"pem": Target(), "nginx": Target()}
    bundle = Bundle(
        anchors=("root",), targets=targets, include_intermediates=include_intermediates, revocation=revocation
    )
    return replace(env, trust=Trust(bundles={"services": bundle}))


def with_authority(env: Environment, label: str, **changes: object) -> Environment:
    """The environment with fields of one authority changed."""
    changed = replace(env.authorities[label], **changes)  # type: ignore[arg-type]
    return replace(env, authorities={**env.authorities, label: changed})


class CrlAuthorities(FakeAuthorities):
    """The fake CAs with CRLs that a test writes itself; ``None`` is a CA that has written none yet."""

    def __init__(self, env: Environment, clock: ManualClock) -> None:
        super().__init__(env, clock)
        self.crls: dict[str, bytes | None] = {}
        for label in self.cas:
            self.write(label, 1)

    def write(
        self,
        label: str,
        number: int,
        *,
        revoked: Mapping[int, x509.ReasonFlags | None] | None = None,
        next_update: datetime | None = None,
    ) -> None:
        crl = builders.crl(
            self.cas[label], at=self._clock.now(), number=number, revoked=revoked, next_update=next_update
        )
        self.crls[label] = crl.public_bytes(Encoding.DER)

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        return self.crls[self._label(authority.reference)]


class World:
    """One environment and everything around it."""

    def __init__(self, folder: Path, *, at: datetime = builders.AT, env: Environment | None = None) -> None:
        self.environment = env or with_bundle(environment())
        self.clock = ManualClock(at)
        self.backend = CrlAuthorities(self.environment, self.clock)
        self.store: Store = LocalStore(folder / "trust-bucket")

    def known(self) -> tuple[KnownAuthority, ...]:
        return observe_authorities(self.environment, self.backend, self.clock.now()).known

    def publish(
        self,
        *,
        store: Store | None = None,
        backend: CrlAuthorities | None = None,
        allow_removal: bool = False,
        external: Sequence[x509.CertificateRevocationList] = (),
        entries: Callable[[], Iterable[Entry]] | None = None,
    ) -> PublishOutcome:
        return publish_crls(
            self.environment,
            backend or self.backend,
            store or self.store,
            self.clock,
            allow_removal=allow_removal,
            external=external,
            entries=entries,
        )

    def later(self, **by: float) -> None:
        self.clock.advance(timedelta(**by))
