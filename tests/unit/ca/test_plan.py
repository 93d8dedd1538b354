"""The planner: desired x observed -> actions, for every state a CA or bucket can be in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.details import CertificateFacts, Details
from pkiops.ca.observe import Observed
from pkiops.ca.plan import plan
from pkiops.ca.report import render_plan
from pkiops.errors import GuardRefused
from pkiops.plan import ActionKind, Plan
from pkiops.x509.name_constraints import NO_CONSTRAINTS
from tests.seeded import seeded
from tests.unit.ca.worlds import NOW, Prices, authority_as, bucket_as, desired, nothing, observed

WANT = desired()
ROOT, CLIENTS = WANT.authorities
CRL_BUCKET, TRUST_BUCKET = WANT.buckets


def made(world: Observed) -> Plan:
    return plan(WANT, world, Prices(), NOW)


def kinds(made_plan: Plan) -> list[tuple[str, str]]:
    """Kind and address of every action but the index's, which follows from the others."""
    return [(action.kind.value, action.address) for action in made_plan.actions if "/index/" not in action.address]


def test_an_empty_account_needs_everything_issuers_first() -> None:
    result = made(nothing(WANT))
    assert kinds(result) == [
        ("create", "dev/bucket/example-pki-dev-crl"),
        ("create", "dev/bucket/example-pki-dev-trust"),
        ("create", "dev/ca/root"),
        ("activate", "dev/ca/root"),
        ("create", "dev/ca/clients"),
        ("activate", "dev/ca/clients"),
    ]
    assert result.monthly_cost_usd == 800
    assert all(
        action.irreversible
        for action in result.actions
        if action.address.startswith("dev/ca") and action.kind is ActionKind.CREATE
    )


def test_the_index_follows_from_the_authorities() -> None:
    assert made(nothing(WANT)).pending[-1].address == "dev/index/authorities"
    (alone,) = made(replace(observed(WANT), index_is_current=False)).pending
    assert (alone.kind, alone.address) == (ActionKind.UPDATE, "dev/index/authorities")


def test_what_is_as_declared_needs_nothing() -> None:
    result = made(observed(WANT))
    assert not result.pending
    assert not result.blocked
    assert "nothing to do" in render_plan(result)


@pytest.mark.parametrize("status", [AuthorityStatus.CREATING, AuthorityStatus.PENDING_CERTIFICATE])
def test_a_ca_without_certificate_is_activated(status: AuthorityStatus) -> None:
    world = observed(WANT, authorities={"clients": authority_as(CLIENTS, status=status, not_after=None)})
    assert kinds(made(world))[-1] == ("activate", "dev/ca/clients")


@pytest.mark.parametrize("status", [AuthorityStatus.DISABLED, AuthorityStatus.EXPIRED, AuthorityStatus.FAILED])
def test_a_state_that_needs_a_person_blocks_it_and_what_is_below(status: AuthorityStatus) -> None:
    result = made(observed(WANT, authorities={"root": authority_as(ROOT, status=status)}))
    assert kinds(result)[-2:] == [("blocked", "dev/ca/root"), ("blocked", "dev/ca/clients")]
    assert status.value in result.actions[-2].reason


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key_algorithm", "RSA_2048"),
        ("signing_algorithm", "SHA512WITHECDSA"),
        ("usage_mode", "SHORT_LIVED_CERTIFICATE"),
        ("subject", {"common_name": "Another"}),
    ],
)
def test_what_the_service_cannot_change_needs_a_new_generation(field: str, value: Any) -> None:
    result = made(observed(WANT, authorities={"clients": authority_as(CLIENTS, **{field: value})}))
    blocked = result.actions[-1]
    assert blocked.kind is ActionKind.BLOCKED
    assert "new generation" in blocked.reason
    assert "generation: 2" in blocked.reason
    assert [change.field for change in blocked.changes] == [field.replace("_", " ")]


def test_crl_settings_are_updated_and_every_difference_shown() -> None:
    other = replace(CLIENTS.request.crl, validity_days=3, host="old.example.com")
    result = made(observed(WANT, authorities={"clients": authority_as(CLIENTS, crl=other)}))
    update = result.actions[-1]
    assert update.kind is ActionKind.UPDATE
    assert [(c.field, c.before, c.after) for c in update.changes] == [
        ("crl host", "old.example.com", "pki.dev.example.com"),
        ("crl validity", "3d", "7d"),
    ]


