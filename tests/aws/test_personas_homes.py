"""Personas where authorities live in another account, too: what ``env iam-policy`` prints for each account is enough, and none of it is too much."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from pkiops.clock import ManualClock
from pkiops.environment.models import Persona
from pkiops.sandbox.engine.settings import Settings
from tests.aws.persona_world import World
from tests.aws.spread import OTHER, ROLE, SAMPLE
from tests.sandbox_server import ACCOUNT, REGION, START, RunningSandbox, running_sandbox

Policy = dict[str, Any]
ACCESS = "access:\n" + "".join(
    f"  {one.value}: arn:aws:iam::{ACCOUNT}:role/persona-{one.value}\n"
    for one in Persona
    if one is not Persona.RELYING_PARTY
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
    }
)


def iam_of(sandbox: RunningSandbox, account: str) -> Any:
    """IAM of an account, as its administrator."""
    session = boto3.Session("testing", "testing", region_name=REGION)
    client = session.client("iam", endpoint_url=sandbox.url)

    def choose(request: Any, **_: object) -> None:
        request.headers["x-moto-account-id"] = account

    client.meta.events.register("before-sign.iam", choose)
    return client


class Accounts(World):
    """Two accounts, each holding callers to their policies; the sample hierarchy is to be spread over both."""

    def give(self, persona: Persona, here: Policy, there: Policy) -> Mapping[str, Any]:
        """The credentials of a persona that has exactly these policies, in its account and in the other."""
        iam = iam_of(self.sandbox, OTHER)
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName="pki-clients", AssumeRolePolicyDocument=TRUST)
        for name in iam.list_role_policies(RoleName="pki-clients")["PolicyNames"]:
            iam.delete_role_policy(RoleName="pki-clients", PolicyName=name)
        if there["Statement"]:
            iam.put_role_policy(RoleName="pki-clients", PolicyName="persona", PolicyDocument=json.dumps(there))
        return self.role(persona.value, here)

    def printed(self, persona: Persona, *more: str) -> Policy:
        made: Policy = json.loads(self.done("env", "iam-policy", "spread", "--persona", persona.value, *more).stdout)
        return made

    def both(self, persona: Persona) -> tuple[Policy, Policy]:
        return self.printed(persona), self.printed(persona, "--account", OTHER)

    def administer(self) -> None:
        """Let the other account's role do everything; who assumes it is the administrator."""
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        self.give(
            Persona.AUDITOR,
            {"Version": "2012-10-17", "Statement": [everything]},
            {"Version": "2012-10-17", "Statement": [everything]},
        )


@contextlib.contextmanager
def accounts(folder: Path) -> Iterator[Accounts]:
    clock = ManualClock(START)
    with running_sandbox(clock=clock, settings=Settings(enforce_iam=True)) as sandbox:
        made = Accounts(sandbox, folder, clock)
        text = SAMPLE.read_text(encoding="utf-8").replace("  sandbox: true\n", "")
        made.write(text.replace("authorities:\n", f"{ACCESS}\nauthorities:\n", 1), "spread")
        yield made


def applied(made: Accounts) -> Accounts:
    """The hierarchy there, and a certificate below the CA of the other account."""
    credentials = made.give(Persona.PROVISIONER, *made.both(Persona.PROVISIONER))
    result = made.run(credentials, "ca", "apply", "spread", "--yes")
    assert result.exit_code == 0, result.output
    made.administer()
    for profile, san, name in (
        ("service", "dns:a.svc.spread.example.com", "a"),
        ("device", "uri:spiffe://spread.example.com/device/1", "d"),
    ):
        made.done(
            *("cert", "request", "spread", "--profile", profile, "--san", san),
            *("--key", f"@{name}.key", "--csr", f"@{name}.csr"),
        )
        made.done("cert", "issue", "spread", "--profile", profile, "--csr", f"@{name}.csr", "--output", f"@{name}.pem")
    made.done("crl", "publish", "spread")
    return made


