"""The environment ``dev`` on a sandbox, brought up through the command line: CAs, a good client and a revoked one,
CRLs published."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.clock import SystemClock
from tests.sandbox_server import RunningSandbox, running_sandbox

ENVIRONMENTS = Path(__file__).parents[2] / "environments"


@dataclass(frozen=True)
class Estate:
    """Runs pkiops against the sandbox, in a folder of its own."""

    folder: Path
    sandbox: RunningSandbox

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        """One call; ``@name`` in an argument is a file of the folder."""
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        settings |= {"PKIOPS_SANDBOX_URL": self.sandbox.url}
        words = [word.replace("@", f"{self.folder}/") for word in arguments]
        command = ["--environments", str(ENVIRONMENTS), *words]
        return CliRunner().invoke(app, command, input=stdin, env=settings, prog_name="pkiops")

    def done(self, *arguments: str) -> Result:
        """One call that must succeed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, (arguments, result.output)
        return result

    def issue(self, name: str) -> None:
        """A client's key, request and chain: ``NAME.key``, ``NAME.csr``, ``NAME.pem``."""
        san = f"dns:{name}.svc.dev.example.com"
        self.done(
            "cert",
            "request",
            "dev",
            "--profile",
            "service",
            "--san",
            san,
            "--key",
            f"@{name}.key",
            "--csr",
            f"@{name}.csr",
        )
        self.done("cert", "issue", "dev", "--profile", "service", "--csr", f"@{name}.csr", "--output", f"@{name}.pem")

    def revoke(self, name: str) -> None:
        """Revoke a client's certificate; the sandbox writes the CRL at once."""
        self.done("cert", "revoke", "dev", f"@{name}.pem", "--reason", "keyCompromise", "--yes")


@contextlib.contextmanager
def running_estate(folder: Path) -> Iterator[Estate]:
    """CAs applied, nothing issued. OpenSSL judges by this machine's clock, so the sandbox follows it too."""
    with running_sandbox(clock=SystemClock()) as sandbox, contextlib.chdir(folder):
        estate = Estate(folder, sandbox)
        estate.done("ca", "apply", "dev", "--yes")
        yield estate
