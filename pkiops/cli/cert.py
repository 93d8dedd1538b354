"""``pkiops cert``: request, issue, show and verify certificates."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cert.output_formats import OutputFormat
from pkiops.cli.cert_files import MAX_CERTIFICATE_BYTES, MAX_CRL_BYTES, read_bounded
from pkiops.cli.cert_outputs import CertificateOutputs, KeyOptions, outputs_of, parse_targets
from pkiops.cli.cert_preview import refuse_outputs_of_preview, show_preview
from pkiops.cli.issuance import issuance_of
from pkiops.cli.options import (
    AtOption,
    EnvironmentArgument,
    Format,
    FormatOption,
    KeyPassphraseNameOption,
    OverwriteOption,
    PassphraseNameOption,
    ReissueOption,
    SecretNameOption,
    moment_of,
    option,
)
from pkiops.cli.output import emit, emit_bytes, emit_json, json_text, note
from pkiops.cli.wiring import environment_of, factory_of, progress_of
from pkiops.errors import InputError
from pkiops.x509.algorithms import KeyAlgorithm

if TYPE_CHECKING:
    from pkiops.cert.order import Issued
    from pkiops.cert.verify import Material
    from pkiops.factory import Factory

app = typer.Typer(
    name="cert",
    help="Certificates: request, issue (one or many), renew, list, resolve, verify, revoke.",
    no_args_is_help=True,
)


class PurposeChoice(StrEnum):
    """What a certificate is used for."""

    CLIENT = "clientAuth"
    SERVER = "serverAuth"


ProfileOption = Annotated[str, option("--profile", help="Profile of the environment file.", metavar="PROFILE")]
SanOption = Annotated[
    list[str], option("--san", help="A name: dns:, uri:, ip: or email: and its value; repeat for more.", metavar="NAME")
]
OutputOption = Annotated[
    list[str],
    option(
        "--output",
        metavar="[FORMAT=]DEST",
        help=f"Where it goes, - is stdout; repeat for more. FORMAT: {', '.join(OutputFormat)}; without one: fullchain.",
    ),
]
AllowEndpoint = Annotated[
    bool, option("--allow-endpoint", guard=True, help="Accept an endpoint that is neither AWS nor this machine.")
]


@app.command("request")
def request_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    *,
    profile: ProfileOption,
    key: Annotated[Path, option("--key", metavar="FILE", help="Where the private key goes (mode 0600).")],
    csr: Annotated[Path, option("--csr", metavar="FILE", help="Where the request goes.")],
    san: SanOption = [],  # noqa: B006 - typer copies it
    common_name: Annotated[
        str | None, option("--common-name", metavar="NAME", help="Unless given, the profile decides.")
    ] = None,
    key_algorithm: Annotated[
        KeyAlgorithm | None,
        option(
            "--key-algorithm",
            metavar="ALGORITHM",
            help=f"{', '.join(KeyAlgorithm)}; unless given, the profile's first.",
        ),
    ] = None,
    key_passphrase_name: Annotated[
        str | None, option("--key-passphrase-name", help="Secret that encrypts the private key.", metavar="NAME")
    ] = None,
    overwrite: OverwriteOption = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Make a private key and a request that the profile grants. Makes no call."""
    from pkiops.cert.request import make_request
    from pkiops.cert.show import request_json
    from pkiops.cli.files import FileToWrite, check_targets, write_files
    from pkiops.clock import SystemClock
    from pkiops.x509.san import parse_san

    loaded, passphrase = environment_of(ctx, environment), _passphrase(key_passphrase_name)
    check_targets([FileToWrite(key, b""), FileToWrite(csr, b"")], overwrite=overwrite)
    now = SystemClock().now()
    names = [parse_san(text) for text in san]
    made = make_request(
        loaded,
        profile,
        sans=names,
        common_name=common_name,
        key_algorithm=key_algorithm,
        now=now,
        passphrase=passphrase,
    )
    write_files([FileToWrite(key, made.key_pem, private=True), FileToWrite(csr, made.csr_pem)], overwrite=overwrite)
    if format_ is Format.JSON:
        body = {
            "profile": profile,
            "key": str(key),
            "key_encrypted": passphrase is not None,
            "csr": str(csr),
            "request": request_json(made.csr),
        }
        emit_json("cert-request", environment, now, body)
        return
    note(f"private key: {key} ({'encrypted; ' if passphrase else ''}keep it here)")
    note(f"request: {csr}; next: pkiops cert issue {environment} --profile {profile} --csr {csr}")


