"""``--enforce-iam``: callers are held to their policies, in process and over HTTP."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.sts.models import sts_backends

from pkiops.clock import ManualClock
from pkiops.errors import Unreachable
from pkiops.sandbox import moto_adapter
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.iam_record import Asked, ask_permissions
from pkiops.sandbox.sample_hierarchy import make_hierarchy
from tests.aws.sandbox.clients import WAYS
from tests.sandbox_server import ACCOUNT, REGION, START, RunningSandbox, running_sandbox
from tests.unit.sandbox.world import csr

CLIENT_AUTH = "arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1"
SERVER_AUTH = "arn:aws:acm-pca:::template/EndEntityServerAuthCertificate/V1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/persona"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/persona/test"
ADMINISTRATOR = {"AccessKeyId": "sandbox", "SecretAccessKey": "sandbox"}
OTHER = "999999999999"


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


@dataclass
class Iam:
    """A sandbox that enforces, and how to be somebody in it."""

    client_as: Callable[..., Any]
    permissions: Callable[[], list[Asked]]
    port: int = 0
    admin: dict[str, Any] = field(default_factory=lambda: dict(ADMINISTRATOR))

    def client(self, service: str) -> Any:
        return self.client_as(self.admin, service)

    def role(self, *statements: Mapping[str, Any], trusts: Any = ACCOUNT, **more: Any) -> dict[str, Any]:
        """A role with one inline policy, assumed by the administrator."""
        trust = document({"Effect": "Allow", "Principal": {"AWS": trusts}, "Action": "sts:AssumeRole"})
        iam = self.client("iam")
        iam.create_role(RoleName="persona", AssumeRolePolicyDocument=trust, **more)
        if statements:
            iam.put_role_policy(RoleName="persona", PolicyName="it", PolicyDocument=document(*statements))
        return self.assume()

    def assume(self, credentials: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        sts = self.client_as(credentials or self.admin, "sts")
        found: dict[str, Any] = sts.assume_role(RoleArn=ROLE, RoleSessionName="test", **more)["Credentials"]
        return found

    def user(self, *statements: Mapping[str, Any]) -> dict[str, Any]:
        iam = self.client("iam")
        iam.create_user(UserName="ada")
        if statements:
            iam.put_user_policy(UserName="ada", PolicyName="it", PolicyDocument=document(*statements))
        found: dict[str, Any] = iam.create_access_key(UserName="ada")["AccessKey"]
        return found


def _over_http(sandbox: RunningSandbox) -> Iam:
    return Iam(sandbox.client_as, lambda: ask_permissions(sandbox.port), sandbox.port)


def _in_process_client(credentials: Mapping[str, Any], service: str, region: str = REGION) -> Any:
    session = boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
        region_name=region,
    )
    return session.client(service, config=Config(retries={"total_max_attempts": 1}))  # type: ignore[call-overload]


@pytest.fixture(params=WAYS)
def iam(request: pytest.FixtureRequest) -> Iterator[Iam]:
    settings = Settings(enforce_iam=True)
    if request.param == "over http":
        with running_sandbox(settings=settings) as sandbox:
            yield _over_http(sandbox)
        return
    with moto_adapter.plugged_in(clock=ManualClock(START), settings=settings) as plugged, mock_aws():
        assert plugged.enforcement is not None
        yield Iam(_in_process_client, plugged.enforcement.record.entries)


@contextlib.contextmanager
def refused(code: str, text: str = "") -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert (error["Code"], text in error["Message"]) == (code, True), error


def issue(client: Any, authority: str, template: str | None) -> str:
    chosen = {"TemplateArn": template} if template else {}
    answer = client.issue_certificate(
        CertificateAuthorityArn=authority,
        Csr=csr(),
        SigningAlgorithm="SHA256WITHECDSA",
        Validity={"Value": 1, "Type": "DAYS"},
        **chosen,
    )
    return str(answer["CertificateArn"])


def test_a_role_that_may_issue_from_one_template(iam: Iam) -> None:
    made = make_hierarchy(iam.client("acm-pca"), iam.client("s3"))
    authority, root = made["issuing_arn"], made["root_arn"]
    only = {"StringEquals": {"acm-pca:TemplateArn": CLIENT_AUTH}}
    issuer = iam.client_as(
        iam.role(
            allow("acm-pca:IssueCertificate", resource=authority, Condition=only),
            allow("acm-pca:GetCertificate", resource=authority),
        ),
        "acm-pca",
    )
    issued = issue(issuer, authority, CLIENT_AUTH)
    with refused("RequestInProgressException"):
        issuer.get_certificate(CertificateAuthorityArn=authority, CertificateArn=issued)
    sentence = (
        f"User: {SESSION} is not authorized to perform: acm-pca:IssueCertificate on resource: {authority} "
        "because no identity-based policy allows the acm-pca:IssueCertificate action"
    )
    for template in (SERVER_AUTH, None):  # None is EndEntityCertificate/V1
        with refused("AccessDeniedException", sentence):
            issue(issuer, authority, template)
    with refused("AccessDeniedException", f"on resource: {root}"):
        issue(issuer, root, CLIENT_AUTH)
    with refused("AccessDeniedException"):
        issuer.list_certificate_authorities()
    seen = [
        (each.action, each.resource, each.decision, each.count) for each in iam.permissions() if each.principal == ROLE
    ]
    assert seen == [
        ("acm-pca:IssueCertificate", authority, "allowed", 1),
        ("acm-pca:GetCertificate", authority, "allowed", 1),
        ("acm-pca:IssueCertificate", authority, "denied", 2),
        ("acm-pca:IssueCertificate", root, "denied", 1),
        ("acm-pca:ListCertificateAuthorities", "*", "denied", 1),
    ]


def test_an_explicit_deny_wins(iam: Iam) -> None:
    denial = {**allow("acm-pca:Create*"), "Effect": "Deny"}
    client = iam.client_as(iam.role(allow("acm-pca:*"), denial), "acm-pca")
    assert client.list_certificate_authorities()["CertificateAuthorities"] == []
    with refused("AccessDeniedException", "with an explicit deny in an identity-based policy"):
        create(client)


def create(client: Any, **more: Any) -> str:
    answer = client.create_certificate_authority(
        CertificateAuthorityType="ROOT",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "Root"},
        },
        **more,
    )
    return str(answer["CertificateAuthorityArn"])


def test_tags_of_requests_and_resources(iam: Iam) -> None:
    tagged = {"StringEquals": {"aws:RequestTag/env": "dev"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["env"]}}
    statements = [
        allow("acm-pca:CreateCertificateAuthority", Condition=tagged),
        allow("acm-pca:DescribeCertificateAuthority", Condition={"StringEquals": {"aws:ResourceTag/env": "dev"}}),
    ]
    client = iam.client_as(iam.role(*statements), "acm-pca")
    dev = [{"Key": "env", "Value": "dev"}]
    with refused("AccessDeniedException", "acm-pca:TagCertificateAuthority on resource: arn:aws:acm-pca:"):
        create(client, Tags=dev)
    authorities = f"arn:aws:acm-pca:{REGION}:{ACCOUNT}:certificate-authority/*"
    policy = document(*statements, allow("acm-pca:TagCertificateAuthority", resource=authorities))
    iam.client("iam").put_role_policy(RoleName="persona", PolicyName="it", PolicyDocument=policy)
    arn = create(client, Tags=dev)
    client.describe_certificate_authority(CertificateAuthorityArn=arn)
    for tags in ([], [{"Key": "env", "Value": "prod"}], [*dev, {"Key": "team", "Value": "x"}]):
        with refused("AccessDeniedException", "acm-pca:CreateCertificateAuthority on resource: *"):
            create(client, **({"Tags": tags} if tags else {}))
    other = create(iam.client("acm-pca"))
    with refused("AccessDeniedException", f"on resource: {other}"):
        client.describe_certificate_authority(CertificateAuthorityArn=other)


def test_the_tagging_api_needs_the_service_s_permission_too(iam: Iam) -> None:
    arn = create(iam.client("acm-pca"))
    iam.client("acm-pca").describe_certificate_authority(CertificateAuthorityArn=arn)  # CREATING for one poll
    tagging = iam.client_as(iam.role(allow("tag:*")), "resourcegroupstaggingapi")
    tagging.get_resources()
    with refused("AccessDeniedException", f"acm-pca:TagCertificateAuthority on resource: {arn}"):
        tagging.tag_resources(ResourceARNList=[arn], Tags={"env": "dev"})
    policy = document(allow("acm-pca:TagCertificateAuthority", resource=arn), allow("tag:TagResources"))
    iam.client("iam").put_role_policy(RoleName="persona", PolicyName="it", PolicyDocument=policy)
    assert tagging.tag_resources(ResourceARNList=[arn], Tags={"env": "dev"})["FailedResourcesMap"] == {}
    with refused("AccessDeniedException", "tag:GetResources on resource: *"):
        tagging.get_resources()


def test_objects_listings_and_what_is_missing(iam: Iam) -> None:
    admin = iam.client("s3")
    admin.create_bucket(Bucket="box", CreateBucketConfiguration={"LocationConstraint": REGION})
    admin.put_object(Bucket="box", Key="home/ada/ä b", Body=b"x")
    reads = allow("s3:GetObject", resource="arn:aws:s3:::box/home/${aws:PrincipalTag/who}/*")
    lists = allow("s3:ListBucket", resource="arn:aws:s3:::box", Condition={"StringLike": {"s3:prefix": "home/ada/*"}})
    client = iam.client_as(iam.role(reads, lists, Tags=[{"Key": "who", "Value": "ada"}]), "s3")
    assert client.get_object(Bucket="box", Key="home/ada/ä b")["Body"].read() == b"x"
    assert client.head_object(Bucket="box", Key="home/ada/ä b")["ContentLength"] == 1
    assert client.list_objects_v2(Bucket="box", Prefix="home/ada/")["KeyCount"] == 1
    for prefix in ("", "home/"):
        with refused(
            "AccessDenied",
            f'User: {SESSION} is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::box"',
        ):
            client.list_objects_v2(Bucket="box", Prefix=prefix)
    with refused("AccessDenied", "because no identity-based policy allows the s3:GetObject action"):
        client.get_object(Bucket="box", Key="home/bob/x")
    with refused("403"):
        client.head_object(Bucket="box", Key="home/bob/x")
    with refused("403"):
        client.head_bucket(Bucket="box")
    with refused("AccessDenied", "Access Denied"):  # a listing of everything is not allowed, so nothing is told
        client.get_object(Bucket="box", Key="home/ada/missing")
    policy = document(reads, allow("s3:ListBucket", resource="arn:aws:s3:::box"))
    iam.client("iam").put_role_policy(RoleName="persona", PolicyName="it", PolicyDocument=policy)
    with refused("NoSuchKey"):
        client.get_object(Bucket="box", Key="home/ada/missing")
    with refused("404"):
        client.head_object(Bucket="box", Key="home/ada/missing")
    client.head_bucket(Bucket="box")


def test_writing_objects_and_deleting_several(iam: Iam) -> None:
    iam.client("s3").create_bucket(Bucket="box", CreateBucketConfiguration={"LocationConstraint": REGION})
    conditional = {"StringEquals": {"s3:if-none-match": "*"}}
    client = iam.client_as(
        iam.role(
            allow("s3:PutObject", resource="arn:aws:s3:::box/once/*", Condition=conditional),
            allow("s3:PutObject", "s3:DeleteObject", resource="arn:aws:s3:::box/mine/*"),
        ),
        "s3",
    )
    client.put_object(Bucket="box", Key="once/1", Body=b"x", IfNoneMatch="*")
    with refused("AccessDenied", "s3:PutObject"):
        client.put_object(Bucket="box", Key="once/2", Body=b"x")
    client.put_object(Bucket="box", Key="mine/1", Body=b"x")
    for more, action in (({"ACL": "private"}, "s3:PutObjectAcl"), ({"Tagging": "a=b"}, "s3:PutObjectTagging")):
        with refused("AccessDenied", action):
            client.put_object(Bucket="box", Key="mine/2", Body=b"x", **more)
    with refused("AccessDenied", "s3:GetObject"):
        client.copy_object(Bucket="box", Key="mine/3", CopySource={"Bucket": "box", "Key": "once/1"})
    gone = client.delete_objects(Bucket="box", Delete={"Objects": [{"Key": "mine/1"}, {"Key": "once/1"}]})
    assert [each["Key"] for each in gone["Deleted"]] == ["mine/1"]
    assert [(each["Key"], each["Code"]) for each in gone["Errors"]] == [("once/1", "AccessDenied")]
    with refused("AccessDenied", "s3:DeleteObject"):
        client.delete_object(Bucket="box", Key="once/1")


SETTINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("get_bucket_encryption", "GetEncryptionConfiguration", {}),
    ("get_public_access_block", "GetBucketPublicAccessBlock", {}),
    ("delete_public_access_block", "PutBucketPublicAccessBlock", {}),
    ("get_bucket_lifecycle_configuration", "GetLifecycleConfiguration", {}),
    ("delete_bucket_lifecycle", "PutLifecycleConfiguration", {}),
    ("get_bucket_ownership_controls", "GetBucketOwnershipControls", {}),
    ("get_bucket_versioning", "GetBucketVersioning", {}),
    ("get_bucket_location", "GetBucketLocation", {}),
    ("get_bucket_policy", "GetBucketPolicy", {}),
    ("get_bucket_acl", "GetBucketAcl", {}),
    ("get_bucket_tagging", "GetBucketTagging", {}),
    ("get_object_lock_configuration", "GetBucketObjectLockConfiguration", {}),
    ("list_object_versions", "ListBucketVersions", {}),
    ("list_multipart_uploads", "ListBucketMultipartUploads", {}),
    ("get_object", "GetObjectVersion", {"Key": "k", "VersionId": "v"}),
    ("delete_object", "DeleteObjectVersion", {"Key": "k", "VersionId": "v"}),
    ("get_object_tagging", "GetObjectTagging", {"Key": "k"}),
    ("create_multipart_upload", "PutObject", {"Key": "k"}),
    ("list_bucket_inventory_configurations", "GetInventoryConfiguration", {}),
]


def test_operations_whose_action_has_another_name(iam: Iam) -> None:
    iam.client("s3").create_bucket(Bucket="box", CreateBucketConfiguration={"LocationConstraint": REGION})
    client = iam.client_as(iam.role(), "s3")
    for operation, action, request in SETTINGS:
        with refused("AccessDenied", f"to perform: s3:{action} on"):
            getattr(client, operation)(Bucket="box", **request)
    with refused("AccessDenied", 's3:ListAllMyBuckets on resource: "*"'):
        client.list_buckets()


def test_bucket_policies_grant_and_deny(iam: Iam) -> None:
    admin = iam.client("s3")
    admin.create_bucket(Bucket="box", CreateBucketConfiguration={"LocationConstraint": REGION})
    admin.put_object(Bucket="box", Key="k", Body=b"x")
    client = iam.client_as(iam.role(), "s3")

    def put(effect: str, principal: Any, *actions: str, **more: Any) -> None:
        statement = {**allow(*actions, resource="arn:aws:s3:::box/*"), "Effect": effect, "Principal": principal, **more}
        admin.put_bucket_policy(Bucket="box", Policy=document(statement))

    put("Allow", {"AWS": ROLE}, "s3:GetObject")
    assert client.get_object(Bucket="box", Key="k")["Body"].read() == b"x"
    put("Allow", {"AWS": ACCOUNT}, "s3:GetObject")
    with refused("AccessDenied"):
        client.get_object(Bucket="box", Key="k")
    everybody_else = {"StringNotEquals": {"aws:PrincipalArn": ROLE}}
    put("Deny", "*", "s3:GetObject", Condition=everybody_else)
    with refused("AccessDenied", "with an explicit deny in a resource-based policy"):
        admin.get_object(Bucket="box", Key="k")
    iam.client("iam").put_role_policy(
        RoleName="persona", PolicyName="it", PolicyDocument=document(allow("s3:GetObject"))
    )
    assert client.get_object(Bucket="box", Key="k")["Body"].read() == b"x"


def test_across_accounts_both_must_allow(iam: Iam) -> None:
    made = make_hierarchy(iam.client("acm-pca"), iam.client("s3"))
    authority = made["issuing_arn"]
    theirs = _in_other_account(iam)
    with refused("AccessDeniedException", "because no resource-based policy allows"):
        theirs("acm-pca").describe_certificate_authority(CertificateAuthorityArn=authority)
    shared = {
        **allow("acm-pca:DescribeCertificateAuthority", "acm-pca:GetCertificate", resource=authority),
        "Principal": {"AWS": OTHER},
    }
    iam.client("acm-pca").put_policy(ResourceArn=authority, Policy=document(shared))
    theirs("acm-pca").describe_certificate_authority(CertificateAuthorityArn=authority)
    with refused("AccessDeniedException", "because no identity-based policy allows the acm-pca:GetCertificate"):
        theirs("acm-pca").get_certificate(
            CertificateAuthorityArn=authority, CertificateArn=f"{authority}/certificate/{'0' * 32}"
        )
    bucket = made["bucket"]
    with refused("AccessDenied", "Access Denied"):
        theirs("s3").list_objects_v2(Bucket=bucket)


def _in_other_account(iam: Iam) -> Callable[[str], Any]:
    """Clients of a role of another account, which its administrator made: moto's header says which account."""

    def administrator(service: str) -> Any:
        client = iam.client(service)
        client.meta.events.register(
            "before-sign", lambda request, **_: request.headers.add_header("x-moto-account-id", OTHER)
        )
        return client

    trust = document({"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "sts:AssumeRole"})
    administrator("iam").create_role(RoleName="guest", AssumeRolePolicyDocument=trust)
    policy = document(allow("acm-pca:DescribeCertificateAuthority", "s3:*"))
    administrator("iam").put_role_policy(RoleName="guest", PolicyName="it", PolicyDocument=policy)
    arn = f"arn:aws:iam::{OTHER}:role/guest"
    credentials = administrator("sts").assume_role(RoleArn=arn, RoleSessionName="guest")["Credentials"]
    return lambda service: iam.client_as(credentials, service)


def test_items_tables_and_indexes(iam: Iam) -> None:
    admin = iam.client("dynamodb")
    admin.create_table(
        TableName="ledger",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/ledger"
    client = iam.client_as(iam.role(allow("dynamodb:PutItem", "dynamodb:GetItem", resource=table)), "dynamodb")
    item = {"id": {"S": "1"}}
    client.put_item(TableName="ledger", Item=item)
    client.transact_write_items(TransactItems=[{"Put": {"TableName": "ledger", "Item": item}}])
    client.transact_get_items(TransactItems=[{"Get": {"TableName": "ledger", "Key": item}}])
    start = f"User: {SESSION} is not authorized to perform: dynamodb:"
    check = {"TableName": "ledger", "Key": item, "ConditionExpression": "attribute_exists(id)"}
    both = [{"Put": {"TableName": "ledger", "Item": {"id": {"S": "2"}}}}, {"ConditionCheck": check}]
    with refused("AccessDeniedException", f"{start}ConditionCheckItem on resource: {table}"):
        client.transact_write_items(TransactItems=both)
    with refused("AccessDeniedException", f"{start}BatchWriteItem on resource: {table}"):
        client.batch_write_item(RequestItems={"ledger": [{"PutRequest": {"Item": item}}]})
    with refused("AccessDeniedException", f"{start}Query on resource: {table}/index/by-name because"):
        client.query(
            TableName="ledger",
            IndexName="by-name",
            KeyConditionExpression="id = :i",
            ExpressionAttributeValues={":i": item["id"]},
        )
    with refused("AccessDeniedException", f"{start}ListTables on resource: *"):
        client.list_tables()


def test_keys_need_the_consent_of_their_policy(iam: Iam) -> None:
    admin = iam.client("kms")
    key = admin.create_key()["KeyMetadata"]["Arn"]
    admin.create_alias(AliasName="alias/mine", TargetKeyId=key)
    client = iam.client_as(iam.role(allow("kms:Encrypt")), "kms")
    client.encrypt(KeyId="alias/mine", Plaintext=b"x")
    with refused("AccessDeniedException", f"kms:DescribeKey on resource: {key} because no identity-based policy"):
        client.describe_key(KeyId="alias/mine")
    only = {**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}}
    admin.put_key_policy(KeyId=key, PolicyName="default", Policy=document(only))
    with refused("AccessDeniedException", "because no resource-based policy allows the kms:Encrypt action"):
        client.encrypt(KeyId=key, Plaintext=b"x")


def test_users_their_groups_and_their_keys(iam: Iam) -> None:
    credentials = iam.user()
    arn = f"arn:aws:iam::{ACCOUNT}:user/ada"
    client = iam.client_as(credentials, "acm-pca")
    assert iam.client_as(credentials, "sts").get_caller_identity()["Arn"] == arn
    with refused("AccessDeniedException", f"User: {arn} is not authorized"):
        client.list_certificate_authorities()
    admin = iam.client("iam")
    managed = admin.create_policy(PolicyName="lists", PolicyDocument=document(allow("acm-pca:List*")))["Policy"]["Arn"]
    admin.create_group(GroupName="readers")
    admin.attach_group_policy(GroupName="readers", PolicyArn=managed)
    admin.add_user_to_group(GroupName="readers", UserName="ada")
    client.list_certificate_authorities()
    admin.create_policy_version(PolicyArn=managed, PolicyDocument=document(allow("s3:*")), SetAsDefault=True)
    with refused("AccessDeniedException"):
        client.list_certificate_authorities()
    with refused("AccessDenied", f"User: {arn} is not authorized to perform: iam:CreateRole"):
        iam.client_as(credentials, "iam").create_role(RoleName="x", AssumeRolePolicyDocument=document())
    admin.update_access_key(UserName="ada", AccessKeyId=credentials["AccessKeyId"], Status="Inactive")
    with refused("UnrecognizedClientException"):
        client.list_certificate_authorities()


def test_who_may_assume_a_role(iam: Iam) -> None:
    ada = iam.user(allow("sts:AssumeRole"))
    sentence = f"User: arn:aws:iam::{ACCOUNT}:user/ada is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    with refused("AccessDenied", sentence):  # there is no such role
        iam.assume(ada)
    admin = iam.client("iam")
    ours = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    admin.create_role(RoleName="persona", AssumeRolePolicyDocument=document(ours))
    iam.assume(ada)
    admin.delete_user_policy(UserName="ada", PolicyName="it")
    with refused("AccessDenied", sentence):
        iam.assume(ada)
    named = {
        **ours,
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ada"},
        "Condition": {"StringEquals": {"sts:ExternalId": "77"}},
    }
    admin.update_assume_role_policy(RoleName="persona", PolicyDocument=document(named))
    with refused("AccessDenied", sentence):
        iam.assume(ada)
    found = iam.assume(ada, ExternalId="77")
    assert iam.client_as(found, "sts").get_caller_identity()["Arn"] == SESSION
    with refused("AccessDenied"):  # not even the administrator, whom the role does not trust
        iam.assume()


def test_session_policies_and_boundaries_limit(iam: Iam) -> None:
    admin = iam.client("iam")
    lists = admin.create_policy(PolicyName="lists", PolicyDocument=document(allow("acm-pca:List*")))["Policy"]["Arn"]
    iam.role(allow("acm-pca:*", "s3:*"))
    for limits in ({"Policy": document(allow("acm-pca:List*"))}, {"PolicyArns": [{"arn": lists}]}):
        credentials = iam.assume(**limits)
        iam.client_as(credentials, "acm-pca").list_certificate_authorities()
        with refused("AccessDenied", "because no session policy allows the s3:ListAllMyBuckets action"):
            iam.client_as(credentials, "s3").list_buckets()
    admin.put_role_permissions_boundary(RoleName="persona", PermissionsBoundary=lists)
    credentials = iam.assume()
    iam.client_as(credentials, "acm-pca").list_certificate_authorities()
    with refused("AccessDenied", "because no permissions boundary allows the s3:ListAllMyBuckets action"):
        iam.client_as(credentials, "s3").list_buckets()


@pytest.mark.parametrize(
    ("service", "operation", "unknown", "expired"),
    [
        ("acm-pca", "list_certificate_authorities", "UnrecognizedClientException", "ExpiredTokenException"),
        ("dynamodb", "list_tables", "UnrecognizedClientException", "ExpiredTokenException"),
        ("resourcegroupstaggingapi", "get_resources", "UnrecognizedClientException", "ExpiredTokenException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId", "ExpiredToken"),
        ("s3", "list_buckets", "InvalidAccessKeyId", "ExpiredToken"),
    ],
)
def test_credentials_that_do_not_count(iam: Iam, service: str, operation: str, unknown: str, expired: str) -> None:
    credentials = iam.role(allow("*"))
    call = {}
    for name, changes in (
        ("good", {}),
        ("no such key", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}),
        ("another token", {"SessionToken": "another"}),
        ("no token", {"SessionToken": None}),
    ):
        call[name] = getattr(iam.client_as({**credentials, **changes}, service), operation)
    call["good"]()
    for name in ("no such key", "another token", "no token"):
        with refused(unknown):
            call[name]()
    (session,) = sts_backends[ACCOUNT]["aws"].assumed_roles
    session.expiration = (datetime.now(UTC) - timedelta(seconds=1)).replace(tzinfo=None)
    with refused(expired):
        call["good"]()


def test_sessions_that_the_sandbox_cannot_hold_to_anything(iam: Iam) -> None:
    with refused("SandboxNotImplemented"):
        iam.client("sts").get_session_token()
    with refused("SandboxNotImplemented"):
        iam.client("sts").assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="test", WebIdentityToken="token")


