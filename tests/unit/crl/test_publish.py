"""Publishing a set: complete or not at all, never back, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import AuthorityStatus
from pkiops.crl.read import pointer_key, read_current, read_pointer, read_records
from pkiops.errors import AlreadyExists, GuardRefused, InProgress, NotFound, PkiopsError, VerificationFailed
from pkiops.stores.interface import ALWAYS, Condition, Store, StoredObject
from tests import builders
from tests.unit.crl.world import CrlAuthorities, World


class WatchedStore:
    """A store that calls ``before`` and ``after`` around every call, with its number and its name."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.before: Callable[[int, str, str], None] = lambda number, call, key: None
        self.after: Callable[[int, str, str], None] = lambda number, call, key: None

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        number = self._enter("get", key)
        found = self.inner.get(key, max_bytes=max_bytes)
        self.after(number, "get", key)
        return found

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        number = self._enter("put", key)
        version = self.inner.put(key, data, condition=condition, content_type=content_type, cache_control=cache_control)
        self.after(number, "put", key)
        return version

    def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        return self.inner.list_keys(prefix, after=after, limit=limit)

    def describe(self) -> str:
        return self.inner.describe()

    def _enter(self, call: str, key: str) -> int:
        self.calls.append(f"{call} {key}")
        self.before(len(self.calls), call, key)
        return len(self.calls)


class Killed(BaseException):
    """Stands for kill -9."""


def numbers(world: World) -> dict[str, int] | None:
    """What a relying party reads, every check of reading passed."""
    found = read_current(world.store, "test", world.known(), at=world.clock.now())
    return None if found is None else {name: one.record.number for name, one in found.crls.items()}


