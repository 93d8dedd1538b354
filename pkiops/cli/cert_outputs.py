"""``--output FORMAT=DEST``: the files, folders and the stdout of one certificate, as a set.

What this module decides: how a destination is read, that all of them are checked before anything is asked for, which go to stdout, and
in which order they are written: what nobody reads yet, what AWS keeps (it may refuse), files, the links of folders.
What is in them is ``pkiops.cert.formats``'s.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pkiops.cert.output_formats import OutputFormat
from pkiops.cli.cert_files import STDIN, absolute, read_bounded, refuse_foreign
from pkiops.cli.cert_places import check_place, write_place
from pkiops.cli.files import FileToWrite, check_targets, write_files
from pkiops.cli.output import note
from pkiops.errors import InputError, InternalError

if TYPE_CHECKING:
    from pkiops.cert.formats import Material, SecretName
    from pkiops.cert.order import Issued, Prepared
    from pkiops.cert.server_folder import Owner
    from pkiops.clock import Randomness
    from pkiops.ledger.interface import Entry, LedgerIntent, Output
    from pkiops.named_secrets import NamedSecrets
    from pkiops.stores.secret_places import SecretPlace
    from pkiops.x509.keys import PrivateKey

_MAX_KEY_BYTES = 65_536
_SHORT_PASSPHRASE = 8
_FORMAT = re.compile(r"([a-z][a-z0-9-]*)=(.*)", re.DOTALL)


class RemembersOutputs(Protocol):
    """What of a ledger writing files needs."""

    def record_outputs(self, entry_id: str, outputs: Sequence[Output]) -> None:
        """See ``Ledger.record_outputs``."""

    def outputs(self, request_key: str) -> Mapping[str, frozenset[str]]:
        """See ``Ledger.outputs``."""


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """One destination: a path, ``-`` for stdout, or the name of a secret."""

    format: OutputFormat
    dest: str

    @property
    def path(self) -> Path | None:
        """The file or folder; None for stdout and for what AWS keeps."""
        return None if self.is_stdout or self.format.service else Path(self.dest)

    @property
    def is_stdout(self) -> bool:
        """Whether it goes to stdout."""
        return self.dest == STDIN


@dataclass(frozen=True, slots=True)
class CertificateOutputs:
    """Where a certificate goes, and what the formats need besides it."""

    targets: tuple[OutputTarget, ...]
    key: PrivateKey | None = field(default=None, repr=False)
    passphrase: bytes | None = field(default=None, repr=False)
    secret_name: str | None = None
    place_of: Callable[[str], SecretPlace] | None = None
    randomness: Randomness | None = field(default=None, repr=False)

    def check(self, ledger: RemembersOutputs, prepared: Prepared, *, overwrite: bool) -> None:
        """Check every target before anything is asked for.

        Raises:
            GuardRefused: a target exists, and this request did not write it as it is; ``overwrite`` is off.
            InputError: a target cannot be written, or the key is not that of the request.
        """
        from pkiops.cert.formats import check_key_fits
        from pkiops.cli.cert_folder import check_folder
        from pkiops.x509.keys import spki_sha256

        if self.key is not None:
            if spki_sha256(self.key.public_key()) != prepared.csr.spki_sha256:
                raise InputError("the private key of --key is not that of the request", code="output.key-mismatch")
            for target in self.targets:
                check_key_fits(target.format, self.key)
        check_targets([FileToWrite(path, b"") for path in self._files()], overwrite=True)
        for folder in self._folders():
            check_folder(folder, _owner(prepared.record), overwrite=overwrite)
        if not overwrite:
            refuse_foreign(self._files(), ledger.outputs(prepared.record.request_key))
        for place, name in self._places():
            check_place(place, name, _owner(prepared.record), overwrite=overwrite)

    def write(
        self, issued: Issued, ledger: RemembersOutputs, *, document: str = "", overwrite: bool
    ) -> tuple[str, ...]:
        """Write the set; the ledger knows of its files first, so that a run killed in between can write them again. What was written.

        Raises:
            GuardRefused: a target exists by now that this request did not write; what another run of it wrote is replaced.
            InputError: a target cannot be written.
        """
        from pkiops.cert.server_folder import folder_files
        from pkiops.cli.cert_folder import check_folder, stage_version, switch
        from pkiops.ledger.interface import Output

        material, owner = self._material(issued, document), _owner(issued.entry)
        files = [
            FileToWrite(target.path, self._render(target, material), private=target.format.holds_key)
            for target in self.targets
            if target.path and target.format is not OutputFormat.FOLDER
        ]
        if files:
            outputs = [Output(absolute(file.path), hashlib.sha256(file.data).hexdigest()) for file in files]
            ledger.record_outputs(issued.entry.id, outputs)
            if not overwrite:
                refuse_foreign(self._files(), ledger.outputs(str(issued.entry.request_key)))
        versions = []
        for folder in self._folders():
            check_folder(folder, owner, overwrite=overwrite)
            versions.append(stage_version(folder, folder_files(material, owner, str(folder.resolve()))))
        kept = [write_place(place, name, material, owner, overwrite=overwrite) for place, name in self._places()]
        write_files(files, overwrite=True)
        for version in versions:
            switch(version)
        return (*(str(path) for target in self.targets if (path := target.path)), *kept)

    def for_stdout(self, issued: Issued, document: str = "") -> bytes | None:
        """What stdout gets, None for nothing."""
        for target in self.targets:
            if target.is_stdout:
                return self._render(target, self._material(issued, document))
        return None

    def _material(self, issued: Issued, document: str) -> Material:
        from pkiops.cert.formats import Material

        return Material(
            certificate=issued.certificate,
            chain=issued.chain,
            key=self.key,
            passphrase=self.passphrase,
            document=document,
            # by the record, not by this run
            dated=issued.entry.created_at,
            randomness=self.randomness,
        )

    def _render(self, target: OutputTarget, material: Material) -> bytes:
        from pkiops.cert.formats import kubernetes_secret, render

        if target.format is OutputFormat.KUBERNETES:
            return kubernetes_secret(material, secret_name_of(target, self.secret_name))
        return render(target.format, material)

    def _places(self) -> list[tuple[SecretPlace, str]]:
        wanted = [(one.format.service, one.dest) for one in self.targets if one.format.service]
        if not wanted:
            return []
        if self.place_of is None:
            raise InternalError("an output for AWS without a way there")
        return [(self.place_of(service), name) for service, name in wanted]

    def _files(self) -> list[Path]:
        return [one.path for one in self.targets if one.path and one.format is not OutputFormat.FOLDER]

    def _folders(self) -> list[Path]:
        return [one.path for one in self.targets if one.path and one.format is OutputFormat.FOLDER]


def parse_targets(outputs: Sequence[str], certificate: str | None, chain: str | None) -> tuple[OutputTarget, ...]:
    """Read the destinations; without any the full chain goes to stdout.

    Raises:
        InputError: a format that does not exist, a destination that a format cannot have, or two for one path.
    """
    targets = [_parse(text) for text in outputs]
    for format_, dest in ((OutputFormat.CERTIFICATE, certificate), (OutputFormat.CHAIN, chain)):
        if dest is not None:
            targets.append(OutputTarget(format_, dest))
    targets = targets or [OutputTarget(OutputFormat.FULLCHAIN, STDIN)]
    if sum(one.is_stdout for one in targets) > 1:
        raise InputError("only one --output may be -: stdout carries one result", code="usage.arguments")
    for target in targets:
        _check_stdout(target)
    folders = [one.path.resolve() for one in targets if one.path and one.format is OutputFormat.FOLDER]
    if len(set(folders)) < len(folders):
        raise InputError("one folder is named twice as an output", code="usage.output")
    return tuple(targets)


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What the command line says about private key, passphrases (by name) and the Kubernetes Secret."""

    key: str | None = None
    key_passphrase_name: str | None = None
    passphrase_name: str | None = None
    secret_name: str | None = None


