"""What survives a restart of the services beside Private CA and S3: KMS, DynamoDB, IAM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.kms.models import kms_backends

from pkiops.errors import InputError
from pkiops.sandbox.engine.state import Pace
from tests.aws.sandbox import scene
from tests.sandbox_server import ACCOUNT, REGION, RunningSandbox, running_sandbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@contextmanager
def running(path: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(pace=Pace(0, 0), state_file=path) as sandbox:
        yield sandbox


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def key_policy(*actions: str) -> str:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "acm-pca.amazonaws.com"},
        "Action": list(actions),
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [root, service]})


def test_a_bucket_under_a_key_can_still_be_written(path: Path) -> None:
    with running(path) as sandbox:
        kms, s3, pca = (sandbox.client(each) for each in ("kms", "s3", "acm-pca"))
        scene.make_bucket(s3)
        key = kms.create_key(Policy=key_policy("kms:GenerateDataKey", "kms:Decrypt"))["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/crl", TargetKeyId=key)
        by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/crl"}
        rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": by_default}]}
        s3.put_bucket_encryption(Bucket=scene.BUCKET, ServerSideEncryptionConfiguration=rules)
        root = scene.active_root(pca, RevocationConfiguration=scene.CRL)
    name = f"crl/{root.rpartition('/')[2]}.crl"
    with running(path) as sandbox:
        scene.leaf(sandbox.client("acm-pca"), root)
        assert sandbox.client("s3").head_object(Bucket=scene.BUCKET, Key=name)["ContentLength"]
        sandbox.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy("kms:Decrypt"))
    with running(path) as sandbox, pytest.raises(ClientError, match="Permission error with your S3 bucket"):
        scene.create(sandbox.client("acm-pca"), RevocationConfiguration=scene.CRL, IdempotencyToken="another")


def key_facts(kms: Any, key: str) -> dict[str, Any]:
    asked = (kms.describe_key, kms.list_grants, kms.list_resource_tags, kms.get_key_rotation_status, kms.list_aliases)
    facts = {call.__name__: call(KeyId=key) for call in asked}
    facts["policy"] = kms.get_key_policy(KeyId=key, PolicyName="default")
    return {name: without_metadata(answer) for name, answer in facts.items()}


@pytest.mark.parametrize("spec", ["SYMMETRIC_DEFAULT", "RSA_2048", "ECC_NIST_P384"])
def test_keys_survive(path: Path, spec: str) -> None:
    usage = "ENCRYPT_DECRYPT" if spec == "SYMMETRIC_DEFAULT" else "SIGN_VERIFY"
    signing = {"RSA_2048": "RSASSA_PKCS1_V1_5_SHA_256", "ECC_NIST_P384": "ECDSA_SHA_384"}.get(spec, "")
    with running(path) as sandbox:
        kms = sandbox.client("kms")
        tags = [{"TagKey": "team", "TagValue": "a"}]
        made = kms.create_key(KeySpec=spec, KeyUsage=usage, Description="d", Tags=tags, MultiRegion=bool(signing))
        key = made["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/a", TargetKeyId=key)
        grantee = f"arn:aws:iam::{ACCOUNT}:role/a"
        kms.create_grant(KeyId=key, GranteePrincipal=grantee, Operations=["Decrypt"], Name="g")
        if signing:
            signed = kms.sign(KeyId=key, Message=b"m", SigningAlgorithm=signing)["Signature"]
            public = kms.get_public_key(KeyId=key)["PublicKey"]
        else:
            sealed = kms.encrypt(KeyId="alias/a", Plaintext=b"m")["CiphertextBlob"]
        doomed = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=7)
        disabled = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.disable_key(KeyId=disabled)
        facts = [key_facts(kms, each) for each in (key, doomed, disabled)]
    with running(path) as sandbox:
        kms = sandbox.client("kms")
        assert [key_facts(kms, each) for each in (key, doomed, disabled)] == facts
        if signing:
            assert kms.get_public_key(KeyId="alias/a")["PublicKey"] == public
            checked = kms.verify(KeyId=key, Message=b"m", Signature=signed, SigningAlgorithm=signing)
            assert checked["SignatureValid"] is True
        else:
            assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"m"


ITEMS: list[dict[str, Any]] = [
    {"pk": {"S": "a"}, "sk": {"N": "1"}, "state": {"S": "issued"}, "$bytes": {"S": "x"}},
    {"pk": {"S": "a"}, "sk": {"N": "2.5"}, "b": {"B": b"\x00\xff"}, "bs": {"BS": [b"\x01", b"\x02"]}},
    {
        "pk": {"S": "b"},
        "sk": {"N": "-1"},
        "m": {"M": {"l": {"L": [{"BOOL": True}, {"NULL": True}, {"M": {"b": {"B": b"\xfe"}}}]}}},
        "ns": {"NS": ["1", "2"]},
        "ss": {"SS": ["x", "y"]},
    },
]


def make_table(dynamodb: Any, name: str, *, ranged: bool) -> None:
    schema = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    by_state = [{"AttributeName": "state", "KeyType": "HASH"}]
    types = {"pk": "S", "sk": "N", "state": "S"}
    used = list(types) if ranged else ["pk", "state"]
    dynamodb.create_table(
        TableName=name,
        KeySchema=schema[: 1 + ranged],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": types[each]} for each in used],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {"IndexName": "by-state", "KeySchema": by_state, "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
        Tags=[{"Key": "pkiops:environment", "Value": "dev"}],
        DeletionProtectionEnabled=True,
    )
    dynamodb.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )
    recovery = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)


def table_facts(dynamodb: Any, name: str) -> dict[str, Any]:
    described = dynamodb.describe_table(TableName=name)
    by_state = {
        "IndexName": "by-state",
        "KeyConditionExpression": "#s = :s",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": {":s": {"S": "issued"}},
    }
    facts = {
        "table": described,
        "ttl": dynamodb.describe_time_to_live(TableName=name),
        "backups": dynamodb.describe_continuous_backups(TableName=name),
        "tags": dynamodb.list_tags_of_resource(ResourceArn=described["Table"]["TableArn"]),
        "items": dynamodb.scan(TableName=name),
        "index": dynamodb.query(TableName=name, **by_state),
    }
    return {key: without_metadata(answer) for key, answer in facts.items()}


@pytest.mark.parametrize("ranged", [True, False])
def test_tables_survive(path: Path, ranged: bool) -> None:
    with running(path) as sandbox:
        dynamodb = sandbox.client("dynamodb")
        make_table(dynamodb, "ledger", ranged=ranged)
        for item in ITEMS:
            dynamodb.put_item(TableName="ledger", Item=item)
        where = {"pk": {"S": "a"}, **({"sk": {"N": "1"}} if ranged else {})}
        once = {
            "TableName": "ledger",
            "Key": where,
            "UpdateExpression": "SET #s = :s ADD tries :one",
            "ExpressionAttributeNames": {"#s": "state"},
            "ExpressionAttributeValues": {":s": {"S": "issued"}, ":one": {"N": "1"}},
        }
        dynamodb.update_item(**once)
        facts = table_facts(dynamodb, "ledger")
        assert len(facts["items"]["Items"]) == (3 if ranged else 2)
        assert len(facts["index"]["Items"]) == 1
    with running(path) as sandbox:
        dynamodb = sandbox.client("dynamodb")
        assert table_facts(dynamodb, "ledger") == facts
        for item in facts["items"]["Items"]:
            with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
                dynamodb.put_item(TableName="ledger", Item=item, ConditionExpression="attribute_not_exists(pk)")
        dynamodb.update_item(**once)
        assert dynamodb.get_item(TableName="ledger", Key=where)["Item"]["tries"] == {"N": "2"}
        with pytest.raises(ClientError, match="DeletionProtectionEnabled"):
            dynamodb.delete_table(TableName="ledger")


def test_a_stream_goes_on(path: Path) -> None:
    with running(path) as sandbox:
        dynamodb = sandbox.client("dynamodb")
        dynamodb.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            SSESpecification={"Enabled": True},
        )
        described = without_metadata(dynamodb.describe_table(TableName="t"))
    with running(path) as sandbox:
        dynamodb = sandbox.client("dynamodb")
        assert without_metadata(dynamodb.describe_table(TableName="t")) == described
        dynamodb.put_item(TableName="t", Item={"pk": {"S": "a"}})
        assert dynamodb.scan(TableName="t")["Count"] == 1


def test_an_item_is_in_the_file_when_it_was_answered(path: Path) -> None:
    """As for a CA: whoever got an answer can count on it, whatever ends the process."""
    with running(path) as sandbox:
        dynamodb = sandbox.client("dynamodb")
        make_table(dynamodb, "ledger", ranged=False)
        dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "kept"}})
        (table,) = json.loads(path.read_text())["state"]["tables"]
        assert table["items"] == [{"pk": {"S": "kept"}}]


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def allow(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_identities(iam: Any) -> str:
    policy = iam.create_policy(PolicyName="p", Path="/x/", PolicyDocument=allow("s3:*"), Description="d")
    arn = str(policy["Policy"]["Arn"])
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("acm-pca:*"), SetAsDefault=True)
    tags = [{"Key": "team", "Value": "a"}]
    iam.create_role(
        RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=tags, MaxSessionDuration=7200, PermissionsBoundary=arn
    )
    iam.put_role_policy(RoleName="r", PolicyName="inline", PolicyDocument=allow("s3:Get*"))
    iam.create_user(UserName="u", Path="/y/", Tags=tags)
    iam.put_user_policy(UserName="u", PolicyName="inline", PolicyDocument=allow("sts:*"))
    iam.create_group(GroupName="g")
    iam.put_group_policy(GroupName="g", PolicyName="inline", PolicyDocument=allow("kms:*"))
    iam.add_user_to_group(GroupName="g", UserName="u")
    for kind in ("role", "user", "group"):
        name = {f"{kind.title()}Name": kind[0]}
        getattr(iam, f"attach_{kind}_policy")(PolicyArn=arn, **name)
    return arn


def identity_facts(iam: Any, arn: str) -> dict[str, Any]:
    facts = {
        "policy": iam.get_policy(PolicyArn=arn),
        "versions": [iam.get_policy_version(PolicyArn=arn, VersionId=each)["PolicyVersion"] for each in ("v1", "v2")],
        "role": iam.get_role(RoleName="r")["Role"],
        "role inline": iam.get_role_policy(RoleName="r", PolicyName="inline")["PolicyDocument"],
        "role attached": iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"],
        "user": iam.get_user(UserName="u")["User"],
        "user inline": iam.get_user_policy(UserName="u", PolicyName="inline")["PolicyDocument"],
        "user attached": iam.list_attached_user_policies(UserName="u")["AttachedPolicies"],
        "user groups": iam.list_groups_for_user(UserName="u")["Groups"],
        "group inline": iam.get_group_policy(GroupName="g", PolicyName="inline")["PolicyDocument"],
        "keys": iam.list_access_keys(UserName="u")["AccessKeyMetadata"],
    }
    facts["policy"] = facts["policy"]["Policy"]
    return facts


def test_identities_survive(path: Path) -> None:
    with running(path) as sandbox:
        iam = sandbox.client("iam")
        arn = make_identities(iam)
        key = iam.create_access_key(UserName="u")["AccessKey"]
        facts = identity_facts(iam, arn)
        assert facts["policy"]["DefaultVersionId"] == "v2"
        assert facts["keys"]
    with running(path) as sandbox:
        iam = sandbox.client("iam")
        assert identity_facts(iam, arn) == facts
        assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("*"))["PolicyVersion"]["VersionId"] == "v3"
        user = boto3.client(
            "sts",
            endpoint_url=sandbox.url,
            region_name=REGION,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        assert user.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/y/u"
        iam.detach_role_policy(RoleName="r", PolicyArn=arn)
        iam.delete_role_policy(RoleName="r", PolicyName="inline")
        iam.delete_role(RoleName="r")


def test_what_cannot_be_kept_is_said_and_not_lost_silently(path: Path) -> None:
    with running(path) as sandbox:
        kms = sandbox.client("kms")
        made = kms.create_key()["KeyMetadata"]["KeyId"]
        kept = path.read_bytes()
        key: Any = kms_backends[ACCOUNT][REGION].keys[made]
        key.rotations = [object()]
        with pytest.raises(ClientError) as caught:
            kms.create_key()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert path.read_bytes() == kept
        key.rotations = []


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        ("tables", "name", "../x"),
        ("tables", "region", "mars-1"),
        ("keys", "identifier", "a/b"),
        ("keys", "private_key", {"$key": "AAAA"}),
        ("identities", "account", "12"),
        ("identities", "holders", [{"kind": "nobody"}]),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(path: Path, kind: str, name: str, wrong: Any) -> None:
    with running(path) as sandbox:
        make_table(sandbox.client("dynamodb"), "ledger", ranged=False)
        sandbox.client("kms").create_key()
        sandbox.client("iam").create_user(UserName="u")
    document = json.loads(path.read_text())
    document["state"][kind][0][name] = wrong
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="cannot be used as the state of a sandbox"), running(path):
        pass
