"""Real pkiops processes that start fast: forked from a server that has imported everything once.

Each is a process of its own with its own environment, working directory and output, and can be killed with SIGKILL like any other.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "boto3",
        "botocore.httpsession",
        "cryptography.x509.verification",
        "pkiops.aws",
        "pkiops.backends.aws_private_ca",
        "pkiops.ca.apply",
        "pkiops.ca.verify",
        "pkiops.cli.app",
        "pkiops.cli.ca",
        "pkiops.environment.load",
        "pkiops.factory",
        "pkiops.stores.s3_buckets",
    ]
)


@dataclass
class Pkiops:
    """One running or finished pkiops process."""

    process: ForkServerProcess
    output: Path

    def begin(self) -> None:
        """Start a process that was only prepared."""
        self.process.start()

    def kill(self) -> None:
        self.process.kill()

    def wait(self, timeout_s: float = 90.0) -> int:
        """Its exit code; negative is the signal that ended it."""
        self.process.join(timeout_s)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"still running after {timeout_s} s; said so far:\n{self.said()}")
        return self.process.exitcode

    def said(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""


def prepared(arguments: list[str], *, folder: Path, environment: Mapping[str, str], name: str = "pkiops") -> Pkiops:
    """A process that will run ``pkiops ARGUMENTS`` in ``folder`` with these environment variables added."""
    output = folder / f"{name}.log"
    process = _CONTEXT.Process(target=_run, args=(arguments, str(folder), dict(environment), str(output)), daemon=True)
    return Pkiops(process, output)


def start(arguments: list[str], *, folder: Path, environment: Mapping[str, str], name: str = "pkiops") -> Pkiops:
    """``prepared``, and begun."""
    made = prepared(arguments, folder=folder, environment=environment, name=name)
    made.begin()
    return made


def _run(arguments: list[str], folder: str, environment: dict[str, str], output: str) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["pkiops", *arguments]
    from pkiops.__main__ import main

    main()