def outputs_of(targets: tuple[OutputTarget, ...], options: KeyOptions, secrets: NamedSecrets) -> CertificateOutputs:
    """The targets with all that their formats need; nothing is asked for yet.

    Raises:
        InputError: a format needs a key, a passphrase or a name, and there is none that fits.
        GuardRefused: others can read the file of a passphrase.
    """
    if options.secret_name is not None and not any(one.format is OutputFormat.KUBERNETES for one in targets):
        raise InputError(
            "--secret-name names a Kubernetes Secret, and no --output writes one",
            hint="add --output kubernetes=FILE, or leave --secret-name out",
            code="usage.output",
        )
    for target in targets:
        needs = f"--output {target.format}={target.dest}"
        if target.format.holds_key and options.key is None:
            raise InputError(
                f"{needs} holds the private key, and a request has only its public half",
                hint="give the private key's file with --key, or choose a format without it (fullchain, pkcs7, der)",
                code="output.key-missing",
            )
        if target.format.needs_passphrase and options.passphrase_name is None:
            raise InputError(
                f"{needs} is encrypted under a passphrase",
                hint="--passphrase-name NAME, with the passphrase in PKIOPS_SECRET_<NAME>",
                code="output.passphrase-missing",
            )
        if target.format is OutputFormat.KUBERNETES:
            secret_name_of(target, options.secret_name)
    encrypted = any(one.format.needs_passphrase for one in targets)
    passphrase = secrets.get(options.passphrase_name) if encrypted and options.passphrase_name else None
    if passphrase is not None:
        from pkiops.cert.formats import check_passphrase

        check_passphrase(passphrase)
        if len(passphrase) < _SHORT_PASSPHRASE:
            note(f"the passphrase {options.passphrase_name} is short: who gets the file can guess it")
    return CertificateOutputs(
        targets,
        key=None if options.key is None else key_of(options.key, options.key_passphrase_name, secrets),
        passphrase=passphrase,
        secret_name=options.secret_name,
    )


