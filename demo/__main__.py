"""Tell the story: every step is a command, shown before it runs, and what it leaves is in ``demo-output/``.

Whatever ends the story, Ctrl-C included, the sandbox and the TLS server are ended too; the files stay.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from demo import servers

REPOSITORY = Path(__file__).parents[1]
OUTPUT = REPOSITORY / "demo-output"
NAME = "payments.svc.dev.example.com"
WIDTH = 100


class Story:
    """The narrator: says what comes, shows the command, runs it in the output folder."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._chapter = 0

    def chapter(self, title: str, text: str) -> None:
        """Say what comes next and why."""
        self._chapter += 1
        print(f"\n{'-' * WIDTH}\n{self._chapter}. {title}\n   {text}\n", flush=True)

    def pkiops(self, line: str, *, expect: int = 0, shown: bool = True) -> str:
        """Run a pkiops command as a user would type it."""
        print(f"$ pkiops {line}", flush=True)
        return self._run([sys.executable, "-m", "pkiops", *shlex.split(line)], expect=expect, shown=shown)

    def shell(self, line: str) -> str:
        """Run another program."""
        print(f"$ {line}", flush=True)
        return self._run(shlex.split(line), expect=0, shown=True)

    def _run(self, command: list[str], *, expect: int, shown: bool) -> str:
        done = subprocess.run(
            command,
            cwd=OUTPUT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )
        if shown or done.returncode != expect:
            print("".join(f"  {text}\n" for text in done.stdout.splitlines()), flush=True)
        if done.returncode != expect:
            raise SystemExit(f"the demo stopped: exit code {done.returncode}, expected {expect}")
        return done.stdout


@contextlib.contextmanager
def sandbox() -> Iterator[dict[str, str]]:
    """A sandbox on a free port; the variables that point pkiops at it."""
    command = [sys.executable, "-m", "pkiops", "sandbox"]
    started = subprocess.run([*command, "up", "--detach", "--port", "0"], stdout=subprocess.PIPE, text=True, check=True)
    exports = (line.removeprefix("export ").partition("=") for line in started.stdout.splitlines())
    variables = {name: value for name, _, value in exports}
    port = variables["PKIOPS_SANDBOX_URL"].rpartition(":")[2]
    try:
        yield variables
    finally:
        subprocess.run([*command, "down", "--port", port], stdout=subprocess.DEVNULL, check=False)


def prepare_output() -> None:
    """An empty output folder with the sample environment; an older one of ours is replaced."""
    marker = OUTPUT / ".made-by-make-demo"
    if OUTPUT.exists():
        if not marker.exists():
            raise SystemExit(f"{OUTPUT} exists and is not from an earlier demo: move it away")
        shutil.rmtree(OUTPUT)
    (OUTPUT / "environments").mkdir(parents=True)
    marker.touch()
    shutil.copy(REPOSITORY / "environments" / "dev.yaml", OUTPUT / "environments" / "dev.yaml")


def make_request(story: Story) -> None:
    """A key and a CSR, made by openssl where it is installed: pkiops never needs to see the key."""
    if shutil.which("openssl"):
        story.shell(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout payments.key -out payments.csr "
            f"-subj /CN={NAME} -addext subjectAltName=DNS:{NAME}"
        )
        return
    story.pkiops(f"cert request dev --profile service --san dns:{NAME} --key payments.key --csr payments.csr")


def knock(story: Story, server: servers.Server, expect: str) -> None:
    """A real mutual TLS handshake, and what must come of it."""
    story.pkiops(
        f"trust handshake 127.0.0.1:{server.port} --cert payments.pem --key payments.key --ca server/server.pem "
        f"--server-name localhost --expect {expect}"
    )


def tell(story: Story) -> None:
    """The story from an empty account to a revoked certificate that no longer gets in."""
    story.chapter(
        "A CA hierarchy, from a file", "environments/dev.yaml declares a root and an issuing CA; the account is empty."
    )
    story.pkiops("env validate dev")
    story.pkiops("ca apply dev --yes")
    story.pkiops("ca show dev")
    story.chapter(
        "A client certificate", "The request is judged by the profile's policy; what comes back is compared with it."
    )
    make_request(story)
    story.pkiops("cert issue dev --profile service --csr payments.csr --output payments.pem")
    story.pkiops("cert verify payments.pem --env dev")
    story.chapter(
        "Trust", "CRLs are checked and published as one set; the files a server loads are rendered and proven."
    )
    story.pkiops("crl publish dev")
    story.pkiops("trust render dev --to trust")
    story.pkiops("trust verify dev trust --bundle services --target nginx --probe payments.pem,payments.key")
    server = servers.start(OUTPUT / "server", OUTPUT / "trust" / "services")
    try:
        story.chapter(
            "Mutual TLS", f"A server that requires client certificates: {server.name}, with the rendered files."
        )
        knock(story, server, "accepted")
        story.chapter(
            "Revocation",
            "The key is compromised: revoke, publish the CRL, render, reload. (The sandbox writes its CRL at once.)",
        )
        story.pkiops("cert revoke dev payments.pem --reason keyCompromise --yes")
        story.pkiops("crl publish dev")
        story.pkiops("trust render dev --to trust")
        server.reload()
        knock(story, server, "refused")
    finally:
        server.stop()
    story.chapter("The auditor", "Every CA and every certificate, as JSON and as CSV.")
    story.pkiops("inventory export dev --format json --output inventory.json")
    story.pkiops("inventory export dev --format csv --table certificates --output certificates.csv")


def main() -> int:
    """Run the demo; 0 when the whole story came true."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    prepare_output()
    print(
        "pkiops demo: a private PKI for mutual TLS on an AWS Private CA that runs on this machine; no account, no bill."
    )
    try:
        with sandbox() as variables:
            tell(Story(variables))
    except KeyboardInterrupt:
        print("\nended; the sandbox and the server are gone, the files stay", file=sys.stderr)
        return 130
    print(
        f"\nDone. Look at what it left: {OUTPUT.relative_to(Path.cwd()) if OUTPUT.is_relative_to(Path.cwd()) else OUTPUT}/"
    )
    for path in sorted(OUTPUT.rglob("*")):
        if path.is_file() and path.suffix in {".pem", ".csr", ".json", ".csv", ".yaml", ".conf"}:
            print(f"  {path.relative_to(OUTPUT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
