"""Run the fixtures of an environment's policy: does each request get the verdict that its file says?

What this module decides: what counts as refused (a rule, a failed proof of possession, a request that cannot be read, as in issuing), and when a
verdict is the expected one. The rules are ``policy``'s, the fixtures those of ``environment.policy_tests``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pkiops.cert.explain import explain
from pkiops.environment.models import Environment
from pkiops.environment.policy_tests import PolicyTest
from pkiops.errors import InputError, PolicyDenied, VerificationFailed
from pkiops.policy.findings import Facts, LedgerFacts, LivingCertificate

_LONGEST = timedelta(days=3650)


@dataclass(frozen=True, kw_only=True, slots=True)
class FixtureResult:
    """What came of a fixture: ``codes`` are those that refused, sorted, none if it was allowed."""

    test: PolicyTest
    codes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether verdict and, where the fixture names them, codes are the expected ones."""
        declared = self.test.declared
        same_verdict = bool(self.codes) == (declared.expect == "refused")
        return same_verdict and (not declared.codes or set(declared.codes) == set(self.codes))

    def line(self) -> str:
        """One line of the report."""
        declared = self.test.declared
        got = f"refused ({', '.join(self.codes)})" if self.codes else "allowed"
        if self.passed:
            return f"ok    {self.test.name}: {got}"
        wanted = declared.expect + (f" ({', '.join(sorted(declared.codes))})" if declared.codes else "")
        return f"FAIL  {self.test.place}: {self.test.name}: expected {wanted}, but it was {got}"


def run_policy_tests(environment: Environment, tests: Sequence[PolicyTest], now: datetime) -> tuple[FixtureResult, ...]:
    """Judge every fixture, in order, as of ``now`` (aware)."""
    return tuple(FixtureResult(test=test, codes=_codes(environment, test, now)) for test in tests)


def failure(results: Sequence[FixtureResult]) -> VerificationFailed | None:
    """The error for results of which some are not as expected, else None."""
    failed = [one for one in results if not one.passed]
    if not failed:
        return None
    return VerificationFailed(
        f"{len(failed)} of {len(results)} policy tests failed",
        hint="pkiops policy explain shows what each rule says",
        code="policy.test-failed",
    )


def result_json(result: FixtureResult) -> dict[str, Any]:
    """JSON-ready."""
    declared = result.test.declared
    return {
        "name": result.test.name,
        "place": result.test.place,
        "passed": result.passed,
        "expected": declared.expect,
        "expected_codes": sorted(declared.codes),
        "verdict": "refused" if result.codes else "allowed",
        "codes": list(result.codes),
    }


def _codes(environment: Environment, test: PolicyTest, now: datetime) -> tuple[str, ...]:
    declared = test.declared
    try:
        explained = explain(
            environment,
            declared.profile,
            test.csr,
            declared.csr,
            sans=test.sans,
            validity=declared.validity,
            facts=_facts(test, now),
            now=now,
        )
    except (PolicyDenied, InputError) as error:
        return (error.code,)
    return tuple(sorted({one.code for one in explained.decision.refusals()}))


def _facts(test: PolicyTest, now: datetime) -> Facts:
    """What the fixture supposes; what it does not speak of is not judged."""
    supposed = test.declared.given
    if supposed is None:
        return Facts()
    requesters = (supposed.requester,) if supposed.requester else None
    if not supposed.of_ledger():
        return Facts(requesters=requesters)
    names = frozenset(name.lower() for name in supposed.certificate_names)
    living: tuple[LivingCertificate, ...] = ()
    if names and supposed.certificate_ends_in is not None:
        rest = min(supposed.certificate_ends_in.after(now) - now, _LONGEST)
        # old enough for the first third of its life to be over
        living = (LivingCertificate("1", names, now - 2 * rest, now + rest),)
    ledger = LedgerFacts(
        names_of_key=frozenset(name.lower() for name in supposed.names_of_key),
        asked_at={name.lower(): (now,) * count for name, count in supposed.issued.items()},
        living=living,
        others_in_run=supposed.others_in_run,
    )
    return Facts(requesters=requesters, ledger=ledger)
