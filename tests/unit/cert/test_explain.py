"""Explaining: the same decision as in issuing, what is said of it, and what the fixtures of a policy suppose."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pkiops.cert.explain import explain, explanation_json, explanation_text
from pkiops.cert.policy_tests import failure, result_json, run_policy_tests
from pkiops.environment.policy_tests import DeclaredTest, PolicyTest, Supposed
from pkiops.errors import InputError, PolicyDenied
from pkiops.policy.findings import Facts, LedgerFacts
from pkiops.policy.rules import LimitRule
from pkiops.x509.duration import Duration
from pkiops.x509.san import parse_san
from tests import builders
from tests.fakes.authority import environment, profile
from tests.raw_csr import RawCsr, dns

AT = builders.AT
GOOD = builders.csr({}, sans=("dns:a.svc.test.example.com",))
STRICT = environment(
    profiles={
        "service": replace(
            profile(), requesters=("github:example/*",), key_reuse="refuse", limits=LimitRule(per_name=1)
        )
    }
)


def test_facts_are_judged_and_what_is_not_known_is_named() -> None:
    nothing = explain(STRICT, "service", GOOD, "a.csr", now=AT)
    assert nothing.decision.allowed
    assert nothing.error() is None
    assert len(nothing.not_judged) == 5
    facts = Facts(AT + timedelta(days=400), ("github:other/x",), LedgerFacts(names_of_key=frozenset({"x.example"})))
    everything = explain(STRICT, "service", GOOD, "a.csr", facts=facts, now=AT)
    assert everything.not_judged == ("whether the ledger knows the key as compromised",)
    error = everything.error()
    assert error is not None
    assert (error.exit_code, error.code) == (4, "policy.denied")
    assert [one.code for one in everything.decision.refusals()] == ["policy.requester-not-allowed", "policy.key-reuse"]


def test_a_single_refusal_has_its_own_code_and_its_suggestion_as_hint() -> None:
    explained = explain(environment(), "service", GOOD, "a.csr", validity=Duration(1, "y"), now=AT)
    error = explained.error()
    assert error is not None
    assert error.code == "policy.validity-too-long"
    assert error.hint == "ask for at most 90d"
    text = explanation_text(explained)
    # refusals first, then what passes
    assert text.index("refuse  validity.max") < text.index("pass    keys")
    assert "would pass: ask for at most 90d" in text
    assert explanation_json(explained)["certificate"] is None


def test_the_certificate_that_would_be_asked_for() -> None:
    other = parse_san("dns:b.svc.test.example.com")
    found = explanation_json(explain(environment(), "service", GOOD, "a.csr", sans=(other,), now=AT))
    assert found["certificate"]["sans"] == ["dns:b.svc.test.example.com"]
    assert found["certificate"]["not_after"] == AT + timedelta(days=30)
    assert [one["code"] for one in found["findings"] if one["code"] == "policy.san-ignored"]


def test_what_cannot_be_judged_raises() -> None:
    with pytest.raises(InputError):
        explain(environment(), "nobody", GOOD, "a.csr", now=AT)
    with pytest.raises(InputError):
        explain(environment(), "service", b"nothing", "a.csr", now=AT)
    broken = bytearray(RawCsr(key=builders.key(), names=dns("a.svc.test.example.com")).der())
    broken[-1] ^= 1
    with pytest.raises(PolicyDenied) as caught:
        explain(environment(), "service", bytes(broken), "a.csr", now=AT)
    assert caught.value.code == "csr.proof-of-possession"


def fixture(expect: str, *codes: str, given: Supposed | None = None, csr: bytes = GOOD) -> PolicyTest:
    declared = DeclaredTest(profile="service", csr="a.csr", expect=expect, codes=codes, given=given)  # type: ignore[arg-type]
    return PolicyTest(name="n", place="f:1", declared=declared, sans=(), csr=csr)


@pytest.mark.parametrize(
    ("test", "passed"),
    [
        (fixture("allowed"), True),
        (fixture("refused"), False),
        (fixture("refused", "policy.key-reuse", given=Supposed(names_of_key=("b.example",))), True),
        (fixture("refused", given=Supposed(names_of_key=("b.example",))), True),
        (fixture("refused", "policy.key-weak", given=Supposed(names_of_key=("b.example",))), False),
        (fixture("refused", "policy.key-reuse", "policy.limit-per-name",
                 given=Supposed(names_of_key=("b.example",), issued={"A.svc.test.example.com": 1})), True),
        (fixture("allowed", given=Supposed(requester="github:example/orders")), True),
        (fixture("refused", "policy.requester-not-allowed", given=Supposed(requester="github:other/orders")), True),
        (fixture("refused", "csr.not-pem", csr=b"nothing"), True),
        (fixture("allowed", csr=b"nothing"), False),
    ],
)  # fmt: skip
def test_fixtures(test: PolicyTest, passed: bool) -> None:
    [result] = run_policy_tests(STRICT, [test], AT)
    assert result.passed is passed
    assert result_json(result)["passed"] is passed
    assert result.line().startswith("ok " if passed else "FAIL  f:1")
    error = failure([result])
    assert (error is None) is passed
    if error is not None:
        assert (error.exit_code, error.code) == (8, "policy.test-failed")
