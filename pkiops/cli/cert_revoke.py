"""``pkiops cert revoke``: what is about to be revoked, the question, and what came of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.cert import AllowEndpoint, app
from pkiops.cli.cert_files import MAX_CERTIFICATE_BYTES, STDIN, read_bounded
from pkiops.cli.cert_revoke_wait import WAIT_TIMEOUT, Waiting, WaitOption, WaitTimeoutOption, waiting_of
from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, YesOption, option
from pkiops.cli.output import ask, emit, emit_json, note
from pkiops.cli.wiring import factory_of, progress_of

if TYPE_CHECKING:
    from pkiops.cert.revoke import Revocation, RevocationPlan, Revoked, Target
    from pkiops.factory import Factory


class ReasonChoice(StrEnum):
    """Why a certificate is revoked (RFC 5280 section 5.3.1)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"


ReasonOption = Annotated[
    ReasonChoice, option("--reason", metavar="REASON", help=f"Goes into the CRL: {', '.join(ReasonChoice)}.")
]


@app.command("revoke")
def revoke_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERIAL|ARN|FILE]...", help="Serial in hex, ARN, or the certificate; - is stdin."),
    ] = None,
    *,
    from_: Annotated[
        str | None,
        option("--from", metavar="FILE|-", help="A list: one of these on each line, or CSV with serial,reason."),
    ] = None,
    name: Annotated[
        list[str],
        option("--name", metavar="NAME", help="Every unexpired certificate with that name in the ledger; repeat."),
    ] = [],  # noqa: B006 - typer copies it
    reason: ReasonOption = ReasonChoice.UNSPECIFIED,
    authority: Annotated[
        str | None,
        option("--authority", help="The CA that issued it, where it is not known otherwise.", metavar="LABEL"),
    ] = None,
    wait: WaitOption = False,
    wait_timeout: WaitTimeoutOption = WAIT_TIMEOUT,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Revoke certificates. It cannot be undone."""
    from pkiops.backends.interface import RevocationReason
    from pkiops.cli.cert_revoke_many import Selection, revoke_many, wanted_rows

    why, words = RevocationReason(reason.value), targets or []
    single = _target(words[0]) if len(words) == 1 and from_ is None and not name else None
    rows = wanted_rows(words, from_, name, why, _target) if single is None else []
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    use_case = _revocation(ctx, factory)
    waiting = waiting_of(factory, use_case, wait_timeout, wait=wait)
    if single is not None:
        plan = use_case.plan(single, reason=why, authority=authority)
        _revoke_one(factory, use_case, plan, waiting, format_, yes=yes)
        return
    selection = Selection(rows, names=name, reason=why, authority=authority)
    revoke_many(factory, use_case, selection, waiting, format_, yes=yes, progress=progress_of(ctx))


def _target(word: str) -> Target:
    from pkiops.cert.revoke_list import read_target
    from pkiops.x509.certificate import load_certificate

    if word == STDIN:
        return load_certificate(*read_bounded(word, MAX_CERTIFICATE_BYTES))
    return read_target(word, Path(), lambda path: read_bounded(path, MAX_CERTIFICATE_BYTES))


def _revoke_one(
    factory: Factory, use_case: Revocation, plan: RevocationPlan, waiting: Waiting, format_: Format, *, yes: bool
) -> None:
    from pkiops.cert.report import revoked_json

    note(_described(plan))
    waiting.check([plan])
    if plan.known_revocation is None:
        ask(f"Revoke certificate {plan.serial} for good?", yes=yes)
    revoked = use_case.revoke(plan)
    body = revoked_json(revoked, factory.clock.now())
    if format_ is Format.TEXT:
        _say_revoked(revoked)
    waiting.wait([plan])
    if format_ is Format.JSON:
        emit_json("cert-revoke", plan.environment, factory.clock.now(), {**body, **waiting.json()})
    waiting.end()


def _revocation(ctx: typer.Context, factory: Factory) -> Revocation:
    from pkiops.cert.revoke import Revocation

    return Revocation(
        environment=factory.environment,
        backend=factory.backend,
        ledger=factory.ledger,
        clock=factory.clock,
        requester=lambda: _caller(factory),
        store=factory.trust_store,
        credential=factory.credential,
        progress=progress_of(ctx),
    )


def _caller(factory: Factory) -> str:
    factory.check_account()
    return factory.caller()


def _described(plan: RevocationPlan) -> str:
    known = plan.known_revocation
    reason = known.reason if known else plan.reason.value
    lines = [f"certificate {plan.serial} of {plan.environment}/ca/{plan.authority}, reason {reason}"]
    lines.append(f"  subject: {plan.subject or 'not known here'}")
    if plan.not_after is not None:
        lines.append(f"  valid until: {plan.not_after:%Y-%m-%dT%H:%M:%SZ}")
    if known is not None:
        lines.append(f"  revoked already, on {known.at:%Y-%m-%dT%H:%M:%SZ}; its reason stays")
    return "\n".join(lines)


def _say_revoked(revoked: Revoked) -> None:
    plan = revoked.plan
    minutes = -(-revoked.in_crl_after_seconds // 60)
    when = f"in about {minutes} minutes" if minutes else "by now"
    emit(f"certificate {plan.serial} {'was revoked already' if revoked.already_revoked else 'is revoked'}")
    note(f"the CRL of {plan.environment}/ca/{plan.authority} carries it {when}: {revoked.crl_url or 'no CRL'}")
    note(f"then hand it to your servers: pkiops crl publish {plan.environment}")
