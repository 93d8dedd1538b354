"""Plans of authorities that are signed elsewhere: made, then waiting, and nothing else is held up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pkiops.backends.interface import AuthorityStatus
from pkiops.ca.desired import Desired
from pkiops.ca.details import CertificateFacts, Details
from pkiops.ca.observe import Observed
from pkiops.ca.plan import plan
from pkiops.ca.report import render_markdown, render_plan, totals
from pkiops.environment.load import load_bytes
from pkiops.errors import InvalidState
from pkiops.plan import ActionKind, Plan, run_plan
from pkiops.x509.name_constraints import NO_CONSTRAINTS
from tests.unit.ca.worlds import NOW, Prices, authority_as, desired, nothing, observed

SAMPLE = Path(__file__).parents[3] / "environments" / "offline.yaml"
BELOW = "  below: {issuer: clients, subject: {common_name: B}, validity: 4y, crl: {validity: 7d}}\n\nprofiles:\n"


@cache
def wanted() -> Desired:
    text = SAMPLE.read_text(encoding="utf-8").replace("\nprofiles:\n", BELOW, 1)
    return desired(load_bytes(text.encode(), "offline.yaml", "offline"))


def made(world: Observed) -> Plan:
    return plan(wanted(), world, Prices(), NOW)


def kinds(made_plan: Plan) -> list[tuple[str, str]]:
    return [(one.kind.value, one.address.split("/")[2]) for one in made_plan.actions if "/ca/" in one.address]


def world(**changes: Any) -> Observed:
    clients, below = (authority_as(one, "offline") for one in wanted().authorities)
    given = {"clients": replace(clients, **changes), "below": below if not changes else None}
    return observed(wanted(), authorities=given)


PENDING: dict[str, Any] = {"status": AuthorityStatus.PENDING_CERTIFICATE, "not_before": None, "not_after": None}


def test_it_is_made_and_then_waits_and_so_does_what_is_below() -> None:
    result = made(nothing(wanted()))
    assert kinds(result) == [("create", "clients"), ("waiting", "clients"), ("waiting", "below")]
    assert result.blocked == ()
    assert result.monthly_cost_usd == 400
    assert [action.reason for action in result.waiting] == [
        "waits for a certificate signed by offline-root: pkiops ca csr offline clients",
        "is made once its issuer clients has a certificate",
    ]
    assert {change.field for change in result.waiting[0].changes} == {"validity", "path length", "name constraints"}


def test_waiting_is_no_change_and_nothing_is_made_below() -> None:
    result = made(world(**PENDING))
    assert kinds(result) == [("waiting", "clients"), ("waiting", "below")]
    assert result.pending == ()
    assert totals(result) == "offline: nothing to do, 2 waiting for a signature elsewhere"
    assert "\n> waiting offline/ca/clients: waits for" in f"\n{render_plan(result)}"
    assert "**waits for a signature**" in render_markdown(result)
    assert run_plan(result, {}, resume="") == ()


def test_a_pin_of_the_certificate_to_come_is_no_reason_to_stop() -> None:
    clients = replace(wanted().authorities[0], sha256="ab" * 32)
    result = plan(replace(wanted(), authorities=(clients,)), world(**PENDING), Prices(), NOW)
    assert kinds(result) == [("waiting", "clients")]


def test_once_signed_it_is_like_any_other() -> None:
    result = made(world())
    assert kinds(result) == [("no-op", "clients"), ("no-op", "below")]
    without = made(replace(world(), authorities=world().authorities[:1]))
    assert kinds(without) == [("no-op", "clients"), ("create", "below"), ("activate", "below")]


def test_an_expired_one_is_blocked_and_says_how_to_go_on() -> None:
    result = made(world(status=AuthorityStatus.EXPIRED, not_after=NOW - timedelta(days=1)))
    assert kinds(result)[0] == ("blocked", "clients")
    assert "pkiops ca csr offline clients" in result.blocked[0].reason
    assert "pkiops ca install offline clients" in result.blocked[0].reason


def test_a_certificate_that_says_otherwise_needs_another_signature_first() -> None:
    clients = authority_as(wanted().authorities[0], "offline")
    facts = CertificateFacts("ab" * 32, 2, NO_CONSTRAINTS)
    result = made(replace(world(), details={clients.reference: Details(facts)}))
    (blocked, _) = result.blocked
    assert "have another one signed by offline-root" in blocked.reason
    assert [change.field for change in blocked.changes] == ["path length", "name constraints"]


def test_a_certificate_of_another_signer_than_the_file_says_is_blocked() -> None:
    (root,) = wanted().authorities[0].outside
    sound = CertificateFacts(
        "ab" * 32, 1, wanted().authorities[0].name_constraints, tuple(reversed(root.subject)), ("cd" * 32,)
    )
    reference = world().authorities[0].reference
    assert made(replace(world(), details={reference: Details(sound)})).blocked == ()
    other = replace(sound, issuer=(("2.5.4.3", "Somebody Else"),))
    (blocked, _) = made(replace(world(), details={reference: Details(other)})).blocked
    assert [(one.field, one.before) for one in blocked.changes] == [("issuer", "common_name=Somebody Else")]
    longer = replace(sound, above=("cd" * 32, "ef" * 32))
    (blocked, _) = made(replace(world(), details={reference: Details(longer)})).blocked
    assert [one.field for one in blocked.changes] == ["CAs above it"]
    pinned = replace(wanted().authorities[0], outside=(replace(root, sha256="ef" * 32),))
    want = replace(wanted(), authorities=(pinned, wanted().authorities[1]))
    (blocked, _) = plan(want, replace(world(), details={reference: Details(sound)}), Prices(), NOW).blocked
    assert [(one.field, one.before, one.after) for one in blocked.changes] == [
        ("sha256 of offline-root", "cd" * 32, "ef" * 32)
    ]


def test_what_waits_does_not_hide_a_failure() -> None:
    def fail(action: object) -> bool:
        raise InvalidState(str(action), code="test.fails")

    with pytest.raises(InvalidState):
        run_plan(made(nothing(wanted())), {"bucket": fail, "ca": fail, "index": fail}, resume="")
    assert ActionKind.WAITING not in {one.kind for one in made(nothing(wanted())).pending}
