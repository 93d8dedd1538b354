"""What differs between an authority and the file, and what is only spelled differently; what a foreign bucket's policy is worth."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pkiops.backends.interface import AuthorityStatus, CsrExtensions, InformationAccess, OcspSettings
from pkiops.ca.bucket_drift import bucket_action, covers
from pkiops.ca.details import CertificateFacts, Details, details_of, sharing
from pkiops.ca.drift import (
    certificate_changes,
    immutable_changes,
    lasts_as_declared,
    missing_tags,
    policy_document,
    revocation_changes,
    same_policy,
    same_subject,
    sharing_changes,
    subject_text,
)
from pkiops.ca.plan import plan
from pkiops.errors import NotSupported
from pkiops.plan import ActionKind, Change
from pkiops.stores.interface import ObservedBucket
from pkiops.x509.duration import Duration
from pkiops.x509.name_constraints import NO_CONSTRAINTS, NameConstraints, constraints
from tests.unit.ca.worlds import NOW, Prices, authority_as, bucket_as, desired, nothing, observed

WANT = desired()
ROOT, CLIENTS = WANT.authorities
REFERENCE = authority_as(CLIENTS).reference
STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": "444455556666"},
    "Action": "acm-pca:GetCertificate",
}
ALLOW: dict[str, Any] = {
    "Sid": "Ours",
    "Effect": "Allow",
    "Principal": {"Service": "acm-pca.amazonaws.com"},
    "Action": ["s3:PutObject", "s3:GetBucketAcl"],
    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
    "Condition": {"StringEquals": {"aws:SourceAccount": "1"}, "ArnLike": {"aws:SourceArn": "arn:x"}},
}
DENY: dict[str, Any] = {
    **ALLOW,
    "Effect": "Deny",
    "Principal": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def test_the_order_of_a_subject_counts_only_where_both_give_one() -> None:
    dc, name = ("0.9.2342.19200300.100.1.25", "example"), ("2.5.4.3", "X")
    ordered = replace(CLIENTS.request, subject_attributes=(dc, name))
    found = authority_as(CLIENTS, subject_attributes=(dc, name))
    assert same_subject(ordered, found)
    assert not same_subject(ordered, replace(found, subject_attributes=(name, dc)))
    fields = replace(CLIENTS.request, subject={"common_name": "X", "country": "GB"})
    custom = replace(found, subject_attributes=(("2.5.4.3", "X"), ("2.5.4.6", "GB")))
    assert same_subject(fields, custom)
    assert not same_subject(fields, replace(custom, subject_attributes=(("2.5.4.3", "x"), ("2.5.4.6", "GB"))))
    assert not same_subject(ordered, replace(found, subject_attributes=(dc, dc, name)))


def test_request_extensions_and_key_storage_need_a_new_generation() -> None:
    access = InformationAccess("1.3.6.1.5.5.7.48.5", "uri", "http://h/")
    wanted = replace(
        CLIENTS,
        request=replace(
            CLIENTS.request,
            csr_extensions=CsrExtensions(("keyCertSign",), (access,)),
            key_storage_security_standard="FIPS_140_2_LEVEL_3_OR_HIGHER",
        ),
    )
    found = immutable_changes(wanted, authority_as(CLIENTS))
    assert [(change.field, change.before) for change in found] == [
        ("csr extensions", "none"), ("key storage security standard", "unknown"),
    ]  # fmt: skip
    assert not immutable_changes(CLIENTS, authority_as(CLIENTS, key_storage_security_standard="any"))


@pytest.mark.parametrize(
    ("ocsp", "on", "host", "expected"),
    [
        (None, True, "h", []),
        (OcspSettings(enabled=True), False, None, [Change("ocsp", "off", "on")]),
        (OcspSettings(enabled=True, host="h"), True, None, [Change("ocsp host", "none", "h")]),
        (OcspSettings(enabled=True), True, None, []),
        (OcspSettings(enabled=False), True, "h", [Change("ocsp", "on", "off")]),
    ],
)
def test_the_responder(ocsp: OcspSettings | None, on: bool, host: str | None, expected: list[Change]) -> None:
    request = replace(CLIENTS.request, ocsp=ocsp)
    assert list(revocation_changes(request, authority_as(CLIENTS, ocsp=on, ocsp_host=host))) == expected


def test_tags_of_others_and_those_that_identify_are_no_difference() -> None:
    request = replace(CLIENTS.request, tags={**CLIENTS.request.tags, "team": "pki", "a": "1"})
    tags = {"pkiops:environment": "dev", "team": "x", "a": "1", "theirs": "y"}
    assert missing_tags(request, authority_as(CLIENTS, tags=tags)) == {"team": "pki"}


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ({"Statement": [STATEMENT | {"Resource": REFERENCE}]}, True),
        ({"Statement": STATEMENT | {"Resource": [REFERENCE], "Sid": "x"}}, True),
        ({"Statement": [STATEMENT | {"Resource": REFERENCE, "Action": ["ACM-PCA:getCertificate"]}]}, True),
        ({"Statement": [STATEMENT | {"Resource": REFERENCE, "Principal": {"AWS": ["arn:aws:iam::444455556666:root"]}}]}, True),
        ({"Statement": [STATEMENT | {"Resource": REFERENCE, "Principal": {"AWS": "555566667777"}}]}, False),
        ({"Statement": [STATEMENT | {"Resource": "*"}]}, False),
        ({"Statement": [STATEMENT | {"Resource": REFERENCE}] * 2}, False),
        ({"Statement": [STATEMENT | {"Resource": REFERENCE, "Condition": {"Null": {"a": "b"}}}]}, False),
        ({"Statement": ["odd"]}, False),
        ({}, False),
        (None, False),
    ],
)  # fmt: skip
def test_policies_are_compared_by_meaning(found: dict[str, Any] | None, same: bool) -> None:
    wanted = policy_document({"Statement": [STATEMENT]}, REFERENCE)
    assert wanted["Version"] == "2012-10-17"
    assert same_policy(found, wanted, REFERENCE) is same


def test_a_sid_of_the_file_counts() -> None:
    wanted = policy_document({"Statement": [STATEMENT | {"Sid": "Mine"}]}, REFERENCE)
    assert same_policy(wanted, wanted, REFERENCE)
    assert not same_policy({"Statement": [STATEMENT | {"Sid": "Theirs"}]}, wanted, REFERENCE)


def test_what_the_file_does_not_speak_of_is_no_difference() -> None:
    details = Details(None, {"Statement": [STATEMENT]}, ("GetCertificate",))
    assert sharing_changes(CLIENTS, REFERENCE, details) == ()
    gone = replace(CLIENTS, policy={}, acm_permission=False)
    assert [(c.field, c.after) for c in sharing_changes(gone, REFERENCE, details)] == [
        ("policy", None), ("acm permission", "none"),
    ]  # fmt: skip
    assert sharing_changes(gone, REFERENCE, Details()) == ()


def test_a_certificate_is_held_to_the_file_as_far_as_it_was_read() -> None:
    limits = constraints([("dns", "example.com")])
    wanted = replace(CLIENTS, name_constraints=limits)
    assert certificate_changes(wanted, Details()) == ()
    assert certificate_changes(wanted, Details(CertificateFacts("ab", 0, limits))) == ()
    found = certificate_changes(wanted, Details(CertificateFacts("ab", 1, NO_CONSTRAINTS)))
    assert [(c.field, c.before, c.after) for c in found] == [
        ("path length", "1", "0"), ("name constraints", "none", "permitted dns example.com"),
    ]  # fmt: skip
    unknown = NameConstraints(limits.permitted, (), other=1)
    assert certificate_changes(wanted, Details(CertificateFacts("ab", 0, unknown)))


def test_lifetimes_differ_by_more_than_days() -> None:
    assert lasts_as_declared(CLIENTS, authority_as(CLIENTS))
    assert lasts_as_declared(CLIENTS, authority_as(CLIENTS, not_after=None))
    assert not lasts_as_declared(replace(CLIENTS, validity=Duration(4, "y")), authority_as(CLIENTS))


def test_a_backend_that_shares_nothing_says_so() -> None:
    with pytest.raises(NotSupported, match="clients"):
        sharing(object(), CLIENTS)
    pending = authority_as(CLIENTS, status=AuthorityStatus.PENDING_CERTIFICATE, not_after=None)
    # nothing is asked of a CA that has no answer
    assert details_of(object(), replace(CLIENTS, policy={}, acm_permission=True), pending) == Details()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (ALLOW | {"Sid": "Theirs"}, ALLOW, True),
        (ALLOW | {"Action": "s3:*"}, ALLOW, True),
        (ALLOW | {"Action": ["S3:putobject", "s3:Get*"], "Resource": "*"}, ALLOW, True),
        (ALLOW | {"Action": ["s3:PutObject"]}, ALLOW, False),
        (ALLOW | {"Resource": "arn:aws:s3:::b"}, ALLOW, False),
        (ALLOW | {"Condition": {}}, ALLOW, True),
        (ALLOW | {"Condition": {"StringEquals": {"aws:SourceAccount": ["1"]}}}, ALLOW, True),
        (ALLOW | {"Condition": {"StringEquals": {"aws:SourceAccount": "2"}}}, ALLOW, False),
        (ALLOW | {"Condition": {"StringEquals": {"aws:SourceOrgID": "o"}}}, ALLOW, False),
        (ALLOW | {"Principal": {"Service": "s3.amazonaws.com"}}, ALLOW, False),
        (ALLOW | {"Effect": "Deny"}, ALLOW, False),
        (DENY | {"Sid": "x", "Principal": {"AWS": "*"}}, DENY, True),
        (DENY | {"Condition": {"Bool": {"aws:SecureTransport": False}}}, DENY, True),
        (DENY | {"Condition": {**DENY["Condition"], "Null": {"a": "b"}}}, DENY, False),
        (DENY | {"Action": ["s3:PutObject"]}, DENY, False),
        ({"Effect": "Allow"}, ALLOW, False),
    ],
)
def test_a_statement_of_others_serves_if_it_says_as_much(
    found: dict[str, Any], wanted: dict[str, Any], expected: bool
) -> None:
    assert covers(found, wanted) is expected


def test_a_bucket_of_others_is_said_what_to_add_never_changed() -> None:
    crl, trust = (replace(one, manage=False) for one in WANT.buckets)
    theirs = bucket_as(trust, tags={}, statements=(), encryption=None, versioning=False)
    action = bucket_action("dev", trust, theirs)
    assert action.kind is ActionKind.BLOCKED
    assert [change.field for change in action.changes] == ["versioning", "encryption", "policy statement Ours"]
    assert json.loads(action.changes[-1].after or "") == trust.statements[0]
    assert bucket_action("dev", trust, replace(theirs, exists=False)).kind is ActionKind.BLOCKED
    moved = bucket_action("dev", trust, replace(theirs, region="us-east-1"))
    assert [change.field for change in moved.changes] == ["region"]
    kms = bucket_action("dev", crl, bucket_as(crl, tags={}, encryption="aws:kms", encryption_key="key/x"))
    assert (kms.kind, len(kms.warnings)) == (ActionKind.NO_OP, 1)
    assert not bucket_action("dev", trust, bucket_as(trust, encryption="aws:kms")).warnings
    (change,) = bucket_action("dev", crl, bucket_as(crl, tags={}, encryption="aws:kms")).changes
    assert (change.field, change.before) == ("encryption", "aws:kms with the key aws/s3")
    assert bucket_action("dev", trust, bucket_as(trust, encryption="aws:kms")).kind is ActionKind.NO_OP


def test_who_may_write_into_a_bucket_is_in_the_plan_that_makes_it() -> None:
    held = {"Sid": "PkiopsOnlyX", "Effect": "Deny", "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:role/x"}}}
    wanted = replace(WANT.buckets[0], statements=(*WANT.buckets[0].statements, held))
    (change,) = bucket_action("dev", wanted, ObservedBucket(name=wanted.name, exists=False)).changes
    assert (change.field, json.loads(change.after or "")) == ("policy statement PkiopsOnlyX", held)
    other = {**held, "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:role/y"}}}
    found = bucket_as(wanted, statements=(*WANT.buckets[0].statements, other, {**held, "Sid": "PkiopsOld"}))
    differs, stale = bucket_action("dev", wanted, found).changes
    assert (json.loads(differs.before or ""), json.loads(differs.after or "")) == (other, held)
    assert (stale.field, stale.after) == ("policy statement PkiopsOld", "none: not declared any more")


CONSTRAINED = NameConstraints(permitted=(("dns", "example.com"),))


@pytest.mark.parametrize(
    ("issuer", "wanted", "found", "fields"),
    [
        ("root", NO_CONSTRAINTS, CONSTRAINED, ["name constraints"]),
        ("root", CONSTRAINED, NO_CONSTRAINTS, ["name constraints"]),
        ("root", CONSTRAINED, replace(CONSTRAINED, other=1), ["name constraints"]),
        ("root", CONSTRAINED, CONSTRAINED, []),
        (None, NO_CONSTRAINTS, CONSTRAINED, []),  # in a root they mean nothing
        ("root", NO_CONSTRAINTS, NameConstraints(other=1), []),  # of forms that no file can name
    ],
)
def test_name_constraints_of_a_certificate_are_compared_both_ways(
    issuer: str | None, wanted: NameConstraints, found: NameConstraints, fields: list[str]
) -> None:
    facts = Details(CertificateFacts("0" * 64, CLIENTS.path_length, found))
    changes = certificate_changes(replace(CLIENTS, issuer=issuer, name_constraints=wanted), facts)
    assert [change.field for change in changes] == fields


def test_sharing_and_disabling_follow_what_they_need() -> None:
    wanted = replace(WANT, authorities=(replace(ROOT, enabled=False), replace(CLIENTS, acm_permission=True)))
    made = plan(wanted, nothing(WANT), Prices(), NOW)
    kinds = [(action.kind.value, action.address) for action in made.actions if "/ca/" in action.address]
    assert kinds == [
        ("create", "dev/ca/root"), ("activate", "dev/ca/root"), ("create", "dev/ca/clients"), ("activate", "dev/ca/clients"),
        ("update", "dev/ca/clients"), ("disable", "dev/ca/root"),
    ]  # fmt: skip
    # the parts that were shown before the CA existed read the same when it does
    pending = authority_as(CLIENTS, status=AuthorityStatus.PENDING_CERTIFICATE, not_before=None, not_after=None)
    again = plan(wanted, observed(WANT, authorities={"clients": pending}), Prices(), NOW)
    updates = [
        [a.changes for a in one.actions if a.kind is ActionKind.UPDATE and "/ca/" in a.address] for one in (made, again)
    ]
    assert updates[0] == updates[1] != []


@pytest.mark.parametrize(
    ("enabled", "kind"), [(None, ActionKind.BLOCKED), (True, ActionKind.ENABLE), (False, ActionKind.NO_OP)]
)
def test_a_disabled_authority_does_what_the_file_says(enabled: bool | None, kind: ActionKind) -> None:
    wanted = replace(WANT, authorities=(ROOT, replace(CLIENTS, enabled=enabled)))
    world = observed(WANT, authorities={"clients": authority_as(CLIENTS, status=AuthorityStatus.DISABLED)})
    (action,) = [a for a in plan(wanted, world, Prices(), NOW).actions if a.address == "dev/ca/clients"]
    assert action.kind is kind


def test_a_value_of_a_subject_is_never_taken_for_two() -> None:
    one = replace(CLIENTS.request, subject={"organization": "A, common_name=B", "common_name": "C"})
    assert subject_text(one) == 'organization="A, common_name=B", common_name=C'
    odd = replace(one, subject_attributes=(("1.2.3", 'x="y"'), ("2.5.4.3", "C")))
    assert subject_text(odd) == '1.2.3="x=\\"y\\"", common_name=C'
