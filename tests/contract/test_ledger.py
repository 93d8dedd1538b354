"""What every ledger promises, run against each of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.aws import AwsAccess, AwsClients
from pkiops.clock import ManualClock, SeededRandomness, SystemClock, SystemRandomness
from pkiops.errors import AlreadyExists, InternalError
from pkiops.ledger.dynamodb import DynamoDbLedger
from pkiops.ledger.dynamodb_table import DynamoDbTables
from pkiops.ledger.interface import (
    EntryState,
    Ledger,
    LedgerIntent,
    Output,
    Position,
    Rejection,
    RevocationRecord,
    request_key,
)
from pkiops.ledger.sqlite import SqliteLedger
from pkiops.ledger.tables import TableSettings
from pkiops.x509.san import parse_san
from tests import builders
from tests.sandbox_server import ACCOUNT, REGION, running_sandbox

AT = builders.AT
TABLE = "test-ledger"


@contextmanager
def dynamodb_ledger(clock: ManualClock) -> Iterator[Ledger]:
    with running_sandbox() as sandbox:
        clients = clients_at(sandbox.url)
        DynamoDbTables(clients, SystemClock()).ensure_table(TableSettings(name=TABLE, tags={}))
        yield DynamoDbLedger(clients, TABLE, clock, SeededRandomness(1))


def clients_at(url: str) -> AwsClients:
    endpoints = {"dynamodb": url}
    return AwsClients(AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls=endpoints, sandbox=True))


# name -> (folder of this test, clock) -> an empty ledger
LEDGERS: dict[str, Callable[[Path, ManualClock], AbstractContextManager[Ledger]]] = {
    "sqlite": lambda folder, clock: nullcontext(
        SqliteLedger(folder / "ledger" / "test.db", clock, SeededRandomness(1))
    ),
    "dynamodb": lambda _, clock: dynamodb_ledger(clock),
}
ROOT = builders.root_ca()
ISSUER = builders.subordinate_ca(ROOT)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture(params=sorted(LEDGERS))
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    with LEDGERS[request.param](tmp_path, clock) as made:
        yield made


def intent(key: str = "a" * 64, environment: str = "test") -> LedgerIntent:
    return LedgerIntent(
        request_key=key,
        environment=environment,
        authority="clients",
        generation=1,
        authority_reference="arn:ca",
        profile="service",
        policy_sha256="b" * 64,
        requester="arn:me",
        csr_sha256="c" * 64,
        spki_sha256="d" * 64,
        subject=(("organization", "Example Ltd"), ("common_name", 'a "quoted" näme')),
        sans=(parse_san("dns:a.example.com"), parse_san("ip:10.0.0.1")),
        usages=("clientAuth",),
        template="arn:template",
        not_before=AT,
        not_after=AT + timedelta(days=30),
    )


def chain_of(name: str = "a.example.com") -> tuple[bytes, ...]:
    leaf = builders.end_entity(ISSUER, name, sans=(f"dns:{name}",)).certificate
    return tuple(one.public_bytes(Encoding.DER) for one in (leaf, ISSUER.certificate, ROOT.certificate))


def test_the_first_begin_freezes_the_intent(ledger: Ledger, clock: ManualClock) -> None:
    first, created = ledger.begin(intent(), 1)
    clock.advance(timedelta(seconds=5))
    second, created_again = ledger.begin(replace(intent(), not_after=AT + timedelta(days=60)), 1)
    assert (created, created_again) == (True, False)
    assert second == first
    assert first.state is EntryState.PENDING
    assert (first.created_at, first.not_before, first.not_after) == (AT, AT, AT + timedelta(days=30))
    assert (first.subject, first.sans, first.usages) == (intent().subject, intent().sans, ("clientAuth",))
    assert ledger.get(first.id) == first


def test_attempts_are_counted(ledger: Ledger) -> None:
    assert ledger.latest("a" * 64) is None
    for attempt in range(1, 12):
        ledger.begin(intent(), attempt)
    latest = ledger.latest("a" * 64)
    assert latest is not None
    assert latest.attempt == 11


def test_a_reference_stays_and_another_is_a_doubt(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    assert ledger.record_reference(entry.id, "arn:1").certificate_reference == "arn:1"
    assert ledger.record_reference(entry.id, "arn:1").doubts == ()
    again = ledger.record_reference(entry.id, "arn:2")
    assert again.certificate_reference == "arn:1"
    assert "arn:2" in again.doubts[0]


def test_an_issued_certificate_stays(ledger: Ledger, clock: ManualClock) -> None:
    entry, _ = ledger.begin(intent(), 1)
    chain = chain_of()
    clock.advance(timedelta(seconds=3))
    issued = ledger.record_issued(entry.id, chain)
    assert (issued.state, issued.chain, issued.updated_at) == (EntryState.ISSUED, chain, AT + timedelta(seconds=3))
    clock.advance(timedelta(seconds=3))
    assert ledger.record_issued(entry.id, chain) == issued
    with pytest.raises(AlreadyExists):
        ledger.record_issued(entry.id, chain_of("b.example.com"))
    assert ledger.record_failed(entry.id, "x", "y", reference=None) == issued
    assert ledger.record_unknown(entry.id, "z") == issued
    assert ledger.get(entry.id) == issued


def test_an_issued_certificate_is_found(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    issued = ledger.record_issued(entry.id, chain_of())
    assert issued.serial
    assert issued.certificate_sha256
    assert ledger.find_by_serial("test", issued.serial) == (issued,)
    assert ledger.find_by_serial("other", issued.serial) == ()
    assert ledger.find_by_fingerprint(issued.certificate_sha256) == issued
    assert ledger.find_by_fingerprint("0" * 64) is None


def test_a_failure_holds_only_under_the_reference_it_was_seen_with(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    ledger.record_reference(entry.id, "arn:1")
    assert ledger.record_failed(entry.id, "backend.access-denied", "no", reference=None).state is EntryState.PENDING
    failed = ledger.record_failed(entry.id, "verify.mismatch", "no", reference="arn:1", chain=chain_of())
    assert (failed.state, failed.code, failed.message) == (EntryState.FAILED, "verify.mismatch", "no")
    assert failed.serial
    # found to be right after all
    repaired = ledger.record_issued(entry.id, failed.chain)
    assert (repaired.state, repaired.code, repaired.message) == (EntryState.ISSUED, None, None)


def test_an_entry_given_up_keeps_its_doubts(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    assert ledger.record_unknown(entry.id, "lost").state is EntryState.UNKNOWN
    assert ledger.record_unknown(entry.id, "lost again").doubts == ("lost", "lost again")
    # a record whose answer was lost is made again, after others have made theirs
    assert ledger.record_unknown(entry.id, "lost").doubts == ("lost", "lost again")


def test_rejections_have_ids_of_their_own(ledger: Ledger) -> None:
    rejection = Rejection(
        state=EntryState.REFUSED,
        environment="test",
        profile="service",
        code="policy.denied",
        message="no",
        csr_sha256="c" * 64,
        findings=({"code": "san.not-allowed", "value": "dns:x"},),
    )
    first, second = ledger.record_rejection(rejection), ledger.record_rejection(rejection)
    assert first.id != second.id
    assert (first.state, first.request_key, first.attempt) == (EntryState.REFUSED, None, None)
    assert first.findings == ({"code": "san.not-allowed", "value": "dns:x"},)
    failed = ledger.record_rejection(replace(rejection, state=EntryState.FAILED))
    assert failed.state is EntryState.FAILED


def test_text_that_is_no_utf8_is_kept_as_escapes(ledger: Ledger) -> None:
    rejection = Rejection(
        state=EntryState.REFUSED,
        environment="test",
        profile="p\udcff",
        code="c",
        message="m\udcff\x00",
        subject=(("CN", "\ud800"),),
    )
    entry = ledger.record_rejection(rejection)
    assert (entry.profile, entry.message, entry.subject) == ("p\\udcff", "m\\udcff\x00", (("CN", "\ud800"),))


def test_the_first_revocation_stays(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    issued = ledger.record_issued(entry.id, chain_of())
    assert issued.serial
    first = RevocationRecord(reason="keyCompromise", at=AT, requester="arn:me")
    ledger.record_revoked("test", "arn:ca", issued.serial, first)
    ledger.record_revoked("test", "arn:ca", issued.serial, replace(first, reason="superseded"))
    ledger.record_revoked("test", "arn:ca", "abc", first)  # of a certificate issued elsewhere
    found = ledger.get(entry.id)
    assert found is not None
    assert found.revocation == first


def test_a_compromised_key_is_found_by_what_was_issued_for_it(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    serial = str(ledger.record_issued(entry.id, chain_of()).serial)
    record = RevocationRecord(reason="keyCompromise", at=AT, requester="arn:me")
    ledger.record_revoked("other", "arn:ca", serial, record)
    ledger.record_revoked("test", "arn:other-ca", serial, record)
    assert ledger.find_compromised("test", "d" * 64) is None
    ledger.record_revoked("test", "arn:ca", serial, record)
    found = ledger.find_compromised("test", "d" * 64)
    assert found is not None
    assert found.id == entry.id
    assert ledger.find_compromised("test", "e" * 64) is None
    assert ledger.find_compromised("other", "d" * 64) is None


def test_a_key_revoked_for_another_reason_is_not_compromised(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    serial = str(ledger.record_issued(entry.id, chain_of()).serial)
    ledger.record_revoked("test", "arn:ca", serial, RevocationRecord(reason="superseded", at=AT, requester="arn:me"))
    assert ledger.find_compromised("test", "d" * 64) is None


def test_a_revocation_is_of_one_ca(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    issued = ledger.record_issued(entry.id, chain_of())
    record = RevocationRecord(reason="keyCompromise", at=AT, requester="arn:me")
    ledger.record_revoked("test", "arn:other-ca", str(issued.serial), record)
    found = ledger.get(entry.id)
    assert found is not None
    assert found.revocation is None


def test_outputs_are_those_written_for_a_request(ledger: Ledger) -> None:
    first, _ = ledger.begin(intent(), 1)
    second, _ = ledger.begin(intent(), 2)
    other, _ = ledger.begin(intent("e" * 64), 1)
    ledger.record_outputs(first.id, [Output("/a.pem", "1" * 64), Output("/b.pem", "2" * 64)])
    ledger.record_outputs(second.id, [Output("/a.pem", "3" * 64)])
    ledger.record_outputs(second.id, [Output("/a.pem", "3" * 64)])
    ledger.record_outputs(other.id, [Output("/a.pem", "4" * 64)])
    assert ledger.outputs("a" * 64) == {"/a.pem": {"1" * 64, "3" * 64}, "/b.pem": {"2" * 64}}
    assert ledger.outputs("f" * 64) == {}


def test_entries_come_in_order_of_creation_and_by_environment(ledger: Ledger, clock: ManualClock) -> None:
    made = []
    for number in range(1, 521):  # more than a page
        entry, _ = ledger.begin(intent(), number)
        made.append(entry.id)
        if number % 7 == 0:
            clock.advance(timedelta(seconds=1))
    ledger.begin(intent("e" * 64, "other"), 1)
    found = list(ledger.entries("test"))
    assert {entry.id for entry in found} == set(made)
    assert [(e.created_at, e.id) for e in found] == sorted((e.created_at, e.id) for e in found)
    assert len(found) == len(made)


def test_a_missing_entry_is_a_bug(ledger: Ledger) -> None:
    with pytest.raises(InternalError):
        ledger.record_reference("nothing", "arn:1")


def test_entries_are_found_by_every_name(ledger: Ledger, clock: ManualClock) -> None:
    first, _ = ledger.begin(intent(), 1)
    clock.advance(timedelta(seconds=1))
    second, _ = ledger.begin(intent(), 2)
    ledger.begin(intent("e" * 64, "other"), 1)
    refused = ledger.record_rejection(
        Rejection(
            state=EntryState.REFUSED,
            environment="test",
            profile="p",
            code="c",
            message="m",
            sans=(parse_san("uri:https://x.example/" + "y" * 2000), parse_san("dns:a.example.com")),
        )
    )
    issued = ledger.record_issued(first.id, chain_of())
    assert {entry.id for entry in ledger.find_by_name("test", "a.example.com")} == {first.id, second.id, refused.id}
    assert ledger.find_by_name("test", "10.0.0.1") == (issued, second)
    assert ledger.find_by_name("test", 'A "Quoted" NÄME') == (issued, second)
    assert ledger.find_by_name("test", "https://x.example/" + "y" * 2000) == (refused,)
    assert ledger.find_by_name("test", "example.com") == ()


def test_names_are_looked_for_within_a_window(ledger: Ledger, clock: ManualClock) -> None:
    made = []
    for number in range(4):
        made.append(ledger.begin(intent(f"{number:064x}"), 1)[0])
        clock.advance(timedelta(minutes=10))
    assert ledger.find_by_name("test", "a.example.com", since=AT + timedelta(minutes=10)) == tuple(made[1:])
    assert ledger.find_by_name("test", "a.example.com", since=AT + timedelta(minutes=11)) == tuple(made[2:])
    assert ledger.find_by_name("test", "a.example.com", since=AT + timedelta(hours=1)) == ()
    assert ledger.find_by_name("test", "a.example.com", since=AT - timedelta(days=400)) == tuple(made)
    assert ledger.find_by_name("other", "a.example.com", since=AT) == ()


def test_entries_are_found_by_key(ledger: Ledger, clock: ManualClock) -> None:
    first, _ = ledger.begin(intent(), 1)
    clock.advance(timedelta(seconds=1))
    ledger.begin(replace(intent("e" * 64), spki_sha256="0" * 64), 1)
    ledger.begin(intent("f" * 64, "other"), 1)
    refused = ledger.record_rejection(
        Rejection(
            state=EntryState.REFUSED, environment="test", profile="p", code="c", message="m", spki_sha256="d" * 64
        )
    )
    issued = ledger.record_issued(first.id, chain_of())
    assert list(ledger.find_by_key("test", "d" * 64)) == [issued, refused]
    assert list(ledger.find_by_key("test", "1" * 64)) == []


def test_entries_are_found_by_authority(ledger: Ledger, clock: ManualClock) -> None:
    first, _ = ledger.begin(intent(), 1)
    clock.advance(timedelta(seconds=1))
    ledger.begin(replace(intent("e" * 64), authority="machines"), 1)
    second, _ = ledger.begin(intent("f" * 64), 1)
    ledger.begin(intent("0" * 64, "other"), 1)
    assert list(ledger.find_by_authority("test", "clients")) == [first, second]
    assert list(ledger.find_by_authority("test", "nobody")) == []


def test_certificates_are_found_by_expiry(ledger: Ledger) -> None:
    made = {}
    for number, days in enumerate((90, 5, 40, 30)):
        wanted = replace(intent(f"{number:064x}"), not_after=AT + timedelta(days=days))
        entry, _ = ledger.begin(wanted, 1)
        made[days] = ledger.record_issued(entry.id, chain_of(f"n{number}.example.com"))
    ledger.begin(replace(intent("e" * 64), not_after=AT + timedelta(days=6)), 1)  # no certificate
    found = ledger.find_expiring("test", AT + timedelta(days=5), AT + timedelta(days=90))
    assert list(found) == [made[5], made[30], made[40]]
    assert list(ledger.find_expiring("test", AT, AT + timedelta(days=5))) == []
    assert list(ledger.find_expiring("other", AT, AT + timedelta(days=90))) == []


def _race(where: str, name: str, worker: int, start: object) -> None:
    ledger = PROCESS_LEDGERS[name](where)
    start.wait(30)  # type: ignore[attr-defined]
    for number in range(5):
        own = replace(intent(f"{number:064x}"), requester=f"worker {worker}")
        entry, _ = ledger.begin(own, 1)
        ledger.record_reference(entry.id, f"arn:{worker}")


PROCESS_LEDGERS: dict[str, Callable[[str], Ledger]] = {
    "sqlite": lambda where: SqliteLedger(Path(where) / "new" / "folder" / "test.db", SystemClock(), SystemRandomness()),
    "dynamodb": lambda where: DynamoDbLedger(clients_at(where), TABLE, SystemClock(), SystemRandomness()),
}


@pytest.mark.parametrize("name", sorted(PROCESS_LEDGERS))
def test_many_processes_begin_one_entry(name: str, tmp_path: Path) -> None:
    if name == "sqlite":
        _check_race(name, str(tmp_path))
        return
    with running_sandbox() as sandbox:
        DynamoDbTables(clients_at(sandbox.url), SystemClock()).ensure_table(TableSettings(name=TABLE, tags={}))
        _check_race(name, sandbox.url)


def _check_race(name: str, where: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(6)
    workers = [context.Process(target=_race, args=(where, name, number, start)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 6
    entries = list(PROCESS_LEDGERS[name](where).entries("test"))
    assert len(entries) == 5
    for entry in entries:
        # one won the intent, one the reference; the other five references are doubts
        assert entry.certificate_reference
        assert len(entry.doubts) == 5


def test_the_key_of_a_request_depends_on_all_of_it() -> None:
    base = {
        "environment": "test",
        "authority": "clients",
        "generation": 1,
        "profile": "service",
        "csr_sha256": "c" * 64,
        "names": ("dns:b", "dns:a"),
        "validity": "12h",
        "request_id": None,
    }
    other = {
        "environment": "prod",
        "authority": "machines",
        "generation": 2,
        "profile": "device",
        "csr_sha256": "d" * 64,
        "names": ("dns:a",),
        "validity": None,
        "request_id": "1",
    }
    keys = {request_key(**{**base, name: value}) for name, value in other.items()}  # type: ignore[arg-type]
    keys.add(request_key(**base))  # type: ignore[arg-type]
    assert len(keys) == 9
    assert request_key(**{**base, "names": ("dns:a", "dns:b")}) == request_key(**base)  # type: ignore[arg-type]


def test_what_may_have_led_to_a_certificate_is_found(ledger: Ledger, clock: ManualClock) -> None:
    waiting, _ = ledger.begin(intent(), 1)
    clock.advance(timedelta(seconds=1))
    named, _ = ledger.begin(intent("1" * 64), 1)
    ledger.record_reference(named.id, "arn:1")
    given_up, _ = ledger.begin(intent("2" * 64), 1)
    ledger.record_unknown(given_up.id, "lost")
    issued, _ = ledger.begin(intent("3" * 64), 1)
    ledger.record_issued(issued.id, chain_of())
    failed, _ = ledger.begin(intent("4" * 64), 1)
    ledger.record_failed(failed.id, "x", "y", reference=None)
    wrong, _ = ledger.begin(intent("5" * 64), 1)
    ledger.record_failed(wrong.id, "x", "y", reference=None, chain=chain_of("wrong.example.com"))
    ledger.record_unknown(wrong.id, "given up, and its certificate is known")
    ledger.begin(intent("e" * 64, "other"), 1)
    assert [entry.id for entry in ledger.find_open("test")] == [waiting.id, named.id, given_up.id]
    # known now, as made and as never made
    ledger.record_issued(given_up.id, chain_of("late.example.com"))
    ledger.record_failed(waiting.id, "cert.never-made", "no", reference=None)
    assert [entry.id for entry in ledger.find_open("test")] == [named.id]


def test_a_failure_is_recorded_of_what_was_given_up(ledger: Ledger) -> None:
    entry, _ = ledger.begin(intent(), 1)
    ledger.record_unknown(entry.id, "lost")
    failed = ledger.record_failed(entry.id, "cert.never-made", "no", reference=None)
    assert (failed.state, failed.code, failed.doubts) == (EntryState.FAILED, "cert.never-made", ("lost",))
    assert ledger.record_failed(entry.id, "x", "y", reference=None) == failed


def test_a_list_goes_on_after_any_entry_of_it(ledger: Ledger, clock: ManualClock) -> None:
    for number in range(12):
        wanted = replace(intent(f"{number:064x}"), not_after=AT + timedelta(days=30 + number // 3))
        entry, _ = ledger.begin(wanted, 1)
        ledger.record_issued(entry.id, chain_of(f"n{number}.example.com"))
        clock.advance(timedelta(seconds=number % 2))
    end = AT + timedelta(days=90)
    by_creation = list(ledger.entries("test"))
    by_authority = list(ledger.find_by_authority("test", "clients"))
    by_expiry = list(ledger.find_expiring("test", AT, end))
    assert (len(by_creation), len(by_authority), len(by_expiry)) == (12, 12, 12)
    for number in range(12):
        here = Position(by_creation[number].created_at, by_creation[number].id)
        assert list(ledger.entries("test", after=here)) == by_creation[number + 1 :]
        assert list(ledger.find_by_authority("test", "clients", after=here)) == by_authority[number + 1 :]
        ends = by_expiry[number].not_after
        assert ends is not None
        there = Position(ends, by_expiry[number].id)
        assert list(ledger.find_expiring("test", AT, end, after=there)) == by_expiry[number + 1 :]
