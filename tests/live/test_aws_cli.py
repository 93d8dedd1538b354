"""Every operation of AWS Private CA by the AWS command line, its waiters, pages, JSON files and exit codes, with OpenSSL as judge."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore import xform_name

from pkiops.clock import SystemClock
from pkiops.sandbox.sample_hierarchy import BUCKET, make_hierarchy
from tests.live.aws_cli import Aws
from tests.live_programs import require_program
from tests.sandbox_server import ACCOUNT, REGION, RunningSandbox, running_sandbox

pytestmark = pytest.mark.live
OTHER_ACCOUNT = "999999999999"
TEMPLATE = "arn:aws:acm-pca:::template/{}/V1"
ALGORITHM = "SHA256WITHECDSA"
MAIN_JOB = {
    "create-certificate-authority",
    "describe-certificate-authority",
    "get-certificate",
    "get-certificate-authority-certificate",
    "get-certificate-authority-csr",
    "import-certificate-authority-certificate",
    "issue-certificate",
    "revoke-certificate",
}
SHARING = {
    "create-permission",
    "delete-permission",
    "delete-policy",
    "get-policy",
    "list-permissions",
    "list-tags",
    "put-policy",
    "tag-certificate-authority",
    "untag-certificate-authority",
}
KEEPING = {
    "create-certificate-authority-audit-report",
    "delete-certificate-authority",
    "describe-certificate-authority",
    "describe-certificate-authority-audit-report",
    "list-certificate-authorities",
    "restore-certificate-authority",
    "update-certificate-authority",
}


@pytest.fixture
def running() -> Iterator[RunningSandbox]:
    # the machine's clock: OpenSSL judges by it
    with running_sandbox(clock=SystemClock()) as sandbox:
        yield sandbox


@pytest.fixture
def aws(running: RunningSandbox, tmp_path: Path) -> Aws:
    return Aws(running.environment, tmp_path)


@pytest.fixture
def hierarchy(running: RunningSandbox) -> dict[str, str]:
    """A root and an issuing CA to begin with."""
    return make_hierarchy(running.client("acm-pca"), running.client("s3"))


def openssl(folder: Path, *words: str, refuses: bool = False) -> str:
    command = [require_program("openssl"), *words]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode != 0) is refuses, (words, run.stdout, run.stderr)
    return run.stdout + run.stderr


def make_bucket(aws: Aws, bucket: str) -> None:
    aws.text("s3", "mb", f"s3://{bucket}")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "acm-pca.amazonaws.com"},
        "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    policy = aws.write("bucket-policy.json", {"Version": "2012-10-17", "Statement": [statement]})
    aws("s3api", "put-bucket-policy", "--bucket", bucket, "--policy", policy)


def create(aws: Aws, kind: str, bucket: str) -> str:
    subject = {"Country": "GB", "Organization": "Example Ltd", "CommonName": f"CLI {kind}"}
    configuration = {"KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": ALGORITHM, "Subject": subject}
    crl = f"Enabled=true,ExpirationInDays=7,S3BucketName={bucket},S3ObjectAcl=BUCKET_OWNER_FULL_CONTROL"
    words = ["--certificate-authority-type", kind, "--idempotency-token", kind, "--tags", "Key=team,Value=platform"]
    words += ["--certificate-authority-configuration", aws.write(f"{kind}.json", configuration)]
    words += ["--revocation-configuration", f"CrlConfiguration={{{crl}}}"]
    return str(aws("acm-pca", "create-certificate-authority", *words)["CertificateAuthorityArn"])


def issue(aws: Aws, issuer: list[str], name: str, template: str, *more: str) -> None:
    """Issue for ``name.csr``, wait, and leave ``name.pem`` and ``name.chain`` (empty for a root)."""
    words = [*issuer, "--csr", f"fileb://{name}.csr", "--signing-algorithm", ALGORITHM]
    words += ["--template-arn", TEMPLATE.format(template), *more]
    issued = aws("acm-pca", "issue-certificate", *words)["CertificateArn"]
    aws.text("acm-pca", "wait", "certificate-issued", *issuer, "--certificate-arn", issued)
    got = aws("acm-pca", "get-certificate", *issuer, "--certificate-arn", issued)
    (aws.folder / f"{name}.pem").write_text(got["Certificate"] + "\n")
    (aws.folder / f"{name}.chain").write_text(got.get("CertificateChain", ""))


def install(aws: Aws, own: list[str], name: str, issuer: list[str], template: str, years: int, *chain: str) -> None:
    """A CA's CSR, its certificate from ``issuer``, imported."""
    csr = aws.text("acm-pca", "get-certificate-authority-csr", *own, "--output", "text")
    (aws.folder / f"{name}.csr").write_text(csr)
    issue(aws, issuer, name, template, "--validity", f"Value={years},Type=YEARS")
    words = [*own, "--certificate", f"fileb://{name}.pem", *chain]
    aws("acm-pca", "import-certificate-authority-certificate", *words)


