"""Rules about what was issued before, in the whole of issuance: what the ledger says, and that a request is not held against itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pkiops.cert.history import RunTally
from pkiops.cert.issue import Issuance
from pkiops.cert.order import Order
from pkiops.clock import ManualClock, SeededRandomness
from pkiops.errors import PolicyDenied
from pkiops.ledger.interface import EntryState, Ledger, RevocationRecord
from pkiops.ledger.sqlite import SqliteLedger
from pkiops.policy.rules import LimitRule, Profile
from pkiops.x509.duration import Duration
from pkiops.x509.san import parse_san
from tests import builders
from tests.contract.test_ledger import LEDGERS
from tests.fakes.authority import environment, profile
from tests.unit.cert.setting import AT, Setting, order

A, B = "a.svc.test.example.com", "b.svc.test.example.com"
KEY = builders.key()
DAY = timedelta(days=1)


@pytest.fixture(params=sorted(LEDGERS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    clock = ManualClock(AT)
    with LEDGERS[request.param](tmp_path, clock) as ledger:
        yield World(tmp_path, clock, ledger)


@pytest.fixture
def local(tmp_path: Path) -> World:
    clock = ManualClock(AT)
    return World(tmp_path, clock, SqliteLedger(tmp_path / "test.db", clock, SeededRandomness(1)))


class World:
    """One ledger of either kind, and profiles that are changed between orders."""

    def __init__(self, folder: Path, clock: ManualClock, ledger: Ledger) -> None:
        self.setting = Setting(folder, clock=clock)
        self.setting.ledger = ledger
        self.clock, self.ledger, self.run = clock, ledger, RunTally()
        # the same names and key are the same request: signatures differ from one CSR to the next
        self._csrs: dict[tuple[tuple[str, ...], int], tuple[Any, bytes]] = {}

    def issue(self, rules: Profile, *names: str, key: Any = KEY, ci: str | None = None, **more: Any) -> str:
        """``issued``, ``again`` (out of the ledger), or the code of the refusal."""
        issuance, one = self.order(rules, *names, key=key, ci=ci, **more)
        try:
            issued = issuance.issue(one)
        except PolicyDenied as error:
            return error.code.removeprefix("policy.")
        return "again" if issued.from_ledger else "issued"

    def order(
        self, rules: Profile, *names: str, key: Any = KEY, ci: str | None = None, **more: Any
    ) -> tuple[Issuance, Order]:
        changed = environment(profiles={"service": rules, "dual": profile()})
        issuance = replace(self.setting.issuance(environment=changed), run=self.run, ci_identity=ci)
        made = builders.csr({}, sans=[f"dns:{name}" for name in names], private_key=key)
        _, csr = self._csrs.setdefault((names, id(key)), (key, made))
        return issuance, order(csr, **more)


def rules(**changes: Any) -> Profile:
    return replace(profile(), **changes)


def test_a_key_is_not_certified_under_other_names(world: World) -> None:
    strict = rules(key_reuse="refuse")
    assert world.issue(strict, A) == "issued"
    assert world.issue(strict, A) == "again"
    assert world.issue(strict, B) == "key-reuse"
    assert world.issue(strict, A, B) == "issued"  # all that it had, and more
    assert world.issue(strict, A) == "again"
    assert world.issue(strict, B, key=builders.key()) == "issued"
    assert world.issue(rules(), B) == "issued"  # a profile that allows it


def test_a_refused_request_does_not_tie_a_key_to_a_name(local: World) -> None:
    strict = rules(key_reuse="refuse")
    assert local.issue(strict, "a.elsewhere.example.com") == "san-dns-not-allowed"
    assert local.issue(strict, A) == "issued"


def test_a_limit_per_name_counts_certificates_within_its_window(world: World) -> None:
    limited = rules(limits=LimitRule(per_name=2, window=Duration(7, "d")))
    assert [world.issue(limited, A, request_id=str(number)) for number in range(3)] == [
        "issued",
        "issued",
        "limit-per-name",
    ]
    assert world.issue(limited, A, request_id="0") == "again"
    assert world.issue(limited, B) == "issued"
    assert world.issue(limited, A, B) == "limit-per-name"
    world.clock.advance(7 * DAY + timedelta(seconds=1))
    assert world.issue(limited, A, request_id="2") == "issued"
    refused = [one for one in world.ledger.entries("test") if one.state is EntryState.REFUSED]
    assert {one.code for one in refused} == {"policy.limit-per-name"}
    assert refused[0].findings


def test_a_limit_per_run(local: World) -> None:
    limited = rules(limits=LimitRule(per_run=2))
    assert [local.issue(limited, name) for name in (A, B, A)] == ["issued", "issued", "again"]
    third = "c.svc.test.example.com"
    assert local.issue(limited, third) == "limit-per-run"
    local.run = RunTally()
    assert local.issue(limited, third) == "issued"


def test_another_certificate_has_to_wait_for_the_window(world: World) -> None:
    windowed = rules(renewal_window=Duration(5, "d"))
    other = builders.key()
    assert world.issue(windowed, A) == "issued"
    assert world.issue(windowed, A, key=other) == "renewal-too-early"
    world.clock.advance(22 * DAY)
    # in its last third, but not within the window: the same request still has its certificate
    assert world.issue(windowed, A) == "again"
    assert world.issue(windowed, A, key=other) == "renewal-too-early"
    world.clock.advance(3 * DAY)
    assert world.issue(windowed, A, key=other) == "issued"
    assert world.issue(windowed, A) == "renewal-too-early"  # the other one has long to live now


def test_a_revoked_certificate_may_be_followed_at_once(local: World) -> None:
    windowed = rules(renewal_window=Duration(5, "d"))
    assert local.issue(windowed, A) == "issued"
    [entry] = [one for one in local.ledger.entries("test") if one.state is EntryState.ISSUED]
    record = RevocationRecord(reason="superseded", at=AT, requester="arn:me")
    local.ledger.record_revoked("test", str(entry.authority_reference), str(entry.serial), record)
    assert local.issue(windowed, A, key=builders.key()) == "issued"


def test_one_revoked_after_the_order_was_prepared_is_followed_by_the_rules(local: World) -> None:
    strict = rules(key_reuse="refuse")
    assert local.issue(strict, A) == "issued"
    assert local.issue(strict, A, B) == "issued"
    issuance, one = local.order(strict, A)
    prepared = issuance.prepare(one)  # the first still serves, so that nothing is judged
    [entry] = [found for found in local.ledger.entries("test") if len(found.sans) == 1]
    record = RevocationRecord(reason="superseded", at=AT, requester="arn:me")
    local.ledger.record_revoked("test", str(entry.authority_reference), str(entry.serial), record)
    with pytest.raises(PolicyDenied) as caught:
        issuance.complete(prepared)
    assert caught.value.code == "policy.key-reuse"
    assert len(local.setting.backend.made) == 2
    refused = [found for found in local.ledger.entries("test") if found.state is EntryState.REFUSED]
    assert [found.code for found in refused] == ["policy.key-reuse"]


def test_one_fetched_when_it_is_due_is_followed_by_the_rules(local: World) -> None:
    strict = rules(limits=LimitRule(per_name=1, window=Duration(7, "d")))
    issuance, one = local.order(strict, A)
    prepared = issuance.prepare(one)
    entry, _, created = issuance.begin(prepared)
    issuance.ask(prepared, entry, created=created)  # and killed before it was fetched
    local.clock.advance(40 * DAY)
    assert local.issue(strict, A, request_id="another") == "issued"
    assert local.issue(strict, A) == "limit-per-name"
    assert len(local.setting.backend.made) == 2
    states = [found.state for found in local.ledger.entries("test")]
    assert states == [EntryState.ISSUED, EntryState.ISSUED, EntryState.REFUSED]


def test_who_asks(local: World) -> None:
    # the setting's caller is arn:aws:sts::111122223333:assumed-role/issuer/ci
    assert local.issue(rules(requesters=("arn:aws:iam::111122223333:role/issuer",)), A) == "issued"
    assert local.issue(rules(requesters=("arn:aws:iam::111122223333:role/other",)), A) == "requester-not-allowed"
    jobs = rules(requesters=("github:example/orders@refs/heads/main",))
    assert local.issue(jobs, B) == "requester-not-allowed"
    assert local.issue(jobs, B, ci="github:example/orders@refs/heads/main") == "issued"
    refused = next(one for one in local.ledger.entries("test") if one.state is EntryState.REFUSED)
    assert refused.requester == "arn:aws:sts::111122223333:assumed-role/issuer/ci"


def test_a_profile_without_such_rules_asks_the_ledger_nothing(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    asked: list[str] = []

    class Listening:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(setting.ledger, name)

    setting.issuance(ledger=Listening()).issue(order(builders.csr({}, sans=(f"dns:{A}",))))
    assert not {"find_by_key", "find_by_name"} & set(asked)
    assert asked.count("latest") == 1


def test_names_given_count_like_those_of_the_request(local: World) -> None:
    strict = rules(key_reuse="refuse")
    assert local.issue(strict, A, sans=(parse_san(f"dns:{B}"),)) == "issued"
    assert local.issue(strict, A) == "key-reuse"


def test_orders_in_flight_are_held_against_each_other(local: World) -> None:
    """Prepared, and not yet in the ledger."""
    setting = local.setting

    def prepared(profile_rules: Profile, *names: str, key: Any = KEY) -> str:
        changed = environment(profiles={"service": profile_rules, "dual": profile()})
        issuance = replace(setting.issuance(environment=changed), run=local.run)
        try:
            issuance.prepare(order(builders.csr({}, sans=[f"dns:{name}" for name in names], private_key=key)))
        except PolicyDenied as error:
            return error.code.removeprefix("policy.")
        return "let through"

    limited = rules(limits=LimitRule(per_name=2), key_reuse="refuse")
    assert [prepared(limited, A, key=builders.key()) for _ in range(3)] == [
        "let through",
        "let through",
        "limit-per-name",
    ]
    assert prepared(limited, B) == "let through"
    assert prepared(limited, "c.svc.test.example.com") == "key-reuse"
    local.clock.advance(2 * DAY)
    assert prepared(limited, A, key=builders.key()) == "let through"


def test_a_limit_per_name_counts_its_profile_only(local: World) -> None:
    limited = rules(limits=LimitRule(per_name=1))
    issuance = replace(
        local.setting.issuance(environment=environment(profiles={"service": limited, "dual": limited})), run=local.run
    )
    for name in ("service", "dual"):
        issuance.prepare(order(builders.csr({}, sans=[f"dns:{A}"]), profile=name))
        with pytest.raises(PolicyDenied, match="1 certificates for"):
            issuance.prepare(order(builders.csr({}, sans=[f"dns:{A}"]), profile=name, request_id="another"))


def test_many_threads_keep_a_limit_together(local: World) -> None:
    limited = rules(limits=LimitRule(per_run=5))
    changed = environment(profiles={"service": limited, "dual": profile()})
    issuance = replace(local.setting.issuance(environment=changed), run=local.run)
    orders = [order(builders.csr({}, sans=(f"dns:n{number}.svc.test.example.com",))) for number in range(20)]

    def let_through(one: Any) -> bool:
        try:
            issuance.prepare(one)
        except PolicyDenied:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(let_through, orders)) == 5
