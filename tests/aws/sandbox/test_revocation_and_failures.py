"""Partitioned CRLs, constraints and failures that come later, through plain boto3 in process and over HTTP."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509

from pkiops.clock import ManualClock
from pkiops.sandbox.engine.settings import Settings
from tests.aws.sandbox import scene
from tests.aws.sandbox.clients import WAYS, Clients, plain_clients
from tests.live_programs import require_program
from tests.sandbox_server import running_sandbox
from tests.unit.sandbox.test_extensions import crl_urls
from tests.unit.sandbox.test_installation import Offline, text
from tests.unit.sandbox.test_partitions import scope_of
from tests.unit.sandbox.world import csr, san

PARTITIONED = {"CrlConfiguration": {**scene.CRL["CrlConfiguration"], "CrlType": "PARTITIONED"}}


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize("way", WAYS)
def test_a_creation_and_an_issuance_that_fail_later(way: str) -> None:
    settings = Settings(failed_creations={1: "OTHER"}, late_failures=frozenset({2}))
    with plain_clients(way, settings) as clients:
        pca = clients("acm-pca")
        failed = scene.create(pca, IdempotencyToken="failed")
        assert scene.describe(pca, failed)["Status"] == "CREATING"
        described = scene.describe(pca, failed)
        assert (described["Status"], described["FailureReason"]) == ("FAILED", "OTHER")
        with pytest.raises(pca.exceptions.RequestFailedException):
            pca.get_certificate_authority_csr(CertificateAuthorityArn=failed)
        root = scene.active_root(pca, IdempotencyToken="root")
        certificate_arn = scene.leaf(pca, root)
        names = {"CertificateAuthorityArn": root, "CertificateArn": certificate_arn}
        with pytest.raises(pca.exceptions.RequestInProgressException):
            pca.get_certificate(**names)
        with pytest.raises(pca.exceptions.RequestFailedException):
            pca.get_certificate(**names)
        assert scene.certificate(pca, root, scene.leaf(pca, root))["Certificate"]


def test_partitions_in_the_bucket(client: Clients) -> None:
    pca, s3 = client("acm-pca"), client("s3")
    scene.make_bucket(s3)
    root = scene.active_root(pca, RevocationConfiguration=PARTITIONED)
    assert scene.describe(pca, root)["RevocationConfiguration"]["CrlConfiguration"]["CrlType"] == "PARTITIONED"
    leaf = leaf_of(pca, root)
    url = crl_urls(leaf)[0]
    assert url.startswith("http://pki.example.com/crl/")
    pca.revoke_certificate(
        CertificateAuthorityArn=root, CertificateSerial=f"{leaf.serial_number:x}", RevocationReason="SUPERSEDED"
    )
    stored = s3.get_object(Bucket=scene.BUCKET, Key=url.split("/", 3)[3])
    assert stored["ContentType"] == "application/pkix-crl"
    crl = x509.load_der_x509_crl(stored["Body"].read())
    assert scope_of(crl) == url
    assert crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None


def leaf_of(pca: Any, arn: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(scene.certificate(pca, arn, scene.leaf(pca, arn))["Certificate"].encode())


def test_constraints_of_an_offline_root(client: Clients) -> None:
    pca, root = client("acm-pca"), Offline("Offline Root")
    arn = scene.create(pca, "SUBORDINATE")
    while scene.describe(pca, arn)["Status"] == "CREATING":
        pass
    request = pca.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]
    basic = (x509.BasicConstraints(ca=True, path_length=0), False)
    names = (x509.NameConstraints([x509.DNSName(".private")], None), True)
    chain = text(root.certificate)
    with pytest.raises(ClientError) as caught:
        pca.import_certificate_authority_certificate(
            CertificateAuthorityArn=arn,
            Certificate=text(root.sign_request(request, [basic, names])),
            CertificateChain=chain,
        )
    assert code_of(caught) == "ValidationException"
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn,
        Certificate=text(root.sign_request(request, [(basic[0], True), names])),
        CertificateChain=chain,
    )
    assert scene.issue(pca, arn, csr(extensions=[san("a.private")]))
    with pytest.raises(ClientError) as caught:
        scene.issue(pca, arn, csr(extensions=[san("a.public")]))
    assert code_of(caught) == "ValidationException"


@pytest.mark.live
def test_curl_fetches_a_partition_once_the_delay_has_passed() -> None:
    """By the URL in the certificate, as a relying party would; the sandbox stands for the CDN."""
    with running_sandbox(settings=Settings(crl_delay=timedelta(minutes=30))) as sandbox:
        pca = sandbox.client("acm-pca")
        scene.make_bucket(sandbox.client("s3"))
        root = scene.active_root(pca, RevocationConfiguration=PARTITIONED)
        leaf = leaf_of(pca, root)
        pca.revoke_certificate(
            CertificateAuthorityArn=root, CertificateSerial=f"{leaf.serial_number:x}", RevocationReason="SUPERSEDED"
        )
        command = [require_program("curl"), "--silent", "--fail", "--max-time", "20", "--noproxy", "*"]
        command += ["--connect-to", f"::127.0.0.1:{sandbox.port}", crl_urls(leaf)[0]]
        lengths = []
        for _ in range(2):
            run = subprocess.run(command, capture_output=True, timeout=30, check=True)
            lengths.append(len(x509.load_der_x509_crl(run.stdout)))
            assert isinstance(sandbox.clock, ManualClock)
            sandbox.clock.advance(timedelta(minutes=30))
        assert lengths == [0, 1]
