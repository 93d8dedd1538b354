"""nginx loads what was rendered for it, lets the good client in and nobody else."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.clock import SystemClock
from pkiops.trust.handshake import Address, Attempt, Identity, Outcome, Result, Side, knock
from pkiops.trust.render import Choice, Destination, render_trust
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.builders import Issued
from tests.fakes.authority import environment
from tests.live_programs import require_program
from tests.unit.crl.world import World, with_bundle

pytestmark = pytest.mark.live
CLOCK = SystemClock()
NOW = CLOCK.now()
SERVER = builders.root_ca("localhost", at=NOW)
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/temp-body; proxy_temp_path {folder}/temp-proxy;
  fastcgi_temp_path {folder}/temp-fastcgi; uwsgi_temp_path {folder}/temp-uwsgi; scgi_temp_path {folder}/temp-scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    include "{snippet}";
    location / {{ return 200 "hello $ssl_client_s_dn\\n"; }}
  }}
}}
"""


class Site:
    """A world whose bundle is rendered for nginx, its clients, and an nginx that can be started over it."""

    def __init__(self, folder: Path, *, include_intermediates: bool = False) -> None:
        self.program = require_program("nginx")
        self.folder = folder
        env = with_bundle(environment(), include_intermediates=include_intermediates)
        self.world = World(folder / "a b", at=NOW, env=env)
        self.clients = self.world.backend.cas["clients"]
        self.write("server", SERVER)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def write(self, name: str, issued: Issued, *above: Issued) -> Identity:
        identity = Identity(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        chain = [one.certificate.public_bytes(Encoding.PEM) for one in (issued, *above)]
        identity.certificate.write_bytes(b"".join(chain))
        identity.key.write_bytes(private_key_pem(issued.key))
        return identity

    def client(self, name: str, **changes: object) -> tuple[Issued, Identity]:
        issued = builders.end_entity(self.clients, f"{name}.svc.test.example.com", at=NOW, **changes)  # type: ignore[arg-type]
        return issued, self.write(name, issued, self.clients)

    def render(self) -> Path:
        self.world.publish()
        to = self.folder / "trust with blanks"
        destination = Destination(folder=to, location=str(to))
        choice = Choice(target="nginx")
        (done,) = render_trust(
            self.world.environment, self.world.backend, self.world.store, destination, choice, at=NOW
        ).targets
        return done.path

    def configuration(self, rendered: Path) -> Path:
        path = self.folder / "nginx.conf"
        path.write_text(CONFIGURATION.format(folder=self.folder, port=self.port, snippet=rendered / "mtls.conf"))
        return path

    def check(self, configuration: Path) -> None:
        run = subprocess.run(
            [self.program, "-t", "-p", str(self.folder), "-c", str(configuration)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert run.returncode == 0, run.stderr

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        configuration = self.configuration(self.render())
        self.check(configuration)
        process = subprocess.Popen(
            [self.program, "-p", str(self.folder), "-c", str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
        )
        try:
            self._wait_until_it_listens(process)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(100):
            assert process.poll() is None, (self.folder / "error.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            CLOCK.sleep(0.05)
        pytest.fail("nginx does not listen")

    def knock(self, identity: Identity | None, tls: str) -> Outcome:
        ca = SERVER.certificate.public_bytes(Encoding.PEM).decode()
        address = Address("127.0.0.1", self.port)
        attempt = Attempt(address=address, identity=identity, server_ca=ca, verify_server=False, tls=tls)
        return knock(attempt, CLOCK)

    def log(self) -> str:
        return (self.folder / "error.log").read_text()


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_nginx_lets_the_good_client_in_and_nobody_else(tmp_path: Path, tls: str) -> None:
    site = Site(tmp_path)
    _, good = site.client("good")
    revoked_certificate, revoked = site.client("revoked")
    _, expired = site.client("expired", not_after=NOW - timedelta(hours=1))
    _, wrong = site.client("wrong", usage=("serverAuth",))
    stranger_ca = builders.root_ca("Stranger", at=NOW)
    stranger = site.write("stranger", builders.end_entity(stranger_ca, at=NOW), stranger_ca)
    site.world.backend.write("clients", 2, revoked={revoked_certificate.serial: None})
    with site.running():
        accepted = site.knock(good, tls)
        assert (accepted.result, accepted.http_status) == (Result.ACCEPTED, 200), site.log()
        for identity, reason in (
            (revoked, "certificate revoked"),
            (expired, "certificate has expired"),
            (wrong, "unsuitable certificate purpose"),
            # nginx goes on after the unknown root and tells the last error: a stranger's CA has no CRL here either
            (stranger, "unable to get certificate CRL"),
        ):
            refused = site.knock(identity, tls)
            assert (refused.result, refused.refused_by) == (Result.REFUSED, Side.SERVER)
            assert refused.code == "nginx-refused"
            assert reason in site.log()
        nothing = site.knock(None, tls)
        assert (nothing.result, nothing.code) == (Result.REFUSED, "no-certificate")


def test_an_included_intermediate_lets_a_lone_leaf_in(tmp_path: Path) -> None:
    site = Site(tmp_path, include_intermediates=True)
    issued = builders.end_entity(site.clients, at=NOW)
    lonely = site.write("lonely", issued)
    with site.running():
        assert site.knock(lonely, "1.3").result is Result.ACCEPTED, site.log()


def test_a_revoked_ca_lets_nobody_in(tmp_path: Path) -> None:
    site = Site(tmp_path)
    _, good = site.client("good")
    site.world.backend.write("root", 2, revoked={site.clients.serial: None})
    with site.running():
        assert site.knock(good, "1.3").result is Result.REFUSED
        assert "certificate revoked" in site.log()
