"""``pkiops ca doctor`` over the sandbox: a healthy environment, ones that are not, and callers who may not look."""

from __future__ import annotations

import http.server
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pkiops.clock import ManualClock
from tests.cli.test_ca import edit, folder, pkiops, sandbox
from tests.sandbox_server import RunningSandbox

__all__ = ["folder", "pkiops", "sandbox"]


def codes(pkiops: Any, *arguments: str) -> dict[str, str]:
    result = pkiops("ca", "doctor", "dev", "--format", "json", *arguments)
    assert result.exit_code == 0, result.stderr
    return {one["code"]: one["where"] for one in json.loads(result.stdout)["findings"]}


def healthy(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> str:
    """Apply, pin, issue; the address at which the CRLs are served."""
    pin = pkiops("ca", "apply", "dev", "--yes").stderr.rsplit("sha256: ", 1)[1].strip()
    edit(folder, "    path_length: 1", f"    path_length: 1\n    sha256: {pin}\n   ")
    request = ("cert", "request", "dev", "--profile", "service", "--san", "dns:a.svc.dev.example.com")
    assert pkiops(*request, "--key", "a.key", "--csr", "a.csr").exit_code == 0
    issue = pkiops("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", "--output", "a.pem")
    assert issue.exit_code == 0, issue.output
    return f"127.0.0.1:{sandbox.port}"


def test_a_healthy_environment_has_no_finding(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    address = healthy(pkiops, folder, sandbox)
    result = pkiops("ca", "doctor", "dev", "--connect-to", address, "--fail-on", "info")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("dev: nothing found (")


def test_a_host_that_nobody_serves_is_an_error_unless_nobody_is_asked(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    healthy(pkiops, folder, sandbox)
    result = pkiops("ca", "doctor", "dev", "--connect-to", "127.0.0.1:9", "--fail-on", "error")
    assert result.exit_code == 5
    assert "error cdp.unreachable dev/ca/clients: cannot fetch http://pki.dev.example.com/crl/" in result.stdout
    assert "    hint: " in result.stdout
    assert codes(pkiops, "--no-probe") == {}
    assert codes(pkiops) == {}  # the sandbox answers for the hosts of its CAs


def test_a_redirect_or_another_document_is_not_what_relying_parties_take(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    healthy(pkiops, folder, sandbox)

    class Wrong(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            moved = "clients" not in seen
            seen.append("clients")
            self.send_response(301 if moved else 200)
            self.send_header("Location", f"https://{self.headers['Host']}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    seen: list[str] = []
    with http.server.HTTPServer(("127.0.0.1", 0), Wrong) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        text = pkiops("ca", "doctor", "dev", "--connect-to", f"127.0.0.1:{server.server_port}").stdout
        server.shutdown()
        thread.join(timeout=10)
    assert text.count("cdp.unreachable") == 2
    assert "relying parties do not follow" in text
    assert "the CRL at http://pki.dev.example.com/crl/" in text


def test_an_account_that_was_tampered_with(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    address = healthy(pkiops, folder, sandbox)
    s3, pca = sandbox.client("s3"), sandbox.client("acm-pca")
    s3.delete_bucket_policy(Bucket="example-pki-dev-crl")
    s3.delete_object(Bucket="example-pki-dev-trust", Key="dev/index.json")
    subordinate = next(
        one for one in pca.list_certificate_authorities()["CertificateAuthorities"] if one["Type"] == "SUBORDINATE"
    )
    s3.put_object(Bucket="example-pki-dev-crl", Key=f"crl/{subordinate['Arn'].rpartition('/')[2]}.crl", Body=b"nothing")
    pca.update_certificate_authority(CertificateAuthorityArn=subordinate["Arn"], Status="DISABLED")
    found = codes(pkiops, "--connect-to", address)
    assert found == {
        "bucket.policy": "s3://example-pki-dev-crl",
        "crl.unreadable": "dev/ca/clients",
        "authority.disabled": "dev/ca/clients",
        "index.stale": "dev/index/authorities",
    }


def test_time_goes_by(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    address = healthy(pkiops, folder, sandbox)
    assert isinstance(sandbox.clock, ManualClock)
    # the clock alone: the service was asleep, so nothing regenerated the CRLs
    sandbox.clock.advance(timedelta(days=5 * 365 - 100))
    found = codes(pkiops, "--connect-to", address)
    assert found["authority.expiring"] == "dev/ca/clients"
    assert found["authority.leaf-no-longer-fits"] == "dev/ca/clients"


def test_an_expired_crl_that_is_served_as_it_is_is_one_finding(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    address = healthy(pkiops, folder, sandbox)
    assert isinstance(sandbox.clock, ManualClock)
    s3, bucket = sandbox.client("s3"), "example-pki-dev-crl"
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="crl/")["Contents"]]
    kept = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    sandbox.clock.advance(timedelta(days=100))
    codes(pkiops, "--no-probe")  # the service writes what is due
    for key, body in kept.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    found = codes(pkiops, "--connect-to", address)
    assert "crl.expired" in found
    assert "cdp.unreachable" not in found


def test_nobody_may_look(pkiops: Any, folder: Path) -> None:
    edit(folder, '"123456789012"', '"999988887777"')
    assert list(codes(pkiops)) == ["account.mismatch"]
    result = pkiops("ca", "doctor", "dev", "--fail-on", "error")
    assert result.exit_code == 5


def test_no_answer_at_all_is_a_finding(pkiops: Any) -> None:
    result = pkiops("ca", "doctor", "dev", PKIOPS_SANDBOX_URL="http://127.0.0.1:9")
    assert result.exit_code == 0
    assert "error account.unreachable" in result.stdout


def test_the_catalogue_needs_no_environment(pkiops: Any) -> None:
    text = pkiops("ca", "doctor", "--list-checks").stdout
    checks = json.loads(pkiops("ca", "doctor", "--list-checks", "--format", "json").stdout)["checks"]
    assert len(text.splitlines()) == len(checks) + 1
    assert {one["code"] for one in checks} >= {"cdp.unreachable", "caller.user-policy", "bucket.policy"}
    assert pkiops("ca", "doctor").exit_code == 2


@pytest.mark.parametrize("policy", ["AWSPrivateCAUser", "AWSPrivateCAReadOnly"])
def test_the_policy_that_denies_client_certificates_is_named(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, policy: str
) -> None:
    address = healthy(pkiops, folder, sandbox)
    iam = sandbox.client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    iam.create_role(RoleName="issuer", AssumeRolePolicyDocument=document)
    arn = iam.create_policy(PolicyName=policy, PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="issuer", PolicyArn=arn)
    edit(folder, "sandbox: true", "sandbox: true\n  role_arn: arn:aws:iam::123456789012:role/issuer\n ")
    found = codes(pkiops, "--connect-to", address)
    assert ("caller.user-policy" in found) == (policy == "AWSPrivateCAUser")
    assert "access.denied" not in found


def test_a_permission_that_is_declared_and_not_there_is_found(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    address = healthy(pkiops, folder, sandbox)
    edit(folder, "    issuer: root", "    acm_permission: true\n    issuer: root")
    assert codes(pkiops, "--connect-to", address)["permission.acm"] == "dev/ca/clients"
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    assert codes(pkiops, "--connect-to", address) == {}


def test_a_crl_in_parts_is_said_to_be_one_and_not_to_be_missing(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    edit(folder, "crl: {validity: 7d}", "crl: {validity: 7d, type: PARTITIONED}")
    edit(folder, "revocation: chain", "revocation: none")
    address = healthy(pkiops, folder, sandbox)
    assert codes(pkiops, "--connect-to", address) == {"crl.partitioned": "dev/ca/clients"}
    assert pkiops("crl", "publish", "dev").exit_code == 0


def test_two_cas_of_one_identity_are_a_finding_and_no_end(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    healthy(pkiops, folder, sandbox)
    pca = sandbox.client("acm-pca")
    tags = {"pkiops:environment": "dev", "pkiops:authority": "clients", "pkiops:generation": "1"}
    pca.create_certificate_authority(
        CertificateAuthorityType="SUBORDINATE",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA", "Subject": {"CommonName": "Twin"},
        },
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )  # fmt: skip
    found = codes(pkiops)
    assert found["authority.duplicate"] == "dev/ca/clients"
    assert pkiops("ca", "doctor", "dev", "--fail-on", "error").exit_code == 5


def test_nothing_is_stale_before_the_first_apply(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    del folder
    sandbox.client("s3").create_bucket(
        Bucket="example-pki-dev-trust", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    assert "index.stale" not in codes(pkiops)