def test_a_crl_that_is_not_named_or_in_parts_is_put_right() -> None:
    other = replace(CLIENTS.request.crl, named=False, complete=False)
    result = made(observed(WANT, authorities={"clients": authority_as(CLIENTS, crl=other)}))
    (update,) = result.pending
    assert [(c.field, c.before, c.after) for c in update.changes] == [
        ("crl named in certificates", "no", "yes"),
        ("crl complete", "no", "yes"),
    ]


def test_a_ca_without_crl_gets_one() -> None:
    result = made(observed(WANT, authorities={"clients": authority_as(CLIENTS, crl=None)}))
    assert result.actions[-1].kind is ActionKind.UPDATE


def test_two_cas_of_one_identity_are_an_error_that_names_both() -> None:
    twin = authority_as(CLIENTS, reference="arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/twin")
    with pytest.raises(GuardRefused, match="exists 2 times: .*clients-1.*twin"):
        made(observed(WANT, others=(twin,)))


def test_a_deleted_ca_of_the_same_subject_keeps_its_place() -> None:
    deleted = authority_as(
        CLIENTS, status=AuthorityStatus.DELETED, tags=None, restorable_until=NOW + timedelta(days=20)
    )
    result = made(observed(WANT, authorities={"clients": None}, others=(deleted,)))
    assert result.actions[-1].kind is ActionKind.BLOCKED
    assert "restored until 2026-12-15" in result.actions[-1].reason


def test_a_deleted_ca_of_another_subject_is_no_obstacle() -> None:
    deleted = authority_as(CLIENTS, status=AuthorityStatus.DELETED, tags=None, subject={"common_name": "Other"})
    result = made(observed(WANT, authorities={"clients": None}, others=(deleted,)))
    assert kinds(result)[-2:] == [("create", "dev/ca/clients"), ("activate", "dev/ca/clients")]


def test_a_failed_ca_without_tags_keeps_its_place_until_it_is_deleted() -> None:
    failed = authority_as(CLIENTS, status=AuthorityStatus.FAILED, tags=None)
    result = made(observed(WANT, authorities={"clients": None}, others=(failed,)))
    assert result.actions[-1].kind is ActionKind.BLOCKED
    assert "delete it" in result.actions[-1].reason


def test_a_ca_of_another_environment_with_the_same_label_is_not_ours() -> None:
    foreign = authority_as(CLIENTS, environment="prod")
    result = made(observed(WANT, authorities={"clients": None}, others=(foreign,)))
    assert kinds(result)[-2:] == [("create", "dev/ca/clients"), ("activate", "dev/ca/clients")]


def test_a_child_that_would_outlive_its_issuer_is_blocked() -> None:
    ending = authority_as(ROOT, not_after=NOW + timedelta(days=400))
    result = made(observed(WANT, authorities={"root": ending, "clients": None}))
    assert result.actions[-1].kind is ActionKind.BLOCKED
    assert "outlive" in result.actions[-1].reason


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"public_access_blocked": False}, "block public access"),
        ({"versioning": False}, "versioning"),
        ({"owner_enforced": False}, "bucket owner enforced"),
        ({"encryption": "aws:kms"}, "encryption"),
        ({"statements": ()}, "policy statement Ours"),
    ],
)
def test_a_bucket_of_ours_is_brought_back(changes: dict[str, Any], field: str) -> None:
    world = observed(WANT, buckets={TRUST_BUCKET.name: bucket_as(TRUST_BUCKET, **changes)})
    action = made(world).actions[1]
    assert action.kind is ActionKind.UPDATE
    assert [change.field for change in action.changes] == [field]


def test_a_bucket_of_other_tooling_is_checked_never_changed() -> None:
    theirs = bucket_as(CRL_BUCKET, tags={"owner": "platform"}, versioning=False)
    action = made(observed(WANT, buckets={CRL_BUCKET.name: theirs})).actions[0]
    assert action.kind is ActionKind.BLOCKED
    assert "other tooling" in action.reason