@app.command("issue")
def issue_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    *,
    profile: ProfileOption,
    csr: Annotated[str, option("--csr", help="The request, PEM or DER; - reads it from stdin.", metavar="FILE|-")],
    san: SanOption = [],  # noqa: B006 - typer copies it
    validity: Annotated[
        str | None, option("--validity", metavar="DURATION", help="12h, 30d; unless given, the profile's default.")
    ] = None,
    request_id: Annotated[
        str | None, option("--request-id", metavar="TEXT", help="Tells apart requests that are equal otherwise.")
    ] = None,
    output: OutputOption = [],  # noqa: B006 - typer copies it
    output_certificate: Annotated[
        str | None, option("--output-certificate", help="The certificate alone.", metavar="FILE")
    ] = None,
    output_chain: Annotated[
        str | None, option("--output-chain", help="The CAs above it alone, without the root.", metavar="FILE")
    ] = None,
    key: Annotated[
        str | None, option("--key", help="The request's private key, for outputs that hold it.", metavar="FILE")
    ] = None,
    key_passphrase_name: KeyPassphraseNameOption = None,
    passphrase_name: PassphraseNameOption = None,
    secret_name: SecretNameOption = None,
    overwrite: OverwriteOption = False,
    reissue: ReissueOption = False,
    preview: Annotated[
        bool, option("--preview", help="Show what would come back and what it costs; sends and records nothing.")
    ] = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Issue a certificate for a request; the same request again gives the same certificate."""
    from pkiops.cert.order import Order
    from pkiops.x509.csr import MAX_CSR_BYTES
    from pkiops.x509.san import parse_san

    options = KeyOptions(key, key_passphrase_name, passphrase_name, secret_name)
    outputs = _outputs(output, output_certificate, output_chain, options, format_)
    refuse_outputs_of_preview(preview, output, output_certificate, output_chain)
    names, life = tuple(parse_san(text) for text in san), duration_of(validity)
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    outputs = replace(outputs, place_of=factory.secret_place, randomness=factory.randomness)
    if not preview and (warning := factory.ledger_warning()):
        note(warning)
    data, source = read_bounded(csr, MAX_CSR_BYTES)
    issuance = issuance_of(ctx, factory)
    order = Order(
        csr=data, csr_source=source, profile=profile, sans=names, validity=life, request_id=request_id, reissue=reissue
    )
    if preview:
        show_preview(factory, issuance, order, format_)
        return
    prepared = issuance.prepare(order)
    with issuance.recorded(prepared):
        outputs.check(factory.ledger, prepared, overwrite=overwrite)
    _hand_out(factory, issuance.complete(prepared), outputs, overwrite=overwrite, format_=format_)


@app.command("show")
def show_command(
    ctx: typer.Context,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE|-|SERIAL|ID", help="Certificates or a request; with --env a serial or an entry."),
    ],
    env: Annotated[
        str | None, option("--env", help="Of this environment's ledger, by serial or entry.", metavar="ENV")
    ] = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Show certificates or a request, or what the ledger knows. Verifies nothing but a request's own signature."""
    if env is not None:
        from pkiops.cli.cert_list import show_entries

        if Path(file).is_file():
            raise InputError(
                f"{file} is a file, and --env looks for a serial or an entry in the ledger",
                hint=f"pkiops cert show {file} shows it; what the ledger knows of it is found by its serial",
                code="usage.arguments",
            )

        show_entries(ctx, env, file, format_, allow_endpoint=allow_endpoint)
        return
    from pkiops.cert.show import certificate_json, certificates_text, load_shown, request_json, request_text
    from pkiops.clock import SystemClock

    found = load_shown(
        *read_bounded(
            file, MAX_CERTIFICATE_BYTES, hint="a serial or an entry of the ledger needs its environment: --env ENV"
        )
    )
    as_json = format_ is Format.JSON
    if isinstance(found, tuple):
        body: dict[str, Any] = {"certificates": [certificate_json(one) for one in found]} if as_json else {}
        text = "" if as_json else certificates_text(found)
    else:
        body, text = ({"request": request_json(found)}, "") if as_json else ({}, request_text(found))
    if as_json:
        emit_json("cert-show", None, SystemClock().now(), body)
    else:
        emit(text)


