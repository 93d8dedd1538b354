"""CRLs in parts through the command line: published, looked at, and judged by OpenSSL, from a CA whose parts hold one certificate each."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.clock import SystemClock
from pkiops.sandbox.engine.settings import Settings
from tests.cli.estate import ENVIRONMENTS, Estate
from tests.live_programs import require_program
from tests.sandbox_server import running_sandbox

CRL_BUCKET, TRUST_BUCKET = "example-pki-dev-crl", "example-pki-dev-trust"


@dataclass(frozen=True)
class PartsEstate(Estate):
    """The same with an environment file of its own."""

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        settings |= {"PKIOPS_SANDBOX_URL": self.sandbox.url}
        words = [word.replace("@", f"{self.folder}/") for word in arguments]
        return CliRunner().invoke(app, ["--environments", str(self.folder), *words], env=settings, prog_name="pkiops")

    def publish(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.done("crl", "publish", "dev", "--format", "json").stdout)
        return found

    def root(self) -> str:
        """The root's certificate."""
        pca = self.sandbox.client("acm-pca")
        (arn,) = [
            one["Arn"] for one in pca.list_certificate_authorities()["CertificateAuthorities"] if one["Type"] == "ROOT"
        ]
        return str(pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"])

    def read(self, key: str) -> bytes:
        data: bytes = self.sandbox.client("s3").get_object(Bucket=TRUST_BUCKET, Key=key)["Body"].read()
        return data


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PartsEstate]:
    folder = tmp_path_factory.mktemp("parts")
    text = (ENVIRONMENTS / "dev.yaml").read_text()
    text = text.replace("crl: {validity: 7d}", "crl: {validity: 7d, type: PARTITIONED}")
    (folder / "dev.yaml").write_text(text.replace("revocation: chain", "revocation: none"))
    settings = Settings(partition_size=1)
    with running_sandbox(clock=SystemClock(), settings=settings) as sandbox, contextlib.chdir(folder):
        made = PartsEstate(folder, sandbox)
        made.done("ca", "apply", "dev", "--yes")
        for name in ("good", "bad"):
            made.issue(name)
        made.revoke("bad")
        yield made


def test_every_part_is_published_and_looked_at(estate: PartsEstate) -> None:
    body = estate.publish()
    clients = [one for one in body["crls"] if one["authority"] == "clients"]
    assert [one["entries"] for one in sorted(clients, key=lambda one: int(one["entries"]))] == [0, 1]
    assert all(one["scope"].startswith("http://pki.dev.example.com/crl/") for one in clients)
    assert [one["scope"] for one in body["crls"] if one["authority"] == "root"] == [None]
    assert not estate.publish()["moved"]
    status = json.loads(estate.done("crl", "status", "dev", "--format", "json").stdout)
    assert len(status["crls"]) == 3
    assert {one["state"] for one in status["crls"]} == {"ok"}
    assert status["findings"] == []


def test_a_part_is_shown_and_verified_as_one(estate: PartsEstate) -> None:
    body = estate.publish()
    folder = f"dev/crl/{body['manifest_sha256']}/"
    manifest = json.loads(estate.read(f"{folder}manifest.json"))
    one = next(each for each in manifest["crls"] if "scope" in each)
    (estate.folder / "part.crl").write_bytes(estate.read(folder + one["der"]))
    assert "partitioned" in estate.done("crl", "show", "@part.crl").stdout
    found = estate.done("crl", "verify", "@part.crl", "--env", "dev")
    assert f"this is a part, for certificates that name {one['scope']}" in found.stderr
    said = json.loads(estate.done("crl", "verify", "@part.crl", "--env", "dev", "--format", "json").stdout)
    assert said["crls"][0]["scope"] == one["scope"]


def test_a_certificate_is_judged_by_its_part(estate: PartsEstate) -> None:
    estate.done("cert", "verify", "@good.pem", "--env", "dev")
    found = estate.run("cert", "verify", "@bad.pem", "--env", "dev")
    assert (found.exit_code, "revoked" in found.stderr) == (8, True)


