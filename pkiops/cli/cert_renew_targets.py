"""What ``pkiops cert renew`` finds on disk: a folder that pkiops wrote, or a file with a certificate.

What this module decides: what each of them holds (certificate and key; the profile that a manifest names counts for nothing) and how it is written
again in one step; that a file not exactly as pkiops writes it is left alone; and that a new key goes only where key and chain are one file or one
folder, because of two files one is always replaced before the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.cert.output_formats import OutputFormat
from pkiops.cli.cert_files import MAX_CERTIFICATE_BYTES, read_bounded
from pkiops.cli.cert_folder import RENEWAL, current_version
from pkiops.cli.cert_outputs import OutputTarget
from pkiops.cli.own_folders import own_folder
from pkiops.errors import GuardRefused, InputError

if TYPE_CHECKING:
    from cryptography import x509

    from pkiops.x509.keys import PrivateKey

# a key from --key; None where none was given
GivenKey = Callable[[], "PrivateKey | None"]


@dataclass(frozen=True, slots=True)
class DiskTarget:
    """A certificate on disk, its key where that is known, and the output that replaces both in one step."""

    path: Path
    certificate: x509.Certificate
    key: PrivateKey | None = field(repr=False)
    output: OutputTarget
    environment: str | None = None

    @property
    def state_folder(self) -> Path:
        """Where a renewal keeps what it must remember."""
        if self.output.format is OutputFormat.FOLDER:
            return self.path / RENEWAL
        return self.path.parent / f".{self.path.name}{RENEWAL}"

    @property
    def takes_new_key(self) -> bool:
        """Whether a new key and its chain get there in one step."""
        return self.output.format in {OutputFormat.FOLDER, OutputFormat.COMBINED}

    def facts(self) -> dict[str, str]:
        """The paths that a hook needs."""
        from pkiops.cert.server_folder import CURRENT

        path = self.path.absolute()
        if self.output.format is OutputFormat.FOLDER:
            folder = path / CURRENT
            return {
                "TARGET": str(path),
                "CERTIFICATE": str(folder / "tls.crt"),
                "KEY": str(folder / "tls.key"),
                "CA": str(folder / "ca.crt"),
            }
        holds_key = {"KEY": str(path)} if self.output.format is OutputFormat.COMBINED else {}
        return {"TARGET": str(path), "CERTIFICATE": str(path), **holds_key}


def expand(targets: Sequence[str]) -> list[str]:
    """The targets, folders of such folders replaced by what is in them (one level, in order).

    What cannot be looked into stays as it is named, for ``read_target`` to refuse: one target keeps no other from being renewed.
    """
    found = [one for target in targets for one in (_inside(Path(target)) or [target])]
    return list(dict.fromkeys(found))


def _inside(path: Path) -> list[str]:
    from pkiops.cert.server_folder import CURRENT

    with contextlib.suppress(OSError):
        if path.is_dir() and not os.path.lexists(path / CURRENT):
            return sorted(str(one) for one in path.iterdir() if one.is_dir() and os.path.lexists(one / CURRENT))
    return []


def read_target(target: str, given_key: GivenKey, *, overwrite: bool) -> DiskTarget:
    """What is on disk.

    Raises:
        InputError: it cannot be read, or its key is missing or not that of its certificate.
        GuardRefused: it is not as pkiops wrote it, and ``overwrite`` is off; it is a link, or in a folder that is not ours (``own_folders``).
        OSError: it cannot be looked at.
    """
    from pkiops.x509.keys import spki_sha256

    path = Path(target)
    folder = own_folder(path if path.is_dir() else path.parent)
    found = _of_folder(folder) if path.is_dir() else _of_file(folder / path.name, given_key, overwrite=overwrite)
    if found.key is not None and spki_sha256(found.key.public_key()) != spki_sha256(found.certificate.public_key()):
        raise InputError(
            f"the private key for {target} is not that of its certificate",
            hint="a server that goes on with the old key would refuse the new certificate",
            code="output.key-mismatch",
        )
    return found


def _of_folder(path: Path) -> DiskTarget:
    from pkiops.cert.server_folder import CURRENT
    from pkiops.x509.certificate import load_certificate
    from pkiops.x509.keys import load_private_key

    if not os.path.lexists(path / CURRENT):
        raise InputError(
            f"{path} is not a folder that pkiops wrote, and holds none",
            hint="cert issue --output folder=DIR writes one",
            code="usage.input-file",
        )
    manifest, version = current_version(path)
    data, source = read_bounded(str(version / "tls.crt"), MAX_CERTIFICATE_BYTES)
    key, key_source = read_bounded(str(version / "tls.key"), MAX_CERTIFICATE_BYTES)
    return DiskTarget(
        path,
        load_certificate(data, source),
        load_private_key(key, key_source),
        OutputTarget(OutputFormat.FOLDER, str(path)),
        manifest.owner.environment,
    )


def _of_file(path: Path, given_key: GivenKey, *, overwrite: bool) -> DiskTarget:
    from pkiops.x509.certificate import load_certificates, pem
    from pkiops.x509.keys import load_private_key, private_key_pem

    if path.is_symlink():
        raise GuardRefused(
            f"{path} is a link, and renewing would put a file in its place",
            hint=f"name what it leads to: {os.path.realpath(path)}",
            code="guard.link",
        )
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file: a pipe or a device", code="usage.input-file")
    data, source = read_bounded(str(path), MAX_CERTIFICATE_BYTES)
    certificates = load_certificates(data, source)
    written = b"".join(pem(one) for one in certificates)
    key, format_ = None, OutputFormat.FULLCHAIN if len(certificates) > 1 else OutputFormat.CERTIFICATE
    if b"PRIVATE KEY-----" in data:
        key, format_ = load_private_key(data, source), OutputFormat.COMBINED
        written += private_key_pem(key)
    if data != written and not overwrite:
        raise GuardRefused(
            f"{path} is not exactly as pkiops writes it ({format_}: certificates, then a key if there is one, in PEM)",
            hint="issue it again with cert issue --output, or add --overwrite",
            code="guard.overwrite",
        )
    return DiskTarget(path, certificates[0], key or given_key(), OutputTarget(format_, str(path)))