def test_a_ca_writes_its_crl_in_its_own_name(iam: Iam) -> None:
    made = make_hierarchy(iam.client("acm-pca"), iam.client("s3"))
    authority = made["issuing_arn"]
    client = iam.client_as(iam.role(allow("acm-pca:*")), "acm-pca")
    issue(client, authority, CLIENT_AUTH)
    keys = [each["Key"] for each in iam.client("s3").list_objects_v2(Bucket=made["bucket"])["Contents"]]
    assert any(key.endswith(f"{authority.rpartition('/')[2]}.crl") for key in keys)


def test_who_asks_for_crls_or_revokes_must_be_able_to_write_them(iam: Iam) -> None:
    made = make_hierarchy(iam.client("acm-pca"), iam.client("s3"))
    authority, bucket = made["issuing_arn"], made["bucket"]
    client = iam.client_as(iam.role(allow("acm-pca:*")), "acm-pca")
    serial = issue(client, authority, CLIENT_AUTH).rpartition("/")[2]
    crl = {"Enabled": True, "ExpirationInDays": 7, "S3BucketName": bucket, "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL"}
    configuration = {"CrlConfiguration": crl}

    def attempts() -> Iterator[Callable[[], Any]]:
        yield lambda: create(client, RevocationConfiguration=configuration)
        yield lambda: client.update_certificate_authority(
            CertificateAuthorityArn=authority, RevocationConfiguration=configuration
        )
        yield lambda: client.revoke_certificate(
            CertificateAuthorityArn=authority, CertificateSerial=serial, RevocationReason="SUPERSEDED"
        )

    for attempt in attempts():
        with refused("AccessDeniedException", f"arn:aws:s3:::{bucket}"):
            attempt()
    objects = allow("s3:PutObject", "s3:PutObjectAcl", resource=f"arn:aws:s3:::{bucket}/*")
    itself = allow("s3:GetBucketAcl", "s3:GetBucketLocation", resource=f"arn:aws:s3:::{bucket}")
    policy = document(allow("acm-pca:*"), objects, itself)
    iam.client("iam").put_role_policy(RoleName="persona", PolicyName="it", PolicyDocument=policy)
    for attempt in attempts():
        attempt()


