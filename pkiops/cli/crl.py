"""``pkiops crl``: publish, show and verify certificate revocation lists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.options import AtOption, EnvironmentArgument, Format, FormatOption, moment_of, option
from pkiops.cli.output import emit, emit_json, emit_lines, iso, json_text, note, table
from pkiops.cli.wiring import factory_of, progress_of
from pkiops.errors import InputError

if TYPE_CHECKING:
    from cryptography import x509

    from pkiops.crl.connect import ConnectRule
    from pkiops.crl.publish import PublishOutcome
    from pkiops.factory import Factory
    from pkiops.x509.crl_bytes import LoadedCrl

app = typer.Typer(name="crl", help="Certificate revocation lists: publish, show, verify, status.", no_args_is_help=True)

SourceArgument = Annotated[str, typer.Argument(metavar="FILE|URL", help="A CRL in DER or PEM; - is standard input.")]
ConnectTo = Annotated[
    list[str],
    option(
        "--connect-to",
        metavar="[HOST1:PORT1:]HOST2:PORT2",
        help="Connect there instead of to the URL's host (a sandbox: 127.0.0.1:4599); repeatable, as curl has it.",
    ),
]
ConnectRules = Annotated[
    list[str],
    option(
        "--connect-to",
        metavar="HOST1:PORT1:HOST2:PORT2",
        help="With --probe, connect there for what is for HOST1:PORT1, as curl does (::HOST2:PORT2 for all); repeat for others.",
    ),
]
AllowEndpoint = Annotated[
    bool, option("--allow-endpoint", guard=True, help="Accept an endpoint that is neither AWS nor this machine.")
]
_MAX_FILE_BYTES = 192 * 1024 * 1024


@app.command("publish")
def publish_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    allow_removal: Annotated[
        bool, option("--allow-removal", guard=True, help="Let the CRL of a CA that is no longer there leave the set.")
    ] = False,
    external_crl: Annotated[
        list[str],
        option("--external-crl", metavar="FILE", help="The CRL of a CA that is kept elsewhere; repeat for others."),
    ] = [],  # noqa: B006 - typer copies it
    probe: Annotated[
        bool,
        option(
            "--probe/--no-probe", help="Ask the distribution points afterwards, and say if one serves an older CRL."
        ),
    ] = True,
    connect_to: ConnectRules = [],  # noqa: B006 - typer copies it
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Fetch the CRL of every CA, check them, and publish them as one set. Run it on a schedule."""
    from pkiops.cli.cert_files import MAX_CRL_BYTES, read_bounded
    from pkiops.cli.crl_probe import note_points, points_json, probe_published, probe_rules
    from pkiops.crl.look import describe_record
    from pkiops.crl.outside_crls import read_given
    from pkiops.crl.publish import publish_crls

    rules = probe_rules(connect_to, probe=probe)
    given = read_given([read_bounded(file, MAX_CRL_BYTES) for file in external_crl])
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    factory.check_account()
    outcome = publish_crls(
        factory.environment,
        factory.backend,
        factory.trust_store,
        factory.clock,
        allow_removal=allow_removal,
        external=given,
        entries=factory.known_entries(),
        progress=progress_of(ctx),
    )
    probed = probe_published(factory, outcome, rules) if probe else None
    note_points(probed)
    if format_ is Format.TEXT:
        emit(_published_text(outcome, factory.trust_store.describe()))
        return
    body = {
        "moved": outcome.moved,
        "repaired_files": outcome.repaired,
        "manifest_sha256": outcome.manifest_sha256,
        "previous_manifest_sha256": outcome.previous_sha256,
        "crls": [describe_record(one.record, one.change) for one in outcome.records],
        "skipped": [{"authority": one.name, "reason": one.reason} for one in outcome.skipped],
        **points_json(probed),
        "unrecorded": list(outcome.unrecorded),
    }
    emit_json("crl-publish", environment, factory.clock.now(), body)


