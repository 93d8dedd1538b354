"""Resolving what is unknown: by the public key, with proof, and only as never made where a report is complete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pkiops.cert.issue import REQUEST_FAILED
from pkiops.cert.order import Order
from pkiops.cert.resolve import NEVER_MADE, Outcome, Resolved, Resolving
from pkiops.cert.resolve_report import counts, failure, resolved_json, resolved_text
from pkiops.errors import AccessDenied, BackendError, GuardRefused, InputError, NotFound, PkiopsError, Unreachable
from pkiops.ledger.interface import Entry, EntryState
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.keys import generate_private_key
from tests import builders
from tests.fakes.auditing import AuditingAuthorities
from tests.fakes.authority import answering, environment, reference_of
from tests.unit.cert.setting import AT, Setting, order

TEN = timedelta(minutes=10)


class AuditedSetting(Setting):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.cas = AuditingAuthorities(self.environment, self.clock)
        self.backend = self.cas

    def lose(self, point: str = "after request_certificate", wanted: Order | None = None) -> Entry:
        """Issue, and lose the answer."""

        def interrupt(reached: str) -> None:
            if reached == point:
                raise Unreachable("no answer")

        before = {one.id for one in self.entries()}
        self.backend.interrupt = interrupt
        with pytest.raises(Unreachable):
            self.issuance().issue(wanted or order())
        self.backend.interrupt = lambda point: None
        (entry,) = [one for one in self.entries() if one.id not in before]
        return entry

    def resolve(self, entry: str | None = None) -> Resolved:
        return Resolving(issuance=self.issuance()).resolve(entry)

    def entry(self, entry_id: str) -> Entry:
        found = self.ledger.get(entry_id)
        assert found is not None
        return found


@pytest.fixture
def setting(tmp_path: Path) -> AuditedSetting:
    return AuditedSetting(tmp_path)


def outcomes(resolved: Resolved) -> list[Outcome]:
    return sorted(one.outcome for one in resolved.resolutions)


def another(number: int) -> Order:
    name = f"n{number}.svc.test.example.com"
    return order(
        builders.csr(
            {"common_name": name}, sans=(f"dns:{name}",), private_key=generate_private_key(KeyAlgorithm.EC_prime256v1)
        )
    )


def test_a_certificate_is_found_by_its_key_and_served_from_then_on(setting: AuditedSetting) -> None:
    lost = setting.lose()
    setting.clock.advance(TEN)
    with pytest.raises(GuardRefused) as caught:
        setting.issuance().issue(order())
    assert f"pkiops cert resolve test --entry {lost.id}" in str(caught.value.hint)
    resolved = setting.resolve()
    assert outcomes(resolved) == [Outcome.ISSUED]
    assert failure(resolved) is None
    entry = setting.entry(lost.id)
    assert (entry.state, entry.certificate_reference) == (EntryState.ISSUED, setting.cas.made[0].reference)
    assert len(entry.chain) == 3
    issued = setting.issuance().issue(order())
    assert issued.from_ledger
    assert len(setting.cas.made) == 1
    # again there is nothing to do, and nobody is called
    calls = len(setting.cas.calls)
    assert setting.resolve() == Resolved((), ())
    assert outcomes(setting.resolve(lost.id)) == [Outcome.ISSUED]
    assert len(setting.cas.calls) == calls


def test_what_was_never_made_is_known_by_a_complete_report(setting: AuditedSetting) -> None:
    lost = setting.lose("before request_certificate")
    setting.clock.advance(TEN)
    resolved = setting.resolve()
    assert outcomes(resolved) == [Outcome.NEVER_MADE]
    assert failure(resolved) is None
    entry = setting.entry(lost.id)
    assert (entry.state, entry.code) == (EntryState.FAILED, NEVER_MADE)
    assert "holds no certificate of its key" in str(entry.message)
    assert outcomes(setting.resolve(lost.id)) == [Outcome.NEVER_MADE]
    issued = setting.issuance().issue(order())
    assert (issued.entry.attempt, len(setting.cas.made)) == (2, 1)


def test_nothing_is_concluded_too_early(setting: AuditedSetting) -> None:
    lost = setting.lose("before request_certificate")
    setting.clock.advance(timedelta(minutes=3, seconds=59))
    assert outcomes(setting.resolve()) == [Outcome.ASKED_FOR]
    assert failure(setting.resolve()) is None
    setting.clock.advance(TEN - timedelta(minutes=4, seconds=10))
    early = setting.resolve()
    assert outcomes(early) == [Outcome.WAITING]
    error = failure(early)
    assert error is not None
    assert (error.code, error.exit_code) == ("cert.resolve-too-soon", 6)
    assert "2026-06-01T12:09:50Z" in str(error.hint)
    assert setting.cas.reports == []
    assert setting.entry(lost.id).state is EntryState.PENDING
    setting.clock.advance(timedelta(seconds=1))
    assert outcomes(setting.resolve()) == [Outcome.NEVER_MADE]


def test_a_report_that_is_too_old_finds_but_does_not_deny(setting: AuditedSetting) -> None:
    setting.cas.audit_report(reference_of("clients"), "b", since=AT)  # somebody had one made a moment ago
    never, made = setting.lose("before request_certificate"), setting.lose(wanted=another(1))
    setting.clock.advance(TEN)
    resolved = setting.resolve()
    assert outcomes(resolved) == [Outcome.UNRESOLVED, Outcome.UNRESOLVED]
    error = failure(resolved)
    assert error is not None
    assert (error.code, error.exit_code) == ("backend.report-too-soon", 6)
    setting.clock.advance(timedelta(minutes=20))
    assert outcomes(setting.resolve()) == [Outcome.ISSUED, Outcome.NEVER_MADE]
    assert setting.entry(made.id).state is EntryState.ISSUED
    assert setting.entry(never.id).code == NEVER_MADE


def test_some_known_and_some_not_is_done_in_part(setting: AuditedSetting) -> None:
    setting.lose(wanted=another(1))
    setting.clock.advance(timedelta(minutes=5))
    late = setting.lose("before request_certificate", another(2))
    setting.clock.advance(timedelta(minutes=5))
    resolved = setting.resolve()
    assert outcomes(resolved) == [Outcome.ISSUED, Outcome.WAITING]
    error = failure(resolved)
    assert error is not None
    assert (error.code, error.exit_code) == ("cert.resolve-partial", 7)
    assert counts(resolved) == {
        "entries": 2, "issued": 1, "never_made": 0, "not_as_asked": 0, "failed": 0, "asked_for": 0, "waiting": 1, "unresolved": 0,
    }  # fmt: skip
    assert "1 issued, 1 waiting" in resolved_text(resolved)
    told = resolved_json(resolved)["entries"]
    assert [one["outcome"] for one in told] == ["issued", "waiting"]
    assert told[1]["entry"] == late.id


def test_many_of_one_second_find_their_own(setting: AuditedSetting) -> None:
    setting.issuance().issue(another(99))  # known, and of the same second
    lost = [setting.lose(wanted=another(number)) for number in range(5)]
    never = setting.lose("before request_certificate", another(5))
    setting.clock.advance(TEN)
    fetches = setting.cas.calls.count("fetch_certificate")
    assert outcomes(setting.resolve()) == [Outcome.ISSUED] * 5 + [Outcome.NEVER_MADE]
    for number, one in enumerate(lost):
        assert setting.entry(one.id).certificate_reference == setting.cas.made[number + 1].reference
    assert setting.entry(never.id).state is EntryState.FAILED
    # each is looked at once and proven once; the one that the ledger knows is not fetched
    assert setting.cas.calls.count("fetch_certificate") - fetches == 10


def test_a_certificate_that_is_not_as_asked_is_found_all_the_same(setting: AuditedSetting) -> None:
    setting.cas.answer = answering(not_after=AT + timedelta(days=3000))
    lost = setting.lose()
    setting.clock.advance(TEN)
    resolved = setting.resolve()
    assert outcomes(resolved) == [Outcome.NOT_AS_ASKED]
    error = failure(resolved)
    assert error is not None
    assert (error.code, error.exit_code) == ("cert.not-as-asked", 8)
    entry = setting.entry(lost.id)
    assert (entry.state, entry.code) == (EntryState.FAILED, "cert.not-as-asked")
    assert entry.serial is not None
    assert outcomes(setting.resolve(lost.id)) == [Outcome.NOT_AS_ASKED]


@pytest.mark.parametrize(("minutes", "fetched"), [(-6, 0), (-5, 1), (14, 1), (15, 0)])
def test_only_certificates_of_its_time_are_looked_at(setting: AuditedSetting, minutes: int, fetched: int) -> None:
    setting.issuance().issue(another(1))
    setting.ledger = Setting(setting.folder / "elsewhere").ledger  # one that never heard of it
    lost = setting.lose("before request_certificate")
    setting.cas.change = lambda rows: [
        replace(one, issued_at=lost.created_at + timedelta(minutes=minutes)) for one in rows
    ]
    setting.clock.advance(timedelta(minutes=20))
    before = setting.cas.calls.count("fetch_certificate")
    assert outcomes(setting.resolve()) == [Outcome.NEVER_MADE]
    assert setting.cas.calls.count("fetch_certificate") - before == fetched


def test_what_was_given_up_is_resolved_too(setting: AuditedSetting) -> None:
    lost = setting.lose()
    setting.clock.advance(timedelta(minutes=5))
    second = setting.issuance().issue(order(reissue=True))
    setting.clock.advance(TEN)
    assert setting.entry(lost.id).state is EntryState.UNKNOWN
    assert outcomes(setting.resolve()) == [Outcome.ISSUED]
    first = setting.entry(lost.id)
    assert first.state is EntryState.ISSUED
    assert first.serial != second.entry.serial
    assert "--reissue" in first.doubts[0]
    # the newer one still serves
    assert setting.issuance().issue(order()).entry.id == second.entry.id


def test_a_second_certificate_of_one_entry_is_a_doubt(setting: AuditedSetting) -> None:
    lost = setting.lose()
    setting.clock.advance(timedelta(seconds=1))
    made = setting.cas.made[0]
    twin = setting.cas.answer(made.request, setting.cas.cas["clients"], 0x77)
    setting.cas.made.append(replace(made, reference=f"{made.request.authority}/certificate/77", certificate=twin))
    setting.clock.advance(TEN)
    assert outcomes(setting.resolve()) == [Outcome.ISSUED]
    entry = setting.entry(lost.id)
    assert entry.certificate_reference == made.reference
    assert entry.doubts[0].endswith("/certificate/77")


def test_what_has_a_reference_is_fetched_without_a_report(setting: AuditedSetting) -> None:
    lost = setting.lose("before fetch_certificate")
    setting.clock.advance(timedelta(minutes=1))
    assert outcomes(setting.resolve()) == [Outcome.ISSUED]
    assert setting.entry(lost.id).state is EntryState.ISSUED
    assert setting.cas.reports == []


@pytest.mark.parametrize("error", [NotFound("gone"), BackendError("it failed", code=REQUEST_FAILED)])
def test_a_reference_that_leads_to_nothing_is_a_failure(setting: AuditedSetting, error: BackendError) -> None:
    lost = setting.lose("before fetch_certificate")
    setting.backend.interrupt = raising("before fetch_certificate", error)
    setting.clock.advance(timedelta(minutes=1))
    assert outcomes(setting.resolve()) == [Outcome.FAILED]
    assert setting.entry(lost.id).code == error.code


def test_a_reference_that_is_too_young_to_be_known_everywhere_is_waited_for(setting: AuditedSetting) -> None:
    lost = setting.lose("before fetch_certificate")
    setting.backend.interrupt = raising("before fetch_certificate", NotFound("gone"))
    [waiting] = setting.resolve().resolutions
    assert (waiting.outcome, waiting.again) == (Outcome.WAITING, lost.updated_at + timedelta(minutes=1))
    assert setting.entry(lost.id).state is EntryState.PENDING


def test_a_reference_to_another_key_is_no_answer(setting: AuditedSetting) -> None:
    lost = setting.lose()
    foreign = setting.issuance().issue(another(1)).entry.certificate_reference
    setting.ledger.record_reference(lost.id, str(foreign))
    resolved = setting.resolve(lost.id)
    assert outcomes(resolved) == [Outcome.NOT_AS_ASKED]
    assert "of another key" in str(resolved.resolutions[0].error)
    assert setting.entry(lost.id).state is EntryState.FAILED


def raising(point: str, error: PkiopsError | BaseException) -> Callable[[str], None]:
    def interrupt(reached: str) -> None:
        if reached == point:
            raise error

    return interrupt


@pytest.mark.parametrize("point", ["before audit_report", "before read_audit_report"])
def test_without_the_right_to_make_reports_it_says_so(setting: AuditedSetting, point: str) -> None:
    lost = setting.lose()
    setting.clock.advance(TEN)
    setting.backend.interrupt = raising(point, AccessDenied("CreateCertificateAuthorityAuditReport: not allowed"))
    resolved = setting.resolve()
    assert outcomes(resolved) == [Outcome.UNRESOLVED]
    error = failure(resolved)
    assert error is not None
    assert (error.code, error.exit_code) == ("cert.resolve-denied", 6)
    assert "1 request to test/ca/clients stays unknown" in error.message
    assert "acm-pca:CreateCertificateAuthorityAuditReport" in str(error.hint)
    assert setting.entry(lost.id).state is EntryState.PENDING


def test_a_backend_without_reports_says_so(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    setting.backend.interrupt = raising("after request_certificate", Unreachable("no answer"))
    with pytest.raises(Unreachable):
        setting.issuance().issue(order())
    setting.backend.interrupt = lambda point: None
    setting.clock.advance(TEN)
    resolved = Resolving(issuance=setting.issuance()).resolve()
    error = failure(resolved)
    assert error is not None
    assert error.code == "backend.no-reports"


class Killed(BaseException):
    """Not an error that anything may catch."""


POINTS = ["describe_authority", "audit_report", "read_audit_report", "fetch_certificate", "authority_chain"]


@pytest.mark.parametrize("point", [f"{when} {name}" for name in POINTS for when in ("before", "after")])
def test_killed_anywhere_and_run_again_it_ends_the_same(setting: AuditedSetting, point: str) -> None:
    lost, never = setting.lose(), setting.lose("before request_certificate", another(1))
    setting.clock.advance(TEN)
    setting.backend.interrupt = raising(point, Killed())
    with pytest.raises(Killed):
        setting.resolve()
    setting.backend.interrupt = lambda point: None
    setting.resolve()
    assert setting.entry(lost.id).state is EntryState.ISSUED
    assert setting.entry(never.id).code == NEVER_MADE


class KilledLedger:
    """A ledger that dies at one point."""

    def __init__(self, inner: object, when: str, name: str) -> None:
        self._inner, self._when, self._name = inner, when, name

    def __getattr__(self, name: str) -> object:
        method = getattr(self._inner, name)

        def dying(*args: object, **named: object) -> object:
            if self._when == "after":
                method(*args, **named)
            raise Killed

        return dying if name == self._name else method


@pytest.mark.parametrize("name", ["record_reference", "record_issued", "record_failed"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_record_and_run_again_it_ends_the_same(setting: AuditedSetting, when: str, name: str) -> None:
    lost, never = setting.lose(), setting.lose("before request_certificate", another(1))
    setting.clock.advance(TEN)
    dying = setting.issuance(ledger=KilledLedger(setting.ledger, when, name))  # type: ignore[arg-type]
    with pytest.raises(Killed):
        Resolving(issuance=dying).resolve()
    setting.resolve()
    assert setting.entry(lost.id).state is EntryState.ISSUED
    assert setting.entry(never.id).code == NEVER_MADE


def test_an_entry_that_is_not_there(setting: AuditedSetting) -> None:
    with pytest.raises(InputError) as caught:
        setting.resolve("none")
    assert caught.value.code == "cert.unknown-entry"
    lost = setting.lose()
    elsewhere = setting.issuance(environment=environment("other"))
    with pytest.raises(InputError):
        Resolving(issuance=elsewhere).resolve(lost.id)


def test_a_ca_of_a_former_generation_is_asked_as_well(setting: AuditedSetting) -> None:
    lost = setting.lose()
    setting.clock.advance(TEN)
    clients = replace(setting.environment.authorities["clients"], generation=2, sha256="0" * 64)
    changed = replace(setting.environment, authorities={**setting.environment.authorities, "clients": clients})
    resolved = Resolving(issuance=setting.issuance(environment=changed)).resolve()
    assert outcomes(resolved) == [Outcome.ISSUED]
    assert setting.entry(lost.id).state is EntryState.ISSUED
