"""An account that holds callers to their policies, an environment in it, and pkiops run with the credentials of one role."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.clock import ManualClock
from pkiops.environment.models import Persona
from pkiops.sandbox.engine.settings import Settings
from tests.sandbox_server import ACCOUNT, START, RunningSandbox, running_sandbox, subprocess_environment

ADMINISTRATOR = {"AccessKeyId": "testing", "SecretAccessKey": "testing", "SessionToken": ""}
CRL_BUCKET, TRUST_BUCKET, LEDGER_TABLE = "persona-dev-crl", "persona-dev-trust", "persona-dev-ledger"

# every key that asks for a permission of its own is in it; P-256 throughout, because it is quick
ENVIRONMENT = """\
schema: 1
environment: NAME
backend: {type: aws-private-ca, region: eu-west-1, account: "123456789012"}
ledger: {type: dynamodb, table: persona-NAME-ledger}
publication:
  crl: {bucket: persona-NAME-crl, host: pki.dev.example.com}
  trust: {bucket: persona-NAME-trust}
tags: {team: one}
access:
  provisioner: arn:aws:iam::123456789012:role/persona-provisioner
  issuer: arn:aws:iam::123456789012:role/persona-issuer
  revoker: arn:aws:iam::123456789012:role/persona-revoker
  publisher: arn:aws:iam::123456789012:role/persona-publisher
  relying-party: arn:aws:iam::123456789012:role/persona-relying-party
  auditor: arn:aws:iam::123456789012:role/persona-auditor
authorities:
  root:
    subject: {common_name: NAME Root, organization: Example Ltd}
    validity: 20y
    path_length: 1
    crl: {validity: 90d}
  clients:
    issuer: root
    subject: {common_name: NAME Clients, organization: Example Ltd}
    validity: 5y
    crl: {validity: 7d}
    acm_permission: true
    policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal: {AWS: "999999999999"}
          Action: ["acm-pca:DescribeCertificateAuthority"]
profiles:
  service:
    authority: clients
    validity: {default: 30d, max: 90d}
    subject: {organization: Example Ltd, common_name: {from: request}}
    san: {dns: ["*.svc.dev.example.com"]}
trust:
  bundles:
    services: {anchors: [root], targets: {pem: {}}}
"""
CHANGED = (
    ("crl: {validity: 7d}", "crl: {validity: 8d}"),
    ("team: one", "team: two"),
    ("acm_permission: true", "acm_permission: false"),
)


def environment_text(name: str = "dev", changes: Sequence[tuple[str, str]] = ()) -> str:
    text = ENVIRONMENT.replace("NAME", name)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


# one more, so that there is something to create later; signed with the root's template, which the policy names
MORE = """\
  more:
    subject: {common_name: dev More}
    validity: 20y
    path_length: 1
    crl: {validity: 90d}
profiles:
"""


def without_policy(text: str) -> str:
    """The same with an empty resource policy: one that is there is removed."""
    head, _, rest = text.partition("    policy:\n")
    return head + "    policy: {}\n" + rest[rest.index("profiles:") :]


@dataclass
class World:
    """The account; ``folder`` holds the environment files, each run works in a folder of its own below it."""

    sandbox: RunningSandbox
    folder: Path
    clock: ManualClock
    names: list[str] = field(default_factory=list)
    strangers: int = 0

    def write(self, text: str, name: str = "dev") -> None:
        (self.folder / "environments").mkdir(exist_ok=True)
        (self.folder / "environments" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def role(self, persona: str, policy: Mapping[str, Any]) -> dict[str, Any]:
        """A role with exactly that policy, assumed; the one of before is replaced."""
        iam, name = self.sandbox.client("iam"), f"persona-{persona}"
        if name not in self.names:
            trust = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
            }
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
            self.names.append(name)
        iam.put_role_policy(RoleName=name, PolicyName="persona", PolicyDocument=json.dumps(policy))
        assumed: dict[str, Any] = self.sandbox.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}", RoleSessionName="test"
        )
        found: dict[str, Any] = assumed["Credentials"]
        return found

    def run(self, credentials: Mapping[str, Any], *words: str) -> Result:
        """One call of pkiops; ``@name`` is a file of the folder."""
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("PKIOPS_", "AWS_"))}
        settings |= subprocess_environment(self.sandbox.url)
        settings |= {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"] or None,
        }
        command = [
            "--environments",
            str(self.folder / "environments"),
            *(w.replace("@", f"{self.folder}/") for w in words),
        ]
        # a home of one's own: nothing is shared but AWS
        with tempfile.TemporaryDirectory(dir=self.folder) as home, contextlib.chdir(home):
            return CliRunner().invoke(app, command, env=settings, prog_name="pkiops")

    def done(self, *words: str) -> Result:
        """One call of the administrator, which must succeed."""
        result = self.run(ADMINISTRATOR, *words)
        assert result.exit_code == 0, (words, result.output)
        return result

    def policy(self, persona: Persona, *more: str) -> dict[str, Any]:
        """What ``env iam-policy`` prints."""
        made: dict[str, Any] = json.loads(
            self.done("env", "iam-policy", "dev", "--persona", persona.value, *more).stdout
        )
        return made

    def authorities(self) -> dict[str, str]:
        """The ARNs of the CAs that carry our tags, by ``ENV/LABEL``."""
        client = self.sandbox.client("acm-pca")
        found = {}
        for one in client.list_certificate_authorities()["CertificateAuthorities"]:
            if one["Status"] == "CREATING":
                continue
            tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(CertificateAuthorityArn=one["Arn"])["Tags"]}
            if "pkiops:authority" in tags:
                found[f"{tags['pkiops:environment']}/{tags['pkiops:authority']}"] = str(one["Arn"])
        return found

    def somebody_creates_a_ca(self) -> None:
        """A CA of other people that is CREATING: its tags cannot be read yet, so that it has to be asked what it is."""
        self.strangers += 1
        self.sandbox.client("acm-pca").create_certificate_authority(
            CertificateAuthorityType="ROOT",
            CertificateAuthorityConfiguration={
                "KeyAlgorithm": "EC_prime256v1",
                "SigningAlgorithm": "SHA256WITHECDSA",
                "Subject": {"CommonName": f"somebody else's {self.strangers}"},
            },
        )


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """A new account with a role for nobody yet."""
    clock = ManualClock(START)
    with running_sandbox(clock=clock, settings=Settings(enforce_iam=True)) as sandbox:
        made = World(sandbox, folder, clock)
        made.write(environment_text())
        yield made
