"""The files of ``pkiops cert bulk``: the manifest that it reads and the results that it writes; the report is ``cert_bulk_report``'s.

What this module decides: under which name a row's certificate is written, one file for each format.
Whether a file may be replaced is decided as for ``cert issue``.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pkiops.cert.output_formats import OutputFormat
from pkiops.cli.cert_files import STDIN
from pkiops.cli.cert_outputs import CertificateOutputs, OutputTarget
from pkiops.cli.output import json_text
from pkiops.errors import InputError

if TYPE_CHECKING:
    from pkiops.cert.bulk_manifest import BadRow, Row
    from pkiops.cert.order import Issued, Prepared
    from pkiops.ledger.interface import Ledger
    from pkiops.x509.duration import Duration

_LOOK_UP_S = 0.2
ENDINGS = {
    OutputFormat.FULLCHAIN: ".pem",
    OutputFormat.CERTIFICATE: ".cert.pem",
    OutputFormat.CHAIN: ".chain.pem",
    OutputFormat.DER: ".der",
    OutputFormat.PKCS7: ".p7b",
    OutputFormat.PKCS7_PEM: ".p7b.pem",
    OutputFormat.JSON: ".json",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows, and how much of them is read (0 to 1, None where that is not known)."""

    rows: Iterator[Row | BadRow]
    read: Callable[[], float | None]


def check_places(manifest: str, folder: Path) -> None:
    """Ask whether results may go into ``folder``, before anything is read.

    Raises:
        InputError: there is no such folder, or it is the one that the requests are read from.
    """
    if not folder.is_dir():
        raise InputError(f"--output-dir {folder} is no folder", hint=f"mkdir -p {folder}", code="usage.output")
    if manifest != STDIN and Path(manifest).is_dir() and Path(manifest).resolve() == folder.resolve():
        raise InputError(
            f"--output-dir {folder} is the folder of the requests: the next run would take certificates for requests",
            hint="give the certificates a folder of their own",
            code="usage.output",
        )


@contextlib.contextmanager
def open_manifest(
    name: str, profile: str | None, validity: Duration | None, is_over: Callable[[], bool] = lambda: False
) -> Iterator[Manifest]:
    """A file of CSV or JSON Lines, a folder of requests, or stdin (``-``), whose requests are in the working directory.

    What comes through a pipe ends, too, when ``is_over`` says that nobody waits for more.

    Raises:
        InputError: it cannot be read.
    """
    from pkiops.cert.bulk_manifest import Defaults, folder_rows, stream_rows

    path = Path(name)
    if name == STDIN:
        rows = stream_rows(_piped(sys.stdin.buffer, is_over), "stdin", Defaults(Path(), profile, validity))
        yield Manifest(rows, lambda: None)
        return
    if path.is_dir():
        yield Manifest(folder_rows(path, Defaults(path, profile, validity)), lambda: None)
        return
    try:
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {name}: {reason}", code="usage.input-file") from error
    with stream:
        rows = stream_rows(_piped(stream, is_over), name, Defaults(path.parent, profile, validity))
        yield Manifest(rows, _part_read(stream))


def _piped(stream: BinaryIO, is_over: Callable[[], bool]) -> BinaryIO:
    """The stream, read in a way that does not hold it while nothing comes; a file is read as it is."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return stream
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return stream
    return io.BufferedReader(_Pipe(descriptor, is_over))


class _Pipe(io.RawIOBase):
    """A pipe or terminal whose end is where the writer ends it, or where nobody wants more: a reader that waits could be stopped by nothing else."""

    def __init__(self, descriptor: int, is_over: Callable[[], bool]) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._is_over = is_over

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not select.select([self._descriptor], [], [], _LOOK_UP_S)[0]:
            if self._is_over():
                return 0
        data = os.read(self._descriptor, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _part_read(stream: BinaryIO) -> Callable[[], float | None]:
    size = os.fstat(stream.fileno()).st_size

    def read() -> float | None:
        return stream.tell() / size if size and stream.seekable() else None

    return read


@dataclass(frozen=True, slots=True)
class RowFiles:
    """Writes the certificate of each row below one folder (``bulk_parts.Delivery``)."""

    environment: str
    folder: Path
    formats: Sequence[OutputFormat]
    ledger: Ledger
    overwrite: bool

    def files(self, row: Row) -> Sequence[str]:
        """One for each format."""
        return [f"{row.output}{ENDINGS[one]}" for one in self.formats]

    def check(self, row: Row, prepared: Prepared) -> None:
        """See ``CertificateOutputs.check``."""
        self._outputs(row).check(self.ledger, prepared, overwrite=self.overwrite)

    def write(self, row: Row, issued: Issued) -> tuple[str, ...]:
        """See ``CertificateOutputs.write``."""
        document = self._document(issued) if OutputFormat.JSON in self.formats else ""
        return self._outputs(row).write(issued, self.ledger, document=document, overwrite=self.overwrite)

    def _outputs(self, row: Row) -> CertificateOutputs:
        names = zip(self.formats, self.files(row), strict=True)
        return CertificateOutputs(tuple(OutputTarget(one, str(self.folder / name)) for one, name in names))

    def _document(self, issued: Issued) -> str:
        from pkiops.cert.report import certificate_document

        # what ``cert issue --output json=FILE`` writes, so that either may replace the other's
        return json_text("cert-issue", self.environment, issued.entry.created_at, certificate_document(issued)) + "\n"
