"""The fixtures for other projects, in throw-away projects: with ``-p``, and through the entry point of the distribution."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLUGIN = "pkiops.sandbox.pytest_plugin"

TESTS = """
import os
import subprocess
import sys
from datetime import timedelta

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding


def request_of(name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_clients_find_it_by_the_environment(private_ca_sandbox):
    assert os.environ["AWS_ENDPOINT_URL"] == private_ca_sandbox.url
    assert "AWS_PROFILE" not in os.environ
    assert boto3.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"] == []
    assert boto3.client("s3").list_buckets()["Buckets"] == []
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "123456789012"


def issue(pca, arn, days=30):
    issued = pca.issue_certificate(
        CertificateAuthorityArn=arn,
        Csr=request_of("svc-a"),
        SigningAlgorithm="SHA256WITHECDSA",
        TemplateArn="arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1",
        Validity={"Type": "DAYS", "Value": days},
    )
    names = {"CertificateAuthorityArn": arn, "CertificateArn": issued["CertificateArn"]}
    pca.get_waiter("certificate_issued").wait(**names, WaiterConfig={"Delay": 0, "MaxAttempts": 1000})
    return x509.load_pem_x509_certificate(pca.get_certificate(**names)["Certificate"].encode())


def test_a_hierarchy_to_begin_with(private_ca_hierarchy, private_ca_sandbox):
    pca = private_ca_sandbox.client("acm-pca")
    leaf = issue(pca, private_ca_hierarchy.issuing_arn)
    issuing, root = x509.load_pem_x509_certificates(private_ca_hierarchy.chain_pem.encode())
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    key = f"crl/{private_ca_hierarchy.issuing_arn.rpartition('/')[2]}.crl"
    crl = private_ca_sandbox.client("s3").get_object(Bucket=private_ca_hierarchy.bucket, Key=key)["Body"].read()
    assert x509.load_der_x509_crl(crl).issuer == issuing.subject


def test_time_can_be_moved(private_ca_hierarchy, private_ca_clock, private_ca_sandbox):
    before = private_ca_clock.now()
    assert private_ca_clock.advance("6y") == private_ca_clock.now() >= before + timedelta(days=6 * 365)
    pca = private_ca_sandbox.client("acm-pca")
    states = {ca["Arn"]: ca["Status"] for ca in pca.list_certificate_authorities()["CertificateAuthorities"]}
    assert states == {private_ca_hierarchy.root_arn: "ACTIVE", private_ca_hierarchy.issuing_arn: "EXPIRED"}


def test_every_test_begins_empty(private_ca_sandbox):
    assert private_ca_sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"] == []
    assert [b.name for b in private_ca_sandbox.resource("s3").buckets.all()] == []


class TestOptions:
    @pytest.fixture
    def private_ca_options(self):
        return {"fault": ("ListCertificateAuthorities:1:before:ThrottlingException",), "seed": 7, "quotas": True}

    def test_a_fault(self, private_ca_sandbox):
        from botocore.config import Config
        from botocore.exceptions import ClientError

        pca = private_ca_sandbox.client("acm-pca", config=Config(retries={"total_max_attempts": 1}))
        with pytest.raises(ClientError, match="ThrottlingException"):
            pca.list_certificate_authorities()
        pca.list_certificate_authorities()


def test_the_environment_is_as_before():
    assert "AWS_ENDPOINT_URL" not in os.environ
    assert os.environ["AWS_PROFILE"] == "production"
"""


def environment(*path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_", "PKIOPS_"))}
    return {**kept, "AWS_PROFILE": "production", "PYTHONPATH": os.pathsep.join(str(p) for p in (*path, ROOT))}


def run(folder: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "test_other_project.py").write_text(TESTS)
    return folder


def installed(folder: Path) -> Path:
    """A folder for PYTHONPATH in which the entry points of pyproject.toml are installed."""
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    information = folder / "site" / "pkiops-0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: pkiops\nVersion: 0\n")
    lines = ["[pytest11]", *(f"{name} = {module}" for name, module in entry_points.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return information.parent


def test_where_it_is_installed_nothing_else_is_needed(project: Path, tmp_path: Path) -> None:
    ran = run(project, environment(installed(tmp_path)), "-W", "error")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "6 passed" in ran.stdout


def test_with_dash_p(project: Path) -> None:
    variables = {**environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = run(project, variables, "-p", PLUGIN, "-k", "environment or hierarchy")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


def test_it_costs_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    heavy = ("moto", "boto3", "botocore", "flask", "cryptography", "pydantic", "typer")
    (tmp_path / "test_light.py").write_text(
        f"import sys\n\ndef test_light():\n    assert [n for n in {heavy!r} if n in sys.modules] == []\n"
    )
    variables = {**environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = run(tmp_path, variables, "-p", PLUGIN)
    assert ran.returncode == 0, ran.stdout + ran.stderr