@pytest.mark.live
def test_openssl_finds_each_certificate_s_part_in_the_published_file(estate: PartsEstate) -> None:
    body = estate.publish()
    (estate.folder / "crl.pem").write_bytes(estate.read(f"dev/crl/{body['manifest_sha256']}/crl.pem"))
    (estate.folder / "root.pem").write_text(estate.root())
    for name, verdict in (("good", "good.pem: OK"), ("bad", "certificate revoked")):
        command = [require_program("openssl"), "verify", "-x509_strict", "-crl_check_all", "-CRLfile", "crl.pem"]
        roots = ["-CAfile", "root.pem", "-untrusted", f"{name}.pem", f"{name}.pem"]
        ran = subprocess.run(
            [*command, *roots], cwd=estate.folder, capture_output=True, text=True, timeout=30, check=False
        )
        assert verdict in ran.stdout + ran.stderr


def test_a_part_that_vanishes_stops_publishing(estate: PartsEstate) -> None:
    body = estate.publish()
    s3 = estate.sandbox.client("s3")
    scope = next(one["scope"] for one in body["crls"] if one["scope"])
    key = scope.split("/", 3)[3]
    lost = s3.get_object(Bucket=CRL_BUCKET, Key=key)["Body"].read()
    s3.delete_object(Bucket=CRL_BUCKET, Key=key)
    found = estate.run("crl", "publish", "dev")
    # the ledger knows a certificate that names it, whatever anybody consents to
    assert (found.exit_code, scope in found.stderr) == (8, True)
    assert estate.run("crl", "publish", "dev", "--allow-removal").exit_code == 8
    s3.put_object(Bucket=CRL_BUCKET, Key=key, Body=lost)
    assert not estate.publish()["moved"]


def test_every_part_is_fetched_where_certificates_say_it_is(estate: PartsEstate) -> None:
    parts = {one["scope"] for one in estate.publish()["crls"] if one["scope"]}
    body = json.loads(estate.done("crl", "status", "dev", "--probe", "--format", "json").stdout)
    asked = {one["url"]: one for one in body["distribution_points"]}
    assert parts < set(asked)
    assert all(one["answers"] and one["number"] == one["published_number"] for one in asked.values())
    assert not any(one["check"] in {"cdp", "own-crl"} for one in body["skipped"])
    assert {one["scope"] for one in body["crls"]} == parts | {None}
    assert len({one["name"] for one in body["crls"]}) == 3
    down = estate.run("crl", "status", "dev", "--probe", "--connect-to", "127.0.0.1:1")
    assert down.stdout.count("critical cdp.unreachable") == 3


def test_no_two_samples_have_the_same_labels(estate: PartsEstate) -> None:
    estate.publish()
    text = estate.done("crl", "status", "dev", "--format", "prometheus").stdout
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert sum('part="' in one for one in series if one.startswith("pkiops_crl_number")) == 2


def test_a_new_part_that_nobody_published_is_seen_and_one_that_is_gone(estate: PartsEstate) -> None:
    estate.publish()
    estate.issue("third")
    found = json.loads(estate.done("crl", "status", "dev", "--format", "json").stdout)
    assert {(one["code"], one["severity"]) for one in found["findings"]} == {("crl.publisher-behind", "info")}
    assert len([one for one in found["crls"] if not one["published"]]) == 1
    scope = next(one["scope"] for one in estate.publish()["crls"] if one["scope"])
    key, s3 = scope.split("/", 3)[3], estate.sandbox.client("s3")
    lost = s3.get_object(Bucket=CRL_BUCKET, Key=key)["Body"].read()
    s3.delete_object(Bucket=CRL_BUCKET, Key=key)
    try:
        found = json.loads(estate.done("crl", "status", "dev", "--format", "json").stdout)
    finally:
        s3.put_object(Bucket=CRL_BUCKET, Key=key, Body=lost)
    (said,) = found["findings"]
    assert (said["code"], scope in said["message"]) == ("crl.own-invalid", True)
