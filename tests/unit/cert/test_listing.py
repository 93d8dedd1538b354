"""Entries are found by what is known of them, through the query that reads the least, a page at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.cert.entry_report import entry_json, entry_text, whole_entry_json
from pkiops.cert.listing import ListedState, Page, Search, find_entries, find_one
from pkiops.clock import ManualClock, SeededRandomness
from pkiops.errors import InputError
from pkiops.ledger.interface import Entry, EntryState, LedgerIntent, Rejection, RevocationRecord
from pkiops.ledger.sqlite import SqliteLedger
from pkiops.x509.san import parse_san
from tests import builders

AT = builders.AT
ISSUER = builders.root_ca()


def intent(number: int, **changes: object) -> LedgerIntent:
    made = LedgerIntent(
        request_key=f"{number:064x}",
        environment="test",
        authority="clients",
        generation=1,
        authority_reference="arn:ca",
        profile="service",
        policy_sha256="b" * 64,
        requester="arn:aws:sts::111122223333:assumed-role/issuer/ci",
        csr_sha256="c" * 64,
        spki_sha256="d" * 64,
        subject=(("common_name", f"n{number}.example.com"),),
        sans=(parse_san(f"dns:n{number}.example.com"), parse_san("uri:spiffe://x/all")),
        usages=("clientAuth",),
        template="arn:template",
        not_before=AT,
        not_after=AT + timedelta(days=30 + number),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class World:
    """Ten issued certificates, one of another CA and profile, a request that waits, one refused."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(AT)
        self.ledger = SqliteLedger(folder / "a.db", self.clock, SeededRandomness(1))
        self.issued = [self.issue(intent(number)) for number in range(10)]
        self.machine = self.issue(intent(10, authority="machines", profile="device", requester="arn:other"))
        self.waiting, _ = self.ledger.begin(intent(11), 1)
        self.refused = self.ledger.record_rejection(
            Rejection(
                state=EntryState.REFUSED,
                environment="test",
                profile="service",
                code="policy.denied",
                message="no",
                sans=(parse_san("dns:evil.example.org"),),
                findings=({"code": "policy.san-dns-not-allowed", "value": "dns:evil.example.org"},),
            )
        )
        revoked = self.issued[3]
        record = RevocationRecord(reason="superseded", at=AT, requester="arn:revoker")
        self.ledger.record_revoked("test", "arn:ca", str(revoked.serial), record)

    def issue(self, wanted: LedgerIntent) -> Entry:
        entry, _ = self.ledger.begin(wanted, 1)
        self.clock.advance(timedelta(seconds=1))
        leaf = builders.end_entity(ISSUER, f"n{wanted.request_key[-2:]}").certificate
        chain = tuple(one.public_bytes(Encoding.DER) for one in (leaf, ISSUER.certificate))
        return self.ledger.record_issued(entry.id, chain)

    def find(self, limit: int = 100, after: str | None = None, most: int = 1000, **search: object) -> Page:
        wanted = Search(**search)  # type: ignore[arg-type]
        return find_entries(self.ledger, "test", wanted, limit=limit, after=after, most=most)

    def ids(self, **search: object) -> list[str]:
        return [one.id for one in self.find(**search).entries]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("listing"))


def test_without_a_filter_everything_is_listed_by_creation(world: World) -> None:
    page = world.find()
    assert (len(page.entries), page.next, page.looked_at) == (13, None, 13)
    assert [one.created_at for one in page.entries] == sorted(one.created_at for one in page.entries)


