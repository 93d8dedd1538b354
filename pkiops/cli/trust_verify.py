"""``pkiops trust verify``: rendered files read back, and who gets in with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, option
from pkiops.cli.output import emit, emit_json, iso, note, table
from pkiops.cli.trust import (
    AllowEndpoint,
    BundleOption,
    ExpectRefusedOption,
    ProbeOption,
    TargetOption,
    app,
    probe_of,
)
from pkiops.cli.wiring import factory_of
from pkiops.errors import VerificationFailed

if TYPE_CHECKING:
    from pkiops.crl.authorities import KnownAuthority
    from pkiops.factory import Factory
    from pkiops.trust.matrix import Matrix, Untried
    from pkiops.trust.own_check import CheckOutcome
    from pkiops.trust.probe import Probe, ProbeResult
    from pkiops.trust.render import Choice
    from pkiops.trust.targets.interface import Target
    from pkiops.trust.verify import Expected, VerifiedFolder

    _Looked = tuple[VerifiedFolder, Expected]


@app.command("verify")
def verify_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that was given to render.")],
    bundle: BundleOption = None,
    target: TargetOption = None,
    probe: ProbeOption = None,
    expect_refused: ExpectRefusedOption = None,
    allow_check: Annotated[
        bool, option("--allow-check", guard=True, help="Run the checks that targets of your own name (check_command).")
    ] = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Check rendered files by reading them back, and try over TLS in memory who gets in with them."""
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
    _note_other_places(looked_at)
    results = _tried(factory, looked_at, probes, allow_check=allow_check)
    if format_ is Format.JSON:
        body = {"folders": [_verified_json(one) for one in results]}
        emit_json("trust-verify", environment, factory.clock.now(), body)
    else:
        emit("\n\n".join(_verified_text(one) for one in results))
    require_verified(environment, folder, results)


@dataclass(frozen=True, slots=True)
class Tried:
    """A folder, who knocked at it with real certificates, and the matrix over its mirror; None where the files are not even sound."""

    folder: VerifiedFolder
    knocks: tuple[ProbeResult, ...]
    matrix: Matrix | None
    check: CheckOutcome | None = None

    @property
    def cases(self) -> tuple[ProbeResult, ...]:
        return self.matrix.results if self.matrix is not None else ()

    @property
    def untried(self) -> tuple[Untried, ...]:
        return self.matrix.untried if self.matrix is not None else ()


def _tried(factory: Factory, looked_at: list[_Looked], probes: list[Probe], *, allow_check: bool) -> list[Tried]:
    import tempfile

    from pkiops.clock import SystemClock
    from pkiops.trust.matrix import MatrixOfBundle
    from pkiops.trust.probe import run_probes

    matrices: dict[str, MatrixOfBundle] = {}
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="pkiops-matrix-") as keys:  # mode 0700
        for folder, expected in looked_at:
            knocks = run_probes(folder.relying_party, probes) if folder.relying_party else ()
            matrix = None
            if not folder.findings:
                if folder.bundle not in matrices:
                    matrices[folder.bundle] = MatrixOfBundle(
                        expected.environment, folder.bundle, expected.authorities, SystemClock().now(), Path(keys)
                    )
                matrix = matrices[folder.bundle].try_target(folder.target, expected.target, folder.location)
            check = _checked(folder, expected.target, allow=allow_check) if not folder.findings else None
            tried.append(Tried(folder, knocks, matrix, check))
    return tried


def _verified(factory: Factory, folder: Path, choice: Choice) -> list[_Looked]:
    from pkiops.crl.authorities import observe_authorities
    from pkiops.crl.silent import silent_authorities
    from pkiops.environment.models import Revocation
    from pkiops.trust.render import chosen_targets, crls_for, speaking
    from pkiops.trust.verify import NO_MARGIN, Expected, verify_folder

    now = factory.clock.now()
    chosen = list(chosen_targets(factory.environment, choice))
    authorities = observe_authorities(factory.environment, factory.backend, now).known
    bundles = factory.environment.trust.bundles
    without = [bundles[name] for name, _, _ in chosen if bundles[name].revocation is Revocation.NONE]
    published = crls_for(factory.environment, without, authorities, factory.trust_store, at=now, margin=NO_MARGIN)

    def look(name: str, target_name: str, kind: Target, silent: tuple[KnownAuthority, ...] = ()) -> _Looked:
        expected = Expected(
            environment=factory.environment,
            authorities=speaking(factory.environment, name, authorities, silent),
            bundle=name,
            target_name=target_name,
            target=kind,
            at=now,
            published=published,
        )
        return verify_folder(folder / name / target_name, expected), expected

    looked_at = [look(*one) for one in chosen]
    if any(finding.code == "trust.crl-missing" for one, _ in looked_at for finding in one.findings):
        # only now is it worth asking whether there is a CRL that could be missing
        silent = silent_authorities(authorities, factory.backend, published=())
        looked_at = [look(*one, silent) for one in chosen]
    return looked_at


def _checked(folder: VerifiedFolder, target: Target, *, allow: bool) -> CheckOutcome | None:
    import shlex

    from pkiops.clock import SystemClock
    from pkiops.trust.own_check import run_check

    if not target.check_command:
        return None
    if not allow:
        command = shlex.join(target.check_command)
        note(f"{folder.bundle}/{folder.target}: its check was not run; --allow-check runs: {command}")
        return None
    return run_check(target.check_command, folder.path, SystemClock())


