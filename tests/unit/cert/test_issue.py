"""Issuing: the same request gives the same certificate, every end is in the ledger, and nothing wrong is handed out."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import AuthorityStatus, CrlSettings, IssuanceRequest, ObservedAuthority
from pkiops.cert.issue import REQUEST_FAILED
from pkiops.errors import (
    AccessDenied,
    BackendError,
    GuardRefused,
    InProgress,
    InputError,
    InvalidState,
    NotFound,
    NotSupported,
    PkiopsError,
    PolicyDenied,
    Throttled,
    Unreachable,
    VerificationFailed,
)
from pkiops.ledger.interface import EntryState, RevocationRecord
from pkiops.policy.rules import Usage
from pkiops.x509.certificate import fingerprint, view
from pkiops.x509.duration import Duration
from pkiops.x509.san import parse_san
from tests import builders
from tests.fakes.authority import FakeAuthorities, answering, environment, honest_answer, profile
from tests.unit.cert.setting import AT, CSR, Setting, order


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_a_certificate_is_what_policy_granted(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    shown = view(issued.certificate)
    assert shown.extended_key_usage == ("clientAuth",)
    assert [str(san) for san in shown.sans] == ["dns:orders.svc.test.example.com"]
    assert shown.subject == "CN=orders.svc.test.example.com,O=Example Ltd"
    assert shown.not_after == AT + timedelta(days=30)
    assert [fingerprint(one) for one in issued.chain] == [
        fingerprint(setting.backend.cas[label].certificate) for label in ("clients", "root")
    ]
    assert not issued.from_ledger


def test_the_ledger_holds_all_of_it(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    (entry,) = setting.entries()
    assert entry == issued.entry
    assert entry.state is EntryState.ISSUED
    assert (entry.profile, entry.authority, entry.generation, entry.attempt) == ("service", "clients", 1, 1)
    assert entry.requester == "arn:aws:sts::111122223333:assumed-role/issuer/ci"
    assert entry.serial == view(issued.certificate).serial
    assert entry.certificate_sha256 == fingerprint(issued.certificate)
    assert entry.spki_sha256 == view(issued.certificate).spki_sha256
    assert entry.template == "fake:clientAuth"
    assert len(entry.chain) == 3
    assert entry.certificate_reference


def test_the_same_request_gives_the_same_certificate(setting: Setting) -> None:
    first = setting.issuance().issue(order())
    setting.clock.advance(timedelta(days=19))
    second = setting.issuance().issue(order())
    assert fingerprint(second.certificate) == fingerprint(first.certificate)
    assert second.from_ledger
    assert setting.backend.calls.count("request_certificate") == 1
    assert setting.backend.calls.count("fetch_certificate") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"validity": Duration(12, "h")},
        {"request_id": "2"},
        {"profile": "dual"},
        {"sans": (parse_san("dns:orders.svc.test.example.com"), parse_san("dns:b.svc.test.example.com"))},
    ],
)
def test_another_request_gives_another_certificate(setting: Setting, changes: dict[str, Any]) -> None:
    first = setting.issuance().issue(order())
    second = setting.issuance().issue(order(**changes))
    assert fingerprint(second.certificate) != fingerprint(first.certificate)
    assert len(setting.backend.made) == 2


def test_given_names_replace_those_of_the_csr(setting: Setting) -> None:
    csr = builders.csr(subject={"organization": "x"}, sans=("dns:somewhere.else",))
    issued = setting.issuance().issue(order(csr, sans=(parse_san("dns:b.svc.test.example.com"),)))
    assert [str(san) for san in view(issued.certificate).sans] == ["dns:b.svc.test.example.com"]


def test_a_certificate_in_its_last_third_is_replaced(setting: Setting) -> None:
    first = setting.issuance().issue(order())
    setting.clock.advance(timedelta(days=21))
    second = setting.issuance().issue(order())
    assert fingerprint(second.certificate) != fingerprint(first.certificate)
    assert second.entry.attempt == 2
    assert view(second.certificate).not_after == AT + timedelta(days=51)


def test_a_revoked_certificate_is_replaced(setting: Setting) -> None:
    first = setting.issuance().issue(order())
    record = RevocationRecord(reason="superseded", at=AT, requester="me")
    setting.ledger.record_revoked("test", str(first.entry.authority_reference), str(first.entry.serial), record)
    second = setting.issuance().issue(order())
    assert fingerprint(second.certificate) != fingerprint(first.certificate)
    assert second.entry.attempt == 2


def test_a_certificate_that_policy_would_not_grant_today_is_replaced(setting: Setting) -> None:
    first = setting.issuance().issue(order())
    shorter = replace(profile(), validity=replace(profile().validity, default=Duration(1, "d")))
    changed = replace(setting.environment, profiles={"service": shorter})
    second = setting.issuance(environment=changed).issue(order())
    assert fingerprint(second.certificate) != fingerprint(first.certificate)
    assert view(second.certificate).not_after == AT + timedelta(days=1)


# every point at which a run can be killed: around each call of the CA and each write of the ledger
BACKEND_POINTS = [
    f"{when} {name}"
    for name in ("list_authorities", "authority_chain", "request_certificate", "fetch_certificate")
    for when in ("before", "after")
]
LEDGER_POINTS = [
    f"{when} {name}" for name in ("begin", "record_reference", "record_issued") for when in ("before", "after")
]


class Killed(BaseException):
    """Not an error that anything may catch."""


class KilledLedger:
    """A ledger that dies at one point."""

    def __init__(self, inner: object, point: str) -> None:
        self._inner = inner
        self._when, self._name = point.split()

    def __getattr__(self, name: str) -> object:
        method = getattr(self._inner, name)
        if name != self._name:
            return method

        def dying(*args: object, **named: object) -> object:
            if self._when == "before":
                raise Killed
            method(*args, **named)
            raise Killed

        return dying


@pytest.mark.parametrize("point", [*BACKEND_POINTS, *LEDGER_POINTS])
def test_killed_anywhere_and_run_again_ends_with_one_certificate(setting: Setting, point: str) -> None:
    if point in LEDGER_POINTS:
        broken = setting.issuance(ledger=KilledLedger(setting.ledger, point))  # type: ignore[arg-type]
        with pytest.raises(Killed):
            broken.issue(order())
    else:
        _interrupt(setting.backend, point, Killed())
        with pytest.raises(Killed):
            setting.issuance().issue(order())
    setting.backend.interrupt = lambda point: None
    setting.clock.advance(timedelta(minutes=3))
    issued = setting.issuance().issue(order())
    assert len(setting.backend.made) == 1
    assert [entry.state for entry in setting.entries()] == [EntryState.ISSUED]
    again = setting.issuance().issue(order())
    assert fingerprint(again.certificate) == fingerprint(issued.certificate)


def _interrupt(backend: FakeAuthorities, point: str, error: BaseException) -> None:
    def interrupt(reached: str) -> None:
        if reached == point:
            raise error

    backend.interrupt = interrupt


def test_two_runs_at_once_end_with_one_certificate(setting: Setting) -> None:
    workers = 8
    barrier = threading.Barrier(workers)
    found: list[str] = []

    def run() -> None:
        issuance = setting.issuance()
        prepared = issuance.prepare(order())
        barrier.wait(20)
        found.append(fingerprint(issuance.complete(prepared).certificate))

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == workers
    assert len(set(found)) == 1
    assert len(setting.backend.made) == 1
    assert len(setting.entries()) == 1


def test_runs_that_began_seconds_apart_share_the_first_intent(setting: Setting) -> None:
    early, late = setting.issuance(), setting.issuance()
    first = early.prepare(order())
    setting.clock.advance(timedelta(seconds=40))
    second = late.prepare(order())
    assert first.record.not_after != second.record.not_after
    by_late = late.complete(second)
    by_early = early.complete(first)
    assert fingerprint(by_late.certificate) == fingerprint(by_early.certificate)
    assert len(setting.backend.made) == 1


def test_a_lost_answer_is_asked_for_again(setting: Setting) -> None:
    _interrupt(setting.backend, "after request_certificate", Unreachable("timed out"))
    with pytest.raises(Unreachable) as caught:
        setting.issuance().issue(order())
    assert "within four minutes" in str(caught.value.hint)
    (entry,) = setting.entries()
    assert entry.state is EntryState.PENDING
    setting.backend.interrupt = lambda point: None
    setting.clock.advance(timedelta(minutes=3, seconds=59))
    issued = setting.issuance().issue(order())
    assert len(setting.backend.made) == 1
    assert issued.entry.attempt == 1
    assert view(issued.certificate).not_after == AT + timedelta(days=30)  # the first run's


def test_a_lost_answer_becomes_unknown(setting: Setting) -> None:
    _interrupt(setting.backend, "after request_certificate", Unreachable("timed out"))
    with pytest.raises(Unreachable):
        setting.issuance().issue(order())
    setting.backend.interrupt = lambda point: None
    setting.clock.advance(timedelta(minutes=4))
    with pytest.raises(GuardRefused) as caught:
        setting.issuance().issue(order())
    assert (caught.value.code, caught.value.exit_code) == ("cert.unknown-intent", 9)
    assert "--reissue" in str(caught.value.hint)
    assert len(setting.backend.made) == 1
    assert [entry.state for entry in setting.entries()] == [EntryState.PENDING, EntryState.REFUSED]

    issued = setting.issuance().issue(order(reissue=True))
    assert issued.entry.attempt == 2
    assert len(setting.backend.made) == 2
    given_up = setting.ledger.get(f"{issued.entry.request_key}-1")
    assert given_up is not None
    assert given_up.state is EntryState.UNKNOWN
    assert "--reissue" in given_up.doubts[0]
    # saying it again changes nothing
    again = setting.issuance().issue(order(reissue=True))
    assert again.from_ledger
    assert len(setting.backend.made) == 2


def test_an_intent_is_not_asked_for_once_it_is_four_minutes_old_whatever_it_waited_for(setting: Setting) -> None:
    issuance = setting.issuance()
    prepared = issuance.prepare(order())
    entry, _, created = issuance.begin(prepared)
    setting.clock.advance(timedelta(minutes=4))
    with pytest.raises(GuardRefused) as caught:
        issuance.ask(prepared, entry, created=created)
    assert caught.value.code == "cert.unknown-intent"
    assert not setting.backend.made


def test_an_intent_with_a_reference_goes_on_at_any_age(setting: Setting) -> None:
    _interrupt(setting.backend, "before fetch_certificate", InProgress("not ready"))
    with pytest.raises(InProgress):
        setting.issuance().issue(order())
    setting.backend.interrupt = lambda point: None
    setting.clock.advance(timedelta(days=3))
    issued = setting.issuance().issue(order())
    assert len(setting.backend.made) == 1
    assert view(issued.certificate).not_after == AT + timedelta(days=30)


def test_one_fetched_when_it_is_due_already_is_recorded_and_replaced(setting: Setting) -> None:
    _interrupt(setting.backend, "before fetch_certificate", InProgress("not ready"))
    with pytest.raises(InProgress):
        setting.issuance().issue(order())
    setting.backend.interrupt = lambda point: None
    setting.clock.advance(timedelta(days=40))
    issued = setting.issuance().issue(order())
    assert [entry.state for entry in setting.entries()] == [EntryState.ISSUED, EntryState.ISSUED]
    assert view(issued.certificate).not_after == AT + timedelta(days=70)


@pytest.mark.parametrize("error", [AccessDenied("no"), InvalidState("no"), BackendError("no", code="backend.quota")])
def test_a_refusal_of_the_ca_is_a_failure_and_the_next_run_tries_again(setting: Setting, error: BackendError) -> None:
    _interrupt(setting.backend, "before request_certificate", error)
    with pytest.raises(type(error)):
        setting.issuance().issue(order())
    assert [(entry.state, entry.code) for entry in setting.entries()] == [(EntryState.FAILED, error.code)]
    setting.backend.interrupt = lambda point: None
    setting.clock.advance(timedelta(hours=1))
    assert setting.issuance().issue(order()).entry.attempt == 2
    assert len(setting.backend.made) == 1


def test_a_refusal_after_a_lost_answer_is_no_proof(setting: Setting) -> None:
    _interrupt(setting.backend, "after request_certificate", Unreachable("timed out"))
    with pytest.raises(Unreachable):
        setting.issuance().issue(order())
    _interrupt(setting.backend, "before request_certificate", AccessDenied("token expired"))
    with pytest.raises(AccessDenied):
        setting.issuance().issue(order())
    assert [entry.state for entry in setting.entries()] == [EntryState.PENDING]


@pytest.mark.parametrize(
    "error",
    [
        Throttled("slow down"),
        BackendError("garbled", code="backend.client"),
        AccessDenied("expired by the second try", details={"retries": 1}),
    ],
)
def test_what_may_have_arrived_stays_pending(setting: Setting, error: BackendError) -> None:
    _interrupt(setting.backend, "after request_certificate", error)
    with pytest.raises(BackendError):
        setting.issuance().issue(order())
    assert [entry.state for entry in setting.entries()] == [EntryState.PENDING]


@pytest.mark.parametrize("error", [BackendError("failed", code=REQUEST_FAILED), NotFound("no such certificate")])
def test_a_certificate_that_will_never_exist_is_a_failure(setting: Setting, error: BackendError) -> None:
    issuance = setting.issuance()
    prepared = issuance.prepare(order())
    entry, _, _ = issuance.begin(prepared)
    issuance.ask(prepared, entry, created=True)
    setting.clock.advance(timedelta(seconds=60))
    _interrupt(setting.backend, "before fetch_certificate", error)
    with pytest.raises(type(error)):
        setting.issuance().issue(order())
    assert [entry.state for entry in setting.entries()] == [EntryState.FAILED]
    setting.backend.interrupt = lambda point: None
    assert setting.issuance().issue(order(request_id=None)).entry.attempt == 2


def test_a_reference_that_is_too_young_to_be_known_everywhere_is_not_given_up(setting: Setting) -> None:
    _interrupt(setting.backend, "before fetch_certificate", NotFound("no such certificate"))
    for _ in range(2):  # the run that asked, and another one right behind it
        with pytest.raises(InProgress, match="no such certificate"):
            setting.issuance().issue(order())
        setting.clock.advance(timedelta(seconds=29))
    assert [entry.state for entry in setting.entries()] == [EntryState.PENDING]
    setting.backend.interrupt = lambda point: None
    assert setting.issuance().issue(order()).entry.attempt == 1
    assert len(setting.backend.made) == 1


def test_a_wrong_certificate_is_refused_recorded_and_not_paid_for_twice(setting: Setting) -> None:
    setting.backend.answer = answering(usages=("clientAuth", "serverAuth"))
    with pytest.raises(VerificationFailed) as caught:
        setting.issuance().issue(order())
    assert caught.value.code == "cert.not-as-asked"
    assert "extended_key_usage: expected clientAuth, got clientAuth, serverAuth" in caught.value.message
    (entry,) = setting.entries()
    assert entry.state is EntryState.FAILED
    assert entry.serial == caught.value.details["serial"]
    assert f"cert revoke test {entry.serial}" in str(caught.value.hint)
    setting.backend.answer = honest_answer
    with pytest.raises(VerificationFailed):
        setting.issuance().issue(order())
    assert len(setting.backend.made) == 1
    record = RevocationRecord(reason="superseded", at=AT, requester="me")
    setting.ledger.record_revoked("test", str(entry.authority_reference), str(entry.serial), record)
    assert setting.issuance().issue(order()).entry.attempt == 2


def test_garbage_for_an_answer_can_be_fetched_again(setting: Setting) -> None:
    setting.backend.answer = lambda request, issuer, serial: b"0\x03\x02\x01\x00"
    with pytest.raises(VerificationFailed):
        setting.issuance().issue(order())
    (entry,) = setting.entries()
    assert entry.state is EntryState.PENDING


def test_a_certificate_out_of_the_ledger_is_proven_again(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    forged = builders.end_entity(builders.root_ca(), {"common_name": "orders"}, at=AT).certificate
    chain = json.dumps([base64.b64encode(forged.public_bytes(Encoding.DER)).decode()])
    with contextlib.closing(sqlite3.connect(setting.folder / "ledger.db")) as db, db:
        db.execute("UPDATE entries SET chain = ? WHERE id = ?", (chain, issued.entry.id))
    with pytest.raises(VerificationFailed) as caught:
        setting.issuance().issue(order())
    assert "public_key" in caught.value.message


def test_a_certificate_serves_on_when_its_ca_is_given_another_crl_host(setting: Setting) -> None:
    first = setting.issuance().issue(order())
    publication = setting.environment.publication
    moved = replace(
        setting.environment, publication=replace(publication, crl=replace(publication.crl, host="new.example.com"))
    )
    setting.backend._environment = moved  # the CA writes another distribution point now
    again = setting.issuance(environment=moved).issue(order())
    assert again.from_ledger
    assert again.certificate == first.certificate


HOSTILE: list[tuple[str, bytes, type[PkiopsError]]] = [
    ("empty", b"", InputError),
    ("no request", b"hello\n", InputError),
    ("truncated", CSR[:200], InputError),
    ("too big", b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * 5_000_000, InputError),
    ("another name", builders.csr(sans=("dns:evil.example.org",)), PolicyDenied),
    ("no names", builders.csr(subject={"organization": "x"}, sans=()), PolicyDenied),
    ("small key", builders.csr(private_key=rsa.generate_private_key(65537, 1024)), PolicyDenied),  # noqa: S505 - that is the point
]


@pytest.mark.parametrize(("name", "csr", "error"), HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_what_is_refused_is_in_the_ledger_and_no_call_is_made(
    setting: Setting, name: str, csr: bytes, error: type[PkiopsError]
) -> None:
    del name
    with pytest.raises(error) as caught:
        setting.issuance().issue(order(csr))
    (entry,) = setting.entries()
    assert (entry.state, entry.code, entry.request_key) == (EntryState.REFUSED, caught.value.code, None)
    assert entry.csr_sha256
    assert setting.backend.calls == []
    assert setting.asked_who == 0


def test_findings_of_a_refusal_are_kept(setting: Setting) -> None:
    with pytest.raises(PolicyDenied):
        setting.issuance().issue(order(builders.csr(sans=("dns:evil.example.org", "dns:worse.example.org"))))
    (entry,) = setting.entries()
    assert len([finding for finding in entry.findings if finding["verdict"] == "refuse"]) >= 2


def test_an_unknown_profile_is_named_with_those_that_exist(setting: Setting) -> None:
    with pytest.raises(InputError) as caught:
        setting.issuance().issue(order(profile="servcie"))
    assert caught.value.code == "cert.unknown-profile"
    assert "service" in str(caught.value.hint)


@pytest.mark.parametrize(
    "status", [s for s in AuthorityStatus if s not in {AuthorityStatus.ACTIVE, AuthorityStatus.DELETED}]
)
def test_a_ca_that_is_not_active_is_refused_with_what_to_do(setting: Setting, status: AuthorityStatus) -> None:
    setting.backend.status["clients"] = status
    with pytest.raises(InvalidState) as caught:
        setting.issuance().issue(order())
    assert status.value in caught.value.message
    assert caught.value.hint
    assert "{" not in caught.value.hint
    verbs = {AuthorityStatus.DISABLED: "enable test clients", AuthorityStatus.FAILED: "delete test clients"}
    assert f"pkiops ca {verbs.get(status, 'apply test')}" in caught.value.hint
    assert [entry.state for entry in setting.entries()] == [EntryState.FAILED]


class WithCrl(FakeAuthorities):
    """CAs whose CRL settings are what a test says."""

    crl: CrlSettings | None = None

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        return tuple(replace(one, crl=self.crl) for one in super().list_authorities())


@pytest.mark.parametrize(
    "changes", [None, {"host": "elsewhere.example.com"}, {"bucket": "other"}, {"named": False}, {"complete": False}]
)
def test_nothing_is_issued_while_the_crl_is_not_the_declared_one(
    setting: Setting, changes: dict[str, Any] | None
) -> None:
    backend = WithCrl(setting.environment, setting.clock)
    declared = setting.backend.list_authorities()[1].crl
    assert declared is not None
    backend.crl = None if changes is None else replace(declared, **changes)
    with pytest.raises(GuardRefused) as caught:
        replace(setting.issuance(), backend=backend).issue(order())
    assert caught.value.code == "ca.crl-differs"
    assert "pkiops ca apply" in str(caught.value.hint)
    assert backend.made == []
    assert [entry.state for entry in setting.entries()] == [EntryState.REFUSED]


def test_a_ca_that_does_not_exist_is_refused(setting: Setting) -> None:
    with pytest.raises(NotFound):
        setting.issuance(environment=replace(setting.environment, environment="other")).issue(order())


def test_a_backend_that_cannot_issue_is_refused(setting: Setting) -> None:
    issuance = replace(setting.issuance(), backend=object())
    with pytest.raises(NotSupported):
        issuance.issue(order())


def test_a_pin_must_match_the_root(setting: Setting) -> None:
    root = setting.backend.cas["root"].certificate
    authorities = dict(setting.environment.authorities)
    authorities["root"] = replace(authorities["root"], sha256=fingerprint(root))
    setting.issuance(environment=replace(setting.environment, authorities=authorities)).issue(order())
    authorities["root"] = replace(authorities["root"], sha256="0" * 64)
    with pytest.raises(VerificationFailed) as caught:
        setting.issuance(environment=replace(setting.environment, authorities=authorities)).issue(order())
    assert caught.value.code == "cert.pin"
    assert len(setting.backend.made) == 1


def test_a_request_ends_no_later_than_its_ca(setting: Setting) -> None:
    setting.clock.advance(timedelta(days=5 * 365))
    with pytest.raises(PkiopsError):
        setting.issuance().issue(order())
    assert setting.backend.made == []


def test_both_usages_are_proven(tmp_path: Path) -> None:
    setting = Setting(tmp_path, environment("test"))
    issued = setting.issuance().issue(order(profile="dual"))
    assert set(view(issued.certificate).extended_key_usage) == {Usage.CLIENT_AUTH, Usage.SERVER_AUTH}


def test_a_request_is_the_same_for_equal_entries(setting: Setting) -> None:
    setting.issuance().issue(order())
    requests: list[IssuanceRequest] = [made.request for made in setting.backend.made]
    assert requests[0].attempt == setting.entries()[0].id