def test_an_audit_report_needs_no_right_to_its_bucket(iam: Iam) -> None:
    made = make_hierarchy(iam.client("acm-pca"), iam.client("s3"))
    client = iam.client_as(iam.role(allow("acm-pca:CreateCertificateAuthorityAuditReport")), "acm-pca")
    assert client.create_certificate_authority_audit_report(
        CertificateAuthorityArn=made["issuing_arn"], S3BucketName=made["bucket"], AuditReportResponseFormat="CSV"
    )["AuditReportId"]


def test_other_services_by_the_name_of_the_operation(iam: Iam) -> None:
    credentials = iam.role()
    with refused("AccessDenied", "to perform: elasticloadbalancing:DescribeLoadBalancers on resource: *"):
        iam.client_as(credentials, "elbv2").describe_load_balancers()
    with refused("AccessDenied", "to perform: cloudfront:GetDistribution on resource: *"):
        iam.client_as(credentials, "cloudfront").get_distribution(Id="E123")
    with refused("AccessDeniedException", "to perform: rolesanywhere:ListTrustAnchors on resource: *"):
        iam.client_as(credentials, "rolesanywhere").list_trust_anchors()


def test_nobody_reads_what_is_public_only() -> None:
    with running_sandbox(settings=Settings(enforce_iam=True)) as sandbox:
        admin = sandbox.client("s3")
        admin.create_bucket(Bucket="box", CreateBucketConfiguration={"LocationConstraint": REGION})
        for key in ("open/k", "closed/k", "acl/k"):
            admin.put_object(Bucket="box", Key=key, Body=b"x", **({"ACL": "public-read"} if key == "acl/k" else {}))
        anybody = {**allow("s3:GetObject", resource="arn:aws:s3:::box/open/*"), "Principal": "*"}
        admin.put_bucket_policy(Bucket="box", Policy=document(anybody))

        def status(path: str) -> int:
            try:
                with urllib.request.urlopen(f"{sandbox.url}/{path}", timeout=10) as answer:  # noqa: S310
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        found = {
            path: status(path) for path in ("box/open/k", "box/acl/k", "box/closed/k", "box/open/missing", "box", "")
        }
        assert found == {
            "box/open/k": 200,
            "box/acl/k": 200,
            "box/closed/k": 403,
            "box/open/missing": 403,
            "box": 403,
            "": 403,
        }