def test_a_set_is_published_with_all_its_files(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.backend.write("clients", 7, revoked={5: x509.ReasonFlags.key_compromise})
    outcome = world.publish()

    assert outcome.moved
    assert [(one.record.name, one.change) for one in outcome.records] == [("root-g1", "new"), ("clients-g1", "new")]
    folder = f"test/crl/{outcome.manifest_sha256}/"
    names = [key.removeprefix(folder) for key in world.store.list_keys(folder)]
    assert names == [
        "clients-g1.crl",
        "clients-g1.crl.pem",
        "crl.pem",
        "manifest.json",
        "root-g1.crl",
        "root-g1.crl.pem",
    ]
    manifest = world.store.get(folder + "manifest.json", max_bytes=100_000)
    pem = world.store.get(folder + "crl.pem", max_bytes=100_000)
    assert manifest is not None
    assert pem is not None
    assert hashlib.sha256(manifest.data).hexdigest() == outcome.manifest_sha256
    described = json.loads(manifest.data)["crls"][1]
    assert (described["number"], described["entries"], described["der"]) == (7, 1, "clients-g1.crl")
    assert pem.data.count(b"-----BEGIN X509 CRL-----") == 2
    assert numbers(world) == {"root-g1": 1, "clients-g1": 7}


def test_content_types_and_cache_headers(tmp_path: Path) -> None:
    seen: dict[str, tuple[str, str | None]] = {}

    class Recording(WatchedStore):
        def put(
            self,
            key: str,
            data: bytes,
            *,
            condition: Condition = ALWAYS,
            content_type: str = "application/octet-stream",
            cache_control: str | None = None,
        ) -> str:
            seen[key.rpartition("/")[2]] = (content_type, cache_control)
            return self.inner.put(key, data, condition=condition)

    world = World(tmp_path)
    world.publish(store=Recording(world.store))
    for_ever = "public, max-age=31536000, immutable"
    assert seen["root-g1.crl"] == ("application/pkix-crl", for_ever)
    assert seen["crl.pem"] == ("application/x-pem-file", for_ever)
    assert seen["manifest.json"] == ("application/json", for_ever)
    assert seen["current.json"] == ("application/json", "no-cache")


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = world.publish()
    watched = WatchedStore(world.store)
    world.later(hours=1)
    again = world.publish(store=watched)
    assert not again.moved
    assert again.repaired == 0
    assert again.manifest_sha256 == first.manifest_sha256
    assert {one.change for one in again.records} == {"unchanged"}
    assert not [call for call in watched.calls if call.startswith("put")]


def test_a_newer_crl_moves_the_set_and_the_old_folder_stays(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = world.publish()
    world.backend.write("clients", 2)
    second = world.publish()
    assert second.moved
    assert second.previous_sha256 == first.manifest_sha256
    assert [one.change for one in second.records] == ["unchanged", "updated"]
    assert numbers(world) == {"root-g1": 1, "clients-g1": 2}
    assert len(world.store.list_keys(f"test/crl/{first.manifest_sha256}/")) == 6


def test_numbers_are_compared_as_integers(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.backend.write("clients", 1_795_570_887_000)
    world.publish()
    world.backend.write("clients", 10_000_000_000_000)
    assert world.publish().moved
    world.backend.write("clients", 9_999_999_999_999)
    with pytest.raises(VerificationFailed, match="lower than the published 10000000000000") as caught:
        world.publish()
    assert caught.value.code == "crl.number-went-back"
    assert numbers(world) == {"root-g1": 1, "clients-g1": 10_000_000_000_000}


def test_one_number_for_two_crls_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    world.backend.write("clients", 1, revoked={9: None})
    with pytest.raises(VerificationFailed) as caught:
        world.publish()
    assert caught.value.code == "crl.number-reused"


def test_a_missing_crl_stops_the_whole_set_and_is_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.backend.crls["clients"] = None
    with pytest.raises(VerificationFailed, match="test/ca/clients-g1") as caught:
        world.publish()
    assert caught.value.exit_code == 8
    assert "first certificate" in str(caught.value.hint)
    assert world.store.list_keys("") == ()


def unusable(world: World) -> dict[str, tuple[bytes, str]]:
    clients, root = world.backend.cas["clients"], world.backend.cas["root"]
    at = world.clock.now()

    def der(crl: x509.CertificateRevocationList) -> bytes:
        return crl.public_bytes(Encoding.DER)

    partitioned = builders.Extra(
        x509.IssuingDistributionPoint(
            [x509.UniformResourceIdentifier("http://a.example/1.crl")], None, False, False, None, False, False
        ),
        critical=True,
    )
    pem = builders.crl(clients, at=at).public_bytes(Encoding.PEM)
    return {
        "expired": (der(builders.crl(clients, at=at, next_update=at - timedelta(seconds=1))), "crl.expired"),
        "about to expire": (
            der(builders.crl(clients, at=at, next_update=at + timedelta(minutes=59))),
            "crl.expires-soon",
        ),
        "from the future": (
            der(builders.crl(clients, at=at, this_update=at + timedelta(hours=1))),
            "crl.not-yet-valid",
        ),
        "of another CA": (der(builders.crl(root, at=at)), "crl.issuer"),
        "forged": (der(builders.crl(clients, at=at, signer=builders.key())), "crl.signature"),
        "without a number": (der(builders.crl(clients, at=at, number=None)), "crl.incomplete"),
        "without a key id": (
            der(builders.crl(clients, at=at, without=[x509.AuthorityKeyIdentifier])),
            "crl.incomplete",
        ),
        "partitioned": (der(builders.crl(clients, at=at, extra=[partitioned])), "crl.partitioned"),
        "a delta": (
            der(builders.crl(clients, at=at, extra=[builders.Extra(x509.DeltaCRLIndicator(1), critical=True)])),
            "crl.delta",
        ),
        "two in one file": (pem + pem, "crl.several"),
        "nothing": (b"", "crl.not-pem"),
        "cut off": (der(builders.crl(clients, at=at))[:-3], "crl.truncated"),
        "garbage": (b"\x30\x03\x02\x01\x01", "crl.malformed"),
        "a certificate": (clients.certificate.public_bytes(Encoding.PEM), "crl.certificate-inside"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "expired",
        "about to expire",
        "from the future",
        "of another CA",
        "forged",
        "without a number",
        "without a key id",
        "partitioned",
        "a delta",
        "two in one file",
        "nothing",
        "cut off",
        "garbage",
        "a certificate",
    ],
)
def test_a_crl_that_must_not_be_handed_out_stops_the_whole_set(tmp_path: Path, case: str) -> None:
    world = World(tmp_path)
    world.publish()
    before = world.store.list_keys("")
    world.backend.crls["clients"], code = unusable(world)[case]
    with pytest.raises(VerificationFailed, match="clients-g1") as caught:
        world.publish()
    assert (caught.value.code, caught.value.exit_code) == (code, 8)
    assert world.store.list_keys("") == before
    assert numbers(world) == {"root-g1": 1, "clients-g1": 1}


def test_a_disabled_ca_still_counts_and_others_are_named_with_their_reason(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.backend.status["clients"] = AuthorityStatus.DISABLED
    assert len(world.publish().records) == 2
    fresh = World(tmp_path / "fresh")
    fresh.backend.status["clients"] = AuthorityStatus.PENDING_CERTIFICATE
    outcome = fresh.publish()
    assert [one.record.name for one in outcome.records] == ["root-g1"]
    assert [one.reason for one in outcome.skipped] == ["has no certificate (PENDING_CERTIFICATE)"]


def test_an_environment_without_a_ca_is_said_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.backend.status = dict.fromkeys(world.backend.status, AuthorityStatus.DELETED)
    with pytest.raises(NotFound) as caught:
        world.publish()
    assert "pkiops ca plan" in str(caught.value.hint)  # apply may have to wait for a decision


def test_a_crl_leaves_the_set_only_with_consent(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    world.backend.status["clients"] = AuthorityStatus.DELETED
    with pytest.raises(GuardRefused, match="test/ca/clients-g1"):
        world.publish()
    assert numbers(world) == {"root-g1": 1}
    assert world.publish(allow_removal=True).moved
    pointer = read_pointer(world.store, "test")
    assert pointer is not None
    assert [record.name for record in read_records(world.store, "test", pointer.manifest_sha256)] == ["root-g1"]


def test_the_crl_of_an_expired_ca_leaves_the_set_by_itself(tmp_path: Path) -> None:
    # else nothing could be published from the day a CA expires until its last CRL has run out
    world = World(tmp_path)
    world.publish()
    world.backend.status["clients"] = AuthorityStatus.EXPIRED
    assert [one.record.name for one in world.publish().records] == ["root-g1"]


def test_a_damaged_folder_is_put_right(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = world.publish()
    folder = f"test/crl/{first.manifest_sha256}/"
    world.store.put(folder + "root-g1.crl", b"x" * 100_000)
    world.store.put(folder + "clients-g1.crl", b"damaged")
    with pytest.raises(VerificationFailed):
        numbers(world)
    again = world.publish()
    assert not again.moved
    assert again.repaired == 2
    assert numbers(world) == {"root-g1": 1, "clients-g1": 1}


def test_killed_between_any_two_store_calls_a_complete_set_is_visible_and_a_re_run_finishes(tmp_path: Path) -> None:
    rehearsal = World(tmp_path / "rehearsal")
    rehearsal.publish()
    rehearsal.backend.write("clients", 2)
    watched = WatchedStore(rehearsal.store)
    rehearsal.publish(store=watched)
    calls = len(watched.calls)
    assert calls > 12

    for moment in ("before", "after"):
        for victim in range(1, calls + 1):
            world = World(tmp_path / f"{moment}-{victim}")
            world.publish()
            world.backend.write("clients", 2)
            store = WatchedStore(world.store)

            def kill(number: int, call: str, key: str, victim: int = victim) -> None:
                if number == victim:
                    raise Killed

            setattr(store, moment, kill)
            with pytest.raises(Killed):
                world.publish(store=store)
            assert numbers(world) in ({"root-g1": 1, "clients-g1": 1}, {"root-g1": 1, "clients-g1": 2})
            world.publish()
            assert numbers(world) == {"root-g1": 1, "clients-g1": 2}
            assert not world.publish().moved


def test_the_loser_of_a_race_looks_again_and_a_stale_one_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    stale = CrlAuthorities(world.environment, world.clock)
    stale.cas = world.backend.cas
    stale.write("root", 1)
    stale.crls["root"] = world.backend.crls["root"]
    stale.write("clients", 2)
    world.backend.write("clients", 3)
    store = WatchedStore(world.store)

    def somebody_is_faster(number: int, call: str, key: str) -> None:
        if call == "put" and key == pointer_key("test"):
            store.before = lambda number, call, key: None
            world.publish()

    store.before = somebody_is_faster
    with pytest.raises(VerificationFailed) as caught:
        world.publish(store=store, backend=stale)
    assert caught.value.code == "crl.number-went-back"
    assert numbers(world) == {"root-g1": 1, "clients-g1": 3}


def test_the_loser_of_a_race_for_the_same_set_has_nothing_left_to_do(tmp_path: Path) -> None:
    world = World(tmp_path)
    store = WatchedStore(world.store)

    def somebody_is_faster(number: int, call: str, key: str) -> None:
        if call == "put" and key == pointer_key("test"):
            store.before = lambda number, call, key: None
            world.publish()

    store.before = somebody_is_faster
    outcome = world.publish(store=store)
    assert not outcome.moved
    assert numbers(world) == {"root-g1": 1, "clients-g1": 1}


def test_losing_for_ever_ends(tmp_path: Path) -> None:
    world = World(tmp_path)
    store = WatchedStore(world.store)

    def always_lost(number: int, call: str, key: str) -> None:
        if call == "put" and key == pointer_key("test"):
            raise AlreadyExists("lost")

    store.before = always_lost
    with pytest.raises(InProgress):
        world.publish(store=store)


def test_many_publishers_and_readers_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    known = world.known()
    newest = 6
    publishers = []
    for number in range(2, newest + 1):
        backend = CrlAuthorities(world.environment, world.clock)
        backend.cas = world.backend.cas
        backend.crls["root"] = world.backend.crls["root"]
        backend.write("clients", number)
        publishers.append(backend)
    failures: list[str] = []
    seen: list[list[int]] = [[], []]
    done = threading.Event()

    def publish(backend: CrlAuthorities) -> None:
        try:
            world.publish(backend=backend)
        except VerificationFailed as error:
            if error.code != "crl.number-went-back":
                failures.append(error.message)

    def read(into: list[int]) -> None:
        while not done.is_set():
            try:
                found = read_current(world.store, "test", known, at=world.clock.now())
            except PkiopsError as error:
                failures.append(error.message)
                return
            assert found is not None
            into.append(found.crls["clients-g1"].record.number)

    readers = [threading.Thread(target=read, args=(into,)) for into in seen]
    writers = [threading.Thread(target=publish, args=(backend,)) for backend in publishers]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join(timeout=60)
    done.set()
    for thread in readers:
        thread.join(timeout=60)
    assert failures == []
    assert all(into == sorted(into) for into in seen), "a reader saw the set go back"
    assert numbers(world) == {"root-g1": 1, "clients-g1": newest}
