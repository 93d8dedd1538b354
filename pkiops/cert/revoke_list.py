"""A list of certificates to revoke: one on each line, or CSV whose first line names ``serial`` and perhaps ``reason``.

What this module decides: what a line may say (a serial number, a certificate as AWS names it, the path of one), that a broken one spoils no other
and is named by its number, and how long a list may be. Which CA has to be asked, and what is revoked already, is decided by ``revoke`` and
``revoke_many``.

A path in a list is read as a certificate and as nothing else; only a plain file is opened, so that neither a pipe nor a device can hold the run.
"""

from __future__ import annotations

import csv
import os.path
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pkiops.backends.interface import RevocationReason
from pkiops.cert.revoke import CertificateReference, Target
from pkiops.errors import InputError, PkiopsError
from pkiops.x509.certificate import load_certificate, parse_serial
from pkiops.x509.names import printable

MAX_LIST_BYTES = 8 * 1024 * 1024
_MAX_LINE_BYTES = 4096
_COLUMNS = ("serial", "reason")
# "arn:...:certificate-authority/UUID/certificate/SERIAL" (IssueCertificate, CertificateArn)
_REFERENCE = re.compile(r"(arn:[!-~]{1,300})/certificate/([0-9a-fA-F]{1,40})")
_COMMENT = re.compile(r"(^|\s)#.*")

ReadFile = Callable[[str], tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate that somebody wants revoked; ``source`` says where that is written (``list.txt:3``), ``text`` what is written there."""

    source: str
    text: str
    target: Target
    reason: RevocationReason


@dataclass(frozen=True, slots=True)
class BadRow:
    """What is written somewhere and names no certificate, and why."""

    source: str
    text: str
    error: PkiopsError


def read_target(text: str, folder: Path, read: ReadFile) -> Target:
    """The certificate that a word names: its serial in hex, its ARN, or the path of a file that holds it.

    Args:
        text: the word.
        folder: where relative paths begin.
        read: reads a file, at most so much of it as a certificate may be long.

    Raises:
        InputError: it is none of them, or a file that may as well be a serial number.
    """
    if found := _REFERENCE.fullmatch(text):
        return CertificateReference(found[1], parse_serial(found[2]))
    path = folder / text if text else folder
    if not os.path.isfile(path):  # what is too long, or no path at all, is no file
        return _serial(text)
    try:
        parse_serial(text)
    except InputError:
        return load_certificate(*read(str(path)))
    raise InputError(
        f"{text} is a file, and could be a serial number",
        hint=f"write ./{text} for the file",
        code="usage.arguments",
    )


def _serial(text: str) -> int:
    try:
        return parse_serial(text)
    except InputError as error:
        message = f"{text[:200]} is neither a file nor a serial number in hexadecimal"
        raise InputError(message, hint=error.hint, code=error.code) from error


def argument_rows(
    words: Sequence[str], reason: RevocationReason, read_word: Callable[[str], Target]
) -> Iterator[Wanted | BadRow]:
    """What the arguments of a command name, each for itself."""
    for number, word in enumerate(words, 1):
        source = f"argument {number}"
        try:
            yield Wanted(source, word, read_word(word), reason)
        except PkiopsError as error:
            yield BadRow(source, word, error)


def list_rows(
    data: bytes, name: str, folder: Path, reason: RevocationReason, read: ReadFile
) -> tuple[Wanted | BadRow, ...]:
    """The rows of a list; blank lines and comments (``#``) are none.

    Args:
        data: the list, UTF-8.
        name: what to call it in messages.
        folder: where relative paths in it begin.
        reason: of the rows that give none.
        read: reads a certificate's file.

    Raises:
        InputError: it is too long, its first line names a column that there is not, or it has no row.
    """
    if len(data) > MAX_LIST_BYTES:
        raise InputError(
            f"{name} is longer than {MAX_LIST_BYTES // 2**20} MiB", hint="split it", code="revoke-list.too-big"
        )
    columns: list[str] | None = None
    rows: list[Wanted | BadRow] = []
    first = True
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        source = f"{name}:{number}"
        try:
            text = _text(raw)
        except InputError as error:
            rows.append(BadRow(source, "", error))
            first = False
            continue
        if not text:
            continue
        if first and (columns := _header(text, source)) is not None:
            first = False
            continue
        first = False
        rows.append(_row(text, source, columns, folder, reason, read))
    if not rows:
        raise InputError(
            f"{name} names no certificate", hint="an empty list is taken for a mistake", code="revoke-list.empty"
        )
    return tuple(rows)


def _text(raw: bytes) -> str:
    if len(raw) > _MAX_LINE_BYTES:
        raise InputError(f"the line is longer than {_MAX_LINE_BYTES} bytes", code="revoke-list.too-long")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("the line is not UTF-8", code="revoke-list.encoding") from error
    return _COMMENT.sub("", text.rstrip("\r")).strip()


def _header(text: str, source: str) -> list[str] | None:
    """The columns, if the first line of a list names them; None where it is a row already."""
    names = [one.strip().lower() for one in text.split(",")]
    if "serial" not in names:
        return None
    wrong = [one for one in names if one not in _COLUMNS]
    if wrong or len(set(names)) < len(names):
        what = f"no such column: {printable(wrong[0])[:80]!r}" if wrong else "one is there twice"
        raise InputError(
            f"{source}: {what}", hint=f"columns: {', '.join(_COLUMNS)}; reason as you like", code="revoke-list.columns"
        )
    return names


def _row(
    text: str, source: str, columns: list[str] | None, folder: Path, reason: RevocationReason, read: ReadFile
) -> Wanted | BadRow:
    try:
        values = {"serial": text} if columns is None else _values(text, columns)
        given = _reason(values["reason"]) if values.get("reason") else reason
        return Wanted(source, text, read_target(values["serial"], folder, read), given)
    except PkiopsError as error:
        return BadRow(source, text, error)


def _values(text: str, columns: list[str]) -> dict[str, str]:
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InputError(f"not a line of CSV: {error}", code="revoke-list.csv") from error
    if len(fields) > len(columns) or len(fields) < len(columns) - ("reason" in columns):
        raise InputError(f"{len(fields)} fields, where the first line names {len(columns)}", code="revoke-list.csv")
    values = dict(zip(columns, (one.strip() for one in fields), strict=False))
    if not values.get("serial"):
        raise InputError("the row has no serial", code="revoke-list.csv")
    return values


def _reason(text: str) -> RevocationReason:
    try:
        return RevocationReason(text)
    except ValueError as error:
        raise InputError(
            f"no such reason: {text[:80]!r}", hint=f"one of {', '.join(RevocationReason)}", code="revoke-list.reason"
        ) from error
