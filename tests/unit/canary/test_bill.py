"""What a run may cost, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.canary.bill import PRICES, SHORT_LIVED, Bill, Estimate, LimitReached
from tests.canary.cases import CASES
from tests.canary.runner import estimate

START = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_hours_that_have_begun_count_and_one_for_cleaning() -> None:
    assert PRICES.authority(0) == pytest.approx(2 * 50 / 730)
    assert PRICES.authority(1.5, "GENERAL_PURPOSE") == pytest.approx(3 * 400 / 730)


def test_an_estimate_is_authorities_by_the_hour_and_certificates_by_the_piece() -> None:
    assert Estimate(authorities=2, certificates=10, hours=4.2).usd() == pytest.approx(2 * 6 * 50 / 730 + 10 * 0.058)


def test_the_estimate_of_cases_counts_all_they_may_make_and_wait_for() -> None:
    one = next(case for case in CASES if case.name == "crl-contents")
    assert estimate([one, one]).certificates - estimate([one]).certificates == one.certificates
    assert estimate([one, one]).hours - estimate([one]).hours == pytest.approx((one.wait_seconds + 60) / 3600)
    twice = next(case for case in CASES if case.name == "create-without-token-twice")
    assert estimate([twice]).authorities == estimate([]).authorities + 2


def test_a_bill_grows_with_time_and_stops_before_the_limit() -> None:
    bill = Bill(1.0)
    bill.add_authority(START, SHORT_LIVED)
    assert bill.usd(START) == pytest.approx(2 * 50 / 730)
    assert bill.usd(START + HOUR) == pytest.approx(3 * 50 / 730)
    bill.check(START + 12 * HOUR)
    with pytest.raises(LimitReached, match=r"the limit of 1\.00 USD"):
        bill.check(START + 13 * HOUR)
    while bill.usd(START) + 0.058 <= 1.0:
        bill.add_certificate(START)
    before = bill.counts
    with pytest.raises(LimitReached):
        bill.add_certificate(START)
    with pytest.raises(LimitReached):
        bill.add_authority(START, SHORT_LIVED)
    assert bill.counts == before
    assert bill.usd(START) <= 1.0


def test_a_general_purpose_authority_is_eight_times_as_dear() -> None:
    bill = Bill(1.0)
    with pytest.raises(LimitReached):
        bill.add_authority(START, "GENERAL_PURPOSE")


def test_what_was_refused_costs_nothing_and_a_lifted_limit_never_stops() -> None:
    bill = Bill(0.5)
    bill.add_authority(START, SHORT_LIVED)
    bill.take_back_authority()
    bill.add_certificate(START)
    bill.take_back_certificate()
    assert bill.usd(START) == 0
    bill.lift()
    bill.check(START, 1e9)
