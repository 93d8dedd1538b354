"""Where results, errors and questions go.

- stdout carries the result and nothing else; everything for the person at the keyboard goes to stderr.
- What stdout cannot take is an error of the caller; a character that its encoding lacks is shown as one that it has.
- Text from outside (certificate names, tags, server answers) passes ``printable`` before a terminal sees it.
- JSON is one object with ``format_version``, ``kind``, ``environment`` and ``generated_at``.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from pkiops.errors import GuardRefused, InputError, PkiopsError

FORMAT_VERSION = "1.0"
# by the mark that a line of a plan begins with: green, yellow, red, red, grey, cyan, cyan
_COLOURS = {"+ ": "32", "~ ": "33", "- ": "31", "! ": "31;1", "= ": "2", "? ": "36", "> ": "36"}
_PLAIN_LINES = str.maketrans("│└├─", "|`|-")


def printable(text: str) -> str:
    """``text`` with control characters, bidirectional overrides and lone surrogates shown as escapes; newlines stay."""
    if text.isprintable():  # nearly everything; a hundred times as fast
        return text
    return "".join(
        c if c == "\n" or (c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF) else _escaped(c) for c in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def iso(moment: datetime) -> str:
    """A moment as RFC 3339 UTC with Z, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def prepare_streams() -> None:
    """Make stdout and stderr take every text, whatever their encoding."""
    codecs.register_error("pkiops", _in_plain_characters)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # closed, or in place of the real one
            stream.reconfigure(errors="pkiops")  # type: ignore[union-attr]


def _in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lines = error.object[error.start : error.end].translate(_PLAIN_LINES)
    return "".join(c if c.isascii() else _escaped(c) for c in lines), error.end


@contextlib.contextmanager
def _writing_to_stdout() -> Iterator[None]:
    """Turn what stdout refuses into an error; that nobody reads on is not one.

    Raises:
        InputError: stdout is closed, or on a full disk.
    """
    try:
        if sys.stdout is None:
            raise InputError("cannot write the result: stdout is closed", code="usage.stdout")
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # what is left in the buffer would fail once more at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise InputError(f"cannot write the result to stdout: {error.strerror}", code="usage.stdout") from error


def emit(text: str) -> None:
    """Write the result of a command to stdout, with one newline at its end.

    Raises:
        InputError: stdout does not take it.
    """
    with _writing_to_stdout():
        sys.stdout.write(printable(text).rstrip("\n") + "\n")


def emit_lines(lines: Iterable[str]) -> None:
    """Write the result of a command to stdout line by line, for results that are too large to be held.

    Raises:
        InputError: stdout does not take it.
    """
    with _writing_to_stdout():
        sys.stdout.writelines(f"{printable(line)}\n" for line in lines)


def emit_plan(text: str) -> None:
    """Write a plan to stdout; on a terminal its lines are coloured by their marks.

    Raises:
        InputError: stdout does not take it.
    """
    with _writing_to_stdout():
        sys.stdout.write(coloured(text, sys.stdout) + "\n")


def note_plan(text: str) -> None:
    """Show a plan to the person at the keyboard, on stderr."""
    sys.stderr.write(coloured(text, sys.stderr) + "\n")


def coloured(text: str, stream: TextIO) -> str:
    """A plan as ``stream`` shall get it: printable, and with colours where a person looks at a terminal."""
    plain = printable(text).rstrip("\n")
    # https://no-color.org: any value but an empty one
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return plain
    lines = plain.split("\n")
    painted = [f"\x1b[{_COLOURS[line[:2]]}m{line}\x1b[0m" if line[:2] in _COLOURS else line for line in lines]
    return "\n".join([*painted[:-1], f"\x1b[1m{lines[-1]}\x1b[0m"])


def emit_json(kind: str, environment: str | None, generated_at: datetime, body: Mapping[str, Any]) -> None:
    """Write the result of a command to stdout as one JSON object."""
    emit(json_text(kind, environment, generated_at, body))


def json_text(kind: str, environment: str | None, generated_at: datetime, body: Mapping[str, Any]) -> str:
    """The JSON object that ``emit_json`` writes."""
    document = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "environment": environment,
        "generated_at": iso(generated_at),
        **body,
    }
    return json.dumps(document, indent=2, ensure_ascii=True, default=_jsonable)


def _jsonable(value: object) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def emit_bytes(data: bytes) -> None:
    """Write bytes to stdout; binary is never written to a terminal.

    Raises:
        InputError: stdout is a terminal and the data is not text, or does not take it.
    """
    with _writing_to_stdout():
        if sys.stdout.isatty() and b"\x00" in data:
            raise InputError("this result is binary and stdout is a terminal", hint="use --output FILE, or a pipe")
        sys.stdout.buffer.write(data)


def note(text: str) -> None:
    """Say something to the person at the keyboard, on stderr."""
    sys.stderr.write(printable(text).rstrip("\n") + "\n")


def emit_error(error: PkiopsError, *, as_json: bool) -> None:
    """Write an error to stderr: what failed, and the hint on a line of its own."""
    if as_json:
        body = {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
        document = {"format_version": FORMAT_VERSION, "kind": "error", "error": body}
        sys.stderr.write(json.dumps(document, default=_jsonable) + "\n")
        return
    note(f"error: {error.message}")
    if error.hint:
        note(f"hint: {error.hint}")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table: columns as wide as their widest cell, two spaces between, no trailing blanks."""
    cells = [tuple(printable(cell).replace("\n", " ") for cell in row) for row in rows]
    widths = [max(len(line[i]) for line in [tuple(headings), *cells]) for i in range(len(headings))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [tuple(headings), *cells]
    ]
    return "\n".join(lines)


def ask(question: str, *, yes: bool, flag: str = "--yes") -> None:
    """Ask for consent on the terminal; without one it must have been given by flag.

    Raises:
        GuardRefused: no terminal and no flag, or the answer was not yes.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise GuardRefused(
            f"{question.rstrip('?')}: not done, because nobody can be asked here",
            hint=f"look at what would be done, then run again with {flag}",
            code="guard.consent",
        )
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):  # Ctrl-C or Ctrl-D: what comes next begins a line of its own
            sys.stderr.write("\n")
    if answer.strip().lower() not in {"y", "yes"}:
        raise GuardRefused("not done: the answer was not yes", code="guard.consent")


class StderrProgress:
    """Progress as lines on stderr, shown on a terminal or when asked for with -v."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    def step(self, message: str) -> None:
        if self._shown:
            note(f"  {message}")
