"""``pkiops trust``: verify and try trust bundles; ``trust_render.py`` adds the verb that writes them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, option
from pkiops.cli.output import emit, emit_json, iso, note, table
from pkiops.cli.wiring import factory_of
from pkiops.errors import InputError, Unreachable, VerificationFailed

if TYPE_CHECKING:
    from pkiops.crl.authorities import KnownAuthority
    from pkiops.factory import Factory
    from pkiops.trust.handshake import Attempt, Identity, Outcome
    from pkiops.trust.probe import Probe, ProbeResult
    from pkiops.trust.render import Choice
    from pkiops.trust.targets.interface import Target
    from pkiops.trust.verify import VerifiedFolder

app = typer.Typer(name="trust", help="Trust bundles: render, verify, handshake.", no_args_is_help=True)

BundleOption = Annotated[str | None, option("--bundle", metavar="BUNDLE", help="This bundle only; all unless given.")]
TargetOption = Annotated[str | None, option("--target", metavar="TARGET", help="This target only; all unless given.")]
AllowEndpoint = Annotated[
    bool, option("--allow-endpoint", guard=True, help="Accept an endpoint that is neither AWS nor this machine.")
]


class Tls(StrEnum):
    """Versions of TLS that can be asked for."""

    V12 = "1.2"
    V13 = "1.3"


class Expect(StrEnum):
    """What a handshake should lead to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


@app.command("verify")
def verify_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that was given to render.")],
    bundle: BundleOption = None,
    target: TargetOption = None,
    probe: Annotated[
        list[str] | None,
        option(
            "--probe", metavar="CERT,KEY", help="Knock with this certificate (full chain): it must get in. Repeatable."
        ),
    ] = None,
    expect_refused: Annotated[
        list[str] | None,
        option("--expect-refused", metavar="CERT,KEY", help="Knock with this one: it must be refused. Repeatable."),
    ] = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Check rendered files by reading them back, and knock over TLS in memory."""
    from pkiops.trust.probe import run_probes
    from pkiops.trust.render import Choice

    probes = [
        *(_probe(text, accepted=True) for text in probe or ()),
        *(_probe(text, accepted=False) for text in expect_refused or ()),
    ]
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    factory.check_account()
    choice = Choice(bundle=bundle, target=target, environments=ctx.obj.environments)
    looked_at = _verified(factory, folder, choice)
    _note_other_clock(factory)
    results = [(v, run_probes(v.relying_party, probes) if v.relying_party else ()) for v in looked_at]
    if format_ is Format.JSON:
        body = {"folders": [_verified_json(one, knocks) for one, knocks in results]}
        emit_json("trust-verify", environment, factory.clock.now(), body)
    else:
        emit("\n\n".join(_verified_text(one, knocks) for one, knocks in results))
    _require_verified(environment, folder, results)


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
        float, option("--timeout", metavar="SECONDS", min=0.1, max=600, help="For everything together.")
    ] = 10.0,
    expect: Annotated[Expect, option("--expect", help="What must come of it for exit code 0.")] = Expect.ACCEPTED,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Make a real mutual TLS handshake and say in plain words what came of it."""
    from pkiops.clock import SystemClock
    from pkiops.trust.handshake import Address, Attempt, knock

    del ctx
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
    clock = SystemClock()
    outcome = knock(attempt, clock)
    hints = _identity_hints(attempt, outcome)
    if format_ is Format.JSON:
        emit_json("trust-handshake", None, clock.now(), _outcome_json(attempt, outcome, hints))
    else:
        emit(_outcome_text(attempt, outcome, hints))
    _exit_as_expected(attempt, outcome, expect)


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


def _verified(factory: Factory, folder: Path, choice: Choice) -> list[VerifiedFolder]:
    from pkiops.crl.authorities import observe_authorities
    from pkiops.crl.silent import silent_authorities
    from pkiops.trust.render import chosen_targets, speaking
    from pkiops.trust.verify import Expected, verify_folder

    now = factory.clock.now()
    chosen = list(chosen_targets(factory.environment, choice))
    authorities = observe_authorities(factory.environment, factory.backend, now).known

    def look(name: str, target_name: str, kind: Target, silent: tuple[KnownAuthority, ...] = ()) -> VerifiedFolder:
        expected = Expected(
            environment=factory.environment,
            authorities=speaking(factory.environment, name, authorities, silent),
            bundle=name,
            target_name=target_name,
            target=kind,
            at=now,
        )
        return verify_folder(folder / name / target_name, expected)

    looked_at = [look(*one) for one in chosen]
    if any(finding.code == "trust.crl-missing" for one in looked_at for finding in one.findings):
        # only now is it worth asking whether there is a CRL that could be missing
        silent = silent_authorities(authorities, factory.backend, published=())
        looked_at = [look(*one, silent) for one in chosen]
    return looked_at


