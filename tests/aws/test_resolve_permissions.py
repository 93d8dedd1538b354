"""``env iam-policy --persona issuer --allow-resolve``: enough to resolve what is unknown, and nothing of it in vain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pkiops.environment.models import Persona
from pkiops.sandbox.faults import fault
from pkiops.sandbox.traffic import Hindrances
from tests.aws.persona_work import prepare
from tests.aws.persona_world import ADMINISTRATOR, World, world
from tests.aws.test_personas import less


def lose(account: World, number: int) -> None:
    """A request whose answer could not be written, and then nobody can ask for it any more; the service makes one report in half an hour."""
    account.sandbox.hinder(Hindrances(faults=(fault("PutItem:2:before:AccessDeniedException"),)))
    order = ("--profile", "service", "--csr", "@same.csr", "--request-id", str(number), "--output", "lost.pem")
    assert account.run({**ADMINISTRATOR}, "cert", "issue", "dev", *order).exit_code == 6
    account.sandbox.hinder(Hindrances())
    account.clock.advance(timedelta(minutes=31))


def resolve(account: World, credentials: Mapping[str, Any]) -> str | None:
    """What was refused for lack of a permission; None if all is resolved."""
    result = account.run(credentials, "cert", "resolve", "dev")
    if result.exit_code == 0:
        assert "1 issued" in result.stdout
        return None
    assert result.exit_code == 6, result.output
    assert "AccessDenied" in result.output, result.output
    return result.stderr


def test_who_may_resolve_needs_all_of_that(tmp_path: Path) -> None:
    with world(tmp_path) as account:
        prepare(account)
        lose(account, 0)
        policy = account.policy(Persona.ISSUER, "--allow-resolve")
        tried = []
        issuing = {statement["Sid"] for statement in account.policy(Persona.ISSUER)["Statement"]}
        for what, smaller in less(policy, parts=True):
            sid, _, part = what.partition(": ")
            added = sid not in issuing or part.endswith(("/by-open", "/by-authority")) or what == "Fetch"
            if added:
                tried.append(what)
                assert resolve(account, account.role("issuer", smaller)), f"not needed: {what}"
        assert {one.rpartition("/")[2] for one in tried} == {
            "Fetch",
            "Audit",
            "Audit: acm-pca:CreateCertificateAuthorityAuditReport",
            "Audit: acm-pca:DescribeCertificateAuthorityAuditReport",
            "Audit: clients",
            "FindObjects",
            "ReadObjects",
            "by-open",
            "by-authority",
        }
        assert resolve(account, account.role("issuer", policy)) is None
        lose(account, 1)
        refused = resolve(account, account.role("issuer", account.policy(Persona.ISSUER)))
        assert refused is not None
