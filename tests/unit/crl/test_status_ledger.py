"""What is revoked in the ledger and not on the published CRL, and the reverse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.crl.read import file_key, read_pointer
from pkiops.crl.status import Thresholds, judge
from pkiops.crl.status_facts import CrlStatus, LedgerFacts, SerialSample
from pkiops.crl.status_ledger import SAMPLE, compare_with_ledger
from pkiops.crl.status_read import LEDGER_GRACE, StatusReader
from pkiops.errors import AccessDenied, BackendError, InputError
from pkiops.ledger.interface import Entry, EntryState, RevocationRecord
from tests import builders
from tests.seeded import seeded
from tests.unit.crl.world import World

AT = builders.AT
CA = "arn:ca"
NONE = SerialSample(0, ())


def entry(
    serial: int | str | None,
    *,
    revoked: timedelta | None = None,
    reference: str = CA,
    not_after: datetime = AT + timedelta(days=30),
) -> Entry:
    """``revoked``: how long ago."""
    return Entry(
        id=f"e{serial}",
        state=EntryState.ISSUED,
        created_at=AT,
        updated_at=AT,
        environment="test",
        profile="service",
        authority_reference=reference,
        not_after=not_after,
        serial=f"{serial:x}" if isinstance(serial, int) else serial,
        revocation=None if revoked is None else RevocationRecord(reason="superseded", at=AT - revoked, requester="x"),
    )


def compare(listed: set[int], *entries: Entry) -> LedgerFacts:
    return compare_with_ledger({CA: listed}, entries, at=AT, grace=LEDGER_GRACE)[CA]


LONG, SHORT = timedelta(hours=1, seconds=1), timedelta(hours=1)


def test_what_agrees_is_no_difference() -> None:
    found = compare({1, 2}, entry(1, revoked=LONG), entry(2, revoked=SHORT), entry(3))
    assert found == LedgerFacts(unlisted=NONE, unrecorded=NONE, unknown=NONE)


def test_a_revocation_that_did_not_arrive() -> None:
    found = compare(set(), entry(0xAB, revoked=LONG), entry(2, revoked=SHORT))
    assert found.unlisted == SerialSample(1, ("ab",))


def test_an_expired_certificate_leaves_the_crl() -> None:
    assert compare(set(), entry(1, revoked=LONG, not_after=AT)).unlisted == NONE
    assert compare(set(), entry(1, revoked=LONG, not_after=AT + timedelta(seconds=1))).unlisted.count == 1


def test_a_revocation_that_the_ledger_does_not_know() -> None:
    found = compare({1, 0xFF}, entry(1))
    assert found.unrecorded == SerialSample(1, ("1",))
    assert found.unknown == SerialSample(1, ("ff",))


@pytest.mark.parametrize("other", [entry(1, reference="arn:another", revoked=LONG), entry(None), entry("no number")])
def test_what_is_of_another_ca_or_has_no_serial_says_nothing(other: Entry) -> None:
    found = compare({1}, other)
    assert (found.unlisted, found.unrecorded, found.unknown) == (NONE, NONE, SerialSample(1, ("1",)))


def test_however_many_there_are_the_first_are_named() -> None:
    found = compare(set(range(10_000, 20_000)), *(entry(one, revoked=LONG) for one in range(5_000)))
    assert found.unlisted == SerialSample(5_000, tuple(f"{one:x}" for one in range(SAMPLE)))
    assert found.unknown == SerialSample(10_000, tuple(f"{one:x}" for one in range(10_000, 10_000 + SAMPLE)))


@seeded(100)
@given(
    st.sets(st.integers(1, 30)),
    st.dictionaries(st.integers(1, 30), st.sampled_from([None, SHORT, LONG])),
)
def test_every_serial_is_counted_where_it_belongs(listed: set[int], ledger: dict[int, timedelta | None]) -> None:
    found = compare(set(listed), *(entry(serial, revoked=ago) for serial, ago in ledger.items()))
    assert found.unlisted.count == len({one for one, ago in ledger.items() if ago == LONG} - listed)
    assert found.unrecorded.count == len({one for one, ago in ledger.items() if ago is None} & listed)
    assert found.unknown.count == len(listed - set(ledger))


def status(world: World, entries: Iterable[Entry] | Exception | None, *, no_entries: str | None = None) -> CrlStatus:
    def read() -> Iterator[Entry]:
        if isinstance(entries, Exception):
            raise entries
        yield from entries or ()

    reader = StatusReader(
        world.environment,
        world.store,
        lambda: world.backend,
        world.clock.now,
        entries=None if entries is None else read,
        no_entries=no_entries,
    )
    return judge(reader.read(), world.clock.now(), Thresholds())


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.backend.write("clients", 1, revoked={7: None, 8: None, 9: None})
    world.publish()
    return world


def clients(world: World) -> str:
    return next(one.observed.reference for one in world.known() if one.label == "clients")


def test_findings(world: World) -> None:
    mine = clients(world)
    found = status(
        world,
        [entry(7, reference=mine), entry(8, reference=mine, revoked=LONG), entry(5, reference=mine, revoked=LONG)],
    )
    assert [(one.code, one.severity.word, one.authority) for one in found.findings] == [
        ("crl.revoked-not-listed", "critical", "clients-g1"),
        ("crl.listed-not-recorded", "warning", "clients-g1"),
        ("crl.listed-unknown", "info", "clients-g1"),
    ]
    assert "lacks 1 certificate (5) that" in found.findings[0].message
    assert [one.state for one in found.authorities] == ["ok", "critical"]


@pytest.mark.parametrize(
    "error",
    [AccessDenied("dynamodb:Query is not allowed"), BackendError("no answer"), InputError("not a database")],
)
def test_a_ledger_that_cannot_be_read_is_a_skipped_check(world: World, error: Exception) -> None:
    found = status(world, error)
    assert found.findings == ()
    assert [(one.check, one.reason) for one in found.skipped] == [("ledger", str(error))]
    assert all(one.facts.ledger is None for one in found.authorities)


def test_no_ledger(world: World) -> None:
    assert status(world, None).skipped == ()
    assert [one.reason for one in status(world, None, no_entries="none here").skipped] == ["none here"]


def test_what_does_not_verify_is_compared_with_nothing(world: World) -> None:
    pointer = read_pointer(world.store, "test")
    assert pointer is not None
    mine = clients(world)
    world.store.put(file_key("test", pointer.manifest_sha256, "clients-g1.crl"), b"damaged")
    found = status(world, [entry(1, reference=mine, revoked=LONG)])
    assert [one.code for one in found.findings] == ["crl.set-damaged"]