def _require_verified(
    environment: str, folder: Path, results: list[tuple[VerifiedFolder, tuple[ProbeResult, ...]]]
) -> None:
    found = sum(len(one.findings) for one, _ in results)
    wrong = found + sum(not knock.as_expected for _, knocks in results for knock in knocks)
    shut_out = all(knock.as_expected or knock.expected for _, knocks in results for knock in knocks)
    if not wrong:
        return
    if shut_out and not found:
        message = f"{folder}: the files are sound, but {_count(wrong, 'handshake')} did not end as expected"
        hint = "the reason is beside each: is it the right certificate, and are the files of now? pkiops cert verify FILE --env"
        raise VerificationFailed(message, hint=f"{hint} {environment}", code="trust.handshakes")
    raise VerificationFailed(
        f"{folder}: {_count(wrong, 'problem')}; do not load these files",
        hint=f"render again: pkiops trust render {environment} --to {folder}",
        code="trust.findings",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _note_other_clock(factory: Factory) -> None:
    from pkiops.clock import SystemClock

    if abs((factory.clock.now() - SystemClock().now()).total_seconds()) > 300:
        note(
            f"the clock of the CA says {iso(factory.clock.now())}, which is not the time of this machine; "
            "handshakes are judged by this machine's clock"
        )


def _identity(cert: Path | None, key: Path | None) -> Identity | None:
    from pkiops.trust.handshake import Identity

    if (cert is None) != (key is None):
        raise InputError(
            "--cert and --key belong together", hint="give both, or neither to knock without a certificate"
        )
    return Identity(cert, key) if cert is not None and key is not None else None


def _probe(text: str, *, accepted: bool) -> Probe:
    from pkiops.trust.handshake import Identity
    from pkiops.trust.probe import Probe

    cert, separator, key = text.rpartition(",")
    if not (cert and separator and key):
        raise InputError(
            f"not a certificate and a key: {text!r}", hint="write CERT,KEY: two files with a comma between"
        )
    return Probe(cert, Identity(Path(cert), Path(key)), accepted)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("ascii", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _identity_hints(attempt: Attempt, outcome: Outcome) -> tuple[str, ...]:
    from pkiops.clock import SystemClock
    from pkiops.trust.handshake import Result
    from pkiops.trust.identity_hints import hints_about

    if attempt.identity is None or outcome.result is not Result.REFUSED:
        return ()
    return hints_about(attempt.identity, SystemClock().now())


def _verified_json(one: VerifiedFolder, knocks: tuple[ProbeResult, ...]) -> dict[str, Any]:
    return {
        "bundle": one.bundle,
        "target": one.target,
        "path": str(one.path),
        "anchors": list(one.anchors),
        "crls": list(one.crls),
        "findings": [{"code": f.code, "file": f.file, "message": f.message} for f in one.findings],
        "handshakes": [
            {
                "client": k.name,
                "tls": k.tls,
                "result": "accepted" if k.accepted else "refused",
                "expected": "accepted" if k.expected else "refused",
                "as_expected": k.as_expected,
                "reason": k.reason or None,
            }
            for k in knocks
        ],
    }


def _verified_text(one: VerifiedFolder, knocks: tuple[ProbeResult, ...]) -> str:
    ok = not one.findings and all(k.as_expected for k in knocks)
    holds = f"{_count(len(one.anchors), 'anchor')}, {_count(len(one.crls), 'CRL')}"
    lines = [f"{one.bundle}/{one.target}: {'ok' if ok else 'NOT OK'} ({holds})"]
    lines += [f"  {f.file}: {f.message} [{f.code}]" for f in one.findings]
    rows = [
        (
            k.name,
            k.tls,
            "accepted" if k.accepted else "refused",
            "as expected" if k.as_expected else "NOT EXPECTED",
            k.reason,
        )
        for k in knocks
    ]
    return "\n".join([*lines, *([table(("CLIENT", "TLS", "RESULT", "", "REASON"), rows)] if rows else [])])


def _outcome_json(attempt: Attempt, outcome: Outcome, hints: tuple[str, ...]) -> dict[str, Any]:
    return {
        "address": str(attempt.address),
        "result": outcome.result.value,
        "refused_by": outcome.refused_by.value if outcome.refused_by else None,
        "code": outcome.code,
        "summary": outcome.summary,
        "advice": outcome.advice,
        "hints": list(hints),
        "certificate_sent": attempt.identity is not None,
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
