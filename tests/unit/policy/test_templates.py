"""Templates of subject attributes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.policy.templates import filled, template_problem
from pkiops.x509.san import parse_san
from tests.seeded import seeded

NAMES = tuple(
    parse_san(text)
    for text in (
        "uri:spiffe://prod.example.com/ns/shop/sa/orders",
        "dns:orders.svc.example.com",
        "dns:other.svc.example.com",
        "email:ops@a.example.com",
        "ip:10.0.0.1",
    )
)


@pytest.mark.parametrize(
    ("template", "text", "missing"),
    [
        ("{dns}", "orders.svc.example.com", None),
        ("{dns.0} of {dns.1}", "orders of svc", None),
        ("{dns.4}", "", "dns.4"),
        ("{uri.0}/{uri.2}/{uri.4}", "prod.example.com/shop/orders", None),
        ("{email.0} at {email.1}", "ops at a.example.com", None),
        ("{ip} {profile}", "10.0.0.1 service", None),
        ("{profile}", "service", None),
    ],
)
def test_filling(template: str, text: str, missing: str | None) -> None:
    assert template_problem(template) is None
    assert filled(template, "service", NAMES) == (text, missing)


def test_without_a_name_of_the_kind_nothing_is_made() -> None:
    assert filled("{profile} {dns.0}", "service", NAMES[:1]) == ("", "dns.0")


@pytest.mark.parametrize(
    "template", ["London", "{", "}", "{dns", "dns}", "{{dns}}", "{}", "{dns.}", "{dns.-1}", "{dns.01}", "{dns.x}", "{dns.20}",
                 "{ip.0}", "{cn}", "{dns.0.1}", "{profile.0}", "{dns.\u0661}"]
)  # fmt: skip
def test_templates_that_are_none(template: str) -> None:
    assert template_problem(template)


@seeded(200)
@given(st.text(alphabet="{}dns.uri01 ", max_size=30))
def test_whatever_is_accepted_can_be_filled(template: str) -> None:
    if template_problem(template) is None:
        text, missing = filled(template, "service", NAMES)
        assert "{" not in text
        assert missing is None or not text
