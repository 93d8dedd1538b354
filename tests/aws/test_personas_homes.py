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
from tests.seeded import SOAK

Policy = dict[str, Any]
EVERYTHING: Policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
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
        self.give_there(f"pki-{persona.value}", there)
        return self.role(persona.value, here)

    def give_there(self, role: str, policy: Policy) -> None:
        """A role of the other account with exactly that policy."""
        iam = iam_of(self.sandbox, OTHER)
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role, PolicyName=name)
        if policy["Statement"]:
            iam.put_role_policy(RoleName=role, PolicyName="only", PolicyDocument=json.dumps(policy))

    def printed(self, persona: Persona, *more: str) -> Policy:
        made: Policy = json.loads(self.done("env", "iam-policy", "spread", "--persona", persona.value, *more).stdout)
        return made

    def both(self, persona: Persona) -> tuple[Policy, Policy]:
        return self.printed(persona), self.printed(persona, "--account", OTHER)


@contextlib.contextmanager
def accounts(folder: Path) -> Iterator[Accounts]:
    clock = ManualClock(START)
    with running_sandbox(clock=clock, settings=Settings(enforce_iam=True)) as sandbox:
        made = Accounts(sandbox, folder, clock)
        text = SAMPLE.read_text(encoding="utf-8").replace("  sandbox: true\n", "")
        text = text.replace("authorities:\n", f"access:\n{_access(ACCOUNT, 'persona', 2)}\nauthorities:\n", 1)
        role = next(line for line in text.split("\n") if ROLE in line)
        text = text.replace(role, f"{role}\n      access:\n{_access(OTHER, 'pki', 8)}".rstrip("\n"), 1)
        made.write(text, "spread")
        # who is none of the personas: the administrator, who may do everything there, too
        made.give_there("pki-clients", EVERYTHING)
        yield made


def _access(account: str, prefix: str, indent: int) -> str:
    personas = [one.value for one in Persona if one is not Persona.RELYING_PARTY]
    return "".join(f"{' ' * indent}{one}: arn:aws:iam::{account}:role/{prefix}-{one}\n" for one in personas)


def applied(made: Accounts) -> Accounts:
    """The hierarchy there, and a certificate below the CA of the other account."""
    credentials = made.give(Persona.PROVISIONER, *made.both(Persona.PROVISIONER))
    result = made.run(credentials, "ca", "apply", "spread", "--yes")
    assert result.exit_code == 0, result.output
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
        is_quick = persona in {Persona.ISSUER, Persona.REVOKER}
        for what, *policies in less(here, there) if is_quick or SOAK else ():
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

        def put(name: str) -> None:
            made.give_there(name, EVERYTHING)
            role = f"arn:aws:iam::{OTHER}:role/{name}"
            found = made.sandbox.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
            client = made.sandbox.client_as(found, "s3")
            client.put_object(Bucket="example-pki-spread-crl", Key="crl/x.crl", Body=b"x")

        for keeper in ("pki-clients", "pki-provisioner", "pki-revoker"):
            put(keeper)
        for other in ("pki-issuer", "stranger"):
            with pytest.raises(made.sandbox.client("s3").exceptions.ClientError, match="AccessDenied"):
                put(other)
