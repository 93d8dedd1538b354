"""The five kinds of validity, the default start, and the caps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.validity import lifetime
from tests.unit.sandbox.world import START, World, csr

FAR = datetime(2500, 1, 1, tzinfo=UTC)


def ends(kind: str, value: int, *, now: datetime = START, **more: Any) -> datetime:
    more.setdefault("issuer_not_after", FAR)
    more.setdefault("short_lived", False)
    return lifetime({"Type": kind, "Value": value}, None, now, **more).not_after


@pytest.mark.parametrize(
    ("kind", "value", "end"),
    [
        ("ABSOLUTE", int(START.timestamp()) + 1, START + timedelta(seconds=1)),
        ("DAYS", 30, START + timedelta(days=30)),
        ("MONTHS", 1, datetime(2026, 12, 25, 12, 0, tzinfo=UTC)),
        ("MONTHS", 14, datetime(2028, 1, 25, 12, 0, tzinfo=UTC)),
        ("YEARS", 3, datetime(2029, 11, 25, 12, 0, tzinfo=UTC)),
        ("END_DATE", 300102030405, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("END_DATE", 20300102030405, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("END_DATE", 491231235959, datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_the_end(kind: str, value: int, end: datetime) -> None:
    assert ends(kind, value) == end


def test_calendar_months_and_years_stay_in_their_month() -> None:
    assert ends("MONTHS", 1, now=datetime(2027, 1, 31, tzinfo=UTC)) == datetime(2027, 2, 28, tzinfo=UTC)
    assert ends("YEARS", 1, now=datetime(2028, 2, 29, tzinfo=UTC)) == datetime(2029, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ABSOLUTE", int(START.timestamp())),
        ("ABSOLUTE", 10**15),
        ("END_DATE", 501231235959),  # of the last century
        ("END_DATE", 20301302030405),
        ("END_DATE", 2030010203040),
        ("DAYS", 10**12),
        ("YEARS", 8000),
        ("MONTHS", 10**17),
    ],
)
def test_impossible_ends(kind: str, value: int) -> None:
    with pytest.raises(ServiceError) as caught:
        ends(kind, value)
    assert caught.value.code == "ValidationException"


def test_it_starts_an_hour_ago_unless_told() -> None:
    world = World()
    arn = world.root()
    assert world.issued(arn, csr()).not_valid_before_utc == START - timedelta(minutes=60)
    start = START - timedelta(minutes=5)
    told = world.issued(arn, csr(), ValidityNotBefore={"Type": "ABSOLUTE", "Value": int(start.timestamp())})
    assert told.not_valid_before_utc == start
    assert told.not_valid_after_utc == START + timedelta(days=30)


def issue_refused(world: World, arn: str, **more: Any) -> str:
    more.setdefault("Validity", {"Type": "DAYS", "Value": 1})
    return world.refused(
        "ValidationException",
        "IssueCertificate",
        CertificateAuthorityArn=arn,
        Csr=csr(),
        SigningAlgorithm="SHA256WITHECDSA",
        **more,
    )


def test_a_relative_start_is_refused() -> None:
    world = World()
    issue_refused(world, world.root(), ValidityNotBefore={"Type": "DAYS", "Value": 1})


def test_a_start_after_the_end_is_refused() -> None:
    world = World()
    late = int((START + timedelta(days=2)).timestamp())
    issue_refused(world, world.root(), ValidityNotBefore={"Type": "ABSOLUTE", "Value": late})


def test_nothing_outlives_its_issuer() -> None:
    world = World()
    arn = world.root(years=1)
    assert "exceeds" in issue_refused(world, arn, Validity={"Type": "DAYS", "Value": 366})
    last = int(datetime(2027, 11, 25, 12, 0, 0, tzinfo=UTC).timestamp())
    assert world.issued(arn, csr(), Validity={"Type": "ABSOLUTE", "Value": last}).serial_number


def test_short_lived_mode_issues_for_seven_days_and_spares_the_root() -> None:
    world = World()
    arn = world.root(UsageMode="SHORT_LIVED_CERTIFICATE")
    assert "7 days" in issue_refused(world, arn, Validity={"Type": "DAYS", "Value": 8})
    assert world.issued(arn, csr(), Validity={"Type": "DAYS", "Value": 7}).serial_number


LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "validity",
    [{"Type": "END_DATE", "Value": 99991231235959}, {"Type": "ABSOLUTE", "Value": int(LAST.timestamp())}],
)
def test_a_root_for_ever(validity: dict[str, Any]) -> None:
    world = World()
    arn = world.create()
    template = "arn:aws:acm-pca:::template/RootCACertificate/V1"
    assert world.issued(arn, world.authority_csr(arn), template, Validity=validity).not_valid_after_utc == LAST


def test_both_forms_of_an_end_date_name_the_same_moment() -> None:
    world = World()
    arn = world.root()
    end = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    for value in (300102030405, 20300102030405):
        assert world.issued(arn, csr(), Validity={"Type": "END_DATE", "Value": value}).not_valid_after_utc == end


def test_seven_days_of_short_lived_mode_to_the_second() -> None:
    world = World()
    arn = world.root(UsageMode="SHORT_LIVED_CERTIFICATE")
    end = int((START + timedelta(days=7)).timestamp())
    assert world.issued(arn, csr(), Validity={"Type": "ABSOLUTE", "Value": end}).serial_number
    issue_refused(world, arn, Validity={"Type": "ABSOLUTE", "Value": end + 1})


def test_a_subordinate_of_a_short_lived_authority_is_capped_too() -> None:
    """Whether the service refuses such templates altogether is not documented."""
    world = World()
    parent = world.root(UsageMode="SHORT_LIVED_CERTIFICATE")
    template = "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"
    request = world.authority_csr(world.create("SUBORDINATE", "Sub"))
    assert world.issued(parent, request, template, Validity={"Type": "DAYS", "Value": 7}).serial_number
    issue_refused(world, parent, TemplateArn=template, Validity={"Type": "DAYS", "Value": 8})


@pytest.mark.parametrize("validity", [{"Type": "DAYS", "Value": 0}, {"Type": "WEEKS", "Value": 1}])
def test_validities_that_the_model_does_not_know(validity: dict[str, Any]) -> None:
    world = World()
    issue_refused(world, world.root(), Validity=validity)


def test_a_life_of_one_second() -> None:
    world = World()
    arn = world.root()
    end = int(START.timestamp()) + 1
    certificate = world.issued(arn, csr(), Validity={"Type": "ABSOLUTE", "Value": end})
    assert certificate.not_valid_after_utc == START + timedelta(seconds=1)
    assert certificate.not_valid_before_utc == START - timedelta(minutes=60)
