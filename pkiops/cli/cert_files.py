"""What ``pkiops cert`` reads and writes: bounded input, and the set of files of one certificate.

What this module decides: that no input is read further than it may be long, which text goes into which file, and that a file is replaced without
``--overwrite`` only where the ledger says that this request wrote it, exactly as it is.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.cli.files import FileToWrite, check_targets, write_files
from pkiops.errors import GuardRefused, InputError

if TYPE_CHECKING:
    from pkiops.cert.order import Issued
    from pkiops.ledger.interface import Ledger

STDIN = "-"
MAX_CERTIFICATE_BYTES = 1_048_576
MAX_CRL_BYTES = 128 * 1024 * 1024
_LARGEST_OUTPUT = 1_048_576


def read_bounded(name: str, limit: int) -> tuple[bytes, str]:
    """At most ``limit`` + 1 bytes of a file or of stdin (``-``), and what to call it; one byte too many is for the parser to refuse.

    Raises:
        InputError: it cannot be read.
    """
    if name == STDIN:
        return sys.stdin.buffer.read(limit + 1), "standard input"
    try:
        with Path(name).open("rb") as stream:
            return stream.read(limit + 1), name
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {name}: {reason}", code="usage.input-file") from error


@dataclass(frozen=True, slots=True)
class CertificateOutputs:
    """Where a certificate goes: ``full`` is the certificate and the CAs above it without the root, ``chain`` those CAs alone. ``-`` is stdout."""

    full: str | None = None
    certificate: str | None = None
    chain: str | None = None

    @property
    def to_stdout(self) -> bool:
        """Whether the full chain goes to stdout."""
        return self.full == STDIN or not (self.full or self.certificate or self.chain)

    def check(self, ledger: Ledger, request_key: str, *, overwrite: bool) -> None:
        """Check every target before anything is asked for.

        Raises:
            GuardRefused: a target exists, and this request did not write it as it is; ``overwrite`` is off.
            InputError: a target cannot be written.
        """
        check_targets([FileToWrite(path, b"") for path in self._paths()], overwrite=True)
        if not overwrite:
            _refuse_foreign(self._paths(), ledger.outputs(request_key))

    def write(self, issued: Issued, ledger: Ledger, *, overwrite: bool) -> tuple[str, ...]:
        """Write the set; the ledger knows of it first, so that a run killed in between can write it again. The paths that were written.

        Raises:
            GuardRefused: a target exists by now that this request did not write; what another run of it wrote is replaced.
            InputError: a target cannot be written.
        """
        from pkiops.ledger.interface import Output

        texts = texts_of(issued)
        files = [
            FileToWrite(Path(path), texts[kind])
            for kind, path in (("full", self.full), ("certificate", self.certificate), ("chain", self.chain))
            if path and path != STDIN
        ]
        if files:
            outputs = [Output(_absolute(file.path), hashlib.sha256(file.data).hexdigest()) for file in files]
            ledger.record_outputs(issued.entry.id, outputs)
            if not overwrite:
                _refuse_foreign(self._paths(), ledger.outputs(str(issued.entry.request_key)))
            write_files(files, overwrite=True)
        return tuple(str(file.path) for file in files)

    def _paths(self) -> list[Path]:
        return [Path(path) for path in (self.full, self.certificate, self.chain) if path and path != STDIN]


def texts_of(issued: Issued) -> dict[str, bytes]:
    """The PEM of each kind of output. The root is left out: whoever verifies has it, and must not take it from here."""
    from pkiops.x509.certificate import pem

    certificate = pem(issued.certificate)
    chain = b"".join(pem(one) for one in issued.chain[:-1])
    return {"full": certificate + chain, "certificate": certificate, "chain": chain}


def _refuse_foreign(paths: Sequence[Path], written: Mapping[str, frozenset[str]]) -> None:
    """Refuse to replace what is not exactly as this request wrote it; a link is nothing that was written."""
    for path in paths:
        known = written.get(_absolute(path), frozenset())
        if os.path.lexists(path) and not (path.is_file() and _digest(path) in known):
            raise GuardRefused(
                f"{path} was changed since it was written" if known else f"{path} exists",
                hint="choose another name, or add --overwrite",
                code="guard.overwrite",
            )


def _digest(path: Path) -> str | None:
    data, _ = read_bounded(str(path), _LARGEST_OUTPUT)
    return hashlib.sha256(data).hexdigest()


def _absolute(path: Path) -> str:
    # the folder is resolved, the name is not: a link in its place would be replaced, not followed
    return str(path.parent.resolve() / path.name)
