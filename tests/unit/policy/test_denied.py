"""Denied names: what ``san.deny`` holds wins over all that allows a name, and nothing gets past it by its spelling."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.policy.engine import Decision, Facts, Request, decide
from pkiops.policy.patterns import denied_patterns, dns_matches
from pkiops.policy.rules import DenyRule, FromRequest, Profile, SanRule, SubjectRule, ValidityRule
from pkiops.x509.csr import load_csr
from pkiops.x509.duration import Duration
from pkiops.x509.san import SanKind
from tests.builders import AT, csr

PROFILE = Profile(
    authority="clients",
    validity=ValidityRule(default=Duration(30, "d"), max=Duration(90, "d")),
    subject=SubjectRule(organization="Example Ltd"),
    san=SanRule(
        dns=("**.example.com",),
        uri=("https://example.com/**", "https://example.com/a@b/*", "spiffe://example.com/ns/*/sa/*"),
        ip=("10.0.0.0/8", "::ffff:0:0/96"),
        email=("*@example.com",),
        wildcards=True,
        deny=DenyRule(
            dns=("admin.svc.example.com", "**.internal.example.com", "*.db.example.com"),
            uri=("https://example.com/*/secret", "spiffe://example.com/ns/kube-system/sa/*"),
            ip=("10.9.0.0/16",),
            email=("root@example.com",),
        ),
    ),
)


def judged(*names: str, profile: Profile = PROFILE, subject: dict[str, str] | None = None) -> Decision:
    parsed = load_csr(csr(subject or {}, sans=names), "a.csr")
    return decide("service", profile, Request(csr=parsed, usage=(), validity=None, sans=parsed.sans), Facts(), AT)


@pytest.mark.parametrize(
    ("name", "denied"),
    [
        ("dns:orders.svc.example.com", None),
        ("dns:admin.svc.example.com", "admin.svc.example.com"),
        ("dns:ADMIN.svc.Example.com", "admin.svc.example.com"),
        ("dns:x.admin.svc.example.com", None),
        ("dns:a.b.internal.example.com", "**.internal.example.com"),
        ("dns:internal.example.com", None),
        ("dns:one.db.example.com", "*.db.example.com"),
        ("dns:two.one.db.example.com", None),
        # wildcards that stand for a denied name
        ("dns:*.svc.example.com", "admin.svc.example.com"),
        ("dns:*.internal.example.com", "**.internal.example.com"),
        ("dns:*.a.internal.example.com", "**.internal.example.com"),
        ("dns:*.db.example.com", "*.db.example.com"),
        ("dns:*.one.db.example.com", None),
        ("dns:*.shop.example.com", None),
        ("uri:https://example.com/x/secret", "https://example.com/*/secret"),
        ("uri:https://example.com/x/SECRET", "https://example.com/*/secret"),
        ("uri:https://example.com/a@b/secret", "https://example.com/*/secret"),
        ("uri:https://example.com/x/y/secret", None),
        ("uri:spiffe://example.com/ns/kube-system/sa/x", "spiffe://example.com/ns/kube-system/sa/*"),
        ("ip:10.8.0.1", None),
        ("ip:10.9.1.1", "10.9.0.0/16"),
        ("ip:::ffff:10.9.1.1", "10.9.0.0/16"),
        ("ip:::ffff:10.8.1.1", None),
        ("email:jane@example.com", None),
        ("email:Root@example.com", "root@example.com"),
    ],
)
def test_deny_wins_over_allow(name: str, denied: str | None) -> None:
    decision = judged(name)
    kind = name.partition(":")[0]
    if denied is None:
        assert decision.allowed
        [finding] = [one for one in decision.findings if one.rule == f"san.{kind}"]
        assert finding.message.endswith(f", and nothing of san.deny.{kind}")
        return
    [finding] = decision.refusals()
    assert (finding.code, finding.rule) == ("policy.san-denied", f"san.deny.{kind}")
    assert f"is denied by {denied}" in finding.message
    assert decision.intent is None
    assert judged(name, profile=replace(PROFILE, san=replace(PROFILE.san, deny=DenyRule()))).allowed


def test_what_is_denied_is_not_suggested() -> None:
    rule = SanRule(dns=("*.svc.example.com",), deny=DenyRule(dns=("admin.svc.example.com",)))
    [finding] = judged("dns:admin.svc.example.org", profile=replace(PROFILE, san=rule)).refusals()
    assert finding.code == "policy.san-dns-not-allowed"
    assert finding.suggestion == "ask for a name that matches *.svc.example.com"


@pytest.mark.parametrize(
    "name", ["admin.svc.example.com", "Admin.SVC.example.com", "admin.svc.example.com.", "10.9.0.1"]
)
def test_a_denied_name_is_no_common_name(name: str) -> None:
    common_name = FromRequest(source="request", patterns=("**",))
    profile = replace(PROFILE, subject=SubjectRule(common_name=common_name))
    [finding] = judged("dns:orders.svc.example.com", profile=profile, subject={"common_name": name}).refusals()
    assert finding.code == "policy.common-name-not-allowed"
    assert "san.deny" in finding.message
    assert judged("dns:orders.svc.example.com", profile=profile, subject={"common_name": "orders"}).allowed


LABELS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3)
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=0, max_size=4).map(
    lambda some: ".".join([*some, "c"])
)


@given(PATTERNS, LABELS)
def test_a_wildcard_is_denied_where_some_name_under_it_is(pattern: str, labels: list[str]) -> None:
    parent = ".".join([*labels, "c"])
    expected = any(dns_matches(pattern, f"{label}.{parent}") for label in ("a", "b", "other"))
    assert (denied_patterns(SanKind.DNS, (pattern,)).first(f"*.{parent}") is not None) is expected
    assert (denied_patterns(SanKind.DNS, (pattern,)).first(parent) is not None) is dns_matches(pattern, parent)
