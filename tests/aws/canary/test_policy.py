"""The policy in the guide: with it the canary can do all of its work, it asks for nothing else, and what is not a canary's is out of reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.iam_record import ask_permissions
from tests.aws.canary.scene import Scene, clients, scene
from tests.canary.arguments import REPOSITORY
from tests.canary.cases import CASES
from tests.sandbox_server import ACCOUNT

GUIDE = REPOSITORY / "docs" / "guides" / "canary.md"


def policy() -> dict[str, Any]:
    text = GUIDE.read_text(encoding="utf-8").split("<!-- policy:begin")[1].split("```json\n")[1].split("```")[0]
    found: dict[str, Any] = json.loads(text.replace("111122223333", ACCOUNT))
    return found


def role(here: Scene) -> dict[str, Any]:
    """Credentials of a role with that policy alone."""
    iam = here.sandbox.client("iam")
    trusted = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [trusted]}
    iam.create_role(RoleName="canary", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="canary", PolicyName="guide", PolicyDocument=json.dumps(policy()))
    assumed = clients(here.sandbox).sts.assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/canary", RoleSessionName="test"
    )
    found: dict[str, Any] = assumed["Credentials"]
    return found


def test_the_policy_is_enough_and_no_action_of_it_is_idle(tmp_path: Path) -> None:
    with scene(tmp_path, Settings(enforce_iam=True)) as here:
        assert here.run(credentials=role(here)) == 0
        outcomes = {name: case["outcome"] for name, case in here.cases().items()}
        assert outcomes == dict.fromkeys((case.name for case in CASES), "same")
        assert here.left() == []
        asked = [one for one in ask_permissions(here.sandbox.port) if one.principal.endswith("/canary")]
        assert {one.decision for one in asked} == {"allowed"}
        assert {one.action for one in asked} == {action for each in policy()["Statement"] for action in each["Action"]}


def refused(call: Callable[[], Any]) -> str | None:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def test_what_is_not_a_canarys_is_out_of_reach(tmp_path: Path) -> None:
    request = {
        "CertificateAuthorityType": "ROOT",
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "somebody's"},
        },
    }
    with scene(tmp_path, Settings(enforce_iam=True)) as here:
        credentials = role(here)
        ours = clients(here.sandbox)
        arn = ours.pca.create_certificate_authority(**request)["CertificateAuthorityArn"]
        ours.s3.create_bucket(Bucket="somebodys", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        pca, s3 = (here.sandbox.client_as(credentials, name) for name in ("acm-pca", "s3"))
        tag = {"CertificateAuthorityArn": arn, "Tags": [{"Key": "other", "Value": "x"}]}
        denied = "AccessDeniedException"
        assert refused(lambda: pca.delete_certificate_authority(CertificateAuthorityArn=arn)) == denied
        assert refused(lambda: pca.tag_certificate_authority(**tag)) == denied
        assert refused(lambda: pca.create_certificate_authority(**request)) == denied
        assert refused(lambda: s3.delete_bucket(Bucket="somebodys")) == "AccessDenied"
        assert refused(lambda: s3.list_objects_v2(Bucket="somebodys")) == "AccessDenied"
