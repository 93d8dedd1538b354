"""``pkiops trust``: render, verify and try trust bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, OverwriteOption, option
from pkiops.cli.output import emit, emit_json, iso, note, table
from pkiops.cli.wiring import factory_of, progress_of
from pkiops.errors import InputError, VerificationFailed

if TYPE_CHECKING:
    from pkiops.crl.authorities import KnownAuthority
    from pkiops.factory import Factory
    from pkiops.trust.probe import Probe, ProbeResult
    from pkiops.trust.render import Choice, RenderedTarget
    from pkiops.trust.targets.interface import Target
    from pkiops.trust.verify import VerifiedFolder

app = typer.Typer(name="trust", help="Trust bundles: render, verify, handshake.", no_args_is_help=True)

BundleOption = Annotated[str | None, option("--bundle", metavar="BUNDLE", help="This bundle only; all unless given.")]
TargetOption = Annotated[str | None, option("--target", metavar="TARGET", help="This target only; all unless given.")]
ProbeOption = Annotated[
    list[str] | None,
    option("--probe", metavar="CERT,KEY", help="Knock with this certificate (full chain): it must get in. Repeatable."),
]
ExpectRefusedOption = Annotated[
    list[str] | None,
    option("--expect-refused", metavar="CERT,KEY", help="Knock with this one: it must be refused. Repeatable."),
]
AllowEndpoint = Annotated[
    bool, option("--allow-endpoint", guard=True, help="Accept an endpoint that is neither AWS nor this machine.")
]


@app.command("render")
def render_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    to: Annotated[Path, option("--to", metavar="DIR", help="Folder for DIR/BUNDLE/TARGET/.")],
    bundle: BundleOption = None,
    target: TargetOption = None,
    path: Annotated[
        str | None,
        option("--path", metavar="DIR", help="Where DIR will be on the relying party's machine; here unless given."),
    ] = None,
    overwrite: OverwriteOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Write the files that relying parties need to verify clients."""
    from pkiops.trust.render import Choice, Destination, render_trust

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    factory.check_account()
    location = path.rstrip("/") if path is not None else str(to.resolve())
    destination = Destination(folder=to, location=location, overwrite=overwrite)
    progress_of(ctx).step(f"render the trust bundles of {environment}")
    outcome = render_trust(
        factory.environment,
        factory.backend,
        factory.trust_store,
        destination,
        Choice(bundle=bundle, target=target, environments=ctx.obj.environments),
        at=factory.clock.now(),
    )
    for one in outcome.skipped:
        note(f"in no bundle: {one.name}: {one.reason}")
    for name in outcome.unpinned:
        note(f"not pinned: anchor {name} is taken as the CA backend has it (sha256 of the authority pins it)")
    if format_ is Format.TEXT:
        rows = [(f"{t.bundle.name}/{t.target}", t.change, *_counts(t), str(t.path)) for t in outcome.targets]
        emit(table(("TARGET", "FOLDER", "ANCHORS", "INTERMEDIATES", "CRLS", "PATH"), rows))
        return
    body = {
        "targets": [_target_json(one) for one in outcome.targets],
        "skipped": [{"authority": one.name, "reason": one.reason} for one in outcome.skipped],
        "unpinned_anchors": list(outcome.unpinned),
    }
    emit_json("trust-render", environment, factory.clock.now(), body)


@app.command("verify")
def verify_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that was given to render.")],
    bundle: BundleOption = None,
    target: TargetOption = None,
    probe: ProbeOption = None,
    expect_refused: ExpectRefusedOption = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Check rendered files by reading them back, and knock over TLS in memory."""
    from pkiops.trust.probe import run_probes
    from pkiops.trust.render import Choice

    probes = [
        *(probe_of(text, accepted=True) for text in probe or ()),
        *(probe_of(text, accepted=False) for text in expect_refused or ()),
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


def probe_of(text: str, *, accepted: bool) -> Probe:
    """The probe that ``CERT,KEY`` names.

    Raises:
        InputError: it is not of that form.
    """
    from pkiops.trust.handshake import Identity
    from pkiops.trust.probe import Probe

    cert, separator, key = text.rpartition(",")
    if not (cert and separator and key):
        raise InputError(
            f"not a certificate and a key: {text!r}", hint="write CERT,KEY: two files with a comma between"
        )
    return Probe(cert, Identity(Path(cert), Path(key)), accepted)


def _counts(one: RenderedTarget) -> tuple[str, str, str]:
    return str(len(one.bundle.anchors)), str(len(one.bundle.intermediates)), str(len(one.bundle.crls))


def _target_json(one: RenderedTarget) -> dict[str, Any]:
    return {
        "bundle": one.bundle.name,
        "target": one.target,
        "path": str(one.path),
        "change": one.change,
        "content_sha256": one.content_sha256,
        "files": list(one.files),
    }


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
