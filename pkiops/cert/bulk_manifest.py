"""The manifest of a bulk run: rows out of CSV, JSON Lines or a folder of requests, one at a time.

What this module decides: what a row may say, that each is one line (so that a broken one spoils no other, and is named by its line), how long a line
may be, and that the paths and names in it stay where they belong: requests in the manifest's folder or below it, links included, results under a
plain name. Nothing is kept: a manifest may have any number of rows.
"""

from __future__ import annotations

import csv
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from pkiops.errors import InputError, PkiopsError
from pkiops.x509.csr import MAX_CSR_BYTES
from pkiops.x509.duration import Duration
from pkiops.x509.san import SubjectAltName, parse_san

COLUMNS = ("csr", "profile", "sans", "validity", "request_id", "output")
MAX_LINE_BYTES = 65_536
_LONGEST_NAME = 200
_REQUEST_FILES = frozenset({".csr", ".der", ".pem", ".req"})
_NAME = re.compile(r"[\w@+=,][\w@+=,~. -]*", re.UNICODE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row that can be read. ``source`` names it (``hosts.csv:17``); ``csr`` is the path of its request; ``output`` a name without an ending."""

    number: int
    source: str
    csr: Path
    profile: str
    sans: tuple[SubjectAltName, ...]
    validity: Duration | None
    request_id: str | None
    output: str

    def request(self) -> bytes:
        """The request, at most a byte longer than one may be.

        Raises:
            InputError: it cannot be read.
        """
        try:
            # opened so that neither a pipe nor a device can hold it, and asked what it is before it is read
            descriptor = os.open(self.csr, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    with open(descriptor, "rb", closefd=False) as stream:
                        return stream.read(MAX_CSR_BYTES + 1)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise InputError(f"cannot read {_shown(self.csr)}: {error.strerror}", code="usage.input-file") from error
        raise InputError(f"{self.csr} is not a file", code="usage.input-file")


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row that cannot be read, and why."""

    number: int
    source: str
    error: PkiopsError


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a row without a profile or a validity has, and the folder in which requests are."""

    folder: Path
    profile: str | None = None
    validity: Duration | None = None


def folder_rows(folder: Path, defaults: Defaults) -> Iterator[Row | BadRow]:
    """A row for every request in a folder (.csr, .der, .pem, .req), by name; other files are passed over.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            names = sorted(one.name for one in found if Path(one.name).suffix.lower() in _REQUEST_FILES)
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}", code="usage.input-file") from error
    for number, name in enumerate(names, 1):
        yield _row({"csr": name}, number, str(folder / name), defaults)


def stream_rows(stream: BinaryIO, name: str, defaults: Defaults) -> Iterator[Row | BadRow]:
    """The rows of CSV or JSON Lines; what begins with a brace is the latter.

    Raises:
        InputError: the first line of CSV does not name the columns, or the stream cannot be read.
    """
    lines = _lines(stream, name)
    first = next(lines, None)
    if first is None:
        return
    number, raw = first
    if raw.lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):
        read: Callable[[str], Mapping[str, Any]] = _json_values
        lines = chain([first], lines)
    else:
        columns = _columns(raw, f"{name}:{number}")
        read = lambda text: _csv_values(text, columns)  # noqa: E731
    for number, raw in lines:
        if raw.strip():
            yield _read_row(raw, number, f"{name}:{number}", read, defaults)


