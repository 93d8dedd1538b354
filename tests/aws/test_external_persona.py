"""A CA that is signed elsewhere, by people with exactly their policies: who provisions it never signs anything, and needs no right to."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.clock import ManualClock
from pkiops.environment.models import Persona
from pkiops.sandbox.iam_record import ask_permissions
from tests import builders
from tests.aws.persona_world import World, environment_text, world
from tests.offline_root import OfflineRoot
from tests.sandbox_server import START


def external_text(root: OfflineRoot) -> str:
    """The environment of the personas, its root kept elsewhere."""
    text = environment_text()
    start, end = text.index("authorities:\n  root:"), text.index("  clients:\n")
    declared = f"external_authorities: {{root: {{sha256: {root.sha256}}}}}\nauthorities:\n"
    return text[:start] + declared + text[end:]


def bring(account: World, root: OfflineRoot, csr: bytes) -> None:
    (account.folder / "clients.pem").write_bytes(root.sign(csr))
    (account.folder / "chain.pem").write_bytes(root.chain)


def test_the_provisioner_asks_for_a_signature_and_installs_it_and_renews_it(tmp_path: Path) -> None:
    with world(tmp_path) as account:
        root = OfflineRoot(START)
        account.write(external_text(root))
        policy = account.policy(Persona.PROVISIONER)
        role = account.role("provisioner", policy)
        for words in (("ca", "plan", "dev"), ("ca", "apply", "dev", "--yes")):
            result = account.run(role, *words)
            assert result.exit_code == 0, result.output
        for _ in range(2):
            asked = account.run(role, "ca", "csr", "dev", "clients", "--format", "json")
            assert asked.exit_code == 0, asked.output
            bring(account, root, json.loads(asked.stdout)["csr"].encode())
            command = ("ca", "install", "dev", "clients", "@clients.pem", "--chain", "@chain.pem", "--yes")
            installed = account.run(role, *command)
            assert installed.exit_code == 0, installed.output
        assert account.run(role, "ca", "plan", "dev").exit_code == 0
        seen = [one for one in ask_permissions(account.sandbox.port) if one.principal.endswith("/persona-provisioner")]
        assert not [one for one in seen if one.decision != "allowed" and one.action.startswith("acm-pca:")]
        assert "acm-pca:IssueCertificate" not in json.dumps(policy)
        for action in ("acm-pca:GetCertificateAuthorityCsr", "acm-pca:ImportCertificateAuthorityCertificate"):
            less = json.loads(json.dumps(policy).replace(f'"{action}", ', "").replace(f', "{action}"', ""))
            assert less != policy
            bring(account, root, json.loads(asked.stdout)["csr"].encode())
            refused = account.run(account.role("provisioner", less), *command)
            assert refused.exit_code == 6
            assert action.removeprefix("acm-pca:") in refused.stderr


def test_the_publisher_brings_the_crl_of_the_root(tmp_path: Path) -> None:
    with world(tmp_path) as account:
        root = OfflineRoot(START)
        account.write(external_text(root))
        account.done("ca", "apply", "dev", "--yes")
        asked = account.done("ca", "csr", "dev", "clients", "--format", "json")
        bring(account, root, json.loads(asked.stdout)["csr"].encode())
        account.done("ca", "install", "dev", "clients", "@clients.pem", "--chain", "@chain.pem", "--yes")
        # the service writes a CA's first CRL with its first certificate
        request = builders.csr({"common_name": "a.svc.dev.example.com"}, sans=("dns:a.svc.dev.example.com",))
        (account.folder / "a.csr").write_bytes(request)
        account.done("cert", "issue", "dev", "--profile", "service", "--csr", "@a.csr", "--output", "@a.pem")
        crl = builders.crl(root.issued, at=START, next_update=START + timedelta(days=90))
        (account.folder / "root.crl").write_bytes(crl.public_bytes(Encoding.DER))
        role = account.role("publisher", account.policy(Persona.PUBLISHER))
        for more in (("--external-crl", "@root.crl"), ()):
            result = account.run(role, "crl", "publish", "dev", *more)
            assert result.exit_code == 0, result.output
            assert "root-g1" in result.stdout
        doctored(account)


def test_the_publisher_finds_the_parts_of_a_crl(tmp_path: Path) -> None:
    with world(tmp_path) as account:
        in_parts = ("crl: {validity: 7d}", "crl: {validity: 7d, type: PARTITIONED}")
        unchecked = ("targets: {pem: {}}}", "targets: {pem: {}}, revocation: none}")
        account.write(environment_text(changes=[in_parts, unchecked]))
        account.done("ca", "apply", "dev", "--yes")
        request = builders.csr({"common_name": "a.svc.dev.example.com"}, sans=("dns:a.svc.dev.example.com",))
        (account.folder / "a.csr").write_bytes(request)
        account.done("cert", "issue", "dev", "--profile", "service", "--csr", "@a.csr", "--output", "@a.pem")
        policy = account.policy(Persona.PUBLISHER)
        result = account.run(account.role("publisher", policy), "crl", "publish", "dev", "--format", "json")
        assert result.exit_code == 0, result.output
        assert [one["authority"] for one in json.loads(result.stdout)["crls"] if one["scope"]] == ["clients"]
        less = json.loads(json.dumps(policy).replace('"s3:ListBucket"', '"s3:GetBucketTagging"'))
        assert less != policy
        blind = account.run(account.role("publisher", less), "crl", "publish", "dev")
        assert blind.exit_code == 6
        assert "ListObjectsV2" in blind.stderr


def doctored(account: World) -> None:
    """The auditor is told of the root's CRL in time, by exactly the policy of the auditor; without the right to the set, that it cannot be seen."""
    policy = account.policy(Persona.AUDITOR)
    less = json.loads(json.dumps(policy).replace('"arn:aws:s3:::persona-dev-trust/dev/crl/*"', '"arn:aws:s3:::x/y"'))
    assert less != policy

    def findings(given: dict[str, Any]) -> list[tuple[str, str]]:
        words = ("ca", "doctor", "dev", "--no-probe", "--format", "json")
        document = json.loads(account.run(account.role("auditor", given), *words).stdout)
        return [(one["code"], one["where"]) for one in document["findings"]]

    early, expiring = findings(policy), ("crl.external-expiring", "dev/ca/root")
    assert not {code for code, _ in early} & {"access.denied", "access.failed", expiring[0]}
    assert isinstance(account.sandbox.clock, ManualClock)
    account.sandbox.clock.advance(timedelta(days=70))
    assert expiring in findings(policy)
    blind = findings(less)
    assert expiring not in blind
    assert ("access.denied", "s3://persona-dev-trust/dev/crl") in blind
