"""What ``pkiops cert renew`` finds on disk: a folder that pkiops wrote, or a file with a certificate.

What this module decides: what each of them holds (certificate and key; the profile that a manifest names counts for nothing) and how it is written
again in one step; that a file not exactly as pkiops writes it is left alone; and that a new key goes only where key and chain are one file or one
folder, because of two files one is always replaced before the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.cert.output_formats import OutputFormat
from pkiops.cli.cert_files import MAX_CERTIFICATE_BYTES, read_bounded
from pkiops.cli.cert_folder import RENEWAL, current_version
from pkiops.cli.cert_outputs import OutputTarget
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

    Raises:
        InputError: there is none in a folder.
    """
    from pkiops.cert.server_folder import CURRENT

    found: list[str] = []
    for target in targets:
        path = Path(target)
        if not path.is_dir() or os.path.lexists(path / CURRENT):
            found.append(target)
            continue
        inside = sorted(str(one) for one in path.iterdir() if one.is_dir() and os.path.lexists(one / CURRENT))
        if not inside:
            raise InputError(
                f"{target} is not a folder that pkiops wrote, and holds none",
                hint="cert issue --output folder=DIR writes one",
                code="usage.input-file",
            )
        found += inside
    return list(dict.fromkeys(found))


def read_target(target: str, given_key: GivenKey, *, overwrite: bool) -> DiskTarget:
    """What is on disk.

    Raises:
        InputError: it cannot be read, or its key is missing or not that of its certificate.
        GuardRefused: it is not as pkiops wrote it, and ``overwrite`` is off; or it is a link.
    """
    from pkiops.x509.keys import spki_sha256

    path = Path(target)
    found = _of_folder(path) if path.is_dir() else _of_file(path, given_key, overwrite=overwrite)
    if found.key is not None and spki_sha256(found.key.public_key()) != spki_sha256(found.certificate.public_key()):
        raise InputError(
            f"the private key for {target} is not that of its certificate",
            hint="a server that goes on with the old key would refuse the new certificate",
            code="output.key-mismatch",
        )
    return found


def _of_folder(path: Path) -> DiskTarget:
    from pkiops.x509.certificate import load_certificate
    from pkiops.x509.keys import load_private_key

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
            hint=f"name what it leads to: {path.resolve()}",
            code="guard.link",
        )
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