def key_of(file: str, passphrase_name: str | None, secrets: NamedSecrets) -> PrivateKey:
    """The private key in a file, decrypted under the secret of that name.

    Raises:
        InputError: it cannot be read.
    """
    from pkiops.x509.keys import load_private_key

    data, source = read_bounded(file, _MAX_KEY_BYTES)
    return load_private_key(data, source, secrets.get(passphrase_name) if passphrase_name else None)


def secret_name_of(target: OutputTarget, given: str | None) -> SecretName:
    """The name of the Kubernetes Secret: what was given, else the name of its file without the ending.

    Raises:
        InputError: Kubernetes would not take it, or there is none.
    """
    from pkiops.cert.formats import SecretName

    if given is None and target.is_stdout:
        raise InputError(
            "a Kubernetes Secret on stdout needs a name", hint="add --secret-name [NAMESPACE/]NAME", code="usage.output"
        )
    return SecretName.parse(given if given is not None else Path(target.dest).stem)


def _parse(text: str) -> OutputTarget:
    match = _FORMAT.fullmatch(text)
    if match is None:
        return OutputTarget(OutputFormat.FULLCHAIN, text)
    word, dest = match.groups()
    if word not in set(OutputFormat):
        raise InputError(
            f"--output {word}=: no such format; there are {', '.join(OutputFormat)}",
            hint=f"for a file of that name write ./{text}",
            code="usage.output-format",
        )
    if not dest:
        raise InputError(f"--output {word}= names no destination", code="usage.output")
    return OutputTarget(OutputFormat(word), dest)


def _check_stdout(target: OutputTarget) -> None:
    if not target.is_stdout:
        return
    if target.format is OutputFormat.FOLDER or target.format.service:
        raise InputError(f"--output {target.format}=- is no folder and no name of a secret", code="usage.output")
    if (target.format.is_binary or target.format.holds_key) and sys.stdout.isatty():
        what = "a private key" if target.format.holds_key else "binary"
        raise InputError(
            f"--output {target.format}=- is {what}, and stdout is a terminal",
            hint="give a file, or use a pipe",
            code="usage.output",
        )


def _owner(entry: Entry | LedgerIntent) -> Owner:
    from pkiops.cert.server_folder import Owner

    common_name = dict(entry.subject).get("common_name")
    names = [*([f"cn:{common_name}"] if common_name else []), *sorted(str(san) for san in entry.sans)]
    return Owner(entry.environment, entry.profile, tuple(names))
