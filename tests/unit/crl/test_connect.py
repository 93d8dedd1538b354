"""``--connect-to`` as curl has it."""

from __future__ import annotations

import pytest

from pkiops.crl.connect import parse_rule, stand_in
from pkiops.crl.download import ConnectTo
from pkiops.errors import InputError


@pytest.mark.parametrize(
    ("rule", "url", "leads_to"),
    [
        ("pki.example.com:80:127.0.0.1:8080", "http://pki.example.com/a.crl", ("127.0.0.1", 8080)),
        ("PKI.example.com:80:127.0.0.1:8080", "http://pki.EXAMPLE.com/a.crl", ("127.0.0.1", 8080)),
        ("pki.example.com:81:127.0.0.1:8080", "http://pki.example.com/a.crl", None),
        ("pki.example.com:443:127.0.0.1:8443", "https://pki.example.com/a.crl", ("127.0.0.1", 8443)),
        ("other.example.com:80:127.0.0.1:8080", "http://pki.example.com/a.crl", None),
        ("::127.0.0.1:8080", "http://pki.example.com/a.crl", ("127.0.0.1", 8080)),
        ("pki.example.com::127.0.0.1:", "http://pki.example.com:8/a.crl", ("127.0.0.1", 8)),
        (":80::8080", "http://pki.example.com/a.crl", ("pki.example.com", 8080)),
        ("127.0.0.1:4599", "http://pki.example.com/a.crl", ("127.0.0.1", 4599)),
        ("[::1]:4599", "http://pki.example.com/a.crl", ("::1", 4599)),
        ("[::1]:80:[2001:db8::1]:81", "http://[::1]/a.crl", ("2001:db8::1", 81)),
    ],
)
def test_where_a_rule_leads(rule: str, url: str, leads_to: tuple[str, int] | None) -> None:
    assert stand_in([parse_rule(rule)], url) == (ConnectTo(*leads_to) if leads_to else None)


def test_the_first_rule_that_fits_counts() -> None:
    rules = [parse_rule("a.example.com:80:127.0.0.1:1"), parse_rule("::127.0.0.1:2")]
    assert stand_in(rules, "http://a.example.com/") == ConnectTo("127.0.0.1", 1)
    assert stand_in(rules, "http://b.example.com/") == ConnectTo("127.0.0.1", 2)


@pytest.mark.parametrize(
    "rule", ["", "host", "host:", ":80", "h:0", "h:80:x", "h:80:x:99999", "a b:80", "::1:80:x:80:", "h:80:x:80:9"]
)
def test_what_is_no_rule(rule: str) -> None:
    with pytest.raises(InputError, match="--connect-to"):
        parse_rule(rule)
