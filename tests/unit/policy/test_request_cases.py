"""Requests by topic of the RFCs: each gets the verdict that its row says, from the rule that its row names."""

from __future__ import annotations

import pytest

from pkiops.errors import InputError, PolicyDenied
from pkiops.policy.engine import Facts, Request, decide
from pkiops.x509.csr import load_csr
from tests.builders import AT
from tests.unit.policy.request_cases import CASES, PROFILES


def refusing(data: bytes, profile: str) -> frozenset[str]:
    """The codes that refuse a request, as ``policy test`` gives them."""
    try:
        parsed = load_csr(data, "a.csr")
    except (InputError, PolicyDenied) as error:
        return frozenset({error.code})
    decision = decide(
        profile, PROFILES[profile], Request(csr=parsed, usage=(), validity=None, sans=parsed.sans), Facts(), AT
    )
    found = list(decision.refusals())
    assert decision.allowed == (not found)
    assert (decision.intent is None) == bool(found)
    assert all(one.suggestion for one in found), found
    assert {one.rule for one in decision.findings} >= {"keys", "usage", "validity", "san.max_names"}
    return frozenset(one.code for one in found)


@pytest.mark.parametrize(("profile", "data", "codes"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_the_verdict(profile: str, data: bytes, codes: frozenset[str]) -> None:
    assert refusing(data, profile) == codes


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 150
    assert len({row[0] for row in CASES}) == len(CASES)
    allowed = sum(not row[3] for row in CASES)
    assert allowed >= 60
    assert len({code for row in CASES for code in row[3]}) >= 25
