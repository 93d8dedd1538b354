"""``env iam-policy --persona provisioner --allow-delete``: enough to retire a CA and take it back, and nothing of it in vain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pkiops.environment.models import Persona
from tests.aws.persona_work import prepare
from tests.aws.persona_world import World, world
from tests.aws.test_personas import less

# what an apply needs, and retiring does not, is proven in test_personas.py
_OF_RETIRING = ("Retire", "ReadObjects", "Fetch", "Keep: acm-pca:UpdateCertificateAuthority")


def retire(account: World, credentials: Mapping[str, Any]) -> str | None:
    """Disable, delete, restore, enable; the first command that was refused for lack of a permission."""
    # the service makes one report in half an hour
    account.clock.advance(timedelta(minutes=31))
    for verb in ("disable", "delete", "restore", "enable"):
        more = ["--allow-live-certificates"] if verb == "delete" else []
        result = account.run(credentials, "ca", verb, "dev", "clients", "--yes", *more)
        if result.exit_code:
            assert "AccessDenied" in result.output, (verb, result.output)
            return verb
    return None


def undo(account: World) -> None:
    """Bring the CA back to ACTIVE by the administrator, whatever was reached."""
    client = account.sandbox.client("acm-pca")
    for one in client.list_certificate_authorities()["CertificateAuthorities"]:
        if one["Status"] == "DELETED":
            client.restore_certificate_authority(CertificateAuthorityArn=one["Arn"])
        if one["Status"] in {"DELETED", "DISABLED"}:
            client.update_certificate_authority(CertificateAuthorityArn=one["Arn"], Status="ACTIVE")


def test_who_may_delete_needs_all_of_that(tmp_path: Path) -> None:
    with world(tmp_path) as account:
        prepare(account)
        policy = account.policy(Persona.PROVISIONER, "--allow-delete")
        assert retire(account, account.role("provisioner", policy)) is None
        tried = []
        for what, smaller in less(policy, parts=True):
            if not what.startswith(_OF_RETIRING) or "index.json" in what or "claims" in what:
                continue
            tried.append(what)
            assert retire(account, account.role("provisioner", smaller)), f"not needed: {what}"
            undo(account)
        assert {
            "Retire: acm-pca:DeleteCertificateAuthority",
            "Retire: acm-pca:RestoreCertificateAuthority",
            "Retire: acm-pca:CreateCertificateAuthorityAuditReport",
            "Retire: acm-pca:DescribeCertificateAuthorityAuditReport",
            "ReadObjects: arn:aws:s3:::persona-dev-crl/audit-report/*",
            "ReadObjects: arn:aws:s3:::persona-dev-crl/*.crl",
            "Fetch",
        } <= set(tried)


def test_without_the_word_nothing_is_deleted(tmp_path: Path) -> None:
    with world(tmp_path) as account:
        prepare(account)
        credentials = account.role("provisioner", account.policy(Persona.PROVISIONER))
        assert retire(account, credentials) == "delete"
        assert account.run(credentials, "ca", "enable", "dev", "clients", "--yes").exit_code == 0
