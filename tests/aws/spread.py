"""The environment ``spread`` on a sandbox: one hierarchy over two accounts and three regions, driven through the command line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from tests.sandbox_server import ACCOUNT, REGION, RunningSandbox, running_sandbox

SAMPLE = Path(__file__).parents[2] / "environments" / "spread.yaml"
OTHER = "444455556666"
ROLE = f"arn:aws:iam::{OTHER}:role/pki-clients"
HOMES = ((ACCOUNT, REGION), (OTHER, "eu-central-1"), (ACCOUNT, "us-east-1"))
BUCKETS = {"example-pki-spread-crl", "example-pki-spread-trust"}


def client_of(sandbox: RunningSandbox, account: str, region: str, service: str = "acm-pca") -> Any:
    """A plain client of one account and region."""
    if account == ACCOUNT:
        return sandbox.client(service, region)
    found = sandbox.client("sts").assume_role(RoleArn=f"arn:aws:iam::{account}:role/look", RoleSessionName="look")
    keys = found["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=region)
    return session.client(service, endpoint_url=sandbox.url, config=Config(retries={"total_max_attempts": 1}))  # type: ignore[call-overload]


def found_in(sandbox: RunningSandbox, account: str, region: str) -> list[dict[str, Any]]:
    """The CAs of one account and region."""
    return list(client_of(sandbox, account, region).list_certificate_authorities()["CertificateAuthorities"])


def assert_spread(sandbox: RunningSandbox) -> None:
    """One CA in each of the three homes, ACTIVE, tagged; both buckets in the first account."""
    for (account, region), label in zip(HOMES, ("root", "clients", "devices"), strict=True):
        (one,) = found_in(sandbox, account, region)
        assert one["Status"] == "ACTIVE", (label, one["Status"])
        assert one["Type"] == ("ROOT" if label == "root" else "SUBORDINATE")
        client = client_of(sandbox, account, region)
        tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(CertificateAuthorityArn=one["Arn"])["Tags"]}
        assert (tags["pkiops:environment"], tags["pkiops:authority"]) == ("spread", label)
        assert one["RevocationConfiguration"]["CrlConfiguration"]["Enabled"] is True
    assert {bucket["Name"] for bucket in sandbox.client("s3").list_buckets()["Buckets"]} == BUCKETS


@dataclass(frozen=True)
class Spread:
    """A folder that holds ``environments/spread.yaml``, and a sandbox to run it on."""

    folder: Path
    sandbox: RunningSandbox

    def run(self, *arguments: str) -> Result:
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        return CliRunner().invoke(
            app, list(arguments), env={**settings, "PKIOPS_SANDBOX_URL": self.sandbox.url}, prog_name="pkiops"
        )

    def done(self, *arguments: str) -> Result:
        result = self.run(*arguments)
        assert result.exit_code == 0, (arguments, result.output)
        return result

    def edit(self, *pairs: tuple[str, str]) -> None:
        path = self.folder / "environments" / "spread.yaml"
        text = path.read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")

    def arn(self, home: tuple[str, str]) -> str:
        (one,) = found_in(self.sandbox, *home)
        return str(one["Arn"])


def spread_folder(folder: Path) -> Path:
    """A working directory that holds the sample."""
    (folder / "environments").mkdir()
    shutil.copy(SAMPLE, folder / "environments" / "spread.yaml")
    return folder


@contextmanager
def spread_on(folder: Path, **settings: Any) -> Iterator[Spread]:
    """A fresh sandbox, and the sample's folder as working directory."""
    with running_sandbox(**settings) as sandbox, chdir(spread_folder(folder)):
        yield Spread(folder, sandbox)
