"""Resource policies and callers of other accounts through plain boto3: in process and over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import Clients
from tests.sandbox_server import ACCOUNT, REGION, RunningSandbox, sandbox
from tests.unit.sandbox.world import OTHER_ACCOUNT, TEMPLATE, csr, policy

__all__ = ["sandbox"]
END_ENTITY = "EndEntityCertificate"
CONDITION = {"StringEquals": {"acm-pca:TemplateArn": TEMPLATE.format(END_ENTITY)}}
READS = ("DescribeCertificateAuthority", "GetCertificate", "GetCertificateAuthorityCertificate", "ListTags")


def as_role(client: Clients, account: str) -> Any:
    """A client of Private CA with the credentials of a role of another account."""
    role = {"RoleArn": f"arn:aws:iam::{account}:role/issuer", "RoleSessionName": "test"}
    found = client("sts").assume_role(**role)["Credentials"]
    session = boto3.Session(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], region_name=REGION)
    url = client("acm-pca").meta.endpoint_url
    return session.client("acm-pca", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}))


def denied(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(error["Message"])


def test_a_role_of_another_account_uses_what_is_shared(client: Clients) -> None:
    pca = client("acm-pca")
    root = scene.active_root(pca)
    there = as_role(client, OTHER_ACCOUNT)
    assert denied(lambda: scene.issue(there, root, csr(), END_ENTITY)) == (
        f"User: arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/issuer/test is not authorized to perform: "
        f"acm-pca:IssueCertificate on resource: {root} because no resource-based policy allows the "
        "acm-pca:IssueCertificate action"
    )
    assert f"acm-pca:DescribeCertificateAuthority on resource: {root}" in denied(lambda: scene.describe(there, root))
    assert there.list_certificate_authorities(ResourceOwner="OTHER_ACCOUNTS")["CertificateAuthorities"] == []
    pca.put_policy(ResourceArn=root, Policy=policy(root, actions=READS))
    assert scene.describe(there, root)["OwnerAccount"] == ACCOUNT
    denied(lambda: scene.issue(there, root, csr(), END_ENTITY))
    pca.put_policy(ResourceArn=root, Policy=policy(root, actions=(*READS, "IssueCertificate"), Condition=CONDITION))
    issued = scene.issue(there, root, csr(), END_ENTITY)
    denied(lambda: scene.leaf(there, root))
    denied(lambda: there.get_certificate_authority_csr(CertificateAuthorityArn=root))
    denied(lambda: there.delete_policy(ResourceArn=root))
    (listed,) = there.list_certificate_authorities(ResourceOwner="OTHER_ACCOUNTS")["CertificateAuthorities"]
    assert (listed["Arn"], listed["OwnerAccount"]) == (root, ACCOUNT)
    assert there.list_certificate_authorities()["CertificateAuthorities"] == []
    assert scene.certificate(pca, root, issued)["Certificate"].startswith("-----BEGIN")
    denied(lambda: scene.describe(as_role(client, "999999999999"), root))
    pca.delete_policy(ResourceArn=root)
    denied(lambda: scene.issue(there, root, csr(), END_ENTITY))


def test_two_accounts_with_the_same_names_are_apart(client: Clients) -> None:
    here, there = client("acm-pca"), as_role(client, OTHER_ACCOUNT)
    ours, theirs = scene.active_root(here, IdempotencyToken="t"), scene.active_root(there, IdempotencyToken="t")
    assert (ours.split(":")[4], theirs.split(":")[4]) == (ACCOUNT, OTHER_ACCOUNT)
    for pca, own, other in ((here, ours, theirs), (there, theirs, ours)):
        assert [each["Arn"] for each in pca.list_certificate_authorities()["CertificateAuthorities"]] == [own]
        assert pca.list_certificate_authorities(ResourceOwner="OTHER_ACCOUNTS")["CertificateAuthorities"] == []
        denied(lambda pca=pca, other=other: scene.describe(pca, other))  # type: ignore[misc]
    assert scene.describe(here, ours)["Serial"] != scene.describe(there, theirs)["Serial"]


def test_an_authority_of_another_region_is_not_there(client: Clients) -> None:
    root = scene.active_root(client("acm-pca"))
    client("acm-pca").put_policy(ResourceArn=root, Policy=policy(root, actions=READS))
    elsewhere = client("acm-pca", "us-east-1")
    with pytest.raises(elsewhere.exceptions.ResourceNotFoundException):
        scene.describe(elsewhere, root)


def test_a_role_of_the_same_account_is_the_owner(client: Clients) -> None:
    root = scene.active_root(client("acm-pca"))
    assert scene.describe(as_role(client, ACCOUNT), root)["Status"] == "ACTIVE"


def test_an_account_named_by_a_header(sandbox: RunningSandbox) -> None:
    pca, there = sandbox.client("acm-pca"), sandbox.client("acm-pca")
    there.meta.events.register(
        "before-sign.acm-pca", lambda request, **_: request.headers.add_header("x-moto-account-id", OTHER_ACCOUNT)
    )
    root = scene.active_root(pca)
    denied(lambda: scene.describe(there, root))
    pca.put_policy(ResourceArn=root, Policy=policy(root, actions=("DescribeCertificateAuthority",)))
    assert scene.describe(there, root)["OwnerAccount"] == ACCOUNT


def refusals(pca: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Code by code, a call that must fail with it."""
    root = scene.active_root(pca, IdempotencyToken="root")
    pending = scene.create(pca, IdempotencyToken="pending")
    scene.describe(pca, pending)
    document = policy(root)
    for arn, code in (
        (f"{root[:-12]}000000000000", "ResourceNotFoundException"),
        (f"{root}x", "InvalidArnException"),
    ):
        yield code, lambda arn=arn: pca.put_policy(ResourceArn=arn, Policy=document)  # type: ignore[misc]
        yield code, lambda arn=arn: pca.get_policy(ResourceArn=arn)  # type: ignore[misc]
        yield code, lambda arn=arn: pca.delete_policy(ResourceArn=arn)  # type: ignore[misc]
    yield "ResourceNotFoundException", lambda: pca.get_policy(ResourceArn=root)
    yield "InvalidPolicyException", lambda: pca.put_policy(ResourceArn=root, Policy="{}")
    yield "InvalidPolicyException", lambda: pca.put_policy(ResourceArn=root, Policy=policy(pending))
    locked_out = policy(root, ACCOUNT, Effect="Deny")
    yield "LockoutPreventedException", lambda: pca.put_policy(ResourceArn=root, Policy=locked_out)
    yield "InvalidStateException", lambda: pca.put_policy(ResourceArn=pending, Policy=policy(pending))
    pca.delete_certificate_authority(CertificateAuthorityArn=pending)
    yield "InvalidStateException", lambda: pca.get_policy(ResourceArn=pending)
    yield "InvalidStateException", lambda: pca.delete_policy(ResourceArn=pending)


def test_refusals_arrive_as_typed_exceptions(client: Clients) -> None:
    pca = client("acm-pca")
    for code, call in refusals(pca):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
        assert isinstance(caught.value, getattr(pca.exceptions, code))