@app.command("show")
def show_command(
    ctx: typer.Context,
    source: SourceArgument,
    entries: Annotated[bool, option("--entries", help="List every revoked certificate.")] = False,
    connect_to: ConnectTo = [],  # noqa: B006 - typer copies it
    timeout: Annotated[float, option("--timeout", metavar="SECONDS", min=0.1, max=600, help="For a URL.")] = 30.0,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Summarise every CRL of a file or behind a URL. Checks no signature: that is verify's business."""
    from pkiops.cli.crl_probe import source_rules
    from pkiops.cli.crl_text import show_lines
    from pkiops.clock import SystemClock
    from pkiops.crl.look import describe_crl, shown_json
    from pkiops.x509.crl import view_crl

    del ctx
    now = SystemClock().now()
    shown = [
        (describe_crl(view_crl(one.crl, one.der), now), one)
        for one in _load(source, source_rules(connect_to, source), timeout)
    ]
    if format_ is Format.JSON:
        empty = json_text("crl-show", None, now, {"source": source, "crls": []})
        emit_lines(shown_json(empty, shown, entries=entries))
    else:
        emit_lines(show_lines(shown, entries=entries))


@app.command("verify")
def verify_command(
    ctx: typer.Context,
    source: SourceArgument,
    issuer: Annotated[
        Path | None, option("--issuer", metavar="FILE", help="File with the certificates of CAs it may be of.")
    ] = None,
    env: Annotated[str | None, option("--env", metavar="ENV", help="It must be of a CA of this environment.")] = None,
    at: AtOption = None,
    connect_to: ConnectTo = [],  # noqa: B006 - typer copies it
    timeout: Annotated[float, option("--timeout", metavar="SECONDS", min=0.1, max=600, help="For a URL.")] = 30.0,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Check that every CRL of a file or URL was signed by its CA, is no delta, and is current; says which is only a part."""
    from pkiops.cli.crl_probe import sandbox_rules, source_rules
    from pkiops.crl.look import describe_crl, verify_under

    if (issuer is None) == (env is None):
        raise InputError("give one of --issuer FILE and --env ENV: under which CA shall it be verified?")
    asked, rules = moment_of(at), source_rules(connect_to, source)
    factory = factory_of(ctx, env, allow_endpoint=allow_endpoint) if env is not None else None
    loaded = _load(source, rules or (sandbox_rules(factory) if factory else ()), timeout)
    issuers, now = _issuers(issuer, factory)
    moment = asked or now
    verified = [verify_under(one, issuers, at=moment) for one in loaded]
    if format_ is Format.JSON:
        body = [{"authority": name, "scope": one.scope, **describe_crl(one.view, moment)} for name, one in verified]
        emit_json("crl-verify", env, now, {"source": source, "at": moment, "verified": True, "crls": body})
        return
    for name, one in verified:
        if one.scope is not None:
            note(f"{name}: this is a part, for certificates that name {one.scope}")
    rows = [(name, str(one.number), iso(one.next_update), str(one.view.entries)) for name, one in verified]
    emit(table(("CA", "NUMBER", "NEXT UPDATE", "REVOKED"), rows) + f"\nverified as of {iso(moment)}")


def _load(source: str, rules: Sequence[ConnectRule], timeout: float) -> tuple[LoadedCrl, ...]:
    from pkiops.clock import SystemClock
    from pkiops.crl.connect import stand_in
    from pkiops.crl.download import download, is_url
    from pkiops.x509.crl import read_crls

    if is_url(source):
        data = download(source, SystemClock(), connect_to=stand_in(rules, source), timeout=timeout)
        return read_crls(data, source)
    return read_crls(_read(source), "standard input" if source == "-" else source)


def _read(source: str) -> bytes:
    """A file as it is, or standard input; one byte more than is allowed tells the parser that it is too much."""
    if source == "-":
        return sys.stdin.buffer.read(_MAX_FILE_BYTES)
    try:
        with Path(source).open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error


def _issuers(issuer: Path | None, factory: Factory | None) -> tuple[list[tuple[str, x509.Certificate]], datetime]:
    """The CAs to verify under, by name, and the moment that counts as now: those of a file, unless an environment was named."""
    from pkiops.clock import SystemClock
    from pkiops.crl.authorities import observe_authorities
    from pkiops.crl.look import issuers_of
    from pkiops.x509.certificate import load_certificates
    from pkiops.x509.names import rfc4514

    if factory is None:
        certificates = load_certificates(_read(str(issuer)), str(issuer))
        return [(rfc4514(one.subject), one) for one in certificates], SystemClock().now()
    factory.check_account()
    now = factory.clock.now()
    environment = factory.environment
    return issuers_of(environment.environment, observe_authorities(environment, factory.backend, now).known), now


def _published_text(outcome: PublishOutcome, store: str) -> str:
    rows = [
        (one.record.name, one.change, str(one.record.number), iso(one.record.next_update), str(one.record.entries))
        for one in outcome.records
    ]
    for one in outcome.skipped:
        note(f"not in the set: {one.name}: {one.reason}")
    for name in outcome.unrecorded:
        note(
            f"not in the history: {name}: no right to write {outcome.environment}/crl/history/ (pkiops env iam-policy)"
        )
    folder = f"{store}/{outcome.environment}/crl/{outcome.manifest_sha256}/"
    if outcome.moved:
        end = f"published: {folder}"
    elif outcome.repaired:
        end = f"repaired {outcome.repaired} files of {folder}; the set is the same as before"
    else:
        end = f"nothing new: {folder} is current"
    return table(("CA", "CRL", "NUMBER", "NEXT UPDATE", "REVOKED"), rows) + f"\n{end}"
