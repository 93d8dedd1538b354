"""The spelling of name patterns, kind by kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.environment.patterns import pattern_problem
from tests.seeded import seeded

SOUND = [
    ("dns", "*.svc.example.com"),
    ("dns", "**.example.com"),
    ("dns", "a.*.example.com"),
    ("dns", "localhost"),
    ("dns", "xn--bcher-kva.example"),
    ("uri", "spiffe://example.com/ns/*/sa/*"),
    ("uri", "spiffe://example_1.com/**"),
    ("uri", "https://example.com/a/*"),
    ("uri", "https://example.com"),
    ("ip", "10.1.0.0/16"),
    ("ip", "10.1.2.3"),
    ("ip", "2001:db8::/32"),
    ("email", "*@example.com"),
    ("email", "first.last+tag@*.example.com"),
]
WRONG = [
    ("dns", "*", "last label"),
    ("dns", "**", "last label"),
    ("dns", "example.*", "last label"),
    ("dns", "web-*.example.com", "whole label"),
    ("dns", "***.example.com", "whole label"),
    ("dns", "Example.com", "lower case"),
    ("dns", "a..example.com", "labels"),
    ("dns", "-a.example.com", "labels"),
    ("dns", "a_b.example.com", "labels"),
    ("dns", "example.com.", "labels"),
    ("dns", "a" * 64 + ".com", "labels"),
    ("uri", "example.com/a", "scheme"),
    ("uri", "*://example.com/a", "scheme"),
    ("uri", "SPIFFE://example.com/a", "scheme"),
    ("uri", "spiffe://*/ns/a", "host"),
    ("uri", "spiffe://*.example.com/ns/a", "host"),
    ("uri", "spiffe://example.com/ns/team-*", "whole path segment"),
    ("uri", "spiffe://example.com:8443/a", "port"),
    ("uri", "spiffe://u@example.com/a", "user"),
    ("uri", "spiffe://example.com", "path"),
    ("uri", "spiffe://example.com/a/", "path"),
    ("uri", "spiffe://example.com/a//b", "path"),
    ("uri", "spiffe://example.com/../a", "path"),
    ("uri", "spiffe://example.com/a?b", "query"),
    ("uri", "spiffe://example.com/a#b", "fragment"),
    ("uri", "spiffe://example.com/a%20b", "segment"),
    ("uri", "spiffe://Example.com/a", "lower-case"),
    ("uri", "https://example.com/a?b", "query"),
    ("uri", "https://example.com:443/a", "port"),
    ("uri", "https://example.com/a//b", "path"),
    ("ip", "10.1.2.3/16", "CIDR"),
    ("ip", "0.0.0.0/0", "every address"),
    ("ip", "::/0", "every address"),
    ("ip", "fe80::1%eth0", "zone"),
    ("ip", "*.example.com", "CIDR"),
    ("email", "example.com", "name@example.com"),
    ("email", "a*@example.com", "name@example.com"),
    ("email", "@example.com", "name@example.com"),
    ("email", "a@b@example.com", "name@example.com"),
    ("email", "*@*", "last label"),
]


@pytest.mark.parametrize(("kind", "text"), SOUND)
def test_sound(kind: str, text: str) -> None:
    assert pattern_problem(kind, text) is None


@pytest.mark.parametrize(("kind", "text", "says"), WRONG)
def test_wrong(kind: str, text: str, says: str) -> None:
    assert says in (pattern_problem(kind, text) or "accepted")


@seeded(100)
@given(st.sampled_from(["dns", "uri", "ip", "email"]), st.text(max_size=40))
def test_any_text_has_an_answer_that_does_not_repeat_it(kind: str, text: str) -> None:
    problem = pattern_problem(kind, text)
    assert problem is None or "\n" not in problem


@seeded(100)
@given(st.lists(st.sampled_from(["*", "**"]), min_size=1, max_size=5))
def test_wildcards_alone_are_never_sound(labels: list[str]) -> None:
    assert pattern_problem("dns", ".".join(labels)) is not None
    assert pattern_problem("email", "*@" + ".".join(labels)) is not None
