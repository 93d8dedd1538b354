"""Patterns: what each wildcard stands for, held against an oracle that tries everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.policy.patterns import dns_matches, email_matches, ip_matches, san_matches, text_matches, uri_matches
from pkiops.policy.spiffe import is_spiffe, spiffe_problem
from pkiops.x509.san import parse_san
from tests.seeded import seeded


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.svc.example.com", "orders.svc.example.com", True),
        ("*.svc.example.com", "a.orders.svc.example.com", False),
        ("*.svc.example.com", "svc.example.com", False),
        ("*.svc.example.com", ".svc.example.com", False),
        ("*.svc.example.com", "orders.svc.example.com.evil.com", False),
        ("*.svc.example.com", "*.svc.example.com", True),
        ("**.example.com", "*.svc.example.com", True),
        ("*.*.example.com", "*.svc.example.com", True),
        ("*.example.com", "*.svc.example.com", False),
        ("orders.svc.example.com", "*.svc.example.com", False),
        ("*.svc.example.com", "o*.svc.example.com", False),
        ("**.example.com", "a.*.example.com", False),
        ("*.svc.example.com", "or\x00ders.svc.example.com", False),
        ("**.example.com", "example.com", False),
        ("**.example.com", "a.example.com", True),
        ("**.example.com", "a.b.c.example.com", True),
        ("**.example.com", "a..example.com", False),
        ("a.**.b.*.c", "a.x.y.b.z.c", True),
        ("a.**.b.*.c", "a.b.z.c", False),
        ("orders.example.com", "orders.example.com", True),
        ("web-*.example.com", "web-1.example.com", False),
        ("", "", True),
    ],
)
def test_dns(pattern: str, name: str, expected: bool) -> None:
    assert dns_matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("spiffe://example.com/ns/*/sa/*", "spiffe://example.com/ns/shop/sa/orders", True),
        ("spiffe://example.com/ns/*/sa/*", "spiffe://example.com/ns/shop/x/sa/orders", False),
        ("spiffe://example.com/ns/*/sa/*", "spiffe://example.com/ns//sa/orders", False),
        ("spiffe://example.com/ns/*/sa/*", "spiffe://example.com/ns/../sa/orders", False),
        ("spiffe://example.com/ns/*/sa/*", "spiffe://example.com/ns/a/sa/b?c", False),
        ("spiffe://example.com/ns/*/sa/*", "spiffe://example.com/ns/a/sa/%2e%2e", False),
        ("spiffe://example.com/ns/*/sa/*", "spiffe://evil@example.com/ns/a/sa/b", False),
        ("spiffe://example.com/ns/*/sa/*", "spiffe://example.com:80/ns/a/sa/b", False),
        ("spiffe://example.com/ns/*/sa/*", "https://example.com/ns/a/sa/b", False),
        ("spiffe://example.com/**", "spiffe://example.com", False),
        ("spiffe://example.com/**", "spiffe://example.com/", False),
        ("spiffe://example.com/**", "spiffe://example.com/a/b/c", True),
        ("spiffe://example.com/**", "spiffe://example.com.evil.com/a", False),
        ("spiffe://*/a", "spiffe://example.com/a", False),
        ("urn:example:orders", "urn:example:orders", True),
        ("urn:example:*", "urn:example:orders", False),
        ("https://a.example/x?y=1", "https://a.example/x?y=1", True),
    ],
)
def test_uri(pattern: str, name: str, expected: bool) -> None:
    assert uri_matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("10.1.0.0/16", "10.1.255.255", True),
        ("10.1.0.0/16", "10.2.0.0", False),
        ("10.1.0.1", "10.1.0.1", True),
        ("10.1.0.1/16", "10.1.0.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", False),
        ("nonsense", "10.0.0.1", False),
        ("10.0.0.0/8", "nonsense", False),
    ],
)
def test_ip(pattern: str, name: str, expected: bool) -> None:
    assert ip_matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*@example.com", "ops@example.com", True),
        ("*@example.com", "ops@a.example.com", False),
        ("*@*.example.com", "ops@a.example.com", True),
        ("ops@example.com", "ops@example.com", True),
        ("ops@example.com", "Ops@example.com", False),
        ("*@example.com", "a@b@example.com", False),
        ("*@example.com", "@example.com", False),
        ("example.com", "ops@example.com", False),
    ],
)
def test_email(pattern: str, name: str, expected: bool) -> None:
    assert email_matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("app-*", "app-orders", True),
        ("app-*", "app-", False),
        ("app-*", "app-a.b", False),
        ("app-*", "app-a b", False),
        ("system:node:*", "system:node:n1", True),
        ("system:*", "system:node:n1", False),
        ("*", "system:masters", False),
        ("*.example.com", "a.example.com", True),
        ("**.example.com", "a.b.example.com", True),
        ("a*b*c", "aXbYbZc", True),
        ("orders", "orders", True),
        ("orders", "Orders", False),
        ("*", "", False),
        ("*", "\u0430dmin", False),
    ],
)
def test_text(pattern: str, name: str, expected: bool) -> None:
    assert text_matches(pattern, name) is expected


def test_kinds_do_not_mix() -> None:
    assert san_matches("*.example.com", parse_san("dns:a.example.com"))
    assert not san_matches("*.example.com", parse_san("email:x@a.example.com"))
    assert not san_matches("*.example.com", parse_san("uri:https://a.example.com"))
    assert not san_matches("*", parse_san("ip:10.0.0.1"))


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("spiffe://example.com/ns/a/sa/b", None),
        ("spiffe://example_1.com/a", None),
        ("SPIFFE://example.com/a", "lower case"),
        ("spiffe://Example.com/a", "trust domain"),
        ("spiffe:///a", "trust domain"),
        ("spiffe://" + "a" * 256 + "/b", "trust domain"),
        ("spiffe://example.com", "path"),
        ("spiffe://example.com/", "empty"),
        ("spiffe://example.com/a/", "empty"),
        ("spiffe://example.com/a//b", "empty"),
        ("spiffe://example.com/a/../b", ".."),
        ("spiffe://example.com/a?b", "query"),
        ("spiffe://example.com/a#b", "query"),
        ("spiffe://u@example.com/a", "user"),
        ("spiffe://example.com:1/a", "port"),
        ("spiffe://example.com/%41", "segment"),
        ("spiffe://example.com/" + "a" * 2048, "2048"),
    ],
)
def test_spiffe_ids(uri: str, problem: str | None) -> None:
    assert is_spiffe(uri)
    told = spiffe_problem(uri)
    assert (told is None) if problem is None else (problem in str(told))


PIECES = st.sampled_from(["a", "b", "c", "a-b", "", "..", "x!", "*"])
TOKENS = st.lists(st.sampled_from(["*", "**", "a", "b", "x!", "a-b"]), min_size=1, max_size=7)


def _oracle(tokens: list[str], parts: list[str]) -> bool:
    """Every way to spread the parts over the tokens."""
    if not tokens:
        return not parts
    if not parts:
        return False
    token, rest = tokens[0], tokens[1:]
    plain = parts[0] not in {"", "..", "x!", "*"}
    if token == "*":
        return plain and _oracle(rest, parts[1:])
    if token == "**":
        return plain and (_oracle(rest, parts[1:]) or _oracle(tokens, parts[1:]))
    return token == parts[0] and _oracle(rest, parts[1:])


@seeded(600)
@given(TOKENS, st.lists(PIECES, min_size=1, max_size=9))
def test_labels_agree_with_the_oracle(tokens: list[str], parts: list[str]) -> None:
    expected = "*" not in parts and _oracle(tokens, parts)
    assert dns_matches(".".join(tokens), ".".join(parts)) == expected


@seeded(300)
@given(TOKENS, st.data())
def test_what_a_pattern_describes_it_matches(tokens: list[str], data: st.DataObject) -> None:
    parts: list[str] = []
    for token in tokens:
        if token == "*":
            parts.append(data.draw(st.sampled_from(["a", "b", "zz"])))
        elif token == "**":
            parts += data.draw(st.lists(st.sampled_from(["a", "b", "zz"]), min_size=1, max_size=3))
        else:
            parts.append(token)
    assert uri_matches("spiffe://d/" + "/".join(tokens), "spiffe://d/" + "/".join(parts))


@seeded(400)
@given(st.text("ab*.:", min_size=1, max_size=8), st.text("ab.:", min_size=1, max_size=10))
def test_text_agrees_with_the_oracle(pattern: str, name: str) -> None:
    assert text_matches(pattern, name) == _text_oracle(pattern, name)


def _text_oracle(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    token = "**" if pattern.startswith("**") else pattern[0]
    rest = pattern[len(token) :]
    if token not in {"*", "**"}:
        return name[:1] == token and _text_oracle(rest, name[1:])
    allowed = "ab." if token == "**" else "ab"
    return any(
        all(character in allowed for character in name[:size]) and _text_oracle(rest, name[size:])
        for size in range(1, len(name) + 1)
    )


def test_hostile_lengths_are_answered_at_once() -> None:
    assert not text_matches("*a" * 127, "a" * 255 + "b")
    assert not dns_matches(".".join(["**", "a"] * 60), ".".join(["a"] * 4000 + ["b"]))
    assert not text_matches("*", "a" * 10_000)
