"""Subject alternative names: one spelling each, and no more than RFC 5280 allows."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pkiops.errors import InputError
from pkiops.x509.names import build_name
from pkiops.x509.san import (
    SanKind,
    SubjectAltName,
    general_names,
    parse_san,
    problem_of,
    sans_of,
    unsupported_names_of,
)
from tests.seeded import seeded


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("dns:Orders.SVC.example", SanKind.DNS, "orders.svc.example"),
        ("DNS:*.example.com", SanKind.DNS, "*.example.com"),
        ("uri:spiffe://example.com/ns/a/sa/B", SanKind.URI, "spiffe://example.com/ns/a/sa/B"),
        ("ip:10.0.0.1", SanKind.IP, "10.0.0.1"),
        ("ip:2001:0DB8::0:1", SanKind.IP, "2001:db8::1"),
        ("email:Ops@Example.COM", SanKind.EMAIL, "Ops@example.com"),
    ],
)
def test_reads_and_normalises(text: str, kind: SanKind, value: str) -> None:
    assert parse_san(text) == SubjectAltName(kind, value)


@pytest.mark.parametrize(
    "text",
    [
        "", "orders.example", "dns:", "dn:orders.example", "dns:a..b", "dns:-a.b", "dns:a_b.c", "dns:a.b.", "dns:10.0.0.1", "dns:*",
        "dns:a.*.b", "dns:bü☕cher.example", "dns:xn--abc.example",
        "dns:a\x00b.c", "dns:" + "a" * 64, "dns:" + ".".join(["abcdefg"] * 40), "uri:no-scheme",
        "uri:spiffe://a/b c", "uri:spiffe://a/\x07", "uri:https://bücher", "uri:spiffe://a/" + "b" * 2048, "ip:10.0.0.256", "ip:fe80::1%eth0",
        "ip:10.0.0.0/8", "email:nobody", "email:a@b@", "email:a b@c.d", "email:@c.d",
    ],
)  # fmt: skip
def test_refuses_what_is_no_name(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_san(text)
    assert caught.value.code == "usage.san"
    assert "\x00" not in caught.value.message


def test_names_of_other_kinds_are_told_apart() -> None:
    names: list[x509.GeneralName] = [
        x509.DNSName("A.example"),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a"),
        x509.DirectoryName(build_name({"common_name": "a"})),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    ]
    extensions = x509.Extensions(
        [x509.Extension(x509.SubjectAlternativeName.oid, False, x509.SubjectAlternativeName(names))]
    )
    assert sans_of(extensions) == (SubjectAltName(SanKind.DNS, "a.example"),)
    assert unsupported_names_of(extensions) == (
        "otherName 1.3.6.1.4.1.311.20.2.3",
        "directoryName CN=a",
        "registeredID 1.2.3",
    )
    assert sans_of(x509.Extensions([])) == ()


@seeded(100)
@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_every_address_survives_the_round_trip(address: object) -> None:
    san = parse_san(f"ip:{address}")
    extension = x509.SubjectAlternativeName(general_names([san]))
    assert sans_of(x509.Extensions([x509.Extension(extension.oid, False, extension)])) == (san,)


@seeded(200)
@given(st.sampled_from(SanKind), st.text(max_size=60))
def test_what_has_no_problem_can_be_encoded(kind: SanKind, value: str) -> None:
    san = SubjectAltName(kind, value)
    if problem_of(san) is None:
        general_names([san])
