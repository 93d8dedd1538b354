"""``pkiops env iam-policy``: each persona can do its work with exactly its policy, and with nothing less (sandbox with ``--enforce-iam``)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pkiops.environment.models import Persona
from pkiops.sandbox.iam_record import ask_permissions
from tests.aws.persona_work import prepare, refusal_of, work
from tests.aws.persona_world import CRL_BUCKET, TRUST_BUCKET, World, environment_text, world
from tests.sandbox_server import ACCOUNT
from tests.seeded import SOAK

Policy = dict[str, Any]
TEMPLATES = "arn:aws:acm-pca:::template/"
# read and written by commands of a later version
_NOT_YET = "dev/trust/*"
# spares a call by the CA where there are many; whoever lacks it asks each (test_listing.py, and below)
_SPARES_CALLS = "tag:GetResources"


def less(policy: Policy, *, parts: bool) -> Iterator[tuple[str, Policy]]:
    """The policy with one statement less; with ``parts``, with one action, resource or condition value less, too."""
    for number, statement in enumerate(policy["Statement"]):
        smaller = copy.deepcopy(policy)
        del smaller["Statement"][number]
        yield statement["Sid"], smaller
        for path, value in _lists(statement) if parts else ():
            smaller = copy.deepcopy(policy)
            found = smaller["Statement"][number]
            for key in path:
                found = found[key]
            found.remove(value)
            yield f"{statement['Sid']}: {value}", smaller


def _lists(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _lists(inner, (*path, key))
    elif isinstance(value, list):
        yield from ((path, one) for one in value if not one.endswith(_NOT_YET) and one != _SPARES_CALLS)


def actions(policy: Policy) -> set[str]:
    found = [statement["Action"] for statement in policy["Statement"]]
    return {one for action in found for one in ([action] if isinstance(action, str) else action)}


def test_the_provisioner_needs_all_of_its_policy(tmp_path: Path) -> None:
    policy = _whole(tmp_path / "whole", Persona.PROVISIONER)
    for number, (what, smaller) in enumerate(less(policy, parts=SOAK)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with world(folder) as account:  # what it does, it can do once
            assert work(Persona.PROVISIONER, account, account.role("provisioner", smaller)), f"not needed: {what}"


@pytest.mark.parametrize("persona", [one for one in Persona if one is not Persona.PROVISIONER])
def test_a_persona_needs_all_of_its_policy(persona: Persona, tmp_path: Path) -> None:
    with world(tmp_path) as account:
        prepare(account)
        account.done("crl", "publish", "dev")
        policy = account.policy(persona)
        _works(account, persona, policy)
        for what, smaller in less(policy, parts=SOAK):
            assert work(persona, account, account.role(persona.value, smaller)), f"not needed: {what}"


def test_below_a_pinned_root_the_issuer_reads_the_index_and_looks_at_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as account:
        prepare(account)
        shown = json.loads(account.done("ca", "show", "dev", "--format", "json").stdout)["authorities"]
        pin = next(one["sha256"] for one in shown if one["authority"] == "root")
        account.write(environment_text(changes=[("    path_length: 1\n", f"    path_length: 1\n    sha256: {pin}\n")]))
        policy = account.policy(Persona.ISSUER)
        assert {one for one in actions(policy) if not one.startswith("dynamodb:")} == {
            "acm-pca:GetCertificate",
            "acm-pca:IssueCertificate",
            "s3:GetObject",
        }
        _works(account, Persona.ISSUER, policy)
        for what, smaller in less(policy, parts=SOAK):
            assert work(Persona.ISSUER, account, account.role("issuer", smaller)), f"not needed: {what}"


def test_below_a_pinned_root_a_relying_party_watches_the_published_crls(tmp_path: Path) -> None:
    with world(tmp_path) as account:
        prepare(account)
        account.done("crl", "publish", "dev")
        party = account.role("relying-party", account.policy(Persona.RELYING_PARTY))
        status = ("crl", "status", "dev", "--format", "json", "--fail-on", "warning")
        unpinned = account.run(party, *status)
        assert unpinned.exit_code == 5
        assert [one["code"] for one in json.loads(unpinned.stdout)["findings"]] == ["crl.unverified"]
        shown = json.loads(account.done("ca", "show", "dev", "--format", "json").stdout)["authorities"]
        pin = next(one["sha256"] for one in shown if one["authority"] == "root")
        account.write(environment_text(changes=[("    path_length: 1\n", f"    path_length: 1\n    sha256: {pin}\n")]))
        result = account.run(party, *status)
        assert result.exit_code == 0, result.output
        body = json.loads(result.stdout)
        assert [one["verified"] for one in body["crls"]] == [True, True]
        # the CRL bucket, listing, and the ledger's table
        assert [one["check"] for one in body["skipped"]] == ["own-crl", "later-crls", "ledger"]
        assert all("AccessDenied" in one["reason"] for one in body["skipped"])


def _whole(folder: Path, persona: Persona) -> Policy:
    folder.mkdir()
    with world(folder) as account:
        policy = account.policy(persona)
        _works(account, persona, policy)
    return policy


def _works(account: World, persona: Persona, policy: Policy) -> None:
    """The whole policy is enough, nothing else was tried, and each of its actions was asked for."""
    assert work(persona, account, account.role(persona.value, policy)) is None
    seen = [one for one in ask_permissions(account.sandbox.port) if one.principal.endswith(f"/persona-{persona.value}")]
    assert {one.action for one in seen if one.decision == "allowed"} | {_SPARES_CALLS} == actions(policy) | {
        _SPARES_CALLS
    }
    # who may not list is asked whether it may, to learn nothing of what is not there
    assert {one.action for one in seen if one.decision == "denied"} <= {"s3:ListBucket"}


@pytest.mark.parametrize("persona", [Persona.PROVISIONER, Persona.AUDITOR])
def test_who_may_not_ask_for_many_tags_at_once_asks_each_ca(persona: Persona, tmp_path: Path) -> None:
    """The one permission that nobody needs, and that everybody should have."""
    with world(tmp_path) as account:
        prepare(account)
        for _ in range(8):
            account.somebody_creates_a_ca()
        policy = account.policy(persona)
        listing = policy["Statement"][0]
        assert _SPARES_CALLS in listing["Action"]
        verb = "plan" if persona is Persona.PROVISIONER else "show"
        for granted in (True, False):
            if not granted:
                listing["Action"].remove(_SPARES_CALLS)
            result = account.run(account.role(persona.value, policy), "ca", verb, "dev")
            assert result.exit_code == 0, result.output
        asked = [one for one in ask_permissions(account.sandbox.port) if one.action == _SPARES_CALLS]
        assert {one.decision for one in asked} == {"allowed", "denied"}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two environments in one account."""
    with world(tmp_path_factory.mktemp("personas")) as account:
        prepare(account)
        account.write(environment_text("prod"), "prod")
        account.done("ca", "apply", "prod", "--yes")
        yield account