def test_each_filter(world: World) -> None:
    third = world.issued[3]
    assert world.ids(name="n3.example.com") == [third.id]
    assert world.ids(name="dns:N3.example.COM") == [third.id]
    assert world.ids(name="uri:n3.example.com") == []
    assert world.ids(name="spiffe://x/all") == [one.id for one in (*world.issued, world.machine, world.waiting)]
    assert world.ids(serial=str(third.serial)) == [third.id]
    assert world.ids(serial=f"0x{str(third.serial).upper()}") == [third.id]
    assert world.ids(authority="machines") == [world.machine.id]
    assert world.ids(profile="device") == [world.machine.id]
    assert world.ids(requester="arn:other") == [world.machine.id]
    assert len(world.ids(requester="role/issuer")) == 11
    assert world.ids(state=ListedState.OPEN) == world.ids(state=ListedState.PENDING) == [world.waiting.id]
    assert world.ids(state=ListedState.REFUSED) == [world.refused.id]
    assert world.ids(state=ListedState.REVOKED) == [third.id]
    assert world.ids(state=ListedState.UNKNOWN) == []
    assert len(world.ids(state=ListedState.ISSUED)) == 11


def test_what_expires_comes_by_expiry(world: World) -> None:
    window = (AT + timedelta(days=31), AT + timedelta(days=34))
    assert world.ids(expiring=window) == [one.id for one in world.issued[1:4]]
    assert world.ids(expiring=window, state=ListedState.REVOKED) == [world.issued[3].id]
    assert world.ids(expiring=window, name="n2.example.com") == [world.issued[2].id]
    assert world.ids(expiring=window, name="n7.example.com") == []


def test_filters_come_together(world: World) -> None:
    assert world.ids(authority="clients", requester="arn:other") == []
    assert world.ids(authority="clients", state=ListedState.REVOKED) == [world.issued[3].id]
    assert world.ids(name="spiffe://x/all", authority="machines") == [world.machine.id]


SEARCHES: list[dict[str, object]] = [
    {},
    {"authority": "clients"},
    {"name": "spiffe://x/all"},
    {"profile": "service", "state": ListedState.ISSUED},
    {"expiring": (AT, AT + timedelta(days=100))},
]


@pytest.mark.parametrize("search", SEARCHES, ids=str)
@pytest.mark.parametrize(("limit", "most"), [(1, 1000), (3, 1000), (100, 4)])
def test_pages_follow_each_other_without_gap_or_repeat(
    world: World, search: dict[str, object], limit: int, most: int
) -> None:
    whole, found = world.ids(**search), []
    after: str | None = None
    for _ in range(30):
        page = world.find(limit, after, most, **search)
        assert len(page.entries) <= limit
        assert page.looked_at <= most
        found += [one.id for one in page.entries]
        after = page.next
        if after is None:
            break
    assert found == whole


def test_a_page_goes_on_after_an_entry_only(world: World) -> None:
    for wrong in ("none", world.waiting.id[:10]):
        with pytest.raises(InputError, match="to go on after"):
            world.find(after=wrong)
    with pytest.raises(InputError):
        world.find(serial="no serial")


def test_one_is_found_by_serial_or_entry(world: World) -> None:
    first = world.issued[0]
    assert find_one(world.ledger, "test", first.id) == (first,)
    assert find_one(world.ledger, "test", str(first.serial)) == (first,)
    for wrong in ("none", "abc123", "\x1b[31m"):
        with pytest.raises(InputError) as caught:
            find_one(world.ledger, "test", wrong)
        assert "\x1b" not in caught.value.message
    with pytest.raises(InputError):
        find_one(world.ledger, "other", first.id)


def test_an_entry_reads_as_data_and_as_text(world: World) -> None:
    entry = find_one(world.ledger, "test", world.issued[3].id)[0]
    told = entry_json(entry)
    assert (told["state"], told["serial"], told["revocation_reason"]) == ("issued", entry.serial, "superseded")
    assert told["renew_after"] == AT + timedelta(days=22)
    whole = whole_entry_json(entry)
    assert whole["certificates"][0].startswith("-----BEGIN CERTIFICATE-----")
    assert (len(whole["certificates"]), whole["revoked_by"]) == (2, "arn:revoker")
    text = entry_text(entry)
    assert "common_name=n3.example.com" in text
    assert "BEGIN" not in text
    assert "policy.san-dns-not-allowed" in entry_text(world.refused)
    assert entry_json(world.waiting)["renew_after"] is None
