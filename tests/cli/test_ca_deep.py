"""``--deep``: policies and permissions that the file does not speak of; and what is told while many CAs are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pkiops.sandbox.status import ask
from tests.cli.estate import Estate, running_estate

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Partner",
            "Effect": "Allow",
            "Principal": {"AWS": "444455556666"},
            "Action": ["acm-pca:GetCertificate", "acm-pca:DescribeCertificateAuthority"],
        }
    ],
}


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Estate]:
    """The environment dev, its issuing CA shared by somebody with another tool."""
    with running_estate(tmp_path) as estate:
        pca: Any = estate.sandbox.client("acm-pca")
        found = pca.list_certificate_authorities()["CertificateAuthorities"]
        arn = next(one["Arn"] for one in found if one["Type"] == "SUBORDINATE")
        statements = [{**one, "Resource": arn} for one in POLICY["Statement"]]  # type: ignore[dict-item]
        pca.put_policy(ResourceArn=arn, Policy=json.dumps({**POLICY, "Statement": statements}))
        actions = ["IssueCertificate", "GetCertificate", "ListPermissions"]
        pca.create_permission(CertificateAuthorityArn=arn, Principal="acm.amazonaws.com", Actions=actions)
        yield estate


def asked(estate: Estate) -> int:
    status = ask(estate.sandbox.port)
    assert status is not None
    return sum(one.count for one in status.calls if one.operation in {"GetPolicy", "ListPermissions"})


def test_a_plan_says_what_shares_a_ca_only_if_it_looks_deep(shared: Estate) -> None:
    assert "unmanaged" not in shared.done("ca", "plan", "dev").stdout
    assert asked(shared) == 0
    deep = shared.done("ca", "plan", "dev", "--deep", "--detailed-exitcode").stdout  # nothing to do: it is left alone
    assert "resource policy of clients; the file does not speak of it, so it stays" in deep
    assert "permission for AWS Certificate Manager of clients" in deep
    assert asked(shared) == 4


def test_a_plan_that_looked_deep_is_the_same_plan(shared: Estate) -> None:
    plain, deep = (
        json.loads(shared.done("ca", "plan", "dev", "--format", "json", *more).stdout) for more in ([], ["--deep"])
    )
    assert plain["digest"] == deep["digest"]


def test_show_tells_them_in_text_and_json(shared: Estate) -> None:
    text = shared.done("ca", "show", "dev", "--deep").stdout
    assert "policy of 1 statements, acm permission GetCertificate, IssueCertificate, ListPermissions" in text
    assert "policy none, acm permission none" in text
    root, clients = json.loads(shared.done("ca", "show", "dev", "--deep", "--format", "json").stdout)["authorities"]
    assert (root["policy"], root["acm_permission"]) == (None, [])
    assert clients["policy"]["Statement"][0]["Sid"] == "Partner"
    assert "policy" not in json.loads(shared.done("ca", "show", "dev", "--format", "json").stdout)["authorities"][0]


def test_doctor_warns_of_them(shared: Estate) -> None:
    def found(*more: str) -> list[str]:
        document = json.loads(shared.done("ca", "doctor", "dev", "--no-probe", "--format", "json", *more).stdout)
        return [one["message"] for one in document["findings"] if one["code"] == "permission.undeclared"]

    assert found() == []
    messages = found("--deep")
    assert [message.partition(" has a ")[2] for message in messages] == [
        "resource policy",
        "permission for AWS Certificate Manager",
    ]


def test_a_ca_of_another_generation_does_not_hide_who_shares_this_one(shared: Estate) -> None:
    tags = {"pkiops:environment": "dev", "pkiops:authority": "clients", "pkiops:generation": "7"}
    shared.sandbox.client("acm-pca").create_certificate_authority(
        CertificateAuthorityType="SUBORDINATE",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "Somebody's"},
        },
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    document = json.loads(shared.done("ca", "doctor", "dev", "--no-probe", "--deep", "--format", "json").stdout)
    assert [one["where"] for one in document["findings"] if one["code"] == "permission.undeclared"] == [
        "dev/ca/clients",
        "dev/ca/clients",
    ]


def test_what_is_looked_at_is_told_to_people_and_not_to_programs(shared: Estate) -> None:
    quiet = shared.done("ca", "plan", "dev")
    assert quiet.stderr == ""
    told = shared.run("-v", "ca", "plan", "dev")
    assert told.exit_code == 0
    assert "looking at what exists for dev" in told.stderr
    assert "looking at" not in told.stdout
