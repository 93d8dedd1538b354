"""Reading everything ``ca doctor`` looks at; what one read refuses is said and does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any, Protocol, TypeVar, runtime_checkable

from cryptography import x509

from pkiops.backends.identity import TAG_AUTHORITY, TAG_GENERATION, identity_of, identity_values, of_environment
from pkiops.backends.interface import (
    ACM_ACTIONS,
    HasHomes,
    KeepsCrlsInBucket,
    ObservedAuthority,
    PublishesOwnCrls,
    ReadsAuthorities,
    SharesAuthorities,
    reader_at,
)
from pkiops.ca.desired import Desired, DesiredAuthority, desired_state
from pkiops.ca.details import Details, details_of
from pkiops.ca.doctor.world import CrlHealth, World
from pkiops.ca.index import IndexPublisher
from pkiops.ca.settle import settled
from pkiops.clock import Clock
from pkiops.crl.check import read_one
from pkiops.crl.connect import ConnectRule
from pkiops.crl.download import ConnectTo
from pkiops.crl.manifest import CrlRecord
from pkiops.crl.reach import Point, probe
from pkiops.crl.read import read_pointer, read_records
from pkiops.crl.silent import issuers_in
from pkiops.environment.homes import default_home
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, BackendError, GuardRefused, VerificationFailed
from pkiops.homes import Home
from pkiops.ledger.interface import Entry
from pkiops.ledger.tables import ObservedTable, Tables
from pkiops.progress import Counted, NoProgress, Progress
from pkiops.stores.interface import Buckets, ObservedBucket, Store
from pkiops.x509.crl import verify_crl, view_crl
from pkiops.x509.name_constraints import NO_CONSTRAINTS

_T = TypeVar("_T")
_READERS = 8
_PROBE_TIMEOUT_S = 10.0


class ExaminedBackend(ReadsAuthorities, PublishesOwnCrls, KeepsCrlsInBucket, Protocol):
    """What an examination needs of a backend."""


@runtime_checkable
class KnowsCaller(Protocol):
    """Knows which policies are attached to whoever runs this."""

    def caller_policies(self) -> tuple[str, ...]:
        """The ARNs of the managed policies attached to the caller. May raise a BackendError."""


@dataclass(frozen=True, slots=True)
class Examination:
    """The reads of one environment.

    Args:
        environment: the environment.
        backend: the certificate authorities.
        buckets: the publication buckets.
        store: the trust bucket.
        clock: for moments and timeouts.
        tables: the table of the ledger; None where that is not looked at.
        probe: whether CRL distribution points are asked over HTTP.
        connect_to: where to connect in their place.
        entries: every entry of the ledger; None where there is no ledger.
        deep: whether policies and permissions are read that the file does not speak of.
        progress: is told of what takes long.
    """

    environment: Environment
    backend: ExaminedBackend
    buckets: Buckets
    store: Store
    clock: Clock
    tables: Tables | None = None
    probe: bool = True
    connect_to: ConnectTo | None = None
    entries: Callable[[], Iterable[Entry]] | None = None
    deep: bool = False
    progress: Progress = field(default_factory=NoProgress)
    _unread: dict[str, str] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)

    def read(self) -> World:
        """Look at everything; never raises for what cannot be read."""
        desired = desired_state(self.environment, self.backend, self.buckets)
        with ThreadPoolExecutor(max_workers=_READERS) as pool:
            looked = [pool.submit(self._bucket, settings.name) for settings in desired.buckets]
            policies = {where: pool.submit(self._caller_policies, where, one) for where, one in self._callers()}
            listed = {home: pool.submit(self._listed, desired, home) for home in self._homes()}
            unlisted = frozenset(home for home, one in listed.items() if one.result() is None)
            authorities = tuple(found for one in listed.values() for found in one.result() or ())
            ours = [
                one
                for one in of_environment(authorities, self.environment.environment)
                if one.crl and one.crl.complete and one.not_after
            ]
            crls = dict(zip([one.reference for one in ours], pool.map(self._crl, ours), strict=True))
            buckets = tuple(bucket for one in looked if (bucket := one.result()) is not None)
        return World(
            environment=self.environment,
            desired=desired,
            buckets=buckets,
            authorities=authorities,
            crls={reference: crl for reference, crl in crls.items() if crl is not None},
            acm_may_issue=self._acm_may_issue(desired, authorities),
            issuers=self._issuers(),
            tables=self._tables(desired),
            details=self._details(desired, authorities) if self.deep else {},
            caller_policies={where: known for where, one in policies.items() if (known := one.result()) is not None},
            index_is_current=None if unlisted else self._index_is_current(buckets, authorities),
            published_crls=self._published_crls(buckets),
            unread=dict(self._unread),
            failed=frozenset(self._failed),
            unlisted=unlisted,
        )

    def _issuers(self) -> frozenset[str]:
        entries = self.entries
        if entries is None:
            return frozenset()
        return self._try("the ledger", lambda: issuers_in(entries())) or frozenset()

    def _tables(self, desired: Desired) -> tuple[ObservedTable, ...]:
        tables = self.tables
        if tables is None:
            return ()
        read = [self._try(f"table {one.name}", partial(tables.observe_table, one.name)) for one in desired.tables]
        return tuple(one for one in read if one is not None)

    def _details(self, desired: Desired, authorities: tuple[ObservedAuthority, ...]) -> dict[str, Details]:
        """What was read of each declared CA; two of one identity are a finding of their own."""
        environment = self.environment.environment
        tagged = {identity_of(one): one for one in of_environment(authorities, environment)}
        found = [(one, tagged.get(identity_values(one.request.tags))) for one in desired.authorities]
        counted = Counted(self.progress, self.clock, "reading policies and permissions", len(found))

        def read(pair: tuple[DesiredAuthority, ObservedAuthority | None]) -> Details | None:
            wanted, one = pair
            try:
                if one is None:
                    return None
                shared = replace(wanted, sha256=None, name_constraints=NO_CONSTRAINTS)
                what = f"the policy and permissions of {one.reference}"
                return self._try(what, lambda: details_of(self.backend, shared, one, deep=True))
            finally:
                counted.one_done()

        with ThreadPoolExecutor(max_workers=_READERS) as pool:
            read_all = list(pool.map(read, found))
        return {one.reference: details for (_, one), details in zip(found, read_all, strict=True) if one and details}

    def _homes(self) -> tuple[Home, ...]:
        backend: object = self.backend
        return backend.homes if isinstance(backend, HasHomes) else (default_home(self.environment),)

    def _listed(self, desired: Desired, home: Home) -> tuple[ObservedAuthority, ...] | None:
        """The authorities of one home; that one is out of reach does not hide the others."""
        is_alone = not isinstance(self.backend, HasHomes)
        what = "authorities" if is_alone else f"authorities in {home}"
        reader = reader_at(self.backend, home)
        wanted = [one for one in desired.authorities if one.request.home == home]
        return self._try(what, lambda: settled(wanted, reader, reader.list_authorities()))

    def _callers(self) -> list[tuple[str, Home]]:
        """Who is asked for policies, by name, and a home where: one for each account, because IAM knows no regions."""
        homes = self._homes()
        firsts = {home.account: home for home in reversed(homes)}
        name = "the caller" if len(firsts) == 1 else "the caller in account {}"
        return [(name.format(account), home) for account, home in firsts.items()]

    def _acm_may_issue(self, desired: Desired, authorities: tuple[ObservedAuthority, ...]) -> dict[str, bool]:
        """For each CA that declares ``acm_permission``, whether it is there."""
        backend: object = self.backend
        declared = {(one.label, str(one.generation)) for one in desired.authorities if one.acm_permission}
        allowed = {}
        for one in of_environment(authorities, self.environment.environment):
            tags, reference = one.tags or {}, one.reference
            if (tags.get(TAG_AUTHORITY), tags.get(TAG_GENERATION)) in declared and isinstance(
                backend, SharesAuthorities
            ):
                have = self._try(f"the permissions of {reference}", partial(backend.acm_permission, reference))
                if have is not None:
                    allowed[reference] = set(ACM_ACTIONS) <= set(have)
        return allowed

    def _bucket(self, name: str) -> ObservedBucket | None:
        return self._try(f"s3://{name}", lambda: self.buckets.observe_bucket(name))

    def _caller_policies(self, where: str, home: Home) -> tuple[str, ...] | None:
        def ask() -> tuple[str, ...] | None:
            backend: object = reader_at(self.backend, home)
            return backend.caller_policies() if isinstance(backend, KnowsCaller) else None

        return self._try(f"{where}'s policies", ask)

    def _has_trust_bucket(self, buckets: tuple[ObservedBucket, ...]) -> bool:
        trust = self.environment.publication.trust.bucket
        return any(bucket.name == trust and bucket.exists for bucket in buckets)

    def _published_crls(self, buckets: tuple[ObservedBucket, ...]) -> dict[str, CrlRecord] | None:
        """The records of the published set; looked for only where a CA is kept elsewhere, because ours are looked at themselves."""
        name = self.environment.environment
        if not self.environment.external_authorities or not self._has_trust_bucket(buckets):
            return None
        where = f"s3://{self.environment.publication.trust.bucket}/{name}/crl"

        def read() -> dict[str, CrlRecord] | None:
            pointer = read_pointer(self.store, name)
            if pointer is None:
                return None
            return {one.name: one for one in read_records(self.store, name, pointer.manifest_sha256)}

        try:
            return self._try(where, read)
        except VerificationFailed as error:
            self._unread[where] = error.message
            self._failed.add(where)
            return None

    def _index_is_current(
        self, buckets: tuple[ObservedBucket, ...], authorities: tuple[ObservedAuthority, ...]
    ) -> bool | None:
        trust = self.environment.publication.trust.bucket
        if not self._has_trust_bucket(buckets):
            return None
        index = IndexPublisher(self.environment, self.backend, self.store)
        published = self._try(f"s3://{trust}/{self.environment.environment}/index.json", lambda: (index.published(),))
        if published is None:
            return None
        try:
            return index.is_current(published[0], authorities)
        except GuardRefused:
            return None  # an identity exists twice, which is a finding of its own

    def _crl(self, authority: ObservedAuthority) -> CrlHealth | None:
        where = f"the CRL of {authority.reference}"
        read = self._try(
            where, lambda: (self.backend.authority_chain(authority.reference), self.backend.fetch_crl(authority))
        )
        if read is None:
            return None
        chain, data = read
        own = sha256(chain[0]).hexdigest()
        above = sha256(chain[1]).hexdigest() if len(chain) > 1 else None
        return replace(self._judged(authority, chain[0], data, where), own_sha256=own, issuer_sha256=above)

    def _judged(self, authority: ObservedAuthority, issuer: bytes, data: bytes | None, where: str) -> CrlHealth:
        if data is None:
            return CrlHealth(present=False)
        try:
            loaded = read_one(data, where)
            crl = loaded.crl
            # as of its own beginning: whether it has expired since is a finding of its own
            certificate = x509.load_der_x509_certificate(issuer)
            verify_crl(crl, certificate, at=crl.last_update_utc, name=where, der=loaded.der)
        except (VerificationFailed, ValueError) as error:
            return CrlHealth(present=True, problem=str(error))
        view = view_crl(crl, loaded.der)
        expired = view.next_update is not None and view.next_update <= self.clock.now()
        served = self._served(self.backend.crl_url(authority), certificate, where, expired=expired)
        return CrlHealth(
            present=True,
            number=view.number,
            this_update=view.this_update,
            next_update=view.next_update,
            entries=view.entries,
            **served,
        )

    def _served(self, url: str | None, issuer: x509.Certificate, where: str, *, expired: bool) -> dict[str, Any]:
        """What a relying party gets at the distribution point: a current CRL of this CA, or why it gets none."""
        if url is None or not self.probe:
            return {}
        aside = self.connect_to
        rules = [ConnectRule(None, None, aside.host, aside.port)] if aside else []
        (probed,) = probe([Point(url, where, issuer)], self.clock, rules=rules, timeout=_PROBE_TIMEOUT_S)
        if probed.answers:
            return {"url": url, "served_number": probed.number}
        if expired and probed.findings[0].code == "cdp.invalid":
            return {"url": url}  # what is served cannot be better than what is there
        return {"url": url, "serving_problem": probed.findings[0].message}

    def _try(self, what: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except (BackendError, GuardRefused) as error:
            self._unread[what] = error.message
            if not isinstance(error, (AccessDenied, GuardRefused)):
                self._failed.add(what)
            return None
