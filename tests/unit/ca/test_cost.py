"""The bill of an environment, and what it could be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pkiops.backends.aws_private_ca.prices import LISTED
from pkiops.backends.interface import AuthorityStatus
from pkiops.backends.prices import PriceTier
from pkiops.ca.cost import cost, cost_text
from pkiops.environment.models import ExternalAuthority, UsageMode
from pkiops.ledger.interface import Entry, EntryState
from pkiops.x509.duration import Duration
from tests.unit.ca.worlds import NOW, authority_as, desired, dev

ROOT, CLIENTS = desired().authorities


def test_what_does_not_exist_yet_is_in_the_bill() -> None:
    bill = cost(dev(), (), LISTED, None, NOW)
    assert bill.usd_month == 800
    assert [line.status for line in bill.lines] == [None, None]
    assert bill.certificates is None
    assert not any(line.useless for line in bill.lines)


def test_what_is_billed_but_cannot_issue_is_said() -> None:
    observed = (authority_as(ROOT), authority_as(CLIENTS, status=AuthorityStatus.DISABLED))
    bill = cost(dev(), observed, LISTED, None, NOW)
    assert [line.useless for line in bill.lines] == [False, True]
    assert "billed, but cannot issue" in cost_text(bill, LISTED)


def test_a_failed_ca_costs_nothing() -> None:
    bill = cost(dev(), (authority_as(ROOT), authority_as(CLIENTS, status=AuthorityStatus.FAILED)), LISTED, None, NOW)
    assert bill.usd_month == 400


def test_what_ifs_name_what_stands_against_them() -> None:
    offline, short = cost(dev(), (), LISTED, None, NOW).what_ifs
    assert (offline.label, offline.saves_usd_month) == ("root", 400)
    assert (short.label, short.saves_usd_month) == ("clients", 350)
    assert "service (90d)" in short.needs


def test_profiles_that_fit_and_cas_that_are_short_lived_already() -> None:
    service = replace(
        dev().profiles["service"], validity=replace(dev().profiles["service"].validity, max=Duration(7, "d"))
    )
    fitting = replace(dev(), profiles={"service": service})
    assert "exceeds" not in cost(fitting, (), LISTED, None, NOW).what_ifs[1].needs
    clients = replace(dev().authorities["clients"], usage_mode=UsageMode.SHORT_LIVED_CERTIFICATE)
    already = replace(dev(), authorities={**dev().authorities, "clients": clients})
    bill = cost(already, (), LISTED, None, NOW)
    assert bill.usd_month == 450
    assert [what.label for what in bill.what_ifs] == ["root"]


def test_certificates_of_the_last_thirty_days_are_counted() -> None:
    def entry(days: int, state: EntryState = EntryState.ISSUED) -> Entry:
        at = NOW - timedelta(days=days)
        return Entry(
            id="x", state=state, created_at=at, updated_at=at, environment="dev", profile="p", authority="clients"
        )

    entries = [entry(1), entry(29), entry(31), entry(2, EntryState.REFUSED)]
    bill = cost(dev(), (), LISTED, entries, NOW)
    assert (bill.certificates, bill.certificates_usd) == (2, 1.5)
    assert "unverified" in cost_text(bill, LISTED)


def test_those_kept_elsewhere_cost_nothing_here() -> None:
    environment = replace(dev(), external_authorities={"offline-root": ExternalAuthority(sha256="ab" * 32)})
    bill = cost(environment, (), LISTED, None, NOW)
    first = bill.lines[0]
    assert (first.label, first.external, first.usd_month) == ("offline-root", True, 0.0)
    assert bill.usd_month == 800
    text = cost_text(bill, LISTED)
    assert "dev/ca/offline-root  kept elsewhere  USD 0.00 a month here" in text
    assert "for 2 CAs" in text


def test_certificates_are_counted_by_tiers_in_each_account_and_region() -> None:
    def issued(number: int, region: str) -> Entry:
        reference = f"arn:aws:acm-pca:{region}:123456789012:certificate-authority/x"
        return Entry(
            id=str(number),
            state=EntryState.ISSUED,
            created_at=NOW,
            updated_at=NOW,
            environment="dev",
            profile="p",
            authority="clients",
            authority_reference=reference,
        )

    here = [issued(number, "eu-west-1") for number in range(1_000)]
    there = [issued(number, "us-east-1") for number in range(1_000)]
    assert cost(dev(), (), LISTED, [*here, *there], NOW).certificates_usd == 1_500.0
    assert cost(dev(), (), LISTED, [*here, *here], NOW).certificates_usd == 1_100.0
    dear = replace(LISTED, regions={"us-east-1": replace(LISTED, certificate_tiers=(PriceTier(None, 2.0),))})
    assert cost(dev(), (), dear, [*here, *there], NOW).certificates_usd == 2_750.0


def test_a_ca_costs_what_its_region_takes() -> None:
    there = replace(LISTED, authority_month={**LISTED.authority_month, "GENERAL_PURPOSE": 500.0})
    bill = cost(dev(), (), replace(LISTED, regions={"eu-west-1": there}), None, NOW)
    assert bill.usd_month == 1_000.0
    assert {(line.account, line.region) for line in bill.lines} == {("123456789012", "eu-west-1")}
