"""Two people with different files for one authority: while one waits at the prompt for ten minutes of the sandbox's time, the other applies.

At real terminals: each is a process of its own, with its own role, and the one who waits answers yes in the end.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from pkiops.clock import ManualClock, SystemClock
from tests.faults.hierarchy import assert_harmless, assert_whole_dev, dev_folder
from tests.sandbox_server import RunningSandbox, running_sandbox

QUESTION = b"Apply this to account"
OTHER_FILES = {
    "another key": ("key_algorithm: EC_prime256v1 ", "key_algorithm: RSA_2048 "),
    "another life": ("validity: 5y", "validity: 4y"),
    "another list": ("crl: {validity: 7d}", "crl: {validity: 9d}"),
}


class Person:
    """Somebody with a working directory, a role and a terminal."""

    def __init__(self, name: str, folder: Path, sandbox: RunningSandbox) -> None:
        folder.mkdir()
        self.file = dev_folder(folder) / "environments" / "dev.yaml"
        self._folder = folder
        self._environment = {**os.environ, **sandbox.environment}
        self.edit("sandbox: true", f"role_arn: arn:aws:iam::123456789012:role/{name}\n  sandbox: true")

    def edit(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new, 1))

    def apply(self) -> subprocess.CompletedProcess[str]:
        """Apply without being asked."""
        command = [sys.executable, "-m", "pkiops", "ca", "apply", "dev", "--yes"]
        return subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )

    @contextmanager
    def at_the_prompt(self) -> Iterator[Terminal]:
        """Apply until the question is asked."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "pkiops", "ca", "apply", "dev"],
            cwd=self._folder,
            env=self._environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        with closing(Terminal(process, ours)) as terminal:
            terminal.read_until(QUESTION)
            yield terminal


class Terminal:
    """The other end of a person's terminal."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self.said = b""

    def read_until(self, text: bytes) -> None:
        while text not in self.said:
            part = self._read()
            assert part, self.said.decode(errors="replace")
            self.said += part

    def answer(self, text: bytes) -> int:
        """Answer, read the rest, and return the exit code."""
        os.write(self._descriptor, text + b"\n")
        while part := self._read():
            self.said += part
        return self._process.wait(timeout=120)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=10)
        os.close(self._descriptor)

    def _read(self) -> bytes:
        assert select.select([self._descriptor], [], [], 90.0)[0], self.said.decode(errors="replace")
        try:
            return os.read(self._descriptor, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return b""


@pytest.mark.parametrize("other", OTHER_FILES)
def test_who_waited_at_the_prompt_is_told_who_was_first(tmp_path: Path, other: str) -> None:
    with running_sandbox(clock=ManualClock(SystemClock().now())) as sandbox:
        alice, bob = (Person(name, tmp_path / name, sandbox) for name in ("alice", "bob"))
        bob.edit(*OTHER_FILES[other])
        with bob.at_the_prompt() as waiting:
            first = alice.apply()
            assert first.returncode == 0, first.stderr
            assert isinstance(sandbox.clock, ManualClock)
            sandbox.clock.advance(timedelta(minutes=10))
            code = waiting.answer(b"y")
        pca, s3 = sandbox.client("acm-pca"), sandbox.client("s3")
        assert code == 9, waiting.said.decode()
        assert b":assumed-role/alice/" in waiting.said
        assert_harmless(pca, s3)
        assert_whole_dev(pca, s3)
        assert "nothing to do" in alice.apply().stdout
