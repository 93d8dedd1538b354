"""What survives a restart: everything that was answered."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509

from pkiops.errors import GuardRefused, InputError
from pkiops.sandbox.calls import Call
from pkiops.sandbox.engine.state import Pace
from pkiops.sandbox.state_file import may_change
from pkiops.sandbox.status import advance, ask
from tests.aws.sandbox import scene
from tests.sandbox_server import REGION, START, RunningSandbox, running_sandbox
from tests.unit.sandbox.world import csr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@contextmanager
def running(path: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(pace=Pace(0, 0), state_file=path) as sandbox:
        yield sandbox


def test_a_hierarchy_survives(path: Path) -> None:
    with running(path) as sandbox:
        pca, s3 = sandbox.client("acm-pca"), sandbox.client("s3")
        scene.make_bucket(s3)
        root = scene.active_root(pca, RevocationConfiguration=scene.CRL, Tags=[{"Key": "team", "Value": "a"}])
        leaf = scene.issue(pca, root, csr(), IdempotencyToken="t")
        pem = scene.certificate(pca, root, leaf)["Certificate"]
        serial = leaf.rpartition("/")[2]
        pca.revoke_certificate(CertificateAuthorityArn=root, CertificateSerial=serial, RevocationReason="SUPERSEDED")
        advance(sandbox.port, "2d")
        described = scene.describe(pca, root)
        key = f"crl/{root.rpartition('/')[2]}.crl"
        crl = s3.get_object(Bucket=scene.BUCKET, Key=key)["Body"].read()
    with running(path) as sandbox:
        pca, s3 = sandbox.client("acm-pca"), sandbox.client("s3")
        assert scene.describe(pca, root) == described
        assert scene.certificate(pca, root, leaf)["Certificate"] == pem
        assert pca.list_tags(CertificateAuthorityArn=root)["Tags"] == [{"Key": "team", "Value": "a"}]
        stored = s3.get_object(Bucket=scene.BUCKET, Key=key)
        assert (stored["Body"].read(), stored["ContentType"]) == (crl, "application/pkix-crl")
        with pytest.raises(pca.exceptions.RequestAlreadyProcessedException):
            pca.revoke_certificate(
                CertificateAuthorityArn=root, CertificateSerial=serial, RevocationReason="SUPERSEDED"
            )
        status = ask(sandbox.port)
        assert status is not None
        assert (status.ahead_seconds, status.state_file) == (2 * 86400, str(path))
        new = x509.load_pem_x509_certificate(
            scene.certificate(pca, root, scene.leaf(pca, root))["Certificate"].encode()
        )
        issuer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=root)["Certificate"]
        new.verify_directly_issued_by(x509.load_pem_x509_certificate(issuer.encode()))


def test_tokens_survive(path: Path) -> None:
    with running(path) as sandbox:
        pca = sandbox.client("acm-pca")
        root = scene.active_root(pca)
        first = scene.issue(pca, root, csr(), IdempotencyToken="t")
    with running(path) as sandbox:
        assert scene.issue(sandbox.client("acm-pca"), root, csr(), IdempotencyToken="t") == first


def bucket_facts(s3: Any) -> dict[str, Any]:
    """Everything of the bucket that can be asked for, without the metadata of the answers."""
    asked = (
        s3.get_bucket_policy,
        s3.get_bucket_versioning,
        s3.get_public_access_block,
        s3.get_bucket_ownership_controls,
        s3.get_bucket_encryption,
        s3.get_bucket_tagging,
        s3.get_bucket_acl,
        s3.get_bucket_location,
        s3.list_object_versions,
    )
    answers = {call.__name__: call(Bucket=scene.BUCKET) for call in asked}
    for version in answers["list_object_versions"]["Versions"]:
        where = {"Bucket": scene.BUCKET, "Key": version["Key"], "VersionId": version["VersionId"]}
        found = s3.get_object(**where)
        answers[f"{version['Key']} {version['VersionId']}"] = {**found, "Body": found["Body"].read()}
        answers[f"{version['Key']} {version['VersionId']} acl"] = s3.get_object_acl(**where)
        answers[f"{version['Key']} {version['VersionId']} tags"] = s3.get_object_tagging(**where)
    answers["buckets"] = s3.list_buckets()
    for answer in answers.values():
        answer.pop("ResponseMetadata")
    return answers


def test_buckets_survive(path: Path) -> None:
    with running(path) as sandbox:
        s3 = sandbox.client("s3")
        scene.make_bucket(s3)
        versioning = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=scene.BUCKET, VersioningConfiguration=versioning)
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        block = {**dict.fromkeys(names, True), "BlockPublicPolicy": False}
        s3.put_public_access_block(Bucket=scene.BUCKET, PublicAccessBlockConfiguration=block)
        rules = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
        s3.put_bucket_ownership_controls(Bucket=scene.BUCKET, OwnershipControls=rules)
        encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
        s3.put_bucket_encryption(Bucket=scene.BUCKET, ServerSideEncryptionConfiguration=encryption)
        s3.put_bucket_tagging(Bucket=scene.BUCKET, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        for body in (b"one", b"two", os.urandom(100_000)):
            s3.put_object(
                Bucket=scene.BUCKET,
                Key="föld/er.pem",
                Body=body,
                ContentType="application/x-pem-file",
                Metadata={"serial": "01"},
                ChecksumAlgorithm="SHA256",
                Tagging="k=v",
                ACL="public-read",
                CacheControl="no-store",
            )
        s3.put_object(Bucket=scene.BUCKET, Key="deleted", Body=b"x")
        s3.delete_object(Bucket=scene.BUCKET, Key="deleted")
        before = bucket_facts(s3)
    with running(path) as sandbox:
        s3 = sandbox.client("s3")
        assert bucket_facts(s3) == before
        etag = s3.head_object(Bucket=scene.BUCKET, Key="föld/er.pem")["ETag"]
        s3.put_object(Bucket=scene.BUCKET, Key="föld/er.pem", Body=b"new", IfMatch=etag)
        with pytest.raises(ClientError):
            s3.put_object(Bucket=scene.BUCKET, Key="föld/er.pem", Body=b"newer", IfNoneMatch="*")
        with pytest.raises(ClientError):
            s3.create_bucket(Bucket=scene.BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})


def test_sessions_of_other_accounts_survive(path: Path) -> None:
    other = "999999999999"
    with running(path) as sandbox:
        role = f"arn:aws:iam::{other}:role/issuer"
        credentials = sandbox.client("sts").assume_role(RoleArn=role, RoleSessionName="ci")["Credentials"]
    with running(path) as sandbox:
        session = boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=REGION,
        )
        identity = session.client("sts", endpoint_url=sandbox.url).get_caller_identity()
        assert (identity["Account"], identity["Arn"]) == (other, f"arn:aws:sts::{other}:assumed-role/issuer/ci")
        arn = scene.create(session.client("acm-pca", endpoint_url=sandbox.url))
        assert f":{other}:" in arn
        assert sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"] == []


def test_what_was_answered_is_in_the_file(path: Path, tmp_path: Path) -> None:
    """A copy of the file right after an answer is what a killed process leaves behind."""
    with running(path) as sandbox:
        pca = sandbox.client("acm-pca")
        root = scene.active_root(pca)
        leaf = scene.leaf(pca, root)
        left = tmp_path / "left.json"
        left.write_bytes(path.read_bytes())
        left.chmod(0o600)
        scene.leaf(pca, root)
    with running(left) as sandbox:
        assert scene.certificate(sandbox.client("acm-pca"), root, leaf)


def test_many_changes_at_once_are_all_in_the_file(path: Path, tmp_path: Path) -> None:
    left = tmp_path / "left.json"
    with running(path) as sandbox:
        root = scene.active_root(sandbox.client("acm-pca"))
        request = csr()
        with ThreadPoolExecutor(8) as pool:
            arns = list(pool.map(lambda _: scene.issue(sandbox.client("acm-pca"), root, request), range(24)))
        left.write_bytes(path.read_bytes())
        left.chmod(0o600)
    with running(left) as sandbox:
        pca = sandbox.client("acm-pca")
        for arn in arns:
            assert scene.certificate(pca, root, arn)


def test_it_is_private_and_leaves_nothing_beside_it(path: Path) -> None:
    with running(path) as sandbox:
        scene.active_root(sandbox.client("acm-pca"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert {each.name for each in path.parent.iterdir()} == {"state.json", ".state.json.lock"}


def test_looking_writes_nothing(path: Path) -> None:
    with running(path) as sandbox:
        pca = sandbox.client("acm-pca")
        root = scene.active_root(pca)
        leaf = scene.leaf(pca, root)
        before = path.stat().st_ino
        for _ in range(3):
            scene.describe(pca, root)
            scene.certificate(pca, root, leaf)
            pca.list_tags(CertificateAuthorityArn=root)
            sandbox.client("s3").list_buckets()
        assert path.stat().st_ino == before


@pytest.mark.parametrize(
    ("service", "operation", "status", "expected"),
    [
        ("acm-pca", "IssueCertificate", 200, True),
        ("acm-pca", "GetCertificate", 400, True),
        ("acm-pca", "GetCertificate", 200, False),
        ("acm-pca", "GetCertificateAuthorityCsr", 200, True),
        ("acm-pca", "DescribeCertificateAuthority", 200, True),
        ("acm-pca", "ListTags", 200, False),
        ("s3", "PutObject", 200, True),
        ("s3", "GetObject", 200, False),
        ("sts", "AssumeRole", 200, True),
        ("dynamodb", "PutItem", 200, True),
        ("dynamodb", "Query", 200, False),
        ("dynamodb", "BatchGetItem", 200, False),
        ("kms", "DescribeKey", 200, True),
        ("iam", "GetRole", 200, False),
        ("iam", "CreateRole", 200, True),
        ("sqs", "SendMessage", 200, False),
    ],
)
def test_which_calls_may_change_what_is_kept(service: str, operation: str, status: int, expected: bool) -> None:
    assert may_change(Call(service, operation, "1", "r", "json"), status) is expected


def test_others_may_not_read_it(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    with pytest.raises(GuardRefused, match="private keys"), running(path):
        pass
    assert path.read_text() == "{}"


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("{}")
    path.symlink_to(target)
    with pytest.raises(InputError, match="cannot be read"), running(path):
        pass
    assert target.read_text() == "{}"


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"), running(tmp_path / "none" / "state.json"):
        pass


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\x80\x04K\x01.", b'{"format": "pkiops sandbox state", "version": 9}']
)
def test_what_is_no_state_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InputError, match="cannot be used as the state"), running(path):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../etc"},
        {"name": "x"},
        {"account": {}},
        {"account": "../x"},
        {"region": "../x"},
        {"partition": "moon"},
        {"plain": {"versioning_status": "Enabled", "__class__": "x", "get_permission": "x"}},
    ],
)
def test_a_hostile_bucket_runs_nothing(path: Path, change: dict[str, Any]) -> None:
    with running(path) as sandbox:
        scene.make_bucket(sandbox.client("s3"))
    document = json.loads(path.read_bytes())
    document["state"]["buckets"][0].update(change)
    path.write_text(json.dumps(document))
    if "plain" in change:
        with running(path) as sandbox:  # only names that are known are taken over
            versioning = sandbox.client("s3").get_bucket_versioning(Bucket=scene.BUCKET)
            assert versioning["Status"] == "Enabled"
        return
    with pytest.raises(InputError, match="cannot be used as the state"), running(path):
        pass


def test_the_time_that_passed_while_it_was_off_has_passed(path: Path) -> None:
    from pkiops.clock import ManualClock

    with running(path) as sandbox:
        pca = sandbox.client("acm-pca")
        root = scene.active_root(pca)
        advance(sandbox.port, "1y")
    later = ManualClock(START + timedelta(days=19 * 366))
    with running_sandbox(clock=later, pace=Pace(0, 0), state_file=path) as sandbox:
        assert scene.describe(sandbox.client("acm-pca"), root)["Status"] == "EXPIRED"
