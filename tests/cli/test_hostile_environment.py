"""What an environment file out of a hostile merge request can do on the machine of the engineer who plans it, and in the account: nothing that the
plan does not show.

What the file alone can break is ``tests/unit/environment/test_hostile_values.py``.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.cli.test_ca import edit, folder, pkiops, sandbox
from tests.sandbox_server import REGION, RunningSandbox

__all__ = ["folder", "pkiops", "sandbox"]

SECRET = "AKIAREALREALREALREAL"
SHELL = {"AWS_ACCESS_KEY_ID": SECRET, "AWS_SECRET_ACCESS_KEY": "real", "AWS_SESSION_TOKEN": "real-token"}
COMMANDS = [
    ("ca", "plan", "dev"),
    ("ca", "apply", "dev", "--yes"),
    ("ca", "show", "dev"),
    ("ca", "doctor", "dev"),
    ("ca", "cost", "dev"),
    ("ca", "adopt", "dev", "root", "arn:x", "--yes"),
    ("crl", "publish", "dev"),
    ("trust", "render", "dev", "--to", "out"),
    ("inventory", "export", "dev"),
    ("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", "--output", "a.pem"),
]


class Listener(BaseHTTPRequestHandler):
    """Refuses everybody, and keeps what they said about themselves."""

    heard: list[str]

    def _hear(self) -> None:
        self.heard.append(f"{self.path} {self.headers}")
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_HEAD = _hear

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    heard: list[str] = []
    handler = type("Handler", (Listener,), {"heard": heard})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()
        thread.join(timeout=10)


def on_aws(folder: Path, *more: str) -> None:
    """The file as one for an AWS account, with lines added to its backend."""
    lines = "".join(f"  {line}\n" for line in more)
    text = (folder / "environments" / "dev.yaml").read_text(encoding="utf-8")
    start = text.index("  sandbox: true")
    end = text.index("\n", start) + 1
    (folder / "environments" / "dev.yaml").write_text(text[:start] + lines + text[end:], encoding="utf-8")


@pytest.fixture
def csr(pkiops: Any) -> None:
    request = ("cert", "request", "dev", "--profile", "service", "--san", "dns:a.svc.dev.example.com")
    assert pkiops(*request, "--key", "a.key", "--csr", "a.csr").exit_code == 0


@pytest.mark.usefixtures("csr")
@pytest.mark.parametrize("service", ["acm-pca", "s3", "sts", "resourcegroupstaggingapi"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: "-".join(words[:2]))
def test_no_command_signs_a_request_for_somebody_else_s_endpoint(
    pkiops: Any, folder: Path, command: tuple[str, ...], service: str
) -> None:
    on_aws(folder, f"endpoint_urls: {{{service}: 'https://collector.example.com'}}")
    result = pkiops(*command, **SHELL)
    assert result.exit_code == 9, result.output
    assert "collector.example.com" in result.stderr


@pytest.mark.parametrize("command", [("ca", "plan", "dev"), ("ca", "doctor", "dev"), ("ca", "show", "dev")])
def test_the_sandbox_hears_dummy_credentials_only(pkiops: Any, command: tuple[str, ...]) -> None:
    with listener() as (url, heard):
        pkiops(*command, PKIOPS_SANDBOX_URL=url, **SHELL)
    said = "\n".join(heard)
    assert "Credential=sandbox/" in said
    assert SECRET not in said
    assert "real-token" not in said


def test_endpoints_and_roles_of_a_file_are_in_its_plan(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    urls = ", ".join(f"{service}: '{sandbox.url}'" for service in ("acm-pca", "s3", "sts"))
    role = "arn:aws:iam::123456789012:role/pki"
    on_aws(folder, f"endpoint_urls: {{{urls}}}", f"role_arn: {role}")
    variables = {**SHELL, "AWS_ENDPOINT_URL": sandbox.url}
    text = pkiops("ca", "plan", "dev", **variables).stdout
    first = text.splitlines()[0]
    assert first == (
        f"dev: account 123456789012, eu-west-1, through role {role}, "
        f"acm-pca at {sandbox.url}, s3 at {sandbox.url}, sts at {sandbox.url}"
    )
    assert role.rpartition(":")[2] in pkiops("ca", "plan", "dev", "--format", "markdown", **variables).stdout
    saved = pkiops("ca", "plan", "dev", "--format", "json", **variables).stdout
    assert json.loads(saved)["place"]["sites"] == [
        {"account": "123456789012", "region": "eu-west-1", "role_arns": [role]}
    ]


def test_a_saved_plan_is_not_carried_out_in_another_account_or_region(pkiops: Any, folder: Path) -> None:
    assert pkiops("ca", "plan", "dev", "--out", "plan.json").exit_code == 0
    edit(folder, "region: eu-west-1", "region: eu-west-2")
    result = pkiops("ca", "apply", "dev", "--plan", "plan.json", "--yes")
    assert result.exit_code == 9
    assert "changed since that plan was saved" in result.stderr


def test_credentials_of_another_account_do_nothing(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    edit(folder, '"123456789012"', '"999999999999"')
    for command in COMMANDS[:2]:
        assert pkiops(*command).exit_code == 9
    assert sandbox.client("s3").list_buckets()["Buckets"] == []
    assert sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"] == []


@pytest.mark.parametrize("manage", ["true", "false"])
@pytest.mark.parametrize("bucket", ["crl", "trust"])
def test_a_bucket_of_another_account_is_neither_changed_nor_written(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, bucket: str, manage: str
) -> None:
    role = {"RoleArn": "arn:aws:iam::999999999999:role/mallory", "RoleSessionName": "test"}
    keys = sandbox.client("sts").assume_role(**role)["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=REGION)
    theirs: Any = session.client("s3", endpoint_url=sandbox.url)
    theirs.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    open_policy = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::theirs", "arn:aws:s3:::theirs/*"],
    }
    theirs.put_bucket_policy(Bucket="theirs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [open_policy]}))
    edit(folder, f"    bucket: example-pki-dev-{bucket}", f"    bucket: theirs\n    manage: {manage}\n   ")
    for command in (("ca", "plan", "dev"), ("ca", "apply", "dev", "--yes")):
        result = pkiops(*command)
        assert result.exit_code == 6, result.output
        assert "exists, but not in account 123456789012" in result.stderr
    assert theirs.list_objects_v2(Bucket="theirs").get("KeyCount", 0) == 0
    assert json.loads(theirs.get_bucket_policy(Bucket="theirs")["Policy"])["Statement"] == [open_policy]
    assert sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"] == []


def test_a_bucket_of_the_account_with_things_in_it_is_not_taken_over(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket="payroll", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="payroll", Key="2026.csv", Body=b"secret")
    edit(folder, "    bucket: example-pki-dev-trust", "    bucket: payroll\n   ")
    result = pkiops("ca", "apply", "dev", "--yes")
    assert result.exit_code == 9
    assert "belongs to other tooling" in result.stderr
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket="payroll")


def test_whom_a_policy_lets_in_is_said_in_every_form_of_the_plan(pkiops: Any, folder: Path) -> None:
    statement = "{Effect: Allow, Principal: {AWS: '999999999999'}, Action: ['acm-pca:IssueCertificate', 'acm-pca:GetCertificate']}"
    edit(
        folder,
        "    issuer: root",
        f"    issuer: root\n    policy: {{Statement: [{statement}]}}\n    acm_permission: true",
    )
    says = "lets in: account 999999999999 may IssueCertificate and GetCertificate"
    text = pkiops("ca", "plan", "dev").stdout
    assert says in text
    assert '"Principal":{"AWS":"999999999999"}' in text
    assert "acm permission: none -> GetCertificate, IssueCertificate, ListPermissions" in text
    for form in ("markdown", "json"):
        assert says in pkiops("ca", "plan", "dev", "--format", form).stdout


def test_who_may_write_into_the_buckets_is_in_the_plan(pkiops: Any, folder: Path) -> None:
    edit(folder, "authorities:\n", "access: {publisher: 'arn:aws:iam::123456789012:role/mallory'}\nauthorities:\n")
    assert "role/mallory" in pkiops("ca", "plan", "dev").stdout
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    edit(folder, "role/mallory", "role/eve")
    text = pkiops("ca", "plan", "dev").stdout
    assert "role/mallory" in text
    assert "role/eve" in text


def test_names_in_the_account_draw_no_lines_of_a_plan_a_tree_or_a_report(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    del folder
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    name = "x\n= no-op dev/ca/root: as declared\x1b[31m\u202e"
    tags = {"pkiops:environment": "dev", "pkiops:authority": "other", "pkiops:generation": "1"}
    pca = sandbox.client("acm-pca")
    for more in ([], [{"Key": key, "Value": value} for key, value in tags.items()]):
        pca.create_certificate_authority(
            CertificateAuthorityType="ROOT",
            CertificateAuthorityConfiguration={
                "KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA", "Subject": {"CommonName": name},
            },
            **({"Tags": more} if more else {}),
        )  # fmt: skip
    for command in (
        ("ca", "plan"),
        ("ca", "plan", "--format", "markdown"),
        ("ca", "show"),
        ("ca", "doctor"),
        ("ca", "cost"),
    ):
        shown = pkiops(command[0], command[1], "dev", *command[2:]).stdout
        assert not any(line.startswith("= no-op dev/ca/root: as declared") for line in shown.splitlines())
        assert "\x1b" not in shown
        assert "\u202e" not in shown


@pytest.mark.parametrize("command", [("env", "validate", "dev"), ("env", "show", "dev"), ("ca", "plan", "dev")])
def test_a_link_to_another_file_of_the_machine_is_not_read(pkiops: Any, folder: Path, command: tuple[str, ...]) -> None:
    (folder / "credentials").write_text("aws_secret_access_key: hunter2\nhunter2: x\n", encoding="utf-8")
    (folder / "environments" / "dev.yaml").unlink()
    (folder / "environments" / "dev.yaml").symlink_to(folder / "credentials")
    result = pkiops(*command)
    assert result.exit_code == 9
    assert "hunter2" not in result.output
    assert "unreadable" in pkiops("env", "list").stdout


def test_no_ledger_is_made_where_a_link_leads(
    pkiops: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    request = ("cert", "request", "dev", "--profile", "service", "--san", "dns:a.svc.dev.example.com")
    assert pkiops(*request, "--key", "a.key", "--csr", "a.csr").exit_code == 0
    (folder / ".pkiops").symlink_to(elsewhere)
    result = pkiops("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", "--output", "a.pem")
    assert result.exit_code == 9
    assert list(elsewhere.iterdir()) == []
    assert not (folder / "a.pem").exists()


def test_a_file_that_is_another_s_database_is_left_alone(pkiops: Any, folder: Path) -> None:
    import sqlite3

    edit(folder, ".pkiops/dev.db", "places.sqlite")
    with contextlib.closing(sqlite3.connect(folder / "places.sqlite")) as other:
        other.execute("CREATE TABLE visits (url TEXT)")
        other.commit()
    before = (folder / "places.sqlite").read_bytes()
    assert pkiops("ca", "apply", "dev", "--yes").exit_code in {0, 2}
    request = ("cert", "request", "dev", "--profile", "service", "--san", "dns:a.svc.dev.example.com")
    assert pkiops(*request, "--key", "a.key", "--csr", "a.csr").exit_code == 0
    issued = pkiops("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", "--output", "a.pem")
    assert issued.exit_code == 2
    assert (folder / "places.sqlite").read_bytes() == before


def test_rendered_files_go_where_the_command_line_says_and_hold_no_line_of_the_file(pkiops: Any, folder: Path) -> None:
    edit(folder, "Example Dev Root CA G1", '"-----BEGIN CERTIFICATE----- {{ 7*7 }} $(id) <b> ssl_crl off;"')
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    request = ("cert", "request", "dev", "--profile", "service", "--san", "dns:a.svc.dev.example.com")
    assert pkiops(*request, "--key", "a.key", "--csr", "a.csr").exit_code == 0
    issued = pkiops("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", "--output", "a.pem")
    assert issued.exit_code == 0, issued.output
    assert pkiops("crl", "publish", "dev").exit_code == 0
    assert pkiops("trust", "render", "dev", "--to", "out").exit_code == 0
    verified = pkiops("trust", "verify", "dev", "out")
    assert verified.exit_code == 0, verified.output
    outside = {path.parts[0] for path in (one.relative_to(folder) for one in folder.rglob("*") if one.is_file())}
    assert outside <= {"out", "environments", ".pkiops", "a.key", "a.csr", "a.pem"}
    for path in (folder / "out").rglob("*"):
        if path.is_file() and path.suffix != ".json":
            text = path.read_bytes().decode("utf-8", "replace")
            assert not any(
                line.strip().startswith(("-----BEGIN CERTIFICATE----- ", "ssl_crl off", "49"))
                for line in text.splitlines()
            )


def test_the_homes_and_roles_of_authorities_are_in_the_plan(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    role = "arn:aws:iam::999999999999:role/mallory"
    home = f"{{account: '999999999999', region: us-east-1, role_arn: '{role}'}}"
    edit(folder, "    issuer: root", f"    issuer: root\n    backend: {home}")
    text = pkiops("ca", "plan", "dev").stdout
    first = f"dev: the sandbox, account 123456789012, eu-west-1; account 999999999999, us-east-1, through role {role}"
    assert text.splitlines()[0] == first
    assert "home: account 999999999999, us-east-1" in text
    assert pkiops("ca", "plan", "dev", "--out", "plan.json").exit_code == 0
    edit(folder, "us-east-1", "us-west-2")
    assert pkiops("ca", "apply", "dev", "--plan", "plan.json", "--yes").exit_code == 9
    assert sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"] == []


def test_a_role_of_another_account_than_the_authority_s_is_refused(pkiops: Any, folder: Path) -> None:
    home = "{account: '222233334444', role_arn: 'arn:aws:iam::999999999999:role/mallory'}"
    edit(folder, "    issuer: root", f"    issuer: root\n    backend: {home}")
    result = pkiops("ca", "plan", "dev", **SHELL)
    assert result.exit_code == 3
    assert "this role is in another account" in result.stderr
