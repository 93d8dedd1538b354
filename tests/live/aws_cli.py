"""The AWS command line as a person runs it: a process per command, files for what is not a word, JSON back.

It decides how ``aws`` is found (``make clients`` puts the pinned one into ``.venv-awscli``) and what it sees of the machine:
nothing but a sandbox. What is said to it is left to the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.live_programs import unavailable

PROGRAM = Path(__file__).parents[2] / ".venv-awscli" / "bin" / "aws"


class Aws:
    """``aws`` in a folder of its own; ``operations`` are the commands of ``acm-pca`` that have succeeded."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        if not PROGRAM.exists():
            unavailable("the AWS command line is not here (make clients)")
        self.environment = {**environment, "PATH": os.environ["PATH"], "HOME": str(folder)}
        self.folder = folder
        self.operations: set[str] = set()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PROGRAM), *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def text(self, *words: str) -> str:
        """What a command prints; it must succeed, and complain of nothing."""
        run = self.run(*words)
        assert (run.returncode, run.stderr) == (0, ""), (words, run.stdout, run.stderr)
        if words[0] == "acm-pca" and words[1] != "wait":
            self.operations.add(words[1])
        return run.stdout

    def __call__(self, *words: str) -> Any:
        """The JSON that a command prints; None if it prints nothing."""
        printed = self.text(*words)
        return json.loads(printed) if printed else None

    def refused(self, *words: str) -> tuple[str, str]:
        """The error code and the message of a command that the service refuses."""
        run = self.run(*words)
        assert run.returncode == 255, (words, run.stdout, run.stderr)
        assert run.stdout == ""
        before, _, message = run.stderr.strip().partition(" operation: ")
        return before.partition("(")[2].partition(")")[0], message

    def write(self, name: str, content: object) -> str:
        """A JSON file, as ``file://`` wants to be told of it."""
        (self.folder / name).write_text(json.dumps(content))
        return f"file://{name}"

    def assume(self, role: str) -> Aws:
        """The same program with the credentials of a role."""
        found = self("sts", "assume-role", "--role-arn", role, "--role-session-name", "cli")["Credentials"]
        credentials = {
            "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"],
        }
        return Aws({**self.environment, **credentials}, self.folder)
