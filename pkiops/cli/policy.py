"""``pkiops policy``: what the rules of a profile say about a request."""

from __future__ import annotations

from typing import Annotated

import typer

from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, option
from pkiops.cli.output import emit, emit_json
from pkiops.cli.wiring import environment_of

app = typer.Typer(name="policy", help="Issuance rules: explain decisions, test them.", no_args_is_help=True)


@app.command("explain")
def explain_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    profile: Annotated[str, option("--profile", help="Profile of the environment file.", metavar="PROFILE")],
    csr: Annotated[str, option("--csr", help="The request, PEM or DER; - reads it from stdin.", metavar="FILE|-")],
    san: Annotated[
        list[str], option("--san", help="A name in place of the request's, as dns:NAME; repeat.", metavar="NAME")
    ] = [],  # noqa: B006 - typer copies it
    validity: Annotated[
        str | None, option("--validity", metavar="DURATION", help="12h, 30d; unless given, the profile's default.")
    ] = None,
    requester: Annotated[
        str | None,
        option("--requester", metavar="WHO", help="Who would ask: an ARN, or a CI job as github:owner/repository@ref."),
    ] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show what every rule says about a request, and what would pass; exit code 4 if it is refused. Makes no call."""
    from pkiops.cert.explain import explain, explanation_json, explanation_text
    from pkiops.cli.cert import duration_of
    from pkiops.cli.cert_files import read_bounded
    from pkiops.clock import SystemClock
    from pkiops.errors import InputError
    from pkiops.policy.findings import Facts
    from pkiops.policy.requesters import requester_problem
    from pkiops.x509.csr import MAX_CSR_BYTES
    from pkiops.x509.san import parse_san

    if requester and (problem := requester_problem(requester)):
        raise InputError(f"--requester {requester}: nobody is called that", hint=problem, code="usage.arguments")
    loaded = environment_of(ctx, environment)
    names, life = tuple(parse_san(text) for text in san), duration_of(validity)
    data, source = read_bounded(csr, MAX_CSR_BYTES)
    now = SystemClock().now()
    facts = Facts(requesters=(requester,) if requester else None)
    explained = explain(loaded, profile, data, source, sans=names, validity=life, facts=facts, now=now)
    if format_ is Format.JSON:
        emit_json("policy-explain", environment, now, explanation_json(explained))
    else:
        emit(explanation_text(explained))
    error = explained.error()
    if error is not None:
        raise error


@app.command("test")
def run_tests_command(
    ctx: typer.Context, environment: EnvironmentArgument, format_: FormatOption = Format.TEXT
) -> None:
    """Judge the requests of policy-tests/ENV.yaml; exit code 8 if a verdict is not the expected one. Makes no call."""
    from pkiops.cert.policy_tests import failure, result_json, run_policy_tests
    from pkiops.clock import SystemClock
    from pkiops.environment.policy_tests import load_policy_tests

    loaded = environment_of(ctx, environment)
    tests = load_policy_tests(loaded, ctx.obj.environments)
    now = SystemClock().now()
    results = run_policy_tests(loaded, tests, now)
    if format_ is Format.JSON:
        emit_json("policy-test", environment, now, {"tests": [result_json(one) for one in results]})
    else:
        emit("\n".join(one.line() for one in results))
    error = failure(results)
    if error is not None:
        raise error