def test_a_bucket_in_another_region_is_not_taken() -> None:
    (bucket, *_) = WANT.buckets
    result = made(observed(WANT, buckets={bucket.name: bucket_as(bucket, region="us-east-1")}))
    (blocked,) = result.blocked
    assert blocked.address == f"dev/bucket/{bucket.name}"
    assert [(c.field, c.before, c.after) for c in blocked.changes] == [("region", "us-east-1", "eu-west-1")]


def test_a_bucket_left_by_a_killed_run_is_finished() -> None:
    bare = bucket_as(CRL_BUCKET, tags={}, empty=True, versioning=False, statements=())
    action = made(observed(WANT, buckets={CRL_BUCKET.name: bare})).actions[0]
    assert action.kind is ActionKind.UPDATE


def test_an_untagged_bucket_with_objects_is_not_taken_over() -> None:
    used = bucket_as(CRL_BUCKET, tags={}, empty=False)
    assert made(observed(WANT, buckets={CRL_BUCKET.name: used})).actions[0].kind is ActionKind.BLOCKED


def test_statements_are_compared_by_meaning() -> None:
    statement = dict(TRUST_BUCKET.statements[0])
    reordered = {**statement, "Resource": list(reversed(statement["Resource"])), "Action": ["s3:*"]}
    world = observed(WANT, buckets={TRUST_BUCKET.name: bucket_as(TRUST_BUCKET, statements=(reordered,))})
    assert made(world).actions[1].kind is ActionKind.NO_OP


def test_equal_plans_have_equal_digests_and_others_do_not() -> None:
    assert made(nothing(WANT)).digest() == made(nothing(WANT)).digest()
    assert made(nothing(WANT)).digest() != made(observed(WANT)).digest()


STATUSES = st.sampled_from([*AuthorityStatus])


@seeded(150)
@given(root=st.none() | STATUSES, clients=st.none() | STATUSES, crl=st.booleans())
def test_the_planner_is_total_and_never_creates_what_exists(
    root: AuthorityStatus | None, clients: AuthorityStatus | None, crl: bool
) -> None:
    def existing(wanted: DesiredAuthority, status: AuthorityStatus | None) -> ObservedAuthority | None:
        if status is None:
            return None
        tags: dict[str, Any] = {"tags": None} if status is AuthorityStatus.DELETED else {}
        return authority_as(wanted, status=status, crl=wanted.request.crl if crl else None, **tags)

    result = made(observed(WANT, authorities={"root": existing(ROOT, root), "clients": existing(CLIENTS, clients)}))
    for label, status in (("root", root), ("clients", clients)):
        planned = [action.kind for action in result.actions if action.address == f"dev/ca/{label}"]
        assert planned
        if status is not None:
            assert ActionKind.CREATE not in planned
        if status not in {None, AuthorityStatus.CREATING, AuthorityStatus.PENDING_CERTIFICATE}:
            assert ActionKind.ACTIVATE not in planned


def certified(sha256: str) -> dict[str, Details]:
    facts = CertificateFacts(sha256, ROOT.path_length, NO_CONSTRAINTS)
    return {authority_as(ROOT).reference: Details(facts)}


def pinned() -> Any:
    return replace(WANT, authorities=(replace(ROOT, sha256="ab" * 32), CLIENTS))


def test_a_root_with_the_pinned_certificate_is_as_declared() -> None:
    world = replace(observed(WANT), details=certified("ab" * 32))
    assert not plan(pinned(), world, Prices(), NOW).blocked


@pytest.mark.parametrize("found", ["cd" * 32, None])
def test_a_root_without_the_pinned_certificate_blocks_everything_below(found: str | None) -> None:
    world = replace(observed(WANT), details=certified(found) if found else {})
    result = plan(pinned(), world, Prices(), NOW)
    assert kinds(result)[-2:] == [("blocked", "dev/ca/root"), ("blocked", "dev/ca/clients")]
    assert [(c.field, c.before, c.after) for c in result.actions[-2].changes] == [("sha256", found, "ab" * 32)]


def test_a_root_that_is_pinned_is_never_made_anew() -> None:
    result = plan(pinned(), nothing(WANT), Prices(), NOW)
    assert kinds(result)[-2:] == [("blocked", "dev/ca/root"), ("blocked", "dev/ca/clients")]
    assert "remove sha256" in result.actions[-2].reason
