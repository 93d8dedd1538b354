"""A DELETED CA keeps the place of a declared one: whoever speaks of that says to restore it, and nobody says to apply."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pkiops.backends.aws_private_ca.prices import LISTED
from pkiops.backends.interface import AuthorityStatus
from pkiops.ca.cost import cost, cost_text
from pkiops.ca.doctor.diagnose import diagnose
from pkiops.ca.gone import gone_hint, keeps_place
from pkiops.ca.show import as_json, render_tree, shown_authorities
from tests.unit.ca.doctor.test_diagnose import sound
from tests.unit.ca.worlds import NOW, authority_as, desired, dev

WANT = desired()
ROOT, CLIENTS = WANT.authorities
DELETED = authority_as(CLIENTS, status=AuthorityStatus.DELETED, tags=None, restorable_until=NOW + timedelta(days=20))
EXISTING = (authority_as(ROOT), DELETED)


def test_show_says_what_keeps_the_place() -> None:
    shown = shown_authorities(WANT, EXISTING, {})
    tree = render_tree("dev", shown, NOW)
    assert f"{DELETED.reference} of the same subject is DELETED and can be restored until 2026-12-15" in tree
    assert "pkiops ca restore dev clients" in tree
    assert "pkiops ca apply" not in tree
    root, clients = as_json(shown)
    assert "gone" not in root
    assert clients["exists"] is False
    assert clients["gone"] == {
        "reference": DELETED.reference,
        "status": "DELETED",
        "restorable_until": DELETED.restorable_until,
    }


def test_the_doctor_sends_nobody_to_apply() -> None:
    (missing,) = [
        one
        for one in diagnose(replace(sound(), authorities=(sound().authorities[0], DELETED)), NOW)
        if one.check.code == "authority.missing"
    ]
    assert "is DELETED and can be restored" in missing.message
    assert missing.hint.startswith("restore it (pkiops ca restore dev clients)")


def test_the_bill_is_for_what_is_billed() -> None:
    bill = cost(dev(), EXISTING, LISTED, None, NOW)
    assert bill.usd_month == 400
    assert (bill.lines[1].status, bill.lines[1].reference) == ("DELETED", DELETED.reference)
    assert "DELETED  USD 0.00 a month  unless it is restored" in cost_text(bill, LISTED)


@pytest.mark.parametrize("changes", [{"subject": {"common_name": "Other"}}, {"type": ROOT.request.type}])
def test_another_ca_keeps_no_place(changes: dict[str, object]) -> None:
    assert keeps_place(CLIENTS, [replace(DELETED, **changes)]) is None  # type: ignore[arg-type]
    assert keeps_place(CLIENTS, [authority_as(CLIENTS)]) is None


def test_a_failed_one_is_deleted_first() -> None:
    failed = replace(DELETED, status=AuthorityStatus.FAILED)
    assert keeps_place(CLIENTS, [failed]) is failed
    assert gone_hint(failed, "dev", "clients") == "pkiops ca delete dev clients, then pkiops ca apply dev"
