"""``pkiops ca adopt`` over the sandbox: what fits is tagged, what does not is refused before anything changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pkiops.x509.certificate import crl_urls_of
from tests.cli.test_ca import edit, folder, pkiops, sandbox
from tests.sandbox_server import RunningSandbox

__all__ = ["folder", "pkiops", "sandbox"]
IDENTITY = ("pkiops:environment", "pkiops:authority", "pkiops:generation")


def arns(sandbox: RunningSandbox) -> dict[str, str]:
    found = sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    return {"root" if one["Type"] == "ROOT" else "clients": one["Arn"] for one in found}


def tags(sandbox: RunningSandbox, arn: str) -> dict[str, str]:
    found = sandbox.client("acm-pca").list_tags(CertificateAuthorityArn=arn)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


@pytest.fixture
def strays(pkiops: Any, sandbox: RunningSandbox) -> dict[str, str]:
    """The hierarchy of the file, made by somebody who knows no tags of ours."""
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    client = sandbox.client("acm-pca")
    found = arns(sandbox)
    for arn in found.values():
        client.untag_certificate_authority(CertificateAuthorityArn=arn, Tags=[{"Key": key} for key in IDENTITY])
        client.tag_certificate_authority(CertificateAuthorityArn=arn, Tags=[{"Key": "team", "Value": "a"}])
    return found


def test_a_hierarchy_is_adopted_issuers_first(pkiops: Any, sandbox: RunningSandbox, strays: dict[str, str]) -> None:
    early = pkiops("ca", "adopt", "dev", "clients", strays["clients"], "--yes")
    assert (early.exit_code, tags(sandbox, strays["clients"])) == (9, {"team": "a"})
    assert "adopt or apply root first" in early.stderr
    for label in ("root", "clients"):
        result = pkiops("ca", "adopt", "dev", label, strays[label], "--yes")
        assert result.exit_code == 0, result.stderr
        assert f"done: adopt dev/ca/{label}" in result.stdout
    assert tags(sandbox, strays["root"]) == {
        "team": "a",
        "pkiops:environment": "dev",
        "pkiops:authority": "root",
        "pkiops:generation": "1",
    }
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0
    assert arns(sandbox) == strays
    again = pkiops("ca", "adopt", "dev", "root", strays["root"])
    assert again.exit_code == 0
    assert "nothing to do" in again.stdout


def test_without_consent_nothing_is_tagged(pkiops: Any, sandbox: RunningSandbox, strays: dict[str, str]) -> None:
    result = pkiops("ca", "adopt", "dev", "root", strays["root"])
    assert result.exit_code == 9
    assert "~ adopt dev/ca/root" in result.stderr
    assert tags(sandbox, strays["root"]) == {"team": "a"}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("common_name: Example Dev Root CA G1", "common_name: Example Dev Root CA G9", "subject"),
        ("    path_length: 1", "    path_length: 2", "path length"),
        ("    path_length: 1", f"    path_length: 1\n    sha256: {'ab' * 32}\n   ", "sha256"),
    ],
)
def test_what_is_not_as_declared_is_refused(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, strays: dict[str, str], old: str, new: str, field: str
) -> None:
    edit(folder, old, new)
    result = pkiops("ca", "adopt", "dev", "root", strays["root"], "--yes", "--format", "json")
    assert result.exit_code == 9
    error = json.loads(result.stderr.splitlines()[-1])["error"]
    assert error["code"] == "ca.not-as-declared"
    assert [one["field"] for one in error["details"]["changes"]] == [field]
    assert tags(sandbox, strays["root"]) == {"team": "a"}


def test_a_subordinate_of_another_root_is_refused(pkiops: Any, sandbox: RunningSandbox, strays: dict[str, str]) -> None:
    assert pkiops("ca", "adopt", "dev", "root", strays["clients"], "--yes").exit_code == 9
    assert pkiops("ca", "adopt", "dev", "root", strays["root"], "--yes").exit_code == 0
    assert pkiops("ca", "adopt", "dev", "clients", strays["root"], "--yes").exit_code == 9
    assert tags(sandbox, strays["clients"]) == {"team": "a"}


def test_somebody_else_s_ca_is_not_taken(pkiops: Any, sandbox: RunningSandbox, strays: dict[str, str]) -> None:
    other = {"Key": "pkiops:environment", "Value": "prod"}
    sandbox.client("acm-pca").tag_certificate_authority(CertificateAuthorityArn=strays["root"], Tags=[other])
    result = pkiops("ca", "adopt", "dev", "root", strays["root"], "--yes")
    assert result.exit_code == 9
    assert "pkiops:environment=prod: it is somebody else's" in result.stderr


def test_an_authority_that_exists_is_not_adopted_twice(pkiops: Any, sandbox: RunningSandbox) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    client = sandbox.client("acm-pca")
    described = client.describe_certificate_authority(CertificateAuthorityArn=arns(sandbox)["root"])
    configuration = described["CertificateAuthority"]["CertificateAuthorityConfiguration"]
    twin = client.create_certificate_authority(
        CertificateAuthorityType="ROOT", CertificateAuthorityConfiguration=configuration, IdempotencyToken="twin"
    )["CertificateAuthorityArn"]
    client.describe_certificate_authority(CertificateAuthorityArn=twin)
    result = pkiops("ca", "adopt", "dev", "root", twin, "--yes")
    assert result.exit_code == 9
    assert "exists already" in result.stderr


def test_what_is_not_there_or_not_declared_is_said(pkiops: Any, strays: dict[str, str]) -> None:
    missing = strays["root"][:-1] + ("0" if strays["root"][-1] != "0" else "1")
    assert pkiops("ca", "adopt", "dev", "root", missing, "--yes").exit_code == 6
    undeclared = pkiops("ca", "adopt", "dev", "servers", strays["root"], "--yes")
    assert undeclared.exit_code == 2
    assert "it declares root, clients" in undeclared.stderr


def pin(folder: Path, strays: dict[str, str], **others: str) -> None:
    arns = {**strays, **others}
    edit(folder, "    path_length: 1", f"    arn: {arns['root']}\n    path_length: 1")
    edit(folder, "    issuer: root", f"    arn: {arns['clients']}\n    issuer: root")


def test_pinned_cas_are_adopted_by_apply(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, strays: dict[str, str]
) -> None:
    pin(folder, strays)
    planned = pkiops("ca", "plan", "dev")
    assert "~ adopt dev/ca/root: the file pins it" in planned.stdout
    assert "2 to adopt" in planned.stdout
    applied = pkiops("ca", "apply", "dev", "--yes")
    assert applied.exit_code == 0, applied.stderr
    assert arns(sandbox) == strays
    assert tags(sandbox, strays["clients"])["pkiops:authority"] == "clients"
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0


def test_a_pinned_ca_that_is_another_one_blocks(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, strays: dict[str, str]
) -> None:
    pin(folder, strays, clients=strays["root"])
    planned = pkiops("ca", "plan", "dev", "--detailed-exitcode")
    assert planned.exit_code == 5
    assert "! blocked dev/ca/clients: the CA that the file pins is not as declared" in planned.stdout
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 9
    assert tags(sandbox, strays["root"]) == {"team": "a"}


def test_a_pinned_ca_that_does_not_exist_is_not_made(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, strays: dict[str, str]
) -> None:
    missing = strays["root"][:-1] + ("0" if strays["root"][-1] != "0" else "1")
    pin(folder, strays, root=missing)
    assert "the CA that the file pins does not exist" in pkiops("ca", "plan", "dev").stdout
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 9
    assert arns(sandbox) == strays


def test_a_ca_with_our_tags_that_is_not_the_pinned_one_blocks(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    found = arns(sandbox)
    pin(folder, {"root": found["clients"], "clients": found["clients"]})
    assert "carries its tags, but the file pins another CA" in pkiops("ca", "plan", "dev").stdout


def test_adopting_before_anything_was_applied_needs_no_bucket(
    pkiops: Any, sandbox: RunningSandbox, strays: dict[str, str]
) -> None:
    s3 = sandbox.client("s3")
    bucket = "example-pki-dev-trust"
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    for one in versions:
        s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    s3.delete_bucket(Bucket=bucket)
    result = pkiops("ca", "adopt", "dev", "root", strays["root"], "--yes")
    assert result.exit_code == 0, result.stderr
    assert pkiops("ca", "adopt", "dev", "clients", strays["clients"], "--yes").exit_code == 0
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    assert s3.get_object(Bucket=bucket, Key="dev/index.json")["Body"].read()


def test_an_adoption_that_ended_before_the_index_was_written_is_finished_by_the_next(
    pkiops: Any, sandbox: RunningSandbox, strays: dict[str, str]
) -> None:
    assert pkiops("ca", "adopt", "dev", "root", strays["root"], "--yes").exit_code == 0
    s3 = sandbox.client("s3")
    s3.delete_object(Bucket="example-pki-dev-trust", Key="dev/index.json")
    assert pkiops("ca", "adopt", "dev", "root", strays["root"]).exit_code == 0
    index = json.loads(s3.get_object(Bucket="example-pki-dev-trust", Key="dev/index.json")["Body"].read())
    assert [one["reference"] for one in index["authorities"]] == [strays["root"]]


def test_a_pinned_root_without_a_certificate_is_adopted_and_then_gets_one(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    client = sandbox.client("acm-pca")
    made = client.create_certificate_authority(
        CertificateAuthorityType="ROOT",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_secp384r1",
            "SigningAlgorithm": "SHA384WITHECDSA",
            "Subject": {"CommonName": "Example Dev Root CA G1", "Organization": "Example Ltd", "Country": "GB"},
        },
    )["CertificateAuthorityArn"]
    client.describe_certificate_authority(CertificateAuthorityArn=made)  # by now it is no longer CREATING
    edit(folder, "    path_length: 1", f"    arn: {made}\n    path_length: 1")
    planned = pkiops("ca", "plan", "dev")
    assert "~ adopt dev/ca/root" in planned.stdout
    assert "unmanaged" not in planned.stdout
    assert "= no-op dev/ca/clients: is for the plan after this one" in planned.stdout
    for _ in range(2):
        applied = pkiops("ca", "apply", "dev", "--yes")
        assert applied.exit_code == 0, applied.output
    assert "sha256: " in applied.stderr
    # nothing was signed before the root had its CRL: what it signs names it for ever
    below = arns(sandbox)["clients"]
    pem = client.get_certificate_authority_certificate(CertificateAuthorityArn=below)["Certificate"]
    (url,) = crl_urls_of(x509.load_pem_x509_certificate(pem.encode()))
    assert url.startswith("http://pki.dev.example.com/crl/")
    assert "nothing to do" in pkiops("ca", "plan", "dev").stdout