ISSUE = ("--output", "issued.pem")
WORK: Mapping[Persona, tuple[tuple[str, ...], ...]] = {
    Persona.ISSUER: (
        ("cert", "issue", "spread", "--profile", "service", "--csr", "@a.csr", *ISSUE),
        ("cert", "issue", "spread", "--profile", "device", "--csr", "@d.csr", "--output", "device.pem"),
    ),
    Persona.REVOKER: (("cert", "revoke", "spread", "@a.pem", "--reason", "superseded", "--yes"),),
    Persona.PUBLISHER: (("crl", "publish", "spread"), ("trust", "render", "spread", "--to", "trust")),
    Persona.AUDITOR: (
        ("ca", "show", "spread"),
        ("ca", "cost", "spread"),
        ("inventory", "export", "spread", "--format", "json", "--output", "inventory.json"),
    ),
    Persona.PROVISIONER: (("ca", "apply", "spread", "--yes"), ("ca", "plan", "spread", "--detailed-exitcode")),
}


def refusal(made: Accounts, persona: Persona, here: Policy, there: Policy) -> str | None:
    """The first command of a persona that lacks a permission."""
    credentials = made.give(persona, here, there)
    for words in WORK[persona]:
        result = made.run(credentials, *words)
        if result.exit_code:
            assert "AccessDenied" in result.output, (words, result.output)
            return result.output
    if persona is Persona.AUDITOR:
        doctor = made.run(credentials, "ca", "doctor", "spread", "--no-probe", "--format", "json")
        found = json.loads(doctor.stdout)["findings"]
        return next((str(one["message"]) for one in found if one["code"] == "access.denied"), None)
    return None


def less(here: Policy, there: Policy) -> Iterator[tuple[str, Policy, Policy]]:
    """Without the right to assume the role, and without each statement of the other account."""
    kept = [one for one in here["Statement"] if one["Sid"] != "AssumeRolesElsewhere"]
    assert len(kept) == len(here["Statement"]) - 1
    yield "AssumeRolesElsewhere", {**here, "Statement": kept}, there
    for number, statement in enumerate(there["Statement"]):
        rest = [one for at, one in enumerate(there["Statement"]) if at != number]
        yield statement["Sid"], here, {**there, "Statement": rest}


@pytest.mark.parametrize("persona", [Persona.ISSUER, Persona.REVOKER, Persona.PUBLISHER, Persona.AUDITOR])
def test_a_persona_needs_all_that_is_printed_for_the_other_account(persona: Persona, tmp_path: Path) -> None:
    with accounts(tmp_path) as made:
        here, there = applied(made).both(persona)
        assert refusal(made, persona, here, there) is None
        for what, *policies in less(here, there):
            assert refusal(made, persona, *policies), f"not needed: {what}"


def test_the_provisioner_makes_and_signs_over_both_accounts(tmp_path: Path) -> None:
    with accounts(tmp_path) as made:
        here, there = made.both(Persona.PROVISIONER)
        signs = {
            one["Sid"]: one for one in (*there["Statement"], *here["Statement"]) if one["Sid"] == "SignAuthorities"
        }
        # the root signs where it is, so nothing is signed in the other account
        assert signs["SignAuthorities"] in here["Statement"]
        assert not [one for one in there["Statement"] if one["Sid"] in {"SignAuthorities", "Fetch"}]
        assert refusal(made, Persona.PROVISIONER, here, there) is None


@pytest.mark.parametrize("sid", ["AssumeRolesElsewhere", "Create", "Keep", "CrlBucketForTheService"])
def test_the_provisioner_needs_what_is_printed_for_the_other_account(sid: str, tmp_path: Path) -> None:
    with accounts(tmp_path) as made:
        here, there = made.both(Persona.PROVISIONER)
        (policies,) = [without for what, *without in less(here, there) if what == sid]
        assert refusal(made, Persona.PROVISIONER, *policies)
        assert refusal(made, Persona.PROVISIONER, here, there) is None


def test_nobody_of_the_other_account_but_the_keeper_writes_into_the_crl_bucket(tmp_path: Path) -> None:
    with accounts(tmp_path) as made:
        applied(made)
        iam = iam_of(made.sandbox, OTHER)
        iam.create_role(RoleName="stranger", AssumeRolePolicyDocument=TRUST)
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_role_policy(RoleName="stranger", PolicyName="all", PolicyDocument=json.dumps(everything))

        def put(role: str) -> None:
            sts = made.sandbox.client("sts")
            found = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
            client = made.sandbox.client_as(found, "s3")
            client.put_object(Bucket="example-pki-spread-crl", Key="crl/x.crl", Body=b"x")

        put(ROLE)
        with pytest.raises(made.sandbox.client("s3").exceptions.ClientError, match="AccessDenied"):
            put(ROLE.replace("pki-clients", "stranger"))
