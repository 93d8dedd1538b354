"""Wildcard names, how many and how long, required kinds, SPIFFE IDs, and subjects that are not the same in every certificate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pkiops.policy.engine import Decision, Facts, Request, decide
from pkiops.policy.rules import FromRequest, Profile, SanRule, SubjectRule, ValidityRule
from pkiops.x509.csr import load_csr
from pkiops.x509.duration import Duration
from pkiops.x509.san import SanKind, SubjectAltName, parse_san
from tests.builders import AT, csr

ONE = "orders.svc.example.com"
SPIFFE = "spiffe://example.com/ns/shop/sa/orders"
SANS = SanRule(
    dns=("*.svc.example.com", "**.deep.example.com", "host.example.com"),
    uri=("spiffe://example.com/ns/*/sa/*", "https://example.com/*"),
)
PROFILE = Profile(
    authority="clients",
    validity=ValidityRule(default=Duration(30, "d"), max=Duration(90, "d")),
    subject=SubjectRule(organization="Example Ltd"),
    san=SANS,
)


def judged(*names: str, profile: Profile = PROFILE, subject: dict[str, str] | None = None) -> Decision:
    parsed = load_csr(csr(subject or {}, sans=names), "a.csr")
    return decide("service", profile, Request(csr=parsed, usage=(), validity=None, sans=parsed.sans), Facts(), AT)


def codes(decision: Decision) -> list[str]:
    return [one.code.removeprefix("policy.") for one in decision.refusals()]


def with_san(**changes: Any) -> Profile:
    return replace(PROFILE, san=replace(SANS, **changes))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("*.svc.example.com", []),
        ("*.deep.example.com", []),
        ("*.a.deep.example.com", []),
        ("*.example.com", ["san-dns-not-allowed"]),
        ("*.a.svc.example.com", ["san-dns-not-allowed"]),
        ("*.host.example.com", ["san-dns-not-allowed"]),
        (ONE, []),
    ],
)
def test_a_wildcard_name_is_granted_where_all_it_stands_for_is(name: str, expected: list[str]) -> None:
    assert codes(judged(f"dns:{name}", profile=with_san(wildcards=True))) == expected
    assert codes(judged(f"dns:{name}")) == (["san-wildcard"] if "*" in name else [])


def test_how_many_names() -> None:
    names = [f"dns:n{number}.svc.example.com" for number in range(151)]
    assert codes(judged(*names[:150])) == []
    assert codes(judged(*names)) == ["san-too-many"]
    assert codes(judged(*names[:3], profile=with_san(max_names=2))) == ["san-too-many"]
    # the same name twice is one name
    assert codes(judged(names[0], names[0].upper().replace("DNS:", "dns:"), profile=with_san(max_names=1))) == []


def test_how_long_names() -> None:
    limited = with_san(max_length=len(ONE))
    assert codes(judged(f"dns:{ONE}", profile=limited)) == []
    assert codes(judged(f"dns:x{ONE}", profile=limited)) == ["san-too-long"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((f"uri:{SPIFFE}",), []),
        ((f"uri:{SPIFFE}", f"dns:{ONE}"), []),
        ((f"dns:{ONE}",), ["san-kind-required"]),
        ((), ["san-required"]),
    ],
)
def test_required_kinds(names: tuple[str, ...], expected: list[str]) -> None:
    decision = judged(*names, profile=with_san(required_kinds=("uri",)))
    assert codes(decision) == expected
    if expected == ["san-kind-required"]:
        assert "uri:spiffe://example.com/ns/*/sa/*" in str(next(decision.refusals()).suggestion)
        assert "dns:" not in str(next(decision.refusals()).suggestion)


def test_kinds_are_required_of_those_who_may_come_without_names_too() -> None:
    assert codes(judged(profile=with_san(required=False, required_kinds=("uri",)))) == ["san-kind-required"]


def test_a_spiffe_id_is_the_only_uri() -> None:
    assert codes(judged(f"uri:{SPIFFE}", "uri:https://example.com/a")) == ["san-spiffe-several"]
    assert codes(judged("uri:https://example.com/a", "uri:https://example.com/b")) == []


def test_names_given_are_judged_for_their_syntax_too() -> None:
    parsed = load_csr(csr({}, sans=()), "a.csr")
    for kind, value in ((SanKind.DNS, "a..svc.example.com"), (SanKind.URI, "spiffe://example.com/ns/\u202e/sa/b"), (SanKind.IP, "1.2.3"),
                        (SanKind.DNS, "a\x1b[0m.svc.example.com"), (SanKind.DNS, "xn--abc.svc.example.com")):  # fmt: skip
        request = Request(csr=parsed, usage=(), validity=None, sans=(SubjectAltName(kind, value),))
        decision = decide("service", PROFILE, request, Facts(), AT)
        assert codes(decision) == ["san-malformed"], value
        assert "\x1b" not in next(decision.refusals()).message


def test_every_refused_name_is_told_the_nearest_pattern_and_the_first_ones_an_example() -> None:
    names = [f"dns:n{number}.svc.example.org" for number in range(20)] + ["dns:a.host.example.com"]
    found = list(judged(*names).refusals())
    assert len(found) == 21
    assert found[0].suggestion == "ask for dns:n0.svc.example.com, which matches *.svc.example.com"
    assert {one.suggestion for one in found[5:]} == {
        "ask for a name that matches *.svc.example.com",
        "ask for a name that matches host.example.com",
    }


def _subject(**fields: FromRequest | str) -> Profile:
    return replace(PROFILE, subject=SubjectRule(**fields))


REQUESTED = FromRequest(source="request", patterns=("Team *", "London"))
TEMPLATE = FromRequest(source="names", template="{dns.0} of {profile}")


@pytest.mark.parametrize(
    ("profile", "subject", "expected"),
    [
        (_subject(organizational_unit=REQUESTED), {"organizational_unit": "Team blue"}, {"organizational_unit": "Team blue"}),
        (_subject(organizational_unit=REQUESTED), {}, {}),
        (_subject(organizational_unit=REQUESTED), {"organizational_unit": "Team blue red"}, ["subject-not-allowed"]),
        (_subject(organizational_unit=REQUESTED), {"organizational_unit": "Admins"}, ["subject-not-allowed"]),
        (_subject(organizational_unit=REQUESTED), {"organization": "Evil"}, {}),
        (_subject(organizational_unit=TEMPLATE), {"organizational_unit": "Admins"}, {"organizational_unit": "orders of service"}),
        (_subject(common_name=FromRequest(source="names", template="{uri.0}")), {}, ["subject-template"]),
        (_subject(country=FromRequest(source="names", template="{dns.0}")), {}, ["subject-template"]),
        (_subject(country=FromRequest(source="request", patterns=("GB", "gb"))), {"country": "GB"}, {"country": "GB"}),
        (_subject(country=FromRequest(source="request", patterns=("GB",))), {"country": "DE"}, ["subject-not-allowed"]),
        (_subject(common_name="fixed", organization="Example Ltd"), {}, {"organization": "Example Ltd", "common_name": "fixed"}),
    ],
)  # fmt: skip
def test_subjects(profile: Profile, subject: dict[str, str], expected: dict[str, str] | list[str]) -> None:
    decision = judged(f"dns:{ONE}", profile=profile, subject=subject)
    if isinstance(expected, list):
        assert codes(decision) == expected
        assert all(one.suggestion for one in decision.refusals())
    else:
        assert decision.intent is not None, codes(decision)
        assert dict(decision.intent.subject) == expected


def test_nothing_but_approved_names_fills_a_template() -> None:
    decision = judged("dns:evil.example.org", profile=_subject(common_name=TEMPLATE))
    assert codes(decision) == ["san-dns-not-allowed", "subject-template"]
    assert parse_san("dns:evil.example.org") not in (decision.intent.sans if decision.intent else ())
