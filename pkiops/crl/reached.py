"""Which hosts of distribution points have ever answered: one small object in the trust bucket, and the guard that asks for it before a CA issues.

What this module decides: a host counts once a current CRL of one of our CAs was fetched there as a relying party would. Not each URL: the service
writes the first CRL of a CA with the first certificate that points to it, so that nothing could ever be the first; DNS, CDN and the bucket's policy
are the same for all CAs behind a host. The publisher writes the record (its keys, ``ENV/crl/*``), an issuer reads it in one GET, on a runner that
remembers nothing. Without a record the guard asks the host itself, once. Whoever may write the bucket can say that a host answered: this keeps from
mistakes, not from attackers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pkiops.backends.interface import ObservedAuthority
from pkiops.clock import Clock
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.connect import ConnectRule, stand_in
from pkiops.crl.manifest import parse_json
from pkiops.crl.reach import ProbedPoint, distribution_points, probe
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, AlreadyExists, GuardRefused, NotFound, VerificationFailed
from pkiops.stores.interface import IF_ABSENT, Condition, Store

MAX_BYTES = 65_536
_FORMAT = "1.0"
_TURNS = 5
# how long a run takes a host that did not answer for one that does not: each row of a bulk run would wait for it else
_REFUSED_S = 60.0


@dataclass(frozen=True, slots=True)
class Reached:
    """When a host first answered (as it was written, RFC 3339), and where."""

    at: str
    url: str


def reached_key(environment: str) -> str:
    """Where the record is in the trust bucket."""
    return f"{environment}/crl/reached.json"


def read_reached(store: Store, environment: str) -> Mapping[str, Reached]:
    """The hosts that have answered; empty where nobody wrote a record.

    Raises:
        VerificationFailed: what is there is no record of this environment.
        BackendError: the store failed.
    """
    return _read(store, environment)[0]


def record_reached(store: Store, environment: str, probed: Iterable[ProbedPoint], at: datetime) -> tuple[str, ...]:
    """Add the hosts that answered to the record, and return those that are new in it; nothing is written where none is.

    Raises:
        VerificationFailed: what is there is no record of this environment.
        BackendError: the store failed, or others write all the time (AlreadyExists).
    """
    answered = {one.point.host: one.point.url for one in probed if one.answers}
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for turn in range(_TURNS):
        known, condition = _read(store, environment)
        new = {host: Reached(moment, url) for host, url in answered.items() if host not in known}
        if not new:
            return ()
        hosts = {host: {"at": one.at, "url": one.url} for host, one in sorted({**known, **new}.items())}
        document = {"format_version": _FORMAT, "environment": environment, "hosts": hosts}
        try:
            store.put(
                reached_key(environment),
                json.dumps(document, indent=2).encode("ascii") + b"\n",
                condition=condition,
                content_type="application/json",
            )
        except AlreadyExists:
            if turn == _TURNS - 1:
                raise
        else:
            return tuple(sorted(new))
    return ()


def asked_in_place(
    probed: Sequence[ProbedPoint], rules: Sequence[ConnectRule]
) -> tuple[tuple[ProbedPoint, ...], tuple[str, ...]]:
    """Those that were asked where their URL leads, and the other hosts that answered: a CDN that DNS does not lead to yet serves nobody. Pure."""
    aside = sorted({one.point.host for one in probed if one.answers and stand_in(rules, one.point.url) is not None})
    return tuple(one for one in probed if one.point.host not in aside), tuple(aside)


def _read(store: Store, environment: str) -> tuple[dict[str, Reached], Condition]:
    found = store.get(reached_key(environment), max_bytes=MAX_BYTES)
    if found is None:
        return {}, IF_ABSENT
    name = f"{found.key} in {store.describe()}"
    document = parse_json(found.data, name)
    hosts = document.get("hosts")
    if (document.get("format_version"), document.get("environment")) != (_FORMAT, environment) or not isinstance(
        hosts, dict
    ):
        raise _no_record(name)
    known = {}
    for host, one in hosts.items():
        if not isinstance(one, dict) or not isinstance(one.get("at"), str) or not isinstance(one.get("url"), str):
            raise _no_record(name)
        known[host] = Reached(one["at"], one["url"])
    return known, Condition(version=found.version)


def _no_record(name: str) -> VerificationFailed:
    return VerificationFailed(
        f"{name} is no record of hosts that answered",
        hint="find out who wrote it; without it, pkiops crl status --probe writes it anew",
        code="crl.reached",
    )


class ReachGuard:
    """Refuses a CA whose distribution point's host has never answered (``publication.crl.require_reachable``). May be used by several threads.

    Args:
        environment: whose CAs issue.
        store: the trust bucket.
        crl_url: the URL that a CA puts into certificates.
        clock: the moment at which CRLs must be current, and the time that is waited.
        rules: where to connect in place of the hosts; asked for only if a host is asked.
    """

    def __init__(
        self,
        environment: Environment,
        store: Store,
        crl_url: Callable[[ObservedAuthority], str | None],
        clock: Clock,
        rules: Callable[[], Sequence[ConnectRule]] = tuple,
    ) -> None:
        self._environment = environment
        self._store = store
        self._crl_url = crl_url
        self._clock = clock
        self._rules = rules
        self._lock = threading.Lock()
        self._answered: set[str] = set()
        self._refused: dict[str, tuple[float, str]] = {}

    def require(self, authority: KnownAuthority) -> None:
        """Let the CA pass, or refuse it.

        Raises:
            GuardRefused: code ``crl.unreachable``.
            VerificationFailed: the record is none.
            BackendError: the trust bucket failed.
        """
        host = self._host(authority.observed)
        if host is None:
            return  # no certificate of it names one
        with self._lock:
            refused = self._refused.get(host)
            if refused is not None and self._clock.monotonic() - refused[0] < _REFUSED_S:
                raise self._refusal(authority, host, refused[1])
            if host in self._answered:
                return
            problem = self._ask(authority, host)
            if problem is None:
                self._answered.add(host)
                return
            self._refused[host] = (self._clock.monotonic(), problem)
        raise self._refusal(authority, host, problem)

    def _host(self, observed: ObservedAuthority) -> str | None:
        url = self._crl_url(observed)
        if url is not None:
            return urlsplit(url).hostname
        return observed.crl.host if observed.crl is not None and observed.crl.named else None

    def _ask(self, authority: KnownAuthority, host: str) -> str | None:
        """Why the host does not count, None if it does: by the record, else by asking the host for the CRL of this CA and of the one above."""
        name = self._environment.environment
        try:
            if host in read_reached(self._store, name):
                return None
            unread = ""
        except (AccessDenied, NotFound) as error:
            unread = f"; the record cannot be read: {error.message}"
        points, _ = distribution_points([authority], self._crl_url, {})
        probed = probe([one for one in points if one.host == host], self._clock, rules=self._rules())
        if any(one.answers for one in probed):
            return None
        return "; ".join(finding.message for one in probed for finding in one.findings[:1]) + unread

    def _refusal(self, authority: KnownAuthority, host: str, problem: str) -> GuardRefused:
        name = self._environment.environment
        return GuardRefused(
            f"{name}/ca/{authority.name} would put http://{host}/ into the certificate for ever, and nobody has ever answered there ({problem})",
            hint=f"serve it (pkiops crl host {name}, docs/guides/crl-host.md), then run pkiops crl status {name} --probe as the publisher, from "
            "where the host can be reached; or take require_reachable out of publication.crl by a reviewed commit",
            code="crl.unreachable",
            details={"host": host, "authority": authority.name},
        )
