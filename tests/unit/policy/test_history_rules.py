"""Rules about what was issued before, each both ways and at its edges."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pkiops.policy.engine import Decision, Facts, Request, decide, needs_ledger, not_judged
from pkiops.policy.findings import KeyExamination, LedgerFacts, LivingCertificate
from pkiops.policy.renewal import due_at
from pkiops.policy.rules import FromRequest, LimitRule, Profile, SanRule, SubjectRule, ValidityRule
from pkiops.x509.csr import load_csr
from pkiops.x509.duration import Duration
from tests.builders import AT, csr

NAME = "orders.svc.example.com"
CSR = load_csr(csr({}, sans=(f"dns:{NAME.upper()}",)), "a.csr")
REQUEST = Request(csr=CSR, usage=(), validity=None, sans=CSR.sans)
PLAIN = Profile(
    authority="clients",
    validity=ValidityRule(default=Duration(30, "d"), max=Duration(90, "d")),
    subject=SubjectRule(common_name=FromRequest(source="request")),
    san=SanRule(dns=("*.svc.example.com",)),
)
DAY = timedelta(days=1)


def judged(profile: Profile, known: LedgerFacts | None, **more: object) -> Decision:
    return decide("service", profile, REQUEST, Facts(ledger=known, **more), AT)  # type: ignore[arg-type]


def refusing(decision: Decision) -> list[tuple[str, str]]:
    return [(one.code.removeprefix("policy."), one.suggestion or "") for one in decision.refusals()]


def test_a_key_under_other_names() -> None:
    strict = replace(PLAIN, key_reuse="refuse")
    other = LedgerFacts(names_of_key=frozenset({NAME, "pay.svc.example.com"}))
    assert [code for code, _ in refusing(judged(strict, other))] == ["key-reuse"]
    assert "pay.svc.example.com" in next(judged(strict, other).refusals()).message
    assert judged(strict, LedgerFacts(names_of_key=frozenset({NAME}))).allowed
    assert judged(strict, LedgerFacts()).allowed
    assert judged(PLAIN, other).allowed


@pytest.mark.parametrize(
    ("ages", "allowed", "again"),
    [
        ((), True, None),
        ((1, 2), True, None),
        ((1, 2, 3), False, AT - 3 * DAY + 7 * DAY),
        ((1, 2, 3, 4), False, AT - 3 * DAY + 7 * DAY),
        ((1, 2, 7), True, None),
        ((1, 2, 6.999), False, AT - 6.999 * DAY + 7 * DAY),
        ((100, 200, 300, 400), True, None),
    ],
)
def test_a_limit_per_name(ages: tuple[float, ...], allowed: bool, again: datetime | None) -> None:
    profile = replace(PLAIN, limits=LimitRule(per_name=3, window=Duration(7, "d")))
    known = LedgerFacts(asked_at={NAME: tuple(AT - age * DAY for age in ages), "pay.svc.example.com": (AT,) * 9})
    decision = judged(profile, known)
    assert decision.allowed is allowed
    if again is not None:
        [(code, suggestion)] = refusing(decision)
        assert code == "limit-per-name"
        assert f"{again:%Y-%m-%dT%H:%M:%SZ}" in suggestion
        # what is suggested passes
        assert decide("service", profile, REQUEST, Facts(ledger=known), again + timedelta(seconds=1)).allowed


@pytest.mark.parametrize(("others", "allowed"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_limit_per_run(others: int, allowed: bool) -> None:
    profile = replace(PLAIN, limits=LimitRule(per_run=2))
    assert judged(profile, LedgerFacts(others_in_run=others)).allowed is allowed


@pytest.mark.parametrize(
    ("names", "days_left", "allowed"),
    [
        ({NAME}, 11, False),
        ({NAME}, 10, True),
        ({NAME}, 9, True),
        ({NAME, "pay.svc.example.com"}, 20, True),
        ({NAME}, -1, True),
    ],
)
def test_another_certificate_is_not_asked_for_too_early(names: set[str], days_left: int, allowed: bool) -> None:
    profile = replace(PLAIN, renewal_window=Duration(10, "d"))
    end = AT + days_left * DAY
    decision = judged(profile, LedgerFacts(living=(LivingCertificate("abc", frozenset(names), end - 30 * DAY, end),)))
    assert decision.allowed is allowed
    if not allowed:
        [(code, suggestion)] = refusing(decision)
        assert code == "renewal-too-early"
        assert f"{end - 10 * DAY:%Y-%m-%dT%H:%M:%SZ}" in suggestion


def test_when_a_certificate_is_due() -> None:
    end = AT + 30 * DAY
    assert due_at(AT, end) == AT + 20 * DAY
    assert due_at(AT, end, Duration(5, "d")) == AT + 25 * DAY
    assert due_at(AT, end, Duration(29, "d")) == AT + 10 * DAY  # never in its first third
    assert due_at(AT, AT + DAY, Duration(5, "d")) == AT + DAY / 3


def test_every_rule_is_listed_once_its_facts_are_known() -> None:
    profile = replace(
        PLAIN, key_reuse="refuse", renewal_window=Duration(1, "d"), limits=LimitRule(per_name=1, per_run=1),
        requesters=("github:example/orders",),
    )  # fmt: skip
    assert needs_ledger(profile)
    assert not needs_ledger(PLAIN)
    nothing, everything = Facts(), Facts(AT + 400 * DAY, ("github:example/orders@x",), LedgerFacts())
    assert len(not_judged(profile, nothing)) == 6
    assert not_judged(profile, everything) == ()
    assert not_judged(PLAIN, nothing) == ("whether the certificate would outlive the issuing CA",)
    decision = decide("service", profile, REQUEST, everything, AT)
    assert decision.allowed
    keys = {"keys", "san.dns", "san.max_names", "subject.common_name", "usage", "validity", "requesters", "key_reuse",
            "limits.per_name", "limits.per_run", "renewal_window"}  # fmt: skip
    assert {one.rule for one in decision.findings} == keys


@pytest.mark.parametrize(
    ("requesters", "allowed"),
    [
        (None, True),
        ((), False),
        (("arn:aws:sts::111122223333:assumed-role/ci/x",), True),
        (("arn:aws:sts::111122223333:assumed-role/dev/x",), False),
        (("arn:aws:sts::111122223333:assumed-role/dev/x", "github:example/orders@refs/heads/main"), True),
    ],
)
def test_who_may_ask(requesters: tuple[str, ...] | None, allowed: bool) -> None:
    profile = replace(PLAIN, requesters=("arn:aws:iam::111122223333:role/ci", "github:example/*"))
    decision = judged(profile, None, requesters=requesters)
    assert decision.allowed is allowed
    if not allowed:
        assert [code for code, _ in refusing(decision)] == ["requester-not-allowed"]
    assert judged(PLAIN, None, requesters=("anybody",)).allowed


@pytest.mark.parametrize(
    ("examination", "allowed", "says"),
    [
        (KeyExamination(None), True, "badkeys is not installed"),
        (KeyExamination("badkeys 1"), True, "--update-bl"),
        (KeyExamination("badkeys 1", leaked_keys=True), True, "not among the keys that have leaked"),
        (
            KeyExamination("badkeys 1", "its private key is public", leaked_keys=True),
            False,
            "its private key is public",
        ),
    ],
)
def test_what_was_found_out_about_the_key(examination: KeyExamination, allowed: bool, says: str) -> None:
    decision = judged(PLAIN, None, examination=examination)
    assert decision.allowed is allowed
    assert any(says in one.message for one in decision.findings if one.rule == "keys")