class Calls:
    """What somebody tries with the credentials of a role."""

    def __init__(self, account: World, role: str, policy: Policy) -> None:
        self.account = account
        credentials = account.role(role, policy)
        self.ca = account.sandbox.client_as(credentials, "acm-pca")
        self.s3 = account.sandbox.client_as(credentials, "s3")
        self.user = account.sandbox.client_as(credentials, "sts").get_caller_identity()["UserId"]
        self.arns = account.authorities()

    def issue(self, authority: str, template: str) -> str | None:
        return refusal_of(
            lambda: self.ca.issue_certificate(
                CertificateAuthorityArn=self.arns[authority],
                Csr=(self.account.folder / "same.csr").read_bytes(),
                SigningAlgorithm="SHA256WITHECDSA",
                TemplateArn=f"{TEMPLATES}{template}/V1",
                Validity={"Type": "DAYS", "Value": 1},
            )
        )

    def tag(self, authority: str, environment: str) -> str | None:
        return refusal_of(
            lambda: self.ca.tag_certificate_authority(
                CertificateAuthorityArn=self.arns[authority], Tags=[{"Key": "pkiops:environment", "Value": environment}]
            )
        )

    def on(self, operation: str, authority: str, **more: Any) -> str | None:
        call = getattr(self.ca, operation)
        return refusal_of(lambda: call(CertificateAuthorityArn=self.arns[authority], **more))

    def put(self, bucket: str, key: str) -> str | None:
        return refusal_of(lambda: self.s3.put_object(Bucket=bucket, Key=key, Body=b"x"))

    def delete(self, bucket: str, key: str) -> str | None:
        return refusal_of(lambda: self.s3.delete_object(Bucket=bucket, Key=key))

    def get(self, bucket: str, key: str) -> str | None:
        return refusal_of(lambda: self.s3.get_object(Bucket=bucket, Key=key))


REVOCATION = {"CertificateSerial": "aa:bb", "RevocationReason": "UNSPECIFIED"}
CRL_OFF = {"RevocationConfiguration": {"CrlConfiguration": {"Enabled": False}}}


def test_the_issuer_issues_from_its_templates_and_its_ca_alone(accounts: World) -> None:
    calls = Calls(accounts, "issuer", accounts.policy(Persona.ISSUER))
    assert not calls.issue("dev/clients", "EndEntityClientAuthCertificate")
    assert not calls.issue("dev/clients", "EndEntityClientAuthCertificate_APIPassthrough")
    for template in (
        "EndEntityClientAuthCertificate_CSRPassthrough",
        "EndEntityClientAuthCertificate_APICSRPassthrough",
        "EndEntityServerAuthCertificate",
        "EndEntityCertificate",
        "SubordinateCACertificate_PathLen0",
    ):
        assert calls.issue("dev/clients", template), template
    for authority in ("dev/root", "prod/clients"):
        assert calls.issue(authority, "EndEntityClientAuthCertificate"), authority
    assert calls.on("revoke_certificate", "dev/clients", **REVOCATION)
    assert calls.on("update_certificate_authority", "dev/clients", **CRL_OFF)
    assert calls.put(CRL_BUCKET, "crl/x.crl")
    assert calls.put(TRUST_BUCKET, "dev/index.json")
    assert calls.get(CRL_BUCKET, f"crl/{calls.arns['dev/clients'].rpartition('/')[2]}.crl")