def make_two_authorities(aws: Aws, bucket: str) -> tuple[list[str], list[str]]:
    """A root and a subordinate, as the words that name them."""
    root = ["--certificate-authority-arn", create(aws, "ROOT", bucket)]
    assert create(aws, "ROOT", bucket) == root[1]
    aws.text("acm-pca", "wait", "certificate-authority-csr-created", *root)
    install(aws, root, "root", root, "RootCACertificate", 10)
    clients = ["--certificate-authority-arn", create(aws, "SUBORDINATE", bucket)]
    described = aws("acm-pca", "describe-certificate-authority", *clients)["CertificateAuthority"]
    assert described["Status"] in {"CREATING", "PENDING_CERTIFICATE"}
    assert described["RevocationConfiguration"]["CrlConfiguration"]["S3BucketName"] == bucket
    aws.text("acm-pca", "wait", "certificate-authority-csr-created", *clients)
    chain = ("--certificate-chain", "fileb://root.pem")
    install(aws, clients, "clients", root, "SubordinateCACertificate_PathLen0", 5, *chain)
    query = ("--query", "CertificateAuthority.Status", "--output", "text")
    assert aws.text("acm-pca", "describe-certificate-authority", *clients, *query) == "ACTIVE\n"
    return root, clients


def test_the_main_job(aws: Aws) -> None:
    folder, bucket = aws.folder, "cli-crl"
    make_bucket(aws, bucket)
    _, clients = make_two_authorities(aws, bucket)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "svc.key")
    openssl(folder, "req", "-new", *key, "-subj", "/CN=not-this-one", "-out", "svc.csr")
    names = [{"DnsName": "svc.example.com"}, {"UniformResourceIdentifier": "spiffe://example.com/svc"}]
    subject = {"CommonName": "svc.example.com", "Organization": "Example Ltd"}
    passthrough = {"Subject": subject, "Extensions": {"SubjectAlternativeNames": names}}
    more = ("--validity", "Value=30,Type=DAYS", "--api-passthrough", aws.write("passthrough.json", passthrough))
    issue(aws, clients, "svc", "EndEntityClientAuthCertificate_APIPassthrough", *more)

    shown = openssl(folder, "x509", "-in", "svc.pem", "-noout", "-subject", "-ext", "extendedKeyUsage,subjectAltName")
    assert "not-this-one" not in shown
    for expected in ("TLS Web Client Authentication", "DNS:svc.example.com, URI:spiffe://example.com/svc"):
        assert expected in shown
    assert "Server" not in shown
    chained = aws("acm-pca", "get-certificate-authority-certificate", *clients)
    assert chained["Certificate"] + "\n" + chained["CertificateChain"] == (folder / "svc.chain").read_text()
    verify = ["verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "svc.chain"]
    openssl(folder, *verify, "-purpose", "sslclient", "svc.pem")
    openssl(folder, *verify, "-purpose", "sslserver", "svc.pem", refuses=True)

    crl = f"s3://{bucket}/crl/{clients[1].rpartition('/')[2]}.crl"
    judge = [*verify, "-crl_check", "-CRLfile", "clients.crl", "svc.pem"]
    aws.text("s3", "cp", "--no-progress", crl, "clients.crl")
    openssl(folder, *judge)
    serial = openssl(folder, "x509", "-in", "svc.pem", "-noout", "-serial").strip().partition("=")[2]
    revoked = ("--certificate-serial", serial, "--revocation-reason", "KEY_COMPROMISE")
    aws("acm-pca", "revoke-certificate", *clients, *revoked)
    aws.text("s3", "cp", "--no-progress", crl, "clients.crl")
    assert "certificate revoked" in openssl(folder, *judge, refuses=True)
    assert aws.operations == MAIN_JOB


def test_permissions_policies_and_tags(aws: Aws, hierarchy: dict[str, str]) -> None:
    arn = hierarchy["issuing_arn"]
    authority = ("--certificate-authority-arn", arn)
    acm = ("--principal", "acm.amazonaws.com")
    aws("acm-pca", "create-permission", *authority, *acm, "--actions", "IssueCertificate", "GetCertificate")
    (permission,) = aws("acm-pca", "list-permissions", *authority)["Permissions"]
    assert sorted(permission["Actions"]) == ["GetCertificate", "IssueCertificate"]
    aws("acm-pca", "delete-permission", *authority, *acm)
    assert aws("acm-pca", "list-permissions", *authority)["Permissions"] == []

    there = aws.assume(f"arn:aws:iam::{OTHER_ACCOUNT}:role/reader")
    read = ("acm-pca", "get-certificate-authority-certificate", *authority)
    assert there.refused(*read)[0] == "AccessDeniedException"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": OTHER_ACCOUNT},
        "Action": ["acm-pca:GetCertificateAuthorityCertificate"],
        "Resource": arn,
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    aws("acm-pca", "put-policy", "--resource-arn", arn, "--policy", aws.write("policy.json", policy))
    assert json.loads(aws("acm-pca", "get-policy", "--resource-arn", arn)["Policy"]) == policy
    assert there(*read)["Certificate"] == hierarchy["issuing_pem"]
    aws("acm-pca", "delete-policy", "--resource-arn", arn)
    assert aws.refused("acm-pca", "get-policy", "--resource-arn", arn)[0] == "ResourceNotFoundException"

    tags = ("--tags", "Key=team,Value=platform", "Key=env,Value=test")
    aws("acm-pca", "tag-certificate-authority", *authority, *tags)
    aws("acm-pca", "untag-certificate-authority", *authority, "--tags", "Key=env")
    assert aws("acm-pca", "list-tags", *authority)["Tags"] == [{"Key": "team", "Value": "platform"}]
    assert aws.operations == SHARING


def test_pages_reports_and_the_end_of_an_authority(
    aws: Aws, running: RunningSandbox, hierarchy: dict[str, str]
) -> None:
    listing = ("acm-pca", "list-certificate-authorities", "--page-size", "1")
    arns = ("--query", "CertificateAuthorities[].Arn")
    configuration = {"KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": ALGORITHM, "Subject": {"CommonName": "Third"}}
    running.client("acm-pca").create_certificate_authority(
        CertificateAuthorityConfiguration=configuration, CertificateAuthorityType="ROOT"
    )
    everything = aws(*listing, *arns)
    assert len(everything) == 3
    assert {hierarchy["root_arn"], hierarchy["issuing_arn"]} < set(everything)
    first = aws(*listing, "--max-items", "2")
    rest = aws(*listing, "--starting-token", first["NextToken"])
    assert [each["Arn"] for page in (first, rest) for each in page["CertificateAuthorities"]] == everything
    assert "NextToken" not in rest

    authority = ("--certificate-authority-arn", hierarchy["root_arn"])
    wanted = ("--s3-bucket-name", BUCKET, "--audit-report-response-format", "JSON")
    report = aws("acm-pca", "create-certificate-authority-audit-report", *authority, *wanted)
    named = (*authority, "--audit-report-id", report["AuditReportId"])
    aws.text("acm-pca", "wait", "audit-report-created", *named)
    described = aws("acm-pca", "describe-certificate-authority-audit-report", *named)
    assert (described["AuditReportStatus"], described["S3Key"]) == ("SUCCESS", report["S3Key"])
    rows = json.loads(aws.text("s3", "cp", f"s3://{BUCKET}/{report['S3Key']}", "-"))
    assert [row["templateArn"].rpartition("template/")[2] for row in rows] == [
        "RootCACertificate/V1",
        "SubordinateCACertificate_PathLen0/V1",
    ]

    aws("acm-pca", "update-certificate-authority", *authority, "--status", "DISABLED")
    aws("acm-pca", "delete-certificate-authority", *authority, "--permanent-deletion-time-in-days", "7")
    deleted = aws("acm-pca", "describe-certificate-authority", *authority)["CertificateAuthority"]
    assert deleted["Status"] == "DELETED"
    assert deleted["RestorableUntil"] > deleted["LastStateChangeAt"]
    aws("acm-pca", "restore-certificate-authority", *authority)
    restored = aws("acm-pca", "describe-certificate-authority", *authority)["CertificateAuthority"]
    assert (restored["Status"], "RestorableUntil" in restored) == ("DISABLED", False)
    assert aws.operations == KEEPING


def test_refusals(aws: Aws, hierarchy: dict[str, str]) -> None:
    """The code out of the exception's type, the message as the service said it, and 255; 2 for what never leaves the program."""
    authority = ("--certificate-authority-arn", hierarchy["issuing_arn"])
    nobody = hierarchy["issuing_arn"][:-12] + "000000000000"
    (aws.folder / "bad.csr").write_text(
        "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"
    )
    issuing = ("acm-pca", "issue-certificate", *authority, "--csr", "fileb://bad.csr", "--signing-algorithm", ALGORITHM)
    days = ("--validity", "Value=1,Type=DAYS")
    describe = ("acm-pca", "describe-certificate-authority", "--certificate-authority-arn")
    for code, words in {
        "ResourceNotFoundException": (*describe, nobody),
        "InvalidArnException": (*describe, hierarchy["issuing_arn"] + "x"),
        "InvalidStateException": ("acm-pca", "delete-certificate-authority", *authority),
        "MalformedCSRException": (*issuing, *days),
        "InvalidArgsException": (*issuing, *days, "--template-arn", TEMPLATE.format("NoSuchCertificate")),
        "ValidationException": (*issuing, "--validity", "Value=1,Type=WEEKS"),
        "InvalidTagException": ("acm-pca", "tag-certificate-authority", *authority, "--tags", "Key=aws:x,Value=y"),
    }.items():
        said, message = aws.refused(*words)
        assert said == code
        assert message
    assert nobody in aws.refused(*describe, nobody)[1]
    waiting = aws.run("acm-pca", "wait", "certificate-issued", *authority, "--certificate-arn", nobody)
    assert waiting.returncode == 255
    assert "Waiter CertificateIssued failed" in waiting.stderr
    assert aws.run(*issuing).returncode == 2


def test_nothing_of_the_service_was_left_out() -> None:
    """Each scenario proves its own set; together they are the service's model."""
    client = boto3.Session(region_name=REGION).client("acm-pca")
    everything = {xform_name(name, "-") for name in client.meta.service_model.operation_names}
    assert len(everything) == 23
    assert everything == MAIN_JOB | SHARING | KEEPING
