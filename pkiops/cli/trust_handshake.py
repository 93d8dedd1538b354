"""``pkiops trust handshake``: what a running server makes of a client, what it asks for, and whom it lets in."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.options import Format, FormatOption, option
from pkiops.cli.output import emit, emit_json
from pkiops.cli.trust import AllowEndpoint, ExpectRefusedOption, ProbeOption, app, probe_of
from pkiops.cli.trust_advertised import Against, require_answers, survey_json, survey_text
from pkiops.cli.trust_steps import StepPrinter
from pkiops.cli.wiring import factory_of
from pkiops.errors import InputError, Unreachable, VerificationFailed

if TYPE_CHECKING:
    from pkiops.trust.advertised import Heard
    from pkiops.trust.handshake import Attempt, Identity, Outcome


class Tls(StrEnum):
    """Versions of TLS that can be asked for."""

    V12 = "1.2"
    V13 = "1.3"


class Expect(StrEnum):
    """What a handshake should lead to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


@app.command("handshake")
def handshake_command(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The server to knock at.")],
    *,
    cert: Annotated[
        Path | None, option("--cert", metavar="FILE", help="Client certificate, followed by the CAs above it (PEM).")
    ] = None,
    key: Annotated[Path | None, option("--key", metavar="FILE", help="Its private key (PEM).")] = None,
    ca: Annotated[
        Path | None, option("--ca", metavar="FILE", help="CAs that may have issued the server's certificate (PEM).")
    ] = None,
    insecure_server: Annotated[
        bool, option("--insecure-server", guard=True, help="Accept whatever certificate the server has.")
    ] = False,
    server_name: Annotated[
        str | None, option("--server-name", metavar="HOST", help="Host name to ask for; HOST unless given.")
    ] = None,
    tls: Annotated[Tls | None, option("--tls", help="This version of TLS only.")] = None,
    timeout: Annotated[
        float,
        option(
            "--timeout",
            metavar="SECONDS",
            min=0.1,
            max=600,
            help="For everything together; with --advertised, for each handshake.",
        ),
    ] = 10.0,
    expect: Annotated[
        Expect | None,
        option(
            "--expect",
            help="What must come of it for exit code 0: accepted. With --advertised, of no certificate: refused.",
        ),
    ] = None,
    advertised: Annotated[
        bool,
        option("--advertised", help="Ask which CAs it names, and knock without a certificate and with each probe."),
    ] = False,
    env: Annotated[
        str | None, option("--env", metavar="ENV", help="With --advertised: compare with a bundle of this environment.")
    ] = None,
    bundle: Annotated[
        str | None, option("--bundle", metavar="BUNDLE", help="This bundle of --env; its only one unless given.")
    ] = None,
    probe: ProbeOption = None,
    expect_refused: ExpectRefusedOption = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Make a real mutual TLS handshake and say in plain words what came of it."""
    from pkiops.clock import SystemClock
    from pkiops.trust.advertised import listen
    from pkiops.trust.handshake import Address, Attempt

    if ca is not None and insecure_server:
        raise InputError("--ca and --insecure-server exclude each other")
    attempt = Attempt(
        address=Address.parse(address),
        identity=_identity(cert, key),
        server_ca=_read_text(ca) if ca is not None else None,
        verify_server=not insecure_server,
        server_name=server_name,
        tls=tls.value if tls else None,
        timeout=timeout,
    )
    survey = _SurveyOptions(env, bundle, tuple(probe or ()), tuple(expect_refused or ()))
    if advertised:
        against = _against(ctx, survey, attempt, allow_endpoint=allow_endpoint)
        _survey(attempt, survey, expect, format_, against, StepPrinter(ctx, SystemClock(), ca))
        return
    survey.require_none(ctx)
    clock = SystemClock()
    steps = StepPrinter(ctx, clock, ca)
    heard = listen(attempt, clock, steps.watcher(attempt))
    hints = _hints(attempt, heard)
    if format_ is Format.JSON:
        body = {**_outcome_json(attempt, heard, hints), "steps": steps.as_json()}
        emit_json("trust-handshake", None, clock.now(), body)
    else:
        emit(_outcome_text(attempt, heard.outcome, hints))
    _exit_as_expected(attempt, heard.outcome, expect or Expect.ACCEPTED)


@dataclass(frozen=True)
class _SurveyOptions:
    """The options that mean something with ``--advertised`` alone."""

    env: str | None
    bundle: str | None
    probe: tuple[str, ...]
    expect_refused: tuple[str, ...]

    def require_none(self, ctx: typer.Context) -> None:
        """Refuse what was asked for in vain; what an environment variable says is meant for other calls."""
        said = [
            field.name for field in fields(self) if str(ctx.get_parameter_source(field.name)).endswith("COMMANDLINE")
        ]
        given = [f"--{name.replace('_', '-')}" for name in said]
        if given:
            raise InputError(
                f"{given[0]} belongs to --advertised", hint="add --advertised, or knock with --cert and --key"
            )


def _survey(
    attempt: Attempt,
    options: _SurveyOptions,
    expect: Expect | None,
    format_: Format,
    against: Against | None,
    steps: StepPrinter,
) -> None:
    from pkiops.clock import SystemClock
    from pkiops.trust.advertised import survey

    probes = [
        *(probe_of(text, accepted=True) for text in options.probe),
        *(probe_of(text, accepted=False) for text in options.expect_refused),
    ]
    clock = SystemClock()
    found = survey(
        attempt,
        probes,
        clock,
        without_certificate=expect is Expect.ACCEPTED,
        watching=steps.watcher_of_many if steps.wanted else None,
    )
    if format_ is Format.JSON:
        emit_json(
            "trust-advertised",
            options.env,
            clock.now(),
            {**survey_json(attempt, found, against), "steps": steps.as_json_of_many()},
        )
    else:
        emit(survey_text(attempt, found, against))
    require_answers(attempt, found, against)


def _against(ctx: typer.Context, options: _SurveyOptions, attempt: Attempt, *, allow_endpoint: bool) -> Against | None:
    """The names to compare with, once it is sure that the options fit together."""
    from pkiops.crl.authorities import observe_authorities
    from pkiops.trust.advertised_names import bundle_to_compare, our_names

    if attempt.identity is not None:
        raise InputError("--cert and --advertised exclude each other", hint="give the client as --probe CERT,KEY")
    if options.env is None:
        if options.bundle is not None:
            raise InputError("--bundle belongs to --env", hint="say with --env whose bundle it is")
        return None
    factory = factory_of(ctx, options.env, allow_endpoint=allow_endpoint)
    name = bundle_to_compare(factory.environment, options.bundle)
    factory.check_account()
    known = observe_authorities(factory.environment, factory.backend, factory.clock.now()).known
    return Against(f"{options.env}/{name}", our_names(factory.environment, name, known))


def _exit_as_expected(attempt: Attempt, outcome: Outcome, expect: Expect) -> None:
    from pkiops.trust.handshake import Result, Side

    if outcome.result is Result.UNREACHABLE:
        raise Unreachable(
            f"{attempt.address}: {outcome.summary}", hint=outcome.advice, code=f"handshake.{outcome.code}"
        )
    if expect is Expect.REFUSED and outcome.refused_by is Side.CLIENT:
        raise VerificationFailed(
            f"{attempt.address}: it was we who refused the server, which says nothing of what it makes of clients",
            hint=outcome.advice,
            code=f"handshake.{outcome.code}",
        )
    if outcome.result.value != expect.value:
        raise VerificationFailed(
            f"{attempt.address}: {outcome.result.value}, but {expect.value} was expected"
            if expect is Expect.REFUSED
            else f"{attempt.address}: the handshake was refused",
            hint=outcome.advice,
            code=f"handshake.{outcome.code}",
        )


def _identity(cert: Path | None, key: Path | None) -> Identity | None:
    from pkiops.trust.handshake import Identity

    if (cert is None) != (key is None):
        raise InputError(
            "--cert and --key belong together", hint="give both, or neither to knock without a certificate"
        )
    return Identity(cert, key) if cert is not None and key is not None else None


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("ascii", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _hints(attempt: Attempt, heard: Heard) -> tuple[str, ...]:
    from pkiops.clock import SystemClock
    from pkiops.trust.handshake import Result
    from pkiops.trust.identity_hints import hints_about

    if attempt.identity is None:
        return ()
    if heard.asked is False:
        return ("the server did not ask for a client certificate, so yours was not sent",)
    return hints_about(attempt.identity, SystemClock().now()) if heard.outcome.result is Result.REFUSED else ()


def _outcome_json(attempt: Attempt, heard: Heard, hints: tuple[str, ...]) -> dict[str, Any]:
    outcome = heard.outcome
    return {
        "address": str(attempt.address),
        "result": outcome.result.value,
        "refused_by": outcome.refused_by.value if outcome.refused_by else None,
        "code": outcome.code,
        "summary": outcome.summary,
        "advice": outcome.advice,
        "hints": list(hints),
        "certificate_asked_for": heard.asked,
        "certificate_sent": attempt.identity is not None and heard.asked is not False,
        "tls_version": outcome.tls_version,
        "cipher": outcome.cipher,
        "http_status": outcome.http_status,
    }


def _outcome_text(attempt: Attempt, outcome: Outcome, hints: tuple[str, ...]) -> str:
    who = {"server": " by the server", "client": " by us: we did not accept the server", None: ""}
    lines = [f"{outcome.result.value.upper()}{who[outcome.refused_by and outcome.refused_by.value]}: {attempt.address}"]
    lines.append(f"  why:   {outcome.summary}")
    lines += [f"  note:  {hint}" for hint in hints]
    lines.append(f"  next:  {outcome.advice}")
    if outcome.tls_version:
        lines.append(f"  over:  {outcome.tls_version}, {outcome.cipher}")
    return "\n".join(lines)
