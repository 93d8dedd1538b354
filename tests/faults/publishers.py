"""Publishers that share one trust bucket and take turns, CAs that write new CRLs meanwhile, and a reader that looks after every step.

The reader is written from the layout of the bucket alone (DESIGN.md section 8), next to pkiops' own: pointer, manifest, files. Folders are said never
to change, so it reads every folder that the pointer ever named: whoever held an older pointer, and however slow, has seen a whole set.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import ObservedAuthority
from pkiops.clock import ManualClock
from pkiops.crl.authorities import KnownAuthority, observe_authorities
from pkiops.crl.publish import PublishOutcome, publish_crls
from pkiops.crl.read import read_current
from pkiops.errors import BackendError, GuardRefused, VerificationFailed
from pkiops.stores.interface import ALWAYS, Condition, StoredObject
from tests import builders
from tests.fakes.authority import FakeAuthorities
from tests.fakes.authority import environment as fake_environment
from tests.fakes.store import MemoryStore
from tests.faults.turns import Killed, Turn

ENV = fake_environment()
POINTER = f"{ENV.environment}/crl/current.json"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sight:
    """What a publisher sees of the CAs: so many CRLs behind (by label), and without the CAs of ``blind``, as one with an old list."""

    behind: tuple[tuple[str, int], ...] = ()
    blind: frozenset[str] = frozenset()

    @property
    def stale(self) -> bool:
        return bool(self.behind or self.blind)


CLEAR = Sight()


class Hierarchy:
    """The CAs, and how many CRLs each has written: ``written[label]`` is the number of its newest."""

    def __init__(self) -> None:
        self.clock = ManualClock(builders.AT)
        self.fake = _FAKE
        self.written = dict.fromkeys(self.fake.cas, 2)

    def write(self, label: str) -> None:
        """The CA writes its next CRL."""
        self.written[label] += 1


_FAKE = FakeAuthorities(ENV, ManualClock(builders.AT))


@cache
def crl_of(label: str, number: int) -> bytes:
    """The CRL of a CA with this number, DER; the higher, the more is revoked."""
    revoked = dict.fromkeys(range(1, number))
    return builders.crl(_FAKE.cas[label], number=number, revoked=revoked).public_bytes(Encoding.DER)


@cache
def known() -> tuple[KnownAuthority, ...]:
    """The CAs as a relying party knows them."""
    return observe_authorities(ENV, _FAKE, builders.AT).known


class _Backend(FakeAuthorities):
    """The CAs as one publisher sees them, one call a turn."""

    def __init__(self, hierarchy: Hierarchy, turn: Turn, sight: Sight) -> None:
        vars(self).update(vars(hierarchy.fake))
        self._hierarchy, self._turn, self._sight = hierarchy, turn, sight

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        return self._turn.call(self._listed)

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        label = self._label(authority.reference)
        behind = dict(self._sight.behind).get(label, 0)
        return self._turn.call(lambda: crl_of(label, max(1, self._hierarchy.written[label] - behind)))

    def _listed(self) -> tuple[ObservedAuthority, ...]:
        return tuple(self._observed(label, tagged=True) for label in self.cas if label not in self._sight.blind)


class _Bucket:
    """The bucket as one publisher sees it, one call a turn."""

    def __init__(self, inner: MemoryStore, turn: Turn) -> None:
        self._inner, self._turn = inner, turn

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        return self._turn.call(lambda: self._inner.get(key, max_bytes=max_bytes))

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        headers: dict[str, Any] = {"content_type": content_type, "cache_control": cache_control}
        return self._turn.call(lambda: self._inner.put(key, data, condition=condition, **headers))

    def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        return self._turn.call(lambda: self._inner.list_keys(prefix, after=after, limit=limit))

    def describe(self) -> str:
        return self._inner.describe()


@dataclass
class Publishers:
    """The bucket, the CAs and the publishers of one run; ``pointed`` are the digests the pointer has named, in turn."""

    sights: Sequence[Sight]
    hierarchy: Hierarchy = field(default_factory=Hierarchy)
    store: MemoryStore = field(default_factory=MemoryStore)
    pointed: list[str] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    _looked_at: int = 0

    def begin(self) -> None:
        """Bring every publisher to its first call."""
        self.turns = [self._turn(sight) for sight in self.sights]
        for turn in self.turns:
            turn.begin()

    def publish(self, sight: Sight = CLEAR) -> PublishOutcome:
        """Publish undisturbed."""
        turn = self._turn(sight)
        turn.begin()
        turn.finish()
        self.look()
        if turn.error is not None:
            raise turn.error
        assert isinstance(turn.result, PublishOutcome)
        return turn.result

    def look(self) -> None:
        """Every reader, at this moment, sees whole sets; and no number has gone back."""
        data = self.store.objects.get(POINTER)
        if data is None or self.store.writes == self._looked_at:
            return
        self._looked_at = self.store.writes
        digest = json.loads(data)["manifest_sha256"]
        if not self.pointed or self.pointed[-1] != digest:
            self.pointed.append(digest)
            found = read_current(self.store, ENV.environment, known(), at=builders.AT)
            assert found is not None
            numbers = {name: one.record.number for name, one in found.crls.items()}
            assert numbers == numbers_in(self.store.objects, digest)
        history = [numbers_in(self.store.objects, one) for one in self.pointed]
        for before, after in itertools.pairwise(history):
            assert before.keys() <= after.keys(), (before, after)
            assert all(after[name] >= number for name, number in before.items()), (before, after)

    def numbers(self) -> dict[str, int]:
        """What the pointer leads to now."""
        return numbers_in(self.store.objects, self.pointed[-1])

    def assert_ended_well(self, *, struck: Sequence[Turn] = ()) -> None:
        """Who saw all ended well, unless struck; who is stale was refused, or had nothing to say against what is published."""
        for turn, sight in zip(self.turns, self.sights, strict=True):
            error = turn.error
            if turn in struck and isinstance(error, (Killed, BackendError)):
                continue
            if sight.stale and isinstance(error, (VerificationFailed, GuardRefused)):
                assert error.code in {"crl.number-went-back", "crl.removal"}
                continue
            if error is not None:
                raise error

    def assert_newest_after_another_run(self) -> None:
        """One more publisher brings the newest, and the one after it finds nothing to do."""
        self.publish()
        assert self.numbers() == {f"{label}-g1": number for label, number in self.hierarchy.written.items()}
        again = self.publish()
        assert (again.moved, again.repaired) == (False, 0)

    def _turn(self, sight: Sight) -> Turn:
        turn: Turn

        def run() -> PublishOutcome:
            backend = _Backend(self.hierarchy, turn, sight)
            return publish_crls(ENV, backend, _Bucket(self.store, turn), self.hierarchy.clock)

        turn = Turn(run)
        return turn


def numbers_in(objects: dict[str, bytes], digest: str, environment: str = ENV.environment) -> dict[str, int]:
    """The CRL numbers by CA of the folder with this digest, every file of which must be there and be what the manifest says."""
    folder = f"{environment}/crl/{digest}"
    manifest = objects[f"{folder}/manifest.json"]
    assert hashlib.sha256(manifest).hexdigest() == digest
    numbers: dict[str, int] = {}
    together = b""
    for one in json.loads(manifest)["crls"]:
        der, pem = objects[f"{folder}/{one['der']}"], objects[f"{folder}/{one['pem']}"]
        assert hashlib.sha256(der).hexdigest() == one["sha256"]
        assert pem == _pem(der)
        assert _number_of(der) == one["number"]
        numbers[f"{one['authority']}-g{one['generation']}"] = one["number"]
        together += pem
    assert objects[f"{folder}/crl.pem"] == together
    return numbers


@cache
def _pem(der: bytes) -> bytes:
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN X509 CRL-----\n{lines}\n-----END X509 CRL-----\n".encode()


@cache
def _number_of(der: bytes) -> int:
    extension = x509.load_der_x509_crl(der).extensions.get_extension_for_class(x509.CRLNumber)
    return int(extension.value.crl_number)