def _lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; of one that is too long the beginning, a byte longer than one may be."""
    number = 0
    try:
        while raw := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            rest = raw
            while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                rest = stream.readline(MAX_LINE_BYTES + 1)
            yield number, raw
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}", code="usage.input-file") from error


def _read_row(
    raw: bytes, number: int, source: str, read: Callable[[str], Mapping[str, Any]], defaults: Defaults
) -> Row | BadRow:
    try:
        if len(raw) > MAX_LINE_BYTES:
            raise InputError(f"the line is longer than {MAX_LINE_BYTES} bytes", code="manifest.too-long")
        values = read(_text(raw))
    except PkiopsError as error:
        return BadRow(number=number, source=source, error=error)
    return _row(values, number, source, defaults)


def _text(raw: bytes) -> str:
    try:
        return raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("the line is not UTF-8", code="manifest.encoding") from error


def _columns(raw: bytes, source: str) -> list[str]:
    try:
        names = [one.strip() for one in _fields(_text(raw))]
    except InputError as error:
        raise InputError(f"{source}: {error.message}", code="manifest.columns") from error
    wrong = [one for one in names if one not in COLUMNS]
    if wrong or len(set(names)) < len(names) or "csr" not in names:
        what = (
            f"no such column: {', '.join(map(repr, wrong[:5]))}" if wrong else "csr is missing, or one is there twice"
        )
        raise InputError(
            f"{source}: the first line of CSV names the columns; {what}",
            hint=f"columns: {', '.join(COLUMNS)}; csr is needed, the others as you like",
            code="manifest.columns",
        )
    return names


def _fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InputError(f"not a line of CSV: {error}", code="manifest.csv") from error


def _csv_values(text: str, columns: list[str]) -> Mapping[str, Any]:
    fields = _fields(text)
    if len(fields) != len(columns):
        raise InputError(f"{len(fields)} fields, where the first line names {len(columns)}", code="manifest.csv")
    # an empty cell is one without a value
    return {name: value for name, value in zip(columns, fields, strict=True) if value}


def _json_values(text: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a line of JSON: {error}", code="manifest.json") from error
    if not isinstance(values, dict):
        raise InputError(f"not an object of {', '.join(COLUMNS)}", code="manifest.json")
    if wrong := [one for one in values if one not in COLUMNS]:
        raise InputError(
            f"no such key: {', '.join(repr(one[:_LONGEST_NAME]) for one in wrong[:5])}",
            hint=f"keys: {', '.join(COLUMNS)}",
            code="manifest.json",
        )
    sans = values.get("sans")
    if isinstance(sans, list) and all(isinstance(one, str) for one in sans):
        values["sans"] = " ".join(sans)
    values = {name: value for name, value in values.items() if value is not None}
    if wrong := [name for name, value in values.items() if not isinstance(value, str)]:
        raise InputError(f"{', '.join(wrong)}: not a text; sans may be a list of them", code="manifest.json")
    return values


def _row(values: Mapping[str, str], number: int, source: str, defaults: Defaults) -> Row | BadRow:
    try:
        if wrong := [name for name, value in values.items() if not _is_unicode(value)]:
            # half of a pair that JSON can write ("\\ud800") and nothing else can: no ledger, no file name
            raise InputError(f"{', '.join(wrong)}: not Unicode text", code="manifest.encoding")
        profile = values.get("profile", defaults.profile)
        if profile is None or "csr" not in values:
            what = "csr" if profile else "profile"
            hint = "give --profile for the rows that name none" if what == "profile" else None
            raise InputError(f"the row has no {what}", hint=hint, code="manifest.missing")
        path = bounded_path(values["csr"], defaults.folder)
        return Row(
            number=number,
            source=source,
            csr=path,
            profile=profile,
            sans=tuple(parse_san(one) for one in values.get("sans", "").split()),
            validity=_duration(values["validity"]) if "validity" in values else defaults.validity,
            request_id=values.get("request_id"),
            output=output_name(values.get("output", path.stem)),
        )
    except PkiopsError as error:
        return BadRow(number=number, source=source, error=error)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 2 * _LONGEST_NAME else f"{text[: 2 * _LONGEST_NAME]}..."


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise InputError(f"validity {text!r}: {error}", code="manifest.validity") from error


def bounded_path(text: str, folder: Path) -> Path:
    """The path of a request as a manifest gives it: relative, and in ``folder`` or below, wherever links lead.

    Raises:
        InputError: it is not.
    """
    path = Path(text)
    try:
        inside = not path.is_absolute() and ".." not in path.parts and text.isprintable()
        if inside and (folder / path).resolve().is_relative_to(folder.resolve()):
            return folder / path
    except (OSError, ValueError, RuntimeError):
        pass  # too long, a NUL, or links in a circle
    raise InputError(
        f"csr {text[:_LONGEST_NAME]!r} leads out of {folder}",
        hint="requests are in the folder of the manifest or below it, by relative paths",
        code="manifest.path",
    )


def output_name(text: str) -> str:
    """The name of a result: of one file, without its ending.

    Raises:
        InputError: it is a path, hidden, too long, or has characters that a file name should not have.
    """
    if _NAME.fullmatch(text) and len(text.encode()) <= _LONGEST_NAME:
        return text
    raise InputError(
        f"output {text[:_LONGEST_NAME]!r} is not a plain name",
        hint="letters, digits and . _ - + = @ , ~ and blanks, at most 200 bytes, beginning with none of . - ~ and blank",
        code="manifest.output",
    )