def require_verified(environment: str, folder: Path, results: list[Tried]) -> None:
    """Exit code 8 if anything at all is not as it should be.

    Raises:
        VerificationFailed: code ``trust.findings``, ``trust.matrix`` or, where the files are sound, ``trust.handshakes``.
    """
    found = sum(len(one.folder.findings) for one in results)
    knocks = [knock for one in results for knock in one.knocks if not knock.as_expected]
    cases = sum(one.matrix.wrong for one in results if one.matrix is not None)
    checks = [one for one in results if one.check is not None and one.check.problem is not None]
    if not (found or knocks or cases or checks):
        return
    if checks and not (found or knocks or cases):
        raise VerificationFailed(
            f"{folder}: the files are sound, but {_count(len(checks), 'check')} of targets of your own failed",
            hint="what it said is above; the command is check_command in the target.yaml of that target",
            code="trust.own-check",
        )
    if not found and not cases and not checks and all(knock.expected for knock in knocks):
        message = f"{folder}: the files are sound, but {_count(len(knocks), 'handshake')} did not end as expected"
        hint = "the reason is beside each: is it the right certificate, and are the files of now? pkiops cert verify FILE --env"
        raise VerificationFailed(message, hint=f"{hint} {environment}", code="trust.handshakes")
    if cases and not (found or knocks or checks):
        raise VerificationFailed(
            f"{folder}: {_count(cases, 'case')} of the matrix did not end as expected; do not load these files",
            hint="each is marked NOT EXPECTED: the target renders something that its relying party must not load",
            code="trust.matrix",
        )
    raise VerificationFailed(
        f"{folder}: {_count(found + len(knocks) + cases + len(checks), 'problem')}; do not load these files",
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


def _note_other_places(looked_at: list[_Looked]) -> None:
    """Where files name a place other than the one that was looked at: only a person can say whether it is the right one."""
    for folder, _ in looked_at:
        if folder.location and folder.location != str(folder.path.resolve()):
            note(
                f"{folder.bundle}/{folder.target}: its files are made to be found at {folder.location}, which is not where they were looked at"
            )


def _verified_json(one: Tried) -> dict[str, Any]:
    folder = one.folder
    return {
        "bundle": folder.bundle,
        "target": folder.target,
        "path": str(folder.path),
        "location": folder.location or None,
        "anchors": list(folder.anchors),
        "crls": list(folder.crls),
        "findings": [{"code": f.code, "file": f.file, "message": f.message} for f in folder.findings],
        "handshakes": [_knock_json(knock) for knock in one.knocks],
        "matrix": [_knock_json(case) for case in one.cases],
        "check": one.check and {"argv": list(one.check.argv), "problem": one.check.problem, "output": one.check.output},
        "not_tried": [{"client": u.name, "reason": u.reason, "as_expected": u.excused} for u in one.untried],
    }


def _knock_json(knock: ProbeResult) -> dict[str, Any]:
    return {
        "client": knock.name,
        "tls": knock.tls,
        "result": "accepted" if knock.accepted else "refused",
        "expected": "accepted" if knock.expected else "refused",
        "as_expected": knock.as_expected,
        "reason": knock.reason or None,
    }


def _verified_text(one: Tried) -> str:
    folder = one.folder
    wrong = one.matrix.wrong if one.matrix is not None else 0
    failed = one.check is not None and one.check.problem is not None
    ok = not folder.findings and all(k.as_expected for k in one.knocks) and not wrong and not failed
    holds = f"{_count(len(folder.anchors), 'anchor')}, {_count(len(folder.crls), 'CRL')}"
    lines = [f"{folder.bundle}/{folder.target}: {'ok' if ok else 'NOT OK'} ({holds})"]
    lines += [f"  {f.file}: {f.message} [{f.code}]" for f in folder.findings]
    if one.check is not None:
        lines.append(f"  check: {one.check.problem or 'ok'}: {' '.join(one.check.argv)}")
        lines += [f"    {line}" for line in one.check.output.splitlines()]
    headings = ("TLS", "RESULT", "", "REASON")
    if one.knocks:
        lines.append(table(("CLIENT", *headings), [_row(k) for k in one.knocks]))
    if one.matrix is not None:
        rows = [_row(case) for case in one.cases]
        rows += [(u.name, "", "not tried", "" if u.excused else "NOT EXPECTED", u.reason) for u in one.untried]
        lines.append(table(("CLIENT OF THE MIRROR", *headings), _same_joined(rows)))
    return "\n".join(lines)


def _row(knock: ProbeResult) -> tuple[str, ...]:
    expected = "as expected" if knock.as_expected else "NOT EXPECTED"
    return (knock.name, knock.tls, "accepted" if knock.accepted else "refused", expected, knock.reason)


def _same_joined(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """One row for what is the same over both versions of TLS."""
    joined: list[tuple[str, ...]] = []
    for row in rows:
        last = joined[-1] if joined else None
        if last is not None and (last[0], *last[2:]) == (row[0], *row[2:]):
            joined[-1] = (row[0], f"{last[1]}, {row[1]}", *row[2:])
        else:
            joined.append(row)
    return joined
