"""What an inventory says about the entries of a ledger."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from pkiops.clock import ManualClock
from pkiops.inventory.collect import Table, collect
from pkiops.inventory.records import Inventory, Validity
from pkiops.ledger.interface import Entry, EntryState, RevocationRecord
from pkiops.x509.san import SanKind, SubjectAltName
from tests import builders
from tests.unit.inventory.world import AT, ENVIRONMENT, Account, entry, leaf

ISSUER = builders.root_ca()


def listed(*entries: Entry, at: datetime = AT) -> Inventory:
    return collect(ENVIRONMENT, Account(), lambda: entries, ManualClock(at), [Table.CERTIFICATES])


def test_the_certificate_counts_and_not_what_was_asked_for() -> None:
    der = leaf(ISSUER, subject="given.example", sans=("dns:given.example", "uri:spiffe://a/b"), serial=0xABC)
    asked = (SubjectAltName(SanKind.DNS, "asked.example"),)
    found = listed(entry(chain=[der], sans=asked, usages=("serverAuth",), serial="1", not_after=AT))
    (one,) = found.certificates or ()
    assert one.sans == ("dns:given.example", "uri:spiffe://a/b")
    assert one.usages == ("clientAuth",)
    assert one.serial == "abc"
    assert one.subject == "CN=given.example,O=Example Ltd"
    assert (one.validity, one.days_left) == (Validity.VALID, 30)
    assert found.requests == ()
    assert found.authorities is None


@pytest.mark.parametrize(
    ("at", "validity", "days"),
    [
        (AT + timedelta(days=30), Validity.VALID, 0),
        (AT + timedelta(days=30, seconds=1), Validity.EXPIRED, -1),
        (AT - timedelta(days=400), Validity.NOT_YET_VALID, 430),
    ],
)
def test_validity_is_that_of_the_moment(at: datetime, validity: Validity, days: int) -> None:
    (one,) = listed(entry(chain=[leaf(ISSUER)]), at=at).certificates or ()
    assert (one.validity, one.days_left) == (validity, days)


def test_a_revoked_one_is_revoked_expired_or_not() -> None:
    revocation = RevocationRecord(reason="keyCompromise", at=AT, requester="arn:aws:iam::111122223333:role/revoker")
    (one,) = listed(entry(chain=[leaf(ISSUER)], revocation=revocation), at=AT + timedelta(days=99)).certificates or ()
    assert one.validity is Validity.REVOKED
    assert (one.revoked_at, one.revocation_reason, one.revoked_by) == (AT, "keyCompromise", revocation.requester)


def test_a_certificate_that_was_not_asked_for_is_listed_with_its_request() -> None:
    found = listed(entry(chain=[leaf(ISSUER)], state=EntryState.FAILED, code="cert.not-as-asked", message="no"))
    assert [one.state for one in found.certificates or ()] == ["failed"]
    assert [one.code for one in found.requests or ()] == ["cert.not-as-asked"]


@pytest.mark.parametrize("state", [EntryState.PENDING, EntryState.REFUSED, EntryState.FAILED, EntryState.UNKNOWN])
def test_requests_without_a_certificate_are_listed_apart(state: EntryState) -> None:
    sans = (SubjectAltName(SanKind.DNS, "a\x00b"),)
    found = listed(entry(state=state, subject=(("common_name", "a\nb"),), sans=sans))
    assert found.certificates == ()
    (one,) = found.requests or ()
    assert (one.state, one.subject, one.sans) == (state.value, r"common_name=a\0ab", (r"dns:a\00b",))


@pytest.mark.parametrize("chain", [(b"\x30\x03abc",), ()], ids=["damaged", "missing"])
def test_a_certificate_that_cannot_be_read_is_listed_as_asked_for(chain: tuple[bytes, ...]) -> None:
    damaged = entry(2, chain=chain, serial="5", certificate_sha256="ab", not_before=AT, not_after=AT)
    found = listed(entry(1, chain=[leaf(ISSUER)]), damaged)
    assert len(found.certificates or ()) == 2
    first = (found.certificates or ())[0]
    assert (first.serial, first.sha256, first.issuer_subject, first.days_left) == ("5", "ab", None, 0)
    assert [(one.table, one.item, one.what) for one in found.skipped] == [("certificates", damaged.id, "certificate")]


def test_certificates_are_sorted_by_end_and_then_by_serial_as_a_number() -> None:
    later, sooner = AT + timedelta(days=3), AT + timedelta(days=2)
    ders = [
        leaf(ISSUER, serial=0x1F, ends=later),
        leaf(ISSUER, serial=0x100, ends=sooner),
        leaf(ISSUER, serial=0xFF, ends=sooner),
    ]
    found = listed(*(entry(number, chain=[der]) for number, der in enumerate(ders)))
    assert [one.serial for one in found.certificates or ()] == ["ff", "100", "1f"]
