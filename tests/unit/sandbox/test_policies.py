"""Resource policies: which documents are taken, and what they let callers of other accounts do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.policies import SHAREABLE
from pkiops.sandbox.engine.request_model import operation_names
from pkiops.sandbox.engine.state import Region
from tests.unit.sandbox.world import ACCOUNT, CLIENT_AUTH, OTHER_ACCOUNT, START, TEMPLATE, World, csr, policy

READS = ("DescribeCertificateAuthority", "GetCertificate", "GetCertificateAuthorityCertificate", "ListTags")
END_ENTITY = TEMPLATE.format("EndEntityCertificate")


def put(world: World, arn: str, document: str) -> None:
    world.call("PutPolicy", ResourceArn=arn, Policy=document)


class Shared:
    """A root of ACCOUNT with a policy, and a world that sees it from another account."""

    def __init__(self, document: str | None = None, account: str = OTHER_ACCOUNT, **statement: Any) -> None:
        self.world = World()
        self.root = self.world.root()
        self.own = self.world.region
        put(self.world, self.root, document or policy(self.root, **statement))
        self.other = Region("aws", account, "eu-west-1")
        self.as_other()

    def as_other(self) -> None:
        self.world.region, self.world.elsewhere = self.other, [self.own]

    def as_owner(self) -> None:
        self.world.region, self.world.elsewhere = self.own, [self.other]

    def issue(self, template: str | None, **more: Any) -> str:
        request = {
            "CertificateAuthorityArn": self.root,
            "Csr": csr(),
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Validity": {"Type": "DAYS", "Value": 9},
            **({"TemplateArn": template} if template else {}),
            **more,
        }
        return str(self.world.call("IssueCertificate", **request)["CertificateArn"])

    def denied(self, operation: str, **request: Any) -> str:
        message = self.world.refused("AccessDeniedException", operation, **request)
        assert f"is not authorized to perform: acm-pca:{operation} on resource: {self.root}" in message
        return message


def test_a_policy_comes_and_goes() -> None:
    world = World()
    root = world.root()
    world.refused("ResourceNotFoundException", "GetPolicy", ResourceArn=root)
    world.call("DeletePolicy", ResourceArn=root)
    document = policy(root)
    put(world, root, document)
    assert world.call("GetPolicy", ResourceArn=root) == {"Policy": document}
    put(world, root, policy(root, "999999999999"))
    assert "999999999999" in world.call("GetPolicy", ResourceArn=root)["Policy"]
    world.call("DeletePolicy", ResourceArn=root)
    world.refused("ResourceNotFoundException", "GetPolicy", ResourceArn=root)


def test_policies_of_no_authority() -> None:
    world = World()
    root = world.root()
    for arn, code in ((f"{root}x", "InvalidArnException"), (f"{root[:-4]}0000", "ResourceNotFoundException")):
        world.refused(code, "PutPolicy", ResourceArn=arn, Policy=policy(root))
        world.refused(code, "GetPolicy", ResourceArn=arn)
        world.refused(code, "DeletePolicy", ResourceArn=arn)


ORGANIZATION = {"StringEquals": {"aws:PrincipalOrgID": "o-example1234"}}


@pytest.mark.parametrize(
    "statement",
    [
        {"Principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}},
        {"Principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:role/path/issuer"}},
        {"Principal": {"AWS": [OTHER_ACCOUNT, "999999999999"]}},
        {"Principal": "*", "Condition": ORGANIZATION},
        {"Principal": {"AWS": "*"}, "Condition": ORGANIZATION},
        {"Effect": "Deny"},
        {"Sid": "one", "Action": "acm-pca:IssueCertificate"},
        {"Action": [f"acm-pca:{name}" for name in sorted(SHAREABLE)]},
        {"Condition": {"ArnLike": {"acm-pca:TemplateArn": [END_ENTITY, CLIENT_AUTH]}}},
    ],
)
def test_statements_that_are_taken(statement: dict[str, Any]) -> None:
    world = World()
    root = world.root()
    put(world, root, policy(root, **statement))
    document = json.loads(policy(root, **statement))
    put(world, root, json.dumps({**document, "Id": "x", "Statement": document["Statement"][0]}))


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "allow"},
        {"Effect": ["Allow"]},
        {"Principal": "*"},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": "*"}, "Condition": {"StringEquals": {"aws:SourceAccount": "1"}}},
        {"Principal": OTHER_ACCOUNT},
        {"Principal": {"AWS": []}},
        {"Principal": {"AWS": 444455556666}},
        {"Principal": {"AWS": "12"}},
        {"Principal": {"AWS": "arn:aws:s3:::bucket"}},
        {"Principal": {"Service": "acm.amazonaws.com"}},
        {"Principal": {"AWS": OTHER_ACCOUNT, "Service": "acm.amazonaws.com"}},
        {"Action": []},
        {"Action": "acm-pca:*"},
        {"Action": "acm-pca:DeleteCertificateAuthority"},
        {"Action": ["acm-pca:IssueCertificate", "acm-pca:GetCertificateAuthorityCsr"]},
        {"Action": {"a": "b"}},
        {"Resource": "*"},
        {"Resource": []},
        {"Condition": []},
        {"Condition": None},
        {"Condition": {"StringEquals": "x"}},
        {"Condition": {"StringEquals": {"acm-pca:TemplateArn": [1]}}},
        {"NotAction": "acm-pca:IssueCertificate"},
    ],
)
def test_statements_that_are_refused(statement: dict[str, Any]) -> None:
    world = World()
    root = world.root()
    document = policy(root, **statement)
    world.refused("InvalidPolicyException", "PutPolicy", ResourceArn=root, Policy=document)
    world.refused("ResourceNotFoundException", "GetPolicy", ResourceArn=root)


@pytest.mark.parametrize(
    "document",
    [
        "x",
        "[]",
        "null",
        "[" * 60_000,
        "{}",
        '{"Version": "2012-10-17"}',
        '{"Version": "2012-10-17", "Statement": []}',
        '{"Version": "2012-10-17", "Statement": ["x"]}',
        '{"Version": "2012-10-17", "Statement": [{}]}',
        '{"Version": "2020-01-01", "Statement": [{}]}',
        '{"Version": "2012-10-17", "Statement": [{}], "More": 1}',
    ],
)
def test_documents_that_are_refused(document: str) -> None:
    world = World()
    root = world.root()
    world.refused("InvalidPolicyException", "PutPolicy", ResourceArn=root, Policy=document)


def test_documents_that_the_model_refuses_and_an_owner_locked_out() -> None:
    world = World()
    root = world.root()
    world.refused("ValidationException", "PutPolicy", ResourceArn=root, Policy=" " * 81_921)
    statements: tuple[dict[str, Any], ...] = ({}, {"Principal": "*", "Condition": ORGANIZATION})
    for statement in statements:
        document = policy(root, ACCOUNT, Effect="Deny", **statement)
        world.refused("LockoutPreventedException", "PutPolicy", ResourceArn=root, Policy=document)


def test_what_is_shared_can_be_called_from_the_other_account() -> None:
    actions = (*READS, "IssueCertificate", "RevokeCertificate", "ListPermissions")
    shared = Shared(actions=actions)
    world, ca = shared.world, {"CertificateAuthorityArn": shared.root}
    certificate_arn = shared.issue(None, IdempotencyToken="t" * 36)
    assert shared.issue(None, IdempotencyToken="t" * 36) == certificate_arn
    assert certificate_arn.startswith(shared.root)
    assert world.call("GetCertificate", CertificateArn=certificate_arn, **ca)["Certificate"]
    assert world.call("GetCertificateAuthorityCertificate", **ca)["Certificate"]
    assert world.call("ListTags", **ca) == {"Tags": []}
    assert world.call("ListPermissions", **ca) == {"Permissions": []}
    serial = certificate_arn.rpartition("/")[2]
    world.call("RevokeCertificate", CertificateSerial=serial, RevocationReason="SUPERSEDED", **ca)
    assert world.describe(shared.root)["OwnerAccount"] == ACCOUNT
    shared.as_owner()
    assert shared.issue(None, IdempotencyToken="t" * 36) != certificate_arn  # a token is its account's own


def test_the_audit_report_names_the_account_that_asked() -> None:
    shared = Shared()
    theirs = shared.issue(None)
    shared.as_owner()
    ours = shared.issue(None)
    request = {"S3BucketName": "reports", "AuditReportResponseFormat": "JSON"}
    report = shared.world.call("CreateCertificateAuthorityAuditReport", CertificateAuthorityArn=shared.root, **request)
    shared.world.call("ListCertificateAuthorities")
    rows = json.loads(shared.world.buckets.objects["reports", report["S3Key"]])
    found = {row["certificateArn"]: row["awsAccountId"] for row in rows}
    assert (found[theirs], found[ours]) == (OTHER_ACCOUNT, ACCOUNT)


def test_nothing_else_can_be_called() -> None:
    shared = Shared(actions=("DescribeCertificateAuthority",))
    shared.denied("ListTags", CertificateAuthorityArn=shared.root)
    shared.denied("GetCertificateAuthorityCertificate", CertificateAuthorityArn=shared.root)
    everything = Shared(actions=sorted(SHAREABLE))
    requests: dict[str, dict[str, Any]] = {
        "ImportCertificateAuthorityCertificate": {"Certificate": "x"},
        "TagCertificateAuthority": {"Tags": [{"Key": "k"}]},
        "UntagCertificateAuthority": {"Tags": [{"Key": "k"}]},
        "CreateCertificateAuthorityAuditReport": {"S3BucketName": "xxx", "AuditReportResponseFormat": "CSV"},
        "DescribeCertificateAuthorityAuditReport": {"AuditReportId": "00000000-0000-0000-0000-000000000000"},
        "CreatePermission": {"Principal": "acm.amazonaws.com", "Actions": ["GetCertificate"]},
        "DeletePermission": {"Principal": "acm.amazonaws.com"},
        "PutPolicy": {"Policy": policy(everything.root)},
    }
    never = {*operation_names()} - SHAREABLE - {"CreateCertificateAuthority", "ListCertificateAuthorities"}
    assert len(never) == 14
    for operation in sorted(never):
        member = "ResourceArn" if operation.endswith("Policy") else "CertificateAuthorityArn"
        everything.denied(operation, **{member: everything.root}, **requests.get(operation, {}))


@pytest.mark.parametrize("operator", ["StringEquals", "StringLike", "ArnEquals", "ArnLike"])
def test_the_template_is_held_to_its_condition(operator: str) -> None:
    shared = Shared(Condition={operator: {"acm-pca:TemplateArn": END_ENTITY}})
    shared.issue(END_ENTITY)
    shared.issue(None)  # which means that template
    for template in (CLIENT_AUTH, TEMPLATE.format("SubordinateCACertificate_PathLen0")):
        with pytest.raises(ServiceError, match="no resource-based policy allows the acm-pca:IssueCertificate action"):
            shared.issue(template)


def test_a_pattern_of_templates() -> None:
    shared = Shared(Condition={"StringLike": {"acm-pca:TemplateArn": "arn:*:acm-pca:::template/EndEntity*/V1"}})
    shared.issue(CLIENT_AUTH)
    with pytest.raises(ServiceError, match="not authorized"):
        shared.issue(TEMPLATE.format("CodeSigningCertificate"))


def test_a_denial_wins() -> None:
    shared = Shared(actions=("ListTags",))
    shared.as_owner()
    document = json.loads(policy(shared.root, actions=("ListTags",)))
    document["Statement"].append({**document["Statement"][0], "Effect": "Deny"})
    put(shared.world, shared.root, json.dumps(document))
    shared.as_other()
    assert "explicit deny" in shared.denied("ListTags", CertificateAuthorityArn=shared.root)


def test_other_accounts_learn_nothing() -> None:
    stranger = Shared(account="999999999999", actions=sorted(SHAREABLE))
    assert stranger.denied("DescribeCertificateAuthority", CertificateAuthorityArn=stranger.root)
    unknown = f"{stranger.root[:-4]}0000"
    stranger.world.refused("AccessDeniedException", "ListTags", CertificateAuthorityArn=unknown)
    organization = Shared(Principal="*", Condition=ORGANIZATION, actions=("ListTags",))
    organization.denied("ListTags", CertificateAuthorityArn=organization.root)


def test_a_role_stands_for_its_account() -> None:
    shared = Shared(Principal={"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:role/issuer"}, actions=("ListTags",))
    assert shared.world.call("ListTags", CertificateAuthorityArn=shared.root) == {"Tags": []}


def test_states_count_for_other_accounts_too() -> None:
    shared = Shared()
    shared.as_owner()
    shared.world.call("UpdateCertificateAuthority", CertificateAuthorityArn=shared.root, Status="DISABLED")
    shared.as_other()
    with pytest.raises(ServiceError, match="not in a valid state"):
        shared.issue(None)


def test_shared_authorities_are_listed() -> None:
    shared = Shared()
    world = shared.world
    shared.as_owner()
    world.advance(minutes=1)
    second = world.root("Second")
    world.root("Not shared")
    put(world, second, policy(second, OTHER_ACCOUNT))
    shared.as_other()
    listed = world.call("ListCertificateAuthorities", ResourceOwner="OTHER_ACCOUNTS")["CertificateAuthorities"]
    assert [each["Arn"] for each in listed] == [second, shared.root]
    assert {each["OwnerAccount"] for each in listed} == {ACCOUNT}
    assert listed[1]["CreatedAt"] == int(START.timestamp())
    first = world.call("ListCertificateAuthorities", ResourceOwner="OTHER_ACCOUNTS", MaxResults=1)
    rest = world.call("ListCertificateAuthorities", ResourceOwner="OTHER_ACCOUNTS", NextToken=first["NextToken"])
    assert [each["Arn"] for each in rest["CertificateAuthorities"]] == [shared.root]
    assert world.call("ListCertificateAuthorities") == {"CertificateAuthorities": []}
    shared.as_owner()
    assert len(world.call("ListCertificateAuthorities")["CertificateAuthorities"]) == 3
    assert world.call("ListCertificateAuthorities", ResourceOwner="OTHER_ACCOUNTS") == {"CertificateAuthorities": []}