def test_the_revoker_issues_nothing_and_revokes_in_its_environment(accounts: World) -> None:
    calls = Calls(accounts, "revoker", accounts.policy(Persona.REVOKER))
    assert calls.issue("dev/clients", "EndEntityClientAuthCertificate")
    assert calls.on("revoke_certificate", "prod/clients", **REVOCATION)
    assert calls.on("update_certificate_authority", "dev/clients", **CRL_OFF)
    assert calls.put(TRUST_BUCKET, "dev/crl/current.json")


def test_the_provisioner_gives_and_takes_no_ca_and_deletes_only_if_it_may(accounts: World) -> None:
    calls = Calls(accounts, "provisioner", accounts.policy(Persona.PROVISIONER))
    assert calls.tag("prod/clients", "dev")
    assert calls.tag("dev/clients", "prod")
    assert calls.on("update_certificate_authority", "prod/clients", **CRL_OFF)
    assert calls.issue("dev/clients", "EndEntityClientAuthCertificate")
    assert calls.issue("prod/root", "SubordinateCACertificate_PathLen0")
    assert calls.put("persona-prod-trust", "prod/index.json")
    assert calls.on("delete_certificate_authority", "dev/clients")

    deleting = Calls(accounts, "provisioner", accounts.policy(Persona.PROVISIONER, "--allow-delete"))
    assert deleting.on("delete_certificate_authority", "prod/clients")
    with pytest.raises(deleting.ca.exceptions.InvalidStateException):  # allowed, and ACTIVE
        deleting.on("delete_certificate_authority", "dev/clients")
    with pytest.raises(deleting.ca.exceptions.InvalidStateException):
        deleting.on("restore_certificate_authority", "dev/clients")


def test_the_publisher_the_auditor_and_a_relying_party_write_their_own_alone(accounts: World) -> None:
    publisher = Calls(accounts, "publisher", accounts.policy(Persona.PUBLISHER))
    assert not publisher.put(TRUST_BUCKET, "dev/trust/timestamp.json")
    for key in (
        "dev/index.json",
        "dev/claims/root/1.json",
        f"dev/acks/{publisher.user}/a.json",
        "prod/crl/current.json",
    ):
        assert publisher.put(TRUST_BUCKET, key), key
    assert publisher.put(CRL_BUCKET, "crl/x.crl")

    party = Calls(accounts, "relying-party", accounts.policy(Persona.RELYING_PARTY))
    assert not party.put(TRUST_BUCKET, f"dev/acks/{party.user}/a.json")
    for key in ("dev/acks/AROASOMEBODYELSE:host/a.json", "dev/index.json", "dev/crl/current.json", "dev/trust/a.json"):
        assert party.put(TRUST_BUCKET, key), key
    assert refusal_of(lambda: party.s3.list_objects_v2(Bucket=TRUST_BUCKET))
    assert party.get(TRUST_BUCKET, "dev/claims/root/1.json")

    auditor = Calls(accounts, "auditor", accounts.policy(Persona.AUDITOR))
    assert auditor.put(TRUST_BUCKET, "dev/index.json")
    assert auditor.on("update_certificate_authority", "dev/clients", **CRL_OFF)
    assert auditor.issue("dev/clients", "EndEntityClientAuthCertificate")


def test_bucket_policies_hold_whoever_may_do_everything(accounts: World) -> None:
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    index, crl, ack = "dev/index.json", "dev/crl/current.json", "dev/acks/AROASOMEBODYELSE:host/a.json"
    may: dict[str, set[str]] = {
        "provisioner": {index, "crl/x.crl"},
        "publisher": {crl},
        "revoker": {"crl/x.crl"},
        "issuer": set(),
        "auditor": set(),
        "somebody": set(),
    }
    for name, keys in may.items():
        calls = Calls(accounts, name, everything)
        for key in (index, crl, ack, "crl/x.crl"):
            bucket = CRL_BUCKET if key.startswith("crl/") else TRUST_BUCKET
            assert (calls.put(bucket, key) is None) == (key in keys), (name, key)
            assert (calls.delete(bucket, key) is None) == (key in keys), (name, key)
    party = Calls(accounts, "relying-party", everything)
    assert party.put(TRUST_BUCKET, ack)
    assert party.put(TRUST_BUCKET, "anywhere/else")
    assert not party.put(TRUST_BUCKET, f"dev/acks/{party.user}/a.json")
    # nobody is locked out of the policy itself
    somebody = Calls(accounts, "somebody", everything)
    kept = somebody.s3.get_bucket_policy(Bucket=TRUST_BUCKET)["Policy"]
    somebody.s3.put_bucket_policy(Bucket=TRUST_BUCKET, Policy=kept)
    assert ACCOUNT in kept