def test_off_by_default_and_nothing_is_written_down() -> None:
    with running_sandbox() as sandbox:
        sandbox.client_as({"AccessKeyId": "anybody", "SecretAccessKey": "x"}, "acm-pca").list_certificate_authorities()
        assert ask_permissions(sandbox.port) == []
    with pytest.raises(Unreachable):
        ask_permissions(sandbox.port)


@pytest.mark.parametrize(
    ("service", "target", "body"),
    [
        ("acm-pca", "ACMPrivateCA.ListCertificateAuthorities", "[" * 100_000),
        (
            "acm-pca",
            "ACMPrivateCA.DescribeCertificateAuthority",
            '{"CertificateAuthorityArn": ["x"], "Tags": {"a": []}}',
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.TransactWriteItems",
            '{"TransactItems": [1, {"Put": 2}, {"Put": {"TableName": {}}}]}',
        ),
        ("dynamodb", "DynamoDB_20120810.BatchWriteItem", '{"RequestItems": "x"}'),
        ("kms", "TrentService.Encrypt", '{"KeyId": "arn:aws:kms:nowhere:x:alias/"}'),
        ("tagging", "ResourceGroupsTaggingAPI_20170126.TagResources", '{"ResourceARNList": {"a": 1}, "Tags": 7}'),
        ("sts", "", "Action=AssumeRole&RoleArn=arn:aws:iam::nobody:role/x&Tags.member.Key=1&RoleSessionName=me"),
        ("s3", "", "<!DOCTYPE x><Delete/>"),
        ("lambda", "", "{{{"),
    ],
)
def test_nonsense_of_somebody_without_permissions_is_refused(service: str, target: str, body: str) -> None:
    with running_sandbox(settings=Settings(enforce_iam=True)) as sandbox:
        key = _over_http(sandbox).user()["AccessKeyId"]
        scope = f"AWS4-HMAC-SHA256 Credential={key}/20261125/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"Authorization": scope, "Content-Type": "application/x-amz-json-1.1"}
        if target:
            headers["X-Amz-Target"] = target
        elif service == "sts":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        request = urllib.request.Request(f"{sandbox.url}/?x=1", body.encode(), headers, method="POST")  # noqa: S310
        with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass
        with caught.value as answer:
            denied = b"AccessDenied" in answer.read()
            assert answer.code in {400, 403}
        # What cannot be read is refused before anybody asks who sent it; all else has a decision on record.
        seen = ask_permissions(sandbox.port)
        assert {each.decision for each in seen if each.principal.endswith("user/ada")} == (
            {"denied"} if denied else set()
        )


def test_keys_in_a_body_that_cannot_be_read_are_not_deleted(iam: Iam) -> None:
    admin = iam.client("s3")
    admin.create_bucket(Bucket="box", CreateBucketConfiguration={"LocationConstraint": REGION})
    admin.put_object(Bucket="box", Key="k", Body=b"x")
    client = iam.client_as(iam.role(allow("s3:DeleteObject", resource="arn:aws:s3:::box/other")), "s3")

    def hide(request: Any, **_: Any) -> None:
        request.data = b"<!DOCTYPE Delete>" + bytes(request.data)

    client.meta.events.register("before-sign.s3.DeleteObjects", hide)
    with contextlib.suppress(ClientError):
        client.delete_objects(Bucket="box", Delete={"Objects": [{"Key": "k"}]})
    assert admin.get_object(Bucket="box", Key="k")["Body"].read() == b"x"
