"""How a relying party is started on a free port of the loopback, and what it must make of every client.

What this module decides: the order of a trial (every case with TLS 1.2 and 1.3, then a revocation and a reload, every case again, and the revoked
client with its old session; then a renewal of the root, while both are trusted and after the old one has left), and that a server is ended whatever
happens. What differs between servers is in ``servers/``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pkiops.environment.models import Revocation, TargetKind
from pkiops.trust.handshake import Identity
from tests.live.knocking import HTTP, VERSIONS, Knocker, Protocol
from tests.live.site import CASES, CLOCK, LATER, NEW, NONE, ROLLOVER, Site
from tests.live_programs import unavailable

# what software built on OpenSSL makes of the cases
OPENSSL = frozenset({"good", "three tiers", "no EKU"})
PATH = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ.get('PATH', '')}"


@dataclass(frozen=True)
class Running:
    """A server that runs: its port, how it is told of new files, and what it has logged."""

    port: int
    reload: Callable[[], None]
    log: Callable[[], str]


@dataclass(frozen=True)
class RelyingParty:
    """A kind of server. ``accepts`` are the cases that it lets in."""

    kind: TargetKind
    serve: Callable[[Site, Path], AbstractContextManager[Running]]
    accepts: frozenset[str] = OPENSSL
    revocation: Revocation = Revocation.CHAIN
    protocol: Protocol = field(default=HTTP)


def find_program(name: str) -> str:
    """The path of a server's program, also where only root's PATH leads."""
    path = shutil.which(name, path=PATH)
    if path is None:
        unavailable(f"{name} is not installed")
    return path


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextlib.contextmanager
def process(
    command: Sequence[str | Path], folder: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the block ends; what it says goes to ``output.log``."""
    with (folder / "output.log").open("ab") as output:
        started = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env={"PATH": PATH, **(environment or {})},
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(timeout=5)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(timeout=5)


def wait_until_it_listens(port: int, running: subprocess.Popen[bytes], log: Callable[[], str]) -> None:
    """Return when the port answers; fail when the program has ended, or after ten seconds."""
    for _ in range(200):
        assert running.poll() is None, log()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        CLOCK.sleep(0.05)
    pytest.fail(f"nobody listens: {log()}")


def run(command: Sequence[str | Path], folder: Path, *, environment: Mapping[str, str] | None = None) -> str:
    """What a program says that must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": PATH, **(environment or {})},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that servers which run as somebody else can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="pkiops-live-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def try_without_crls(party: RelyingParty) -> None:
    """The same files without revocation: a good client and a revoked one get in, nobody and a stranger do not, or this fails."""
    with open_folder() as folder:
        site = Site(folder, party.kind, revocation=Revocation.NONE)
        with party.serve(site, site.render()) as server:
            for name, expected in (("good", True), ("revoked", True), ("unknown CA", False), (NONE, False)):
                identity = None if name == NONE else site.identity(name)
                assert Knocker(server.port, identity, "1.3", party.protocol).knock() is expected, (name, server.log())


def try_all(party: RelyingParty) -> dict[str, bool]:
    """Who was let in by a server over rendered files: as expected, over both versions of TLS, before and after a reload, or this fails."""
    with open_folder() as folder:
        site = Site(folder, party.kind, revocation=party.revocation)
        expected = {name: name in party.accepts for name in (*CASES, NONE)}
        with party.serve(site, site.render()) as server:
            old = {tls: Knocker(server.port, site.identity(LATER), tls, party.protocol) for tls in VERSIONS}
            assert all(one.knock() for one in old.values()), server.log()
            seen = _seen(party, site, server)
            assert seen == dict.fromkeys(VERSIONS, expected), server.log()
            site.revoke_later()
            server.reload()
            _wait_until(party, server, site.identity(LATER), let_in=False)
            returned = {tls: one.knock() for tls, one in old.items()}
            assert not any(returned.values()), f"came back with an old session: {returned}\n{server.log()}"
            again = _seen(party, site, server)
            assert again == seen, server.log()
            turned = _roll_over(party, site, server)
            assert turned == dict.fromkeys(VERSIONS, ROLLOVER), server.log()
    return seen["1.3"] | turned["1.3"]


def _roll_over(party: RelyingParty, site: Site, server: Running) -> dict[str, dict[str, bool]]:
    """Who was let in while both roots were in the bundle, and after the old one had left it, by the names of ``ROLLOVER``."""
    site.renew_root()
    old, new = site.identity("good"), site.identity(NEW)

    def both_knock() -> dict[str, list[bool]]:
        return {tls: [Knocker(server.port, one, tls, party.protocol).knock() for one in (old, new)] for tls in VERSIONS}

    server.reload()
    _wait_until(party, server, new, let_in=True)
    during = both_knock()
    site.remove_old_root()
    server.reload()
    _wait_until(party, server, old, let_in=False)
    after = both_knock()
    return {tls: dict(zip(ROLLOVER, [*during[tls], *after[tls]], strict=True)) for tls in VERSIONS}


def _seen(party: RelyingParty, site: Site, server: Running) -> dict[str, dict[str, bool]]:
    identities = {**{name: site.identity(name) for name in CASES}, NONE: None}
    return {
        tls: {name: Knocker(server.port, one, tls, party.protocol).knock() for name, one in identities.items()}
        for tls in VERSIONS
    }


def _wait_until(party: RelyingParty, server: Running, identity: Identity, *, let_in: bool) -> None:
    """Until nobody answers for the old files any more: for a moment some servers have two processes at the port."""
    in_a_row = 0
    for _ in range(100):
        with contextlib.suppress(OSError):  # a server that starts again listens for nobody meanwhile
            seen = Knocker(server.port, identity, "1.3", party.protocol).knock()
            in_a_row = in_a_row + 1 if seen is let_in else 0
            if in_a_row == 4:
                return
        CLOCK.sleep(0.05)
    pytest.fail(f"{identity.certificate.name} is still {'refused' if let_in else 'let in'}: {server.log()}")


def wait_for(happened: Callable[[], bool], what: str) -> None:
    """Return when something has happened; fail after ten seconds."""
    for _ in range(200):
        if happened():
            return
        CLOCK.sleep(0.05)
    pytest.fail(f"{what} did not happen")
