"""The check that a target of the user's own names: a command that is run over its rendered folder, if the person at the command line allows it.

What this module decides: argv without a shell; the program is one of this machine and never a file of the rendered folder; the only placeholder is
``{folder}``; nothing is handed on of the environment but what programs need to start (no credentials); it ends in time, with all of its
children, and what it says is bounded. Whether it may run at all is the caller's question.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pkiops.clock import Clock
from pkiops.errors import InputError

FOLDER = "{folder}"
SECONDS = 60.0
MAX_OUTPUT = 65_536
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_PIECE = 8_192


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What came of a check: ``problem`` is None if it ended with 0; ``output`` is what it said, both streams together."""

    argv: tuple[str, ...]
    problem: str | None
    output: str


def require_command(argv: Sequence[str], name: str) -> None:
    """Refuse a command that could run what was rendered, or that wants more than the folder.

    Args:
        argv: program and arguments, as written.
        name: the file that they are from, for messages.

    Raises:
        InputError: code ``trust.check-command``.
    """
    for word in argv:
        rest = word.replace(FOLDER, "")
        if not word.isprintable() or "{" in rest or "}" in rest:
            raise _wrong(name, f"{word!r} holds something else in braces than {FOLDER}, or control characters")
    if not argv:
        return
    program = argv[0]
    if FOLDER in program or not program or ("/" in program and not program.startswith("/")):
        raise _wrong(name, f"{program!r} is neither the name of a program nor an absolute path")


def run_check(argv: Sequence[str], folder: Path, clock: Clock, *, seconds: float = SECONDS) -> CheckOutcome:
    """Run a check over a rendered folder, and wait for it.

    Args:
        argv: as ``require_command`` lets pass.
        folder: what stands for ``{folder}``, and where it is run.
        clock: to know when it has taken too long.
        seconds: how long it may take.
    """
    where = folder.resolve()
    words = tuple(word.replace(FOLDER, str(where)) for word in argv)
    try:
        # a session of its own, so that all of it can be ended
        process = subprocess.Popen(
            words,
            cwd=where,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return CheckOutcome(words, f"it cannot be run: {error.strerror}", "")
    said = bytearray()
    try:
        problem = _listen(process, said, clock, clock.monotonic() + seconds)
    finally:
        _end(process)
    if problem is None and process.returncode != 0:
        code = process.returncode
        problem = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    return CheckOutcome(words, problem, said[:MAX_OUTPUT].decode("utf-8", "replace").strip())


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if "PATH" in kept:
        # "." and nothing at all would be the rendered folder
        kept["PATH"] = os.pathsep.join(one for one in kept["PATH"].split(os.pathsep) if os.path.isabs(one))
    return kept


def _listen(process: subprocess.Popen[bytes], said: bytearray, clock: Clock, until: float) -> str | None:
    """Read until both have ended, it and what it says; or say why that was not waited for."""
    late = "it was not done in time, and was ended"
    if process.stdout is None:  # never with a pipe
        return late
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = until - clock.monotonic()
            if left <= 0 or not selector.select(left):
                return late
            piece = os.read(process.stdout.fileno(), _PIECE)
            if not piece:
                break
            said += piece
            if len(said) > MAX_OUTPUT:
                return f"it says more than {MAX_OUTPUT} bytes, and was ended"
    try:
        process.wait(max(0.0, until - clock.monotonic()))
    except subprocess.TimeoutExpired:
        return late
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of it, and of its children, which it may have left behind: its number stays that of their group until the last one is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter, of macOS: there are only dead ones
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _wrong(name: str, what: str) -> InputError:
    return InputError(
        f"{name}: check_command: {what}",
        hint="docs/guides/own-targets.md says what a check may be",
        code="trust.check-command",
        details={"file": name},
    )
