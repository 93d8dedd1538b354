"""Prices: the listed ones, tiers, and files of the user's own."""

from __future__ import annotations

import json

import pytest

from pkiops.backends.aws_private_ca.prices import LISTED, read_prices
from pkiops.errors import InputError


@pytest.mark.parametrize(
    ("count", "usd"), [(0, 0.0), (1, 0.75), (1_000, 750.0), (1_001, 750.35), (10_000, 3_900.0), (110_000, 4_000.0)]
)
def test_certificates_are_priced_by_tiers(count: int, usd: float) -> None:
    assert LISTED.certificates(count) == pytest.approx(usd)


def test_a_file_replaces_what_it_names() -> None:
    own = {
        "checked": "2027-01-01",
        "authority_month": {"GENERAL_PURPOSE": 100},
        "certificate_tiers": [{"up_to": None, "usd": 0.5}],
    }
    prices = read_prices(json.dumps(own).encode(), "own.json")
    assert prices.source == "own.json"
    assert prices.authority_month == {"GENERAL_PURPOSE": 100.0, "SHORT_LIVED_CERTIFICATE": 50.0}
    assert prices.certificates(10) == 5.0
    assert prices.unverified == ("short_lived_certificate",)


def test_a_region_may_have_prices_of_its_own() -> None:
    own = {"authority_month": {"GENERAL_PURPOSE": 100}, "regions": {"us-east-1": {"short_lived_certificate": 0.1}}}
    prices = read_prices(json.dumps(own).encode(), "own.json")
    assert prices.of_region("us-east-1").short_lived_certificate == 0.1
    assert prices.of_region("us-east-1").authority_month["GENERAL_PURPOSE"] == 100.0
    assert prices.of_region("eu-west-1") is prices
    assert prices.of_region(None) is prices


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"regions": []},
        {"regions": {"us-east-1": 1}},
        {"regions": {"us-east-1": {"price": 1}}},
        {"regions": {"us-east-1": {"regions": {}}}},
        {"price": 1},
        {"source": 1},
        {"authority_month": {"OTHER": 1}},
        {"authority_month": {"GENERAL_PURPOSE": -1}},
        {"authority_month": {"GENERAL_PURPOSE": True}},
        {"authority_month": []},
        {"certificate_tiers": []},
        {"certificate_tiers": [{"up_to": 10, "usd": 1}]},
        {"certificate_tiers": [{"up_to": None, "usd": 1}, {"up_to": None, "usd": 1}]},
        {"certificate_tiers": [{"up_to": 10, "usd": 1}, {"up_to": 5, "usd": 1}, {"up_to": None, "usd": 1}]},
        {"certificate_tiers": [{"usd": 1}]},
        {"certificate_tiers": ["x"]},
        {"short_lived_certificate": "1"},
    ],
)
def test_what_is_no_file_of_prices_is_refused(body: object) -> None:
    with pytest.raises(InputError) as caught:
        read_prices(json.dumps(body).encode(), "own.json")
    assert caught.value.code == "usage.prices"


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 60_000, b"x" * 70_000])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_prices(data, "own.json")
