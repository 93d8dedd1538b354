"""The numbered history: complete whenever a publisher is killed, in nobody's way, and looked at by ``crl status``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pkiops.crl.history import (
    MAX_ENTRY_BYTES,
    HistoryEntry,
    Previous,
    history_folder,
    history_key,
    later_numbers,
    read_history,
    write_history,
)
from pkiops.crl.manifest import CrlRecord
from pkiops.crl.read import pointer_key, read_crl, read_pointer, read_records
from pkiops.errors import AccessDenied, BackendError, Unreachable, VerificationFailed
from pkiops.stores.interface import ALWAYS, Condition, Store
from tests.unit.crl.test_publish import Killed, WatchedStore
from tests.unit.crl.test_status import Guarded, codes, skipped, status
from tests.unit.crl.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.publish()
    return world


def publish(world: World, *numbers: int) -> None:
    for number in numbers:
        world.backend.write("clients", number)
        world.publish()


def current(world: World, name: str = "clients-g1") -> CrlRecord:
    pointer = read_pointer(world.store, "test")
    assert pointer is not None
    return next(one for one in read_records(world.store, "test", pointer.manifest_sha256) if one.name == name)


def entry_of(world: World, number: int) -> HistoryEntry:
    found = read_history(world.store, "test", current(world), number)
    assert found is not None
    return found


def path_of(world: World, number: int) -> Path:
    return Path(world.store.describe()) / history_key("test", current(world), number)


def test_an_older_crl_is_found_by_its_number(world: World) -> None:
    first = world.backend.crls["clients"]
    publish(world, 2, 30)
    found = entry_of(world, 30)
    assert found.previous is not None
    assert found.previous.number == 2
    oldest = entry_of(world, 1)
    assert oldest.previous is None
    assert read_crl(world.store, "test", oldest.manifest_sha256, oldest.record) == first
    assert later_numbers(world.store, "test", oldest.record, limit=10) == (2, 30)
    assert later_numbers(world.store, "test", oldest.record, limit=1) == (2,)


def test_an_entry_is_written_once_for_each_crl_that_is_new(world: World) -> None:
    world.backend.write("clients", 2)
    watched = WatchedStore(world.store)
    world.publish(store=watched)
    calls = [call for call in watched.calls if "/history/" in call]
    assert calls == [f"put {history_key('test', current(world), 2)}"]
    # before the pointer, and after the folder is complete
    position = watched.calls.index(calls[0])
    assert f"put {pointer_key('test')}" in watched.calls[position:]
    assert not [call for call in watched.calls[position:] if call.startswith("put") and "manifest" in call]
    again = WatchedStore(world.store)
    world.publish(store=again)
    assert not [call for call in again.calls if "/history/" in call]


def test_numbers_are_in_the_order_of_their_keys(world: World) -> None:
    record = current(world)
    numbers = (0, 9, 10, 1_795_570_887_000, 2**64, 2**160)
    keys = [history_key("test", record, number) for number in numbers]
    assert sorted(keys) == keys
    assert len({len(key) for key in keys}) == 1


def test_killed_anywhere_the_published_crl_and_those_before_it_are_in_the_history(tmp_path: Path) -> None:
    rehearsal = World(tmp_path / "rehearsal")
    rehearsal.publish()
    rehearsal.backend.write("clients", 2)
    watched = WatchedStore(rehearsal.store)
    rehearsal.publish(store=watched)
    # reads change nothing: between which of them it is killed is all the same
    writes = [number for number, call in enumerate(watched.calls, 1) if call.startswith("put")]
    assert len(writes) > 4
    for moment in ("before", "after"):
        for victim in writes:
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
            worst = {severity for _, severity, _ in codes(status(world))}
            assert worst <= {"info"}, (moment, victim)
            # somebody else has a newer one meanwhile
            publish(world, 3)
            assert codes(status(world)) in ([], [("crl.number-gap", "info", "clients-g1")]), (moment, victim)
            assert entry_of(world, 3).previous is not None


def test_a_ca_made_anew_has_a_history_of_its_own(tmp_path: Path) -> None:
    first, second = World(tmp_path), World(tmp_path)
    publish(first, 1, 5)
    assert first.backend.cas["clients"].certificate != second.backend.cas["clients"].certificate
    second.publish()
    assert current(second).number == 1
    assert history_folder("test", current(second)) != history_folder("test", replace(current(second), aki="00"))
    assert codes(status(second)) == []


class Refusing(WatchedStore):
    """A store whose history is out of reach for those who write."""

    def __init__(self, inner: Store, error: BackendError) -> None:
        super().__init__(inner)
        self.error = error

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        if "/history/" in key:
            raise self.error
        return super().put(key, data, condition=condition, content_type=content_type, cache_control=cache_control)


def test_without_the_right_to_write_history_crls_are_published_and_it_is_said(world: World) -> None:
    world.backend.write("clients", 2)
    outcome = world.publish(store=Refusing(world.store, AccessDenied("s3:PutObject is not allowed")))
    assert outcome.moved
    assert outcome.unrecorded == ("clients-g1",)
    assert codes(status(world)) == [("crl.not-in-history", "info", "clients-g1")]
    # the next one begins anew, and names one that is not there
    publish(world, 3)
    assert codes(status(world)) == [("crl.history-hole", "warning", "clients-g1")]


def test_a_store_that_does_not_answer_stops_before_the_pointer(world: World) -> None:
    world.backend.write("clients", 2)
    with pytest.raises(Unreachable):
        world.publish(store=Refusing(world.store, Unreachable("no answer")))
    assert current(world).number == 1
    publish(world, 2)
    assert codes(status(world)) == []


GARBAGE = [b"", b"{}", b"\xff", b"[" * 5000, b"x" * (MAX_ENTRY_BYTES + 1), b'{"previous": null}']


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_what_somebody_wrote_there_stops_no_publisher(world: World, data: bytes) -> None:
    world.store.put(history_key("test", current(world), 2), data)
    world.backend.write("clients", 2)
    assert world.publish().moved
    assert codes(status(world)) == [("crl.history-invalid", "warning", "clients-g1")]
    with pytest.raises(VerificationFailed):
        entry_of(world, 2)
    # as a predecessor, and as one that is still to come
    publish(world, 3)
    assert codes(status(world)) == [("crl.history-invalid", "warning", "clients-g1")]
    world.store.put(history_key("test", current(world), 4), data)
    assert codes(status(world)) == [("crl.history-invalid", "warning", "clients-g1")] * 2


def forged(world: World, **changes: object) -> bytes:
    document = json.loads(entry_of(world, 1).encode("test"))
    document["crls"][0] |= {key: value for key, value in changes.items() if key in document["crls"][0]}
    document |= {key: value for key, value in changes.items() if key not in document["crls"][0]}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 9},
        {"authority": "root", "der": "root-g1.crl", "pem": "root-g1.crl.pem"},
        {"aki": "00"},
        {"der": "../../x"},
        {"sha256": "x"},
        {"manifest_sha256": "../x"},
        {"manifest_sha256": None},
        {"previous": 7},
        {"previous": {"number": "1", "sha256": "0" * 64}},
        {"previous": {"number": True, "sha256": "0" * 64}},
        {"previous": {"number": -1, "sha256": "0" * 64}},
        {"previous": {"number": 0, "sha256": "../x"}},
        {"previous": {"number": 0, "sha256": "0" * 64, "more": 1}},
        {"environment": "other"},
        {"crls": []},
        {"surprise": 1},
    ],
)
def test_an_entry_that_pkiops_did_not_write_is_refused(world: World, changes: dict[str, object]) -> None:
    world.store.put(history_key("test", current(world), 1), forged(world, **changes))
    with pytest.raises(VerificationFailed) as caught:
        entry_of(world, 1)
    assert caught.value.code == "crl.history"
    assert codes(status(world)) == [("crl.history-invalid", "warning", "clients-g1")]


def test_another_crl_of_the_same_number(world: World) -> None:
    world.store.put(history_key("test", current(world), 1), forged(world, sha256="0" * 64))
    found = status(world)
    assert codes(found) == [("crl.number-reused", "critical", "clients-g1")]
    assert "0" * 64 in found.findings[0].message


@pytest.mark.parametrize("number", [1, 2])
def test_one_that_is_said_to_have_followed_a_later_one(world: World, number: int) -> None:
    data = forged(world, previous={"number": number, "sha256": "0" * 64})
    world.store.put(history_key("test", current(world), 1), data)
    assert codes(status(world)) == [("crl.history-invalid", "warning", "clients-g1")]


def test_a_pointer_that_was_moved_back(world: World) -> None:
    old = world.store.get(pointer_key("test"), max_bytes=4096)
    assert old is not None
    world.later(minutes=5)
    publish(world, 2, 3)
    world.store.put(pointer_key("test"), old.data)
    assert ("crl.being-published", "info", "clients-g1") in codes(status(world))
    path = path_of(world, 2)
    long_ago = world.clock.now().timestamp() - 10**9
    os.utime(path, (long_ago, long_ago))
    found = status(world)
    assert codes(found)[0] == ("crl.number-went-back", "critical", "clients-g1")
    assert found.authorities[1].state == "critical"
    # what is no entry by its name hides none
    for name in ("0", "0" * 48 + "1x", "x" * 49):
        world.store.put(f"{history_folder('test', current(world))}{name}.json", b"{}")
    assert codes(status(world))[0] == ("crl.number-went-back", "critical", "clients-g1")


@pytest.mark.parametrize(
    ("numbers", "gap"),
    [
        ((2, 3, 4), None),
        ((2, 3, 5), "number 4 of"),
        ((2, 3, 9), "numbers 4 to 8 of"),
        ((1_795_570_887_000, 1_795_580_000_000, 1_795_590_000_000), None),  # AWS Private CA: the time in milliseconds
        ((5,), None),
    ],
)
def test_a_gap_is_one_where_a_ca_counts(world: World, numbers: tuple[int, ...], gap: str | None) -> None:
    publish(world, *numbers)
    found = status(world)
    if gap is None:
        assert codes(found) == []
    else:
        assert codes(found) == [("crl.number-gap", "info", "clients-g1")]
        assert found.findings[0].message.startswith(gap)
        assert found.authorities[1].state == "ok"


def test_a_long_history_is_not_read_whole(world: World) -> None:
    publish(world, 2)
    first = entry_of(world, 1)
    entries = (
        replace(first, record=replace(first.record, number=number), previous=Previous(number - 1, "0" * 64))
        for number in range(1000, 1100)
    )
    write_history(world.store, "test", entries)
    watched = WatchedStore(world.store)
    found = status(world, store=watched)
    assert ("crl.being-published", "info", "clients-g1") in codes(found)
    assert len([call for call in watched.calls if "/history/" in call]) == 4


@pytest.mark.parametrize("allowed", [True, False])
def test_who_may_not_list_looks_back_and_not_ahead(world: World, allowed: bool) -> None:
    publish(world, 2, 3)

    class Unlisted(Guarded):
        def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
            raise AccessDenied("s3:ListBucket is not allowed")

    found = status(world, store=Unlisted(world.store, "nothing" if allowed else "/history/"))
    assert codes(found) == []
    assert skipped(found) == [
        ("later-crls", None),
        *([] if allowed else [("history", "root-g1"), ("history", "clients-g1")]),
    ]
    row = found.authorities[1]
    assert (row.facts.history.numbers if row.facts.history else None) == ((3, 2, 1) if allowed else None)


def test_a_set_that_is_older_than_the_history_is_no_alarm(world: World) -> None:
    path_of(world, 1).unlink()
    assert codes(status(world)) == [("crl.not-in-history", "info", "clients-g1")]
