"""What disabling, enabling, deleting and restoring would do, in every state of a CA; and which CA is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.backends.auditing import AuditedCertificate, AuditReport
from pkiops.backends.identity import identity_tags
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.deletion import count_issued
from pkiops.ca.end_of_life import NEVER_WAS, WAS_IN_USE, Issued, delete_plan, restore_plan, switch_plan
from pkiops.ca.report import render_plan
from pkiops.ca.target import Target, Wish, find_deleted, find_target, in_doubt
from pkiops.errors import GuardRefused, InputError, InvalidState, NotFound, PkiopsError
from pkiops.plan import ActionKind
from tests.seeded import seeded
from tests.unit.ca.worlds import NOW, Prices, authority_as, desired, dev

WANT = desired()
ROOT, CLIENTS = WANT.authorities
REPORT = AuditReport(authority="arn", bucket="b", key="audit-report/x.json", created_at=NOW)
LIVE = Issued(
    report=REPORT, certificates=3, live=2, live_authorities=1, last=NOW + timedelta(days=9), examples=("one", "two")
)
NONE = Issued(report=REPORT)


def target(status: AuthorityStatus = AuthorityStatus.ACTIVE, *, declared: Any = CLIENTS, **changes: Any) -> Target:
    return Target("dev", "clients", 1, authority_as(CLIENTS, status=status, **changes), declared)


def deleted(reference: str = "arn:gone", **changes: Any) -> ObservedAuthority:
    one = authority_as(CLIENTS, status=AuthorityStatus.DELETED, tags=None, **changes)
    return replace(one, reference=reference)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("status", AuthorityStatus)
def test_only_active_and_disabled_can_be_switched(status: AuthorityStatus, enabled: bool) -> None:
    if status not in {AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED}:
        with pytest.raises(InvalidState, match=f"is {status.value} and cannot be") as caught:
            switch_plan(dev(), target(status), enabled=enabled)
        assert caught.value.hint
        assert "{" not in caught.value.hint
        return
    first, *rest = switch_plan(dev(), target(status), enabled=enabled).actions
    if (status is AuthorityStatus.ACTIVE) == enabled:
        assert (first.kind, rest) == (ActionKind.NO_OP, [])
    else:
        assert first.kind is (ActionKind.ENABLE if enabled else ActionKind.DISABLE)
        assert [one.address for one in rest] == ["dev/index/authorities"]


@pytest.mark.parametrize(
    ("said", "enabled", "remark"),
    [
        (True, False, "the next ca apply enables it again: write enabled: false"),
        (False, True, "the next ca apply disables it again: write enabled: true"),
        (None, False, "ca plan will wait for a decision"),
        (None, True, None),
        (True, True, None),
        (False, False, None),
    ],
)
def test_a_file_that_says_otherwise_is_told_of(said: bool | None, enabled: bool, remark: str | None) -> None:
    for status in (AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED):
        one = target(status, declared=replace(CLIENTS, enabled=said))
        warnings = "; ".join(switch_plan(dev(), one, enabled=enabled).actions[0].warnings)
        assert (remark in warnings) if remark else ("the file" not in warnings)


def test_what_the_file_does_not_declare_has_no_remarks() -> None:
    plan = switch_plan(dev(), target(declared=None), enabled=False)
    assert plan.actions[0].warnings == ("it issues nothing more; revoking, CRL and OCSP go on, and so does the bill",)


def planned(one: Target, issued: Issued = NONE, **changes: Any) -> Any:
    settings: dict[str, Any] = {"days": 30, "archive": "folder", "allow_live": False, "now": NOW}
    return delete_plan(one, issued, Prices(), **{**settings, **changes})


@pytest.mark.parametrize("status", AuthorityStatus)
def test_what_deleting_says_of_each_state(status: AuthorityStatus) -> None:
    one = target(status)
    if status is AuthorityStatus.ACTIVE:
        with pytest.raises(GuardRefused, match="is ACTIVE"):
            planned(one)
        return
    action, *rest = planned(one, archive="folder" if status in WAS_IN_USE else None).actions
    if status is AuthorityStatus.DELETED:
        assert (action.kind, rest) == (ActionKind.NO_OP, [])
        return
    said = " ".join(action.warnings)
    assert (action.kind, action.irreversible) == (ActionKind.DELETE, True)
    assert ("restorable until 2026-12-25" in said) == (status not in NEVER_WAS)
    assert ("gone at once" in said) == (status in NEVER_WAS)
    assert ("archive" in [change.field for change in action.changes]) == (status in WAS_IN_USE)
    # a FAILED CA was never billed
    assert action.monthly_cost_usd == (0 if status is AuthorityStatus.FAILED else -400)
    assert "the file still declares it" in said
    assert rest[0].address == "dev/index/authorities"


def test_live_certificates_are_said_and_counted() -> None:
    one = target(AuthorityStatus.DISABLED)
    with pytest.raises(GuardRefused) as caught:
        planned(one, LIVE)
    assert caught.value.code == "ca.live-certificates"
    assert "2 live certificates (1 of them of CAs)" in caught.value.message
    assert caught.value.details["live"] == 2
    action = planned(one, LIVE, allow_live=True).actions[0]
    assert action.live_certificates == 2
    text = render_plan(planned(one, LIVE, allow_live=True))
    assert "nobody can revoke 2 live certificates (1 of them of CAs) below it any more" in text
    assert "saves USD 400 a month" in text


def row(**changes: Any) -> AuditedCertificate:
    settings: dict[str, Any] = {
        "reference": "arn/certificate/1",
        "serial": "1",
        "subject": "CN=a",
        "not_before": NOW - timedelta(days=1),
        "not_after": NOW + timedelta(days=1),
        "issued_at": NOW - timedelta(days=1),
        "revoked_at": None,
        "own": False,
        "is_authority": False,
    }
    return AuditedCertificate(**{**settings, **changes})


def test_what_is_live_below_a_ca() -> None:
    rows = [
        row(),
        row(is_authority=True, not_after=NOW + timedelta(days=5)),
        row(own=True, not_after=NOW + timedelta(days=99)),
        row(revoked_at=NOW, not_after=NOW + timedelta(days=99)),
        row(not_after=NOW),
    ]
    counted = count_issued(rows, NOW)
    assert (counted["certificates"], counted["live"], counted["live_authorities"]) == (5, 2, 1)
    assert counted["last"] == NOW + timedelta(days=5)
    assert counted["examples"][1].startswith("CA CN=a (serial 1, until 2026-11-30")
    assert len(count_issued([row()] * 50, NOW)["examples"]) == 5


@pytest.mark.parametrize("status", AuthorityStatus)
def test_only_what_is_deleted_is_restored(status: AuthorityStatus) -> None:
    action, *_ = restore_plan(target(status), Prices(), NOW).actions
    assert action.kind is (ActionKind.RESTORE if status is AuthorityStatus.DELETED else ActionKind.NO_OP)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "it comes back DISABLED: pkiops ca enable dev clients"),
        ({"not_after": None}, "it comes back PENDING_CERTIFICATE"),
        ({"not_after": NOW - timedelta(days=1)}, "it comes back EXPIRED"),
    ],
)
def test_restoring_says_how_it_comes_back(changes: dict[str, Any], said: str) -> None:
    action = restore_plan(target(AuthorityStatus.DELETED, **changes), Prices(), NOW).actions[0]
    assert action.warnings[0].startswith(said)
    assert action.monthly_cost_usd == 400


def test_after_the_window_nothing_is_restored() -> None:
    with pytest.raises(InvalidState, match="could be restored until 2026-11-24"):
        restore_plan(target(AuthorityStatus.DELETED, restorable_until=NOW - timedelta(days=1)), Prices(), NOW)


def test_tags_come_before_subjects() -> None:
    mine = authority_as(CLIENTS)
    found = find_target([deleted(), mine], WANT, Wish("clients"))
    assert (found.authority, found.declared) == (mine, CLIENTS)
    assert find_deleted([deleted(), mine], WANT, Wish("clients")).authority is mine


def test_a_deleted_ca_is_found_by_subject_and_type() -> None:
    gone = deleted()
    others = [authority_as(ROOT, status=AuthorityStatus.DELETED, tags=None), deleted("x", subject={"common_name": "Y"})]
    assert find_deleted([*others, gone], WANT, Wish("clients")).authority is gone
    assert find_target([*others, gone], WANT, Wish("clients")).authority is gone
    with pytest.raises(NotFound):
        find_deleted(others, WANT, Wish("clients"))
    with pytest.raises(InputError, match="cannot be read"):
        find_deleted([gone], WANT, Wish("clients", generation=7))
    # only a DELETED one is restored, whatever else has no tags
    failed = replace(gone, status=AuthorityStatus.FAILED)
    assert find_target([failed], WANT, Wish("clients")).authority is failed
    with pytest.raises(NotFound):
        find_deleted([failed], WANT, Wish("clients"))


def test_of_two_none_is_chosen_but_by_name() -> None:
    one, two = deleted("arn:one"), deleted("arn:two")
    for find in (find_target, find_deleted):
        with pytest.raises(GuardRefused, match="arn:one.*arn:two"):
            find([one, two], WANT, Wish("clients"))
        assert find([one, two], WANT, Wish("clients", reference="arn:two")).authority is two
    tagged = [authority_as(CLIENTS), replace(authority_as(CLIENTS), reference="arn:twin")]
    with pytest.raises(GuardRefused, match="exists 2 times"):
        find_target(tagged, WANT, Wish("clients"))
    assert find_target(tagged, WANT, Wish("clients", reference="arn:twin")).authority is tagged[1]


def test_one_that_was_left_in_another_region_does_not_stand_in_the_way_of_the_one_at_home() -> None:
    arn = "arn:aws:acm-pca:{}:123456789012:certificate-authority/gone"
    home, left = deleted(arn.format("eu-west-1")), deleted(arn.format("us-east-1"))
    for find in (find_target, find_deleted):
        assert find([left, home], WANT, Wish("clients")).authority is home
        assert find([left], WANT, Wish("clients")).authority is left


def test_a_restored_ca_never_makes_a_second() -> None:
    with pytest.raises(GuardRefused, match="would make two"):
        find_deleted([authority_as(CLIENTS), deleted("arn:one")], WANT, Wish("clients", reference="arn:one"))


def test_the_arn_of_another_authority_is_refused() -> None:
    foreign = replace(authority_as(CLIENTS), reference="arn:other", tags=identity_tags("prod", "clients", 1))
    for one in (foreign, replace(foreign, tags={}), authority_as(ROOT)):
        with pytest.raises(GuardRefused, match="its tags are"):
            find_target([one], WANT, Wish("clients", reference=one.reference))
    with pytest.raises(NotFound, match="no CA arn:none"):
        find_target([foreign], WANT, Wish("clients", reference="arn:none"))


def test_an_arn_without_tags_must_have_the_subject_and_type() -> None:
    other = deleted("arn:x", subject={"common_name": "Y"})
    with pytest.raises(GuardRefused, match="its subject is common_name=Y"):
        find_deleted([other], WANT, Wish("clients", reference="arn:x"))
    # where the file says nothing, its tags will tell whose it is
    assert find_deleted([other], WANT, Wish("servers", reference="arn:x")).authority is other
    with pytest.raises(GuardRefused, match="no readable tags"):
        find_target([replace(other, status=AuthorityStatus.FAILED)], WANT, Wish("servers", reference="arn:x"))


def test_who_is_asked_for_its_tags_before_it_is_taken_for_somebody() -> None:
    unsure: dict[str, Any] = {"tags_confirmed": False}
    tagged = authority_as(CLIENTS, **unsure)
    # adopted a moment ago: the index does not know its tags yet
    fresh = replace(authority_as(CLIENTS, tags={}, **unsure), reference="arn:fresh")
    old = replace(authority_as(CLIENTS, subject={"common_name": "Old"}, **unsure), reference="arn:old")
    others = [authority_as(ROOT, **unsure), deleted("arn:gone", **unsure), replace(tagged, tags_confirmed=True)]
    assert in_doubt([tagged, fresh, old, *others], WANT, Wish("clients")) == (tagged, fresh, old)
    named = Wish("servers", reference="arn:fresh")
    assert in_doubt([tagged, fresh, old, *others], WANT, named) == (fresh,)


def test_what_left_the_file_is_found_by_its_tags() -> None:
    old = [authority_as(CLIENTS, tags=identity_tags("dev", "servers", number)) for number in (1, 2)]
    found = find_target(old[:1], WANT, Wish("servers"))
    assert (found.generation, found.declared, found.words) == (1, None, "dev servers --generation 1")
    with pytest.raises(InputError, match="2 generations of it exist: 1, 2"):
        find_target(old, WANT, Wish("servers"))
    assert find_target(old, WANT, Wish("servers", generation=2)).authority is old[1]
    with pytest.raises(NotFound) as caught:
        find_target(old, WANT, Wish("servers", generation=3))
    assert caught.value.hint == "it exists in generation 1, 2: --generation N"


@seeded(200)
@given(
    st.lists(
        st.builds(
            lambda status, label, generation, number: replace(
                authority_as(CLIENTS, status=AuthorityStatus(status)),
                reference=f"arn:{number}",
                tags=None if status == "DELETED" else identity_tags("dev", label, generation),
            ),
            st.sampled_from([one.value for one in AuthorityStatus]),
            st.sampled_from(["clients", "servers", "root"]),
            st.integers(0, 3),
            st.integers(0, 9),
        ),
        max_size=6,
    ),
    st.sampled_from(["clients", "servers", "nobody"]),
    st.one_of(st.none(), st.integers(1, 3)),
    st.one_of(st.none(), st.integers(0, 9).map(lambda number: f"arn:{number}")),
)
def test_finding_never_takes_a_ca_that_was_not_meant(
    observed: list[ObservedAuthority], label: str, generation: int | None, reference: str | None
) -> None:
    for find in (find_target, find_deleted):
        try:
            found = find(observed, WANT, Wish(label, generation, reference))
        except PkiopsError as error:
            assert error.exit_code in {2, 6, 9}  # noqa: PT017 - any of the three, and nothing else
            continue
        tags = found.authority.tags
        assert tags is None or tags == identity_tags("dev", label, found.generation)
        assert reference in {None, found.authority.reference}
