"""The hosts of CRLs: where certificates point, for as long as they live, whatever the CA's configuration has become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pkiops.sandbox.engine.state import Pace
from tests.aws.sandbox import scene
from tests.aws.sandbox.test_server import get
from tests.sandbox_server import REGION, RunningSandbox, running_sandbox, sandbox

__all__ = ["sandbox"]
S3_HOST = f"s3.{REGION}.amazonaws.com"


def make_bucket(sandbox: RunningSandbox, name: str) -> None:
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_policy(Bucket=name, Policy=scene.bucket_policy().replace(scene.BUCKET, name))


def configuration(bucket: str, cname: str | None) -> dict[str, Any]:
    crl = {**scene.CRL["CrlConfiguration"], "S3BucketName": bucket}
    del crl["CustomCname"]
    return {"CrlConfiguration": {**crl, **({"CustomCname": cname} if cname else {})}}


def authority(sandbox: RunningSandbox, name: str, bucket: str, cname: str | None) -> tuple[str, str]:
    """An ACTIVE root that has issued; its ARN, and the path of its CRL."""
    pca = sandbox.client("acm-pca")
    subject = {**scene.CONFIGURATION, "Subject": {"CommonName": name}}
    arn = scene.active_root(
        pca, CertificateAuthorityConfiguration=subject, RevocationConfiguration=configuration(bucket, cname)
    )
    scene.leaf(pca, arn)
    return arn, f"/crl/{arn.rpartition('/')[2]}.crl"


def issuer(sandbox: RunningSandbox, host: str, path: str) -> str | None:
    """The common name in the CRL that a host serves, or None."""
    status, _, body = get(sandbox, path, host)
    assert status in {200, 404}
    if status == 404:
        return None
    return x509.load_der_x509_crl(body).issuer.rfc4514_string().removeprefix("CN=")


def test_the_path_may_begin_with_the_bucket(sandbox: RunningSandbox) -> None:
    make_bucket(sandbox, "first-crl")
    _, path = authority(sandbox, "A", "first-crl", None)
    assert issuer(sandbox, S3_HOST, f"/first-crl{path}") == "A"
    assert issuer(sandbox, S3_HOST, f"/first-crl{path[:-5]}0.crl") is None
    # neither another bucket, nor another Region, nor what is no CRL
    sandbox.client("s3").put_object(Bucket="first-crl", Key="report.json", Body=b"{}")
    for host, other in (
        (S3_HOST, f"/second-crl{path}"),
        ("s3.eu-central-1.amazonaws.com", f"/first-crl{path}"),
        (S3_HOST, "/first-crl/report.json"),
    ):
        assert get(sandbox, other, host)[0] in {403, 404}


def test_two_buckets_may_hide_behind_one_host(sandbox: RunningSandbox) -> None:
    for bucket in ("first-crl", "second-crl"):
        make_bucket(sandbox, bucket)
    _, first = authority(sandbox, "A", "first-crl", "pki.example.com")
    _, second = authority(sandbox, "B", "second-crl", "pki.example.com")
    assert issuer(sandbox, "pki.example.com", first) == "A"
    assert issuer(sandbox, "pki.example.com", second) == "B"
    assert issuer(sandbox, "second-crl.s3.eu-west-1.amazonaws.com", first) is None


@pytest.mark.parametrize("restarted", [False, True])
def test_old_urls_are_answered_as_long_as_the_object_is_there(tmp_path: Path, restarted: bool) -> None:
    state = tmp_path / "state.json"
    with running_sandbox(pace=Pace(0, 0, report_polls=0), state_file=state) as sandbox:
        for bucket in ("first-crl", "second-crl"):
            make_bucket(sandbox, bucket)
        arn, path = authority(sandbox, "A", "first-crl", "old.example.com")
        moved = configuration("second-crl", "new.example.com")
        sandbox.client("acm-pca").update_certificate_authority(
            CertificateAuthorityArn=arn, RevocationConfiguration=moved
        )
        if not restarted:
            check_moved(sandbox, arn, path)
    if restarted:
        with running_sandbox(pace=Pace(0, 0, report_polls=0), state_file=state) as sandbox:
            check_moved(sandbox, arn, path)


def check_moved(sandbox: RunningSandbox, arn: str, path: str) -> None:
    hosts = ("old.example.com", f"first-crl.{S3_HOST}", "new.example.com", f"second-crl.{S3_HOST}")
    assert [issuer(sandbox, host, path) for host in hosts] == ["A"] * 4
    pca, s3 = sandbox.client("acm-pca"), sandbox.client("s3")
    off = {"CrlConfiguration": {"Enabled": False}}
    pca.update_certificate_authority(CertificateAuthorityArn=arn, RevocationConfiguration=off)
    assert [issuer(sandbox, host, path) for host in hosts] == ["A"] * 4
    s3.delete_object(Bucket="first-crl", Key=path[1:])
    assert [issuer(sandbox, host, path) for host in hosts] == [None, None, "A", "A"]


def test_a_state_from_before_hosts_were_kept_knows_those_of_its_cas(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with running_sandbox(state_file=state) as sandbox:
        make_bucket(sandbox, "first-crl")
        _, path = authority(sandbox, "A", "first-crl", "pki.example.com")
    document = json.loads(state.read_text())
    for region in document["state"]["regions"]:
        del region["crl_hosts"]
    state.write_text(json.dumps(document))
    with running_sandbox(state_file=state) as sandbox:
        assert issuer(sandbox, "pki.example.com", path) == "A"
