"""A command that is run after a renewal.

What this module decides: that it is argv without a shell unless a shell was asked for, what it finds in its environment, and that it is ended with
all of its children if it takes too long. What it prints goes to stderr; secrets that have a name for pkiops are not handed on.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pkiops.cli.output import note
from pkiops.errors import InputError

_SECONDS = 300
_MOST_SAID = 4000
_PREFIX = "PKIOPS_RENEWED_"


@dataclass(frozen=True, slots=True)
class Hook:
    """A command and its arguments."""

    argv: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, *, in_shell: bool) -> Hook:
        """Read ``--exec-after``: words as a shell would split them, or the whole of it for ``/bin/sh -c``.

        Raises:
            InputError: it is empty, or a quote is not closed.
        """
        try:
            words: Sequence[str] = ("/bin/sh", "-c", text) if in_shell and text.strip() else shlex.split(text)
        except ValueError as error:
            raise InputError(f"--exec-after {text}: {error}", code="usage.arguments") from error
        if not words:
            raise InputError("--exec-after is empty", code="usage.arguments")
        return cls(tuple(words))

    def run(self, facts: Mapping[str, str], *, seconds: float = _SECONDS) -> str | None:
        """Run it with ``PKIOPS_RENEWED_<FACT>`` in its environment; None if it ended with 0, else what went wrong."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PKIOPS_SECRET_")}
        variables = {**inherited, **{_PREFIX + name: value for name, value in facts.items()}}
        with tempfile.TemporaryFile() as said:
            try:
                # a session of its own, so that all of it can be ended
                process = subprocess.Popen(
                    self.argv,
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                return f"{self.argv[0]} cannot be run: {error.strerror}"
            problem = _wait(process, seconds)
            said.seek(0, os.SEEK_END)
            said.seek(max(0, said.tell() - _MOST_SAID))
            text = said.read().decode("utf-8", "replace").strip()
        if text:
            note("\n".join(f"  {line}" for line in text.splitlines()))
        return f"{shlex.join(self.argv)}: {problem}" if problem else None


def _wait(process: subprocess.Popen[bytes], seconds: float) -> str | None:
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"not done after {seconds:.0f} seconds, and ended"
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        raise
    return None if code == 0 else f"exit code {code}" if code > 0 else f"ended by signal {-code}"
