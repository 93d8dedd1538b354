"""When a CA is renewed, when it waits, and what is refused; the planner's part of it included."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.details import CertificateFacts, Details
from pkiops.ca.plan import plan
from pkiops.ca.renewal import renewal_action, renewal_state
from pkiops.plan import Action, ActionKind, Change, Plan
from pkiops.x509.duration import Duration
from pkiops.x509.name_constraints import NO_CONSTRAINTS
from tests.unit.ca.worlds import NOW, Prices, authority_as, desired, observed

WANT = desired()
ROOT, CLIENTS = WANT.authorities
DAY = NOW.replace(hour=0)
LATER = NOW + timedelta(days=100)
DUE = replace(CLIENTS, renew_from=DAY + timedelta(days=50))


def action(
    wanted: DesiredAuthority = DUE,
    found: ObservedAuthority | None = None,
    changes: tuple[Change, ...] = (),
    limit: datetime | None = None,
    now: datetime = LATER,
) -> Action | None:
    return renewal_action("dev/ca/clients", wanted, found or authority_as(CLIENTS), changes, limit, now)


def test_it_is_due_from_its_day_on_and_done_afterwards() -> None:
    assert action(CLIENTS) is None
    begins = DUE.renew_from
    assert begins is not None
    assert action(now=begins - timedelta(seconds=1)) is None
    due = action(now=begins)
    assert due is not None
    assert (due.kind, due.irreversible) == (ActionKind.RENEW, False)
    assert due.changes[0] == Change("not before", "2026-11-25", "2027-01-14")
    renewed = authority_as(CLIENTS, not_before=begins)
    assert action(found=renewed) is None
    assert renewal_state(DUE, renewed, LATER).endswith("renew_from 2027-01-14 is done")
    assert "is ahead" in renewal_state(DUE, authority_as(CLIENTS), NOW)
    assert renewal_state(CLIENTS, authority_as(CLIENTS), NOW) == "no renewal is declared"


def test_a_ca_without_certificate_is_activated_not_renewed() -> None:
    assert action(found=authority_as(CLIENTS, not_before=None, not_after=None)) is None


@pytest.mark.parametrize(
    ("changes", "limit", "why"),
    [
        ({"validity": Duration(1, "d")}, None, "would have ended 2027-01-15 already"),
        ({}, NOW + timedelta(days=500), "would outlive its issuer root"),
        ({"validity": Duration(1, "y")}, None, "before the one in place"),
    ],
)
def test_what_cannot_be_is_blocked(changes: dict[str, Any], limit: datetime | None, why: str) -> None:
    blocked = action(replace(DUE, **changes), limit=limit)
    assert blocked is not None
    assert blocked.kind is ActionKind.BLOCKED
    assert why in blocked.reason


@pytest.mark.parametrize(("enabled", "renewed"), [(None, False), (False, False), (True, True)])
def test_a_disabled_ca_is_renewed_only_with_being_enabled(enabled: bool | None, renewed: bool) -> None:
    found = authority_as(CLIENTS, status=AuthorityStatus.DISABLED)
    assert (action(replace(DUE, enabled=enabled), found) is not None) == renewed
    assert "once it is enabled" in renewal_state(DUE, found, LATER)


def test_it_says_whose_pin_changes() -> None:
    root = renewal_action("dev/ca/root", replace(ROOT, renew_from=DUE.renew_from), authority_as(ROOT), (), None, LATER)
    assert root is not None
    assert "publish trust bundles" in " ".join(root.warnings)
    assert "its sha256 changes" in " ".join(root.warnings)
    plain, pinned = action(), action(replace(DUE, sha256="ab" * 32))
    assert plain is not None
    assert pinned is not None
    assert "sha256" not in " ".join(plain.warnings)
    assert "sha256" in " ".join(pinned.warnings)


def made(*authorities: DesiredAuthority, now: datetime = LATER, **world: Any) -> Plan:
    want = replace(WANT, authorities=authorities)
    details = world.pop("details", {})
    return plan(want, replace(observed(want, **world), details=details), Prices(), now)


def kinds(planned: Plan) -> list[tuple[str, str]]:
    return [(one.kind.value, one.address) for one in planned.actions if "/ca/" in one.address]


def test_issuers_are_renewed_first_and_their_new_end_counts() -> None:
    root = replace(ROOT, renew_from=DUE.renew_from)
    clients = replace(DUE, validity=ROOT.validity)
    assert kinds(made(root, clients)) == [("renew", "dev/ca/root"), ("renew", "dev/ca/clients")]
    alone = made(ROOT, clients)
    assert kinds(alone) == [("no-op", "dev/ca/root"), ("blocked", "dev/ca/clients")]
    assert alone.pending == ()


def test_a_renewal_writes_the_index_and_a_blocked_issuer_stops_it() -> None:
    assert made(ROOT, DUE).pending[-1].address == "dev/index/authorities"
    blocked = made(replace(ROOT, renew_from=DUE.renew_from, validity=Duration(1, "d")), DUE)
    assert kinds(blocked) == [("blocked", "dev/ca/root"), ("blocked", "dev/ca/clients")]


def test_an_expired_ca_with_a_day_is_renewed() -> None:
    expired = {"clients": authority_as(CLIENTS, status=AuthorityStatus.EXPIRED)}
    assert kinds(made(ROOT, CLIENTS, authorities=expired))[1] == ("blocked", "dev/ca/clients")
    assert kinds(made(ROOT, DUE, authorities=expired))[1] == ("renew", "dev/ca/clients")
    again = made(ROOT, replace(DUE, enabled=False), authorities=expired)
    assert kinds(again) == [("no-op", "dev/ca/root"), ("renew", "dev/ca/clients"), ("disable", "dev/ca/clients")]


def test_a_certificate_that_says_otherwise_is_put_right_by_renewing() -> None:
    found = authority_as(CLIENTS)
    details = {found.reference: Details(CertificateFacts("ab" * 32, 3, NO_CONSTRAINTS))}
    blocked = made(ROOT, CLIENTS, details=details)
    assert "renew it (renew_from: a day, then pkiops ca renew dev clients)" in blocked.blocked[0].reason
    (renewal,) = [one for one in made(ROOT, DUE, details=details).actions if one.kind is ActionKind.RENEW]
    assert Change("path length", "3", "0") in renewal.changes


def test_a_pin_of_another_certificate_comes_before() -> None:
    found = authority_as(CLIENTS)
    details = {found.reference: Details(CertificateFacts("ab" * 32, 0, NO_CONSTRAINTS))}
    blocked = made(ROOT, replace(DUE, sha256="cd" * 32), details=details)
    assert "if it was renewed, pin the new one" in blocked.blocked[0].reason
    assert kinds(made(ROOT, replace(DUE, sha256="ab" * 32), details=details))[1] == ("renew", "dev/ca/clients")
