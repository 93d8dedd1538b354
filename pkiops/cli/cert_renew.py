"""``pkiops cert renew``: certificates replaced with their key, by hand or from cron."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.cert import AllowEndpoint, OutputOption, app, duration_of
from pkiops.cli.cert_outputs import KeyOptions
from pkiops.cli.issuance import issuance_of
from pkiops.cli.options import (
    EnvironmentArgument,
    Format,
    FormatOption,
    KeyPassphraseNameOption,
    OverwriteOption,
    PassphraseNameOption,
    ReissueOption,
    SecretNameOption,
    option,
)
from pkiops.cli.output import emit, emit_json, note
from pkiops.cli.wiring import factory_of
from pkiops.errors import InputError

if TYPE_CHECKING:
    from cryptography import x509

    from pkiops.cli.cert_outputs import CertificateOutputs
    from pkiops.cli.cert_renew_run import RenewalResult, RenewalRun
    from pkiops.factory import Factory
    from pkiops.x509.keys import PrivateKey


@app.command("renew")
def renew_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...", help="Folders that pkiops wrote, or folders of them; certificate files; or one serial."
        ),
    ],
    *,
    due: Annotated[bool, option("--due", help="Only what is due, and no serial: for cron.")] = False,
    due_when: Annotated[
        str | None,
        option(
            "--due-when",
            metavar="WHEN",
            help="After 66% of the life, or with 10d of it left; unless given, after two thirds.",
        ),
    ] = None,
    jitter: Annotated[
        str | None,
        option("--jitter", metavar="PERCENT", help="Due earlier by up to so much of the life; unless given, 5%."),
    ] = None,
    new_key: Annotated[bool, option("--new-key", help="With a new key, made here.")] = False,
    key: Annotated[
        str | None, option("--key", metavar="FILE", help="The private key, where it is not with it.")
    ] = None,
    key_passphrase_name: KeyPassphraseNameOption = None,
    passphrase_name: PassphraseNameOption = None,
    secret_name: SecretNameOption = None,
    profile: Annotated[
        str | None, option("--profile", metavar="PROFILE", help="Unless given, the one it was issued under.")
    ] = None,
    validity: Annotated[
        str | None, option("--validity", metavar="DURATION", help="12h, 30d; unless given, the profile's default.")
    ] = None,
    output: OutputOption = [],  # noqa: B006 - typer copies it
    exec_after: Annotated[
        str | None,
        option("--exec-after", metavar="COMMAND", help="Run it for each that was renewed, until it succeeds."),
    ] = None,
    exec_shell: Annotated[bool, option("--exec-shell", help="Give --exec-after to /bin/sh.")] = False,
    detailed_exitcode: Annotated[bool, option("--detailed-exitcode", help="Exit code 5 if something changed.")] = False,
    overwrite: OverwriteOption = False,
    reissue: ReissueOption = False,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """Replace certificates by new ones with the same names, key and chain together."""
    from pkiops.cli.cert_hook import Hook
    from pkiops.cli.cert_renew_report import failure, results_json, results_text
    from pkiops.cli.cert_renew_run import RenewalOptions, RenewalRun

    options = RenewalOptions(
        due=_due_rule(due, due_when, jitter),
        profile=profile,
        validity=duration_of(validity),
        new_key=new_key,
        overwrite=overwrite,
        reissue=reissue,
        hook=None if exec_after is None else Hook.parse(exec_after, in_shell=exec_shell),
    )
    keys = KeyOptions(key, key_passphrase_name, passphrase_name, secret_name)
    given = None if output else _given_key(keys)
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    if warning := factory.ledger_warning():
        note(warning)
    run = RenewalRun(issuance=issuance_of(ctx, factory), options=options, given_key=lambda: given)
    results = _run(factory, run, targets, output, keys)
    if format_ is Format.JSON:
        emit_json("cert-renew", environment, factory.clock.now(), results_json(results))
    else:
        emit(results_text(results))
    error = failure(results, detailed_exitcode=detailed_exitcode)
    if error is not None:
        raise error


def _due_rule(due: bool, when: str | None, jitter: str | None) -> Any:
    from pkiops.cert.renew_due import DueRule

    if not due and (when is not None or jitter is not None):
        raise InputError("--due-when and --jitter go with --due", code="usage.arguments")
    return DueRule.parse(when, jitter) if due else None


def _given_key(keys: KeyOptions) -> PrivateKey | None:
    from pkiops.cli.cert_outputs import key_of
    from pkiops.named_secrets import NamedSecrets

    return None if keys.key is None else key_of(keys.key, keys.key_passphrase_name, NamedSecrets.of_user(os.environ))


def _run(
    factory: Factory, run: RenewalRun, targets: list[str], output: list[str], keys: KeyOptions
) -> list[RenewalResult]:
    from pkiops.cli.cert_renew_targets import expand

    if factory.environment.backend.sandbox:
        # its clock may have been moved, and the answer of any call tells how far
        run.issuance.requester()
    on_disk = [one for one in targets if os.path.exists(one)]
    # from cron one that is gone keeps no other from being renewed
    if not output and (len(on_disk) == len(targets) or run.options.due is not None):
        found = expand(targets)
        if keys.key is not None and len(found) > 1:
            raise InputError(f"--key is one key, and {len(found)} targets were named", code="usage.arguments")
        return [run.on_disk(one) for one in found]
    if len(targets) > 1:
        missing = next((one for one in targets if one not in on_disk), targets[0])
        raise InputError(
            f"{missing} does not exist" if not output else "--output takes one target",
            hint="several targets are files or folders that exist, renewed where they are",
            code="usage.arguments",
        )
    if not output:
        raise InputError(
            f"{targets[0]} is no file or folder that exists",
            hint="name one that pkiops wrote; of a serial it takes --output FORMAT=DEST and --key FILE: its ledger knows no place",
            code="usage.arguments",
        )
    if run.options.due is not None or run.options.new_key:
        raise InputError(
            "--due and --new-key renew where the certificate is, and do not go with --output",
            hint="a new key for other outputs: make it with cert request, and give it with --key",
            code="usage.arguments",
        )
    certificate = _certificate(factory, targets[0])
    return [run.to_outputs(targets[0], certificate, _outputs(factory, output, keys))]


def _certificate(factory: Factory, target: str) -> x509.Certificate:
    from pkiops.cert.listing import find_one
    from pkiops.cli.cert_files import MAX_CERTIFICATE_BYTES, read_bounded
    from pkiops.x509.certificate import load_certificate

    if Path(target).is_file():
        return load_certificate(*read_bounded(target, MAX_CERTIFICATE_BYTES))
    entries = [one for one in find_one(factory.ledger, factory.environment.environment, target) if one.chain]
    if len(entries) != 1:
        what = "no certificate" if not entries else "certificates of several CAs"
        raise InputError(
            f"the ledger has {what} under {target}",
            hint=f"pkiops cert list {factory.environment.environment} finds it; give its entry",
            code="cert.ambiguous",
        )
    return load_certificate(entries[0].chain[0], f"ledger entry {entries[0].id}")


def _outputs(factory: Factory, output: list[str], keys: KeyOptions) -> CertificateOutputs:
    from pkiops.cli.cert_outputs import outputs_of, parse_targets
    from pkiops.named_secrets import NamedSecrets

    targets = parse_targets(output, None, None)
    if any(one.is_stdout for one in targets):
        raise InputError("--output - is for cert issue: cert renew replaces what is there", code="usage.output")
    made = outputs_of(targets, keys, NamedSecrets.of_user(os.environ))
    return replace(made, place_of=factory.secret_place, randomness=factory.randomness)