@app.command("verify")
def verify_command(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The certificate, CAs above it may follow.")],
    env: Annotated[str | None, option("--env", help="Roots, CAs and CRLs of this environment.", metavar="ENV")] = None,
    anchors: Annotated[str | None, option("--anchors", help="Trusted CA certificates.", metavar="FILE")] = None,
    intermediates: Annotated[
        str | None, option("--intermediates", help="CA certificates for the way to an anchor.", metavar="FILE")
    ] = None,
    crl: Annotated[list[str], option("--crl", help="A CRL; repeat for the others.", metavar="FILE")] = [],  # noqa: B006
    purpose: Annotated[
        PurposeChoice, option("--purpose", metavar="PURPOSE", help="clientAuth or serverAuth.")
    ] = PurposeChoice.CLIENT,
    at: AtOption = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Build and check the chain of a certificate; exit code 8 says no, with the reason."""
    from pkiops.cert.show import certificate_json
    from pkiops.cert.verify import material_of_files, verify_certificate
    from pkiops.clock import SystemClock
    from pkiops.x509.certificate import load_certificates
    from pkiops.x509.chain import Purpose

    if (env is None) == (anchors is None) or (env is not None and (intermediates or crl)):
        raise InputError(
            "give either --env, or --anchors with --intermediates and --crl: they are never mixed",
            code="usage.arguments",
        )
    moment = moment_of(at)
    certificates = load_certificates(*read_bounded(file, MAX_CERTIFICATE_BYTES))
    now = SystemClock().now()
    if env is not None:
        factory = factory_of(ctx, env, allow_endpoint=allow_endpoint)
        material, now = _of_environment(ctx, factory), factory.clock.now()
    else:
        material = material_of_files(
            read_bounded(str(anchors), MAX_CERTIFICATE_BYTES),
            [read_bounded(intermediates, MAX_CERTIFICATE_BYTES)] if intermediates else [],
            [read_bounded(one, MAX_CRL_BYTES) for one in crl],
        )
    moment = moment or now
    chain = verify_certificate(certificates, material, purpose=Purpose(purpose.value), at=moment).certificates
    shown = [certificate_json(one) for one in chain]
    checked = material.crls is not None
    elsewhere = [one["subject"] for one, ca in zip(shown, chain, strict=True) if ca in material.unchecked]
    if format_ is Format.JSON:
        body = {"verified": True, "purpose": purpose.value, "at": moment, "revocation_checked": checked, "chain": shown}
        body["revocation_unchecked_below"] = elsewhere
        emit_json("cert-verify", env, now, body)
        return
    lines = [f"{'  ' * depth}{one['subject']}  (serial {one['serial']})" for depth, one in enumerate(shown)]
    emit(
        "\n".join(
            [f"good for {purpose.value} at {moment:%Y-%m-%dT%H:%M:%SZ}; the chain ends in a trusted anchor:", *lines]
        )
    )
    if not checked:
        note("revocation was not checked: no --crl was given")
    if checked and elsewhere:
        note(f"what {', '.join(elsewhere)} revoked was not checked: that CA is kept elsewhere, and so is its CRL")


def _passphrase(name: str | None) -> bytes | None:
    import os

    from pkiops.named_secrets import NamedSecrets

    return None if name is None else NamedSecrets.of_user(os.environ).get(name)


def _outputs(
    outputs: list[str], certificate: str | None, chain: str | None, options: KeyOptions, format_: Format
) -> CertificateOutputs:
    import os

    from pkiops.named_secrets import NamedSecrets

    targets = parse_targets(outputs, certificate, chain)
    asked_for = bool(outputs or certificate or chain)
    if "-" in {certificate, chain} or (format_ is Format.JSON and asked_for and any(one.is_stdout for one in targets)):
        raise InputError(
            "only --output may be -, and not together with --format json: stdout carries one result",
            code="usage.arguments",
        )
    return outputs_of(targets, options, NamedSecrets.of_user(os.environ))


def duration_of(text: str | None, flag: str = "--validity") -> Any:
    """What ``--validity``, or another option, says, as a ``Duration`` or None.

    Raises:
        InputError: it is no duration.
    """
    from pkiops.x509.duration import Duration

    if text is None:
        return None
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise InputError(f"{flag} {text}: {error}", code="usage.arguments") from error


def _of_environment(ctx: typer.Context, factory: Factory) -> Material:
    from pkiops.cert.verify import material_of_environment

    return material_of_environment(
        factory.environment,
        factory.backend,
        factory.clock,
        store=factory.trust_store,
        # its answer sets the clock where that follows the server
        check_caller=factory.check_account,
        progress=progress_of(ctx),
    )


def _hand_out(
    factory: Factory, issued: Issued, outputs: CertificateOutputs, *, overwrite: bool, format_: Format
) -> None:
    from pkiops.cert.report import certificate_document, issued_json

    name, now = factory.environment.environment, factory.clock.now()
    # dated by the record, not by this run: the same certificate gives the same bytes
    document = json_text("cert-issue", name, issued.entry.created_at, certificate_document(issued)) + "\n"
    written = outputs.write(issued, factory.ledger, document=document, overwrite=overwrite)
    if format_ is Format.JSON:
        emit_json("cert-issue", name, now, issued_json(issued, written))
        return
    data = outputs.for_stdout(issued, document)
    if data is not None:
        emit_bytes(data)
    source = (
        "of the ledger, nothing was asked for"
        if issued.from_ledger
        else f"issued by {name}/ca/{issued.entry.authority}"
    )
    note(f"certificate {issued.entry.serial} ({source}), valid until {issued.entry.not_after:%Y-%m-%dT%H:%M:%SZ}")
    for path in written:
        note(f"written: {path}")
