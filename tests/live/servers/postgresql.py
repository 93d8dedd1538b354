"""PostgreSQL in a cluster of its own: a question before the handshake, and authentication by the name in the certificate."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from pkiops.environment.models import TargetKind
from tests.live.knocking import Protocol
from tests.live.relying_party import (
    PATH,
    RelyingParty,
    Running,
    free_port,
    process,
    run,
    wait_for,
    wait_until_it_listens,
)
from tests.live.site import Site
from tests.live_programs import unavailable

INSTALLED = ":".join(str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))


def _ask_for_tls(plain: socket.socket) -> None:
    plain.sendall(struct.pack(">ii", 8, 80877103))
    assert plain.recv(1) == b"S"


def _startup() -> bytes:
    body = struct.pack(">i", 196608) + b"user\0trial\0database\0postgres\0\0"
    return struct.pack(">i", len(body) + 4) + body


def program(name: str) -> str:
    path = shutil.which(name, path=f"{INSTALLED}:{PATH}")
    if path is None:
        unavailable(f"{name} is not installed")
    return path


def _owner() -> list[str]:
    """What runs a program as somebody else than root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return []
    if not any(entry.pw_name == "postgres" for entry in pwd.getpwall()):
        unavailable("there is no user postgres")
    return [program("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    port, data, owner = free_port(), site.folder / "data", _owner()
    data.mkdir(mode=0o700)
    key = site.folder / "postgres.key"
    key.write_bytes((site.folder / "server.key").read_bytes())
    key.chmod(0o600)
    if owner:
        for path in (data, key):
            shutil.chown(path, "postgres", "postgres")
    run([*owner, program("initdb"), "-D", data, "-U", "trial", "-A", "trust", "-E", "UTF8", "--no-sync"], site.folder)
    hba = (rendered / "pg_hba.conf").read_text()
    # one user for every client: names are not what is tried here
    (data / "pg_hba.conf").write_text(hba.replace("all all all cert", "all all all trust clientcert=verify-ca"))
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(
            f"include '{rendered}/postgresql.conf'\n"
            f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\n"
            f"ssl_cert_file = '{site.folder}/server.pem'\nssl_key_file = '{key}'\n"
        )
    log = site.folder / "output.log"
    with process([*owner, program("postgres"), "-D", data], site.folder) as running:
        wait_until_it_listens(port, running, log.read_text)
        # it listens, and turns everybody away, before it has started
        wait_for(lambda: "ready to accept connections" in log.read_text(), "the start")
        yield Running(port, lambda: running.send_signal(signal.SIGHUP), log.read_text)
        running.send_signal(signal.SIGQUIT)


PARTY = RelyingParty(
    TargetKind.POSTGRESQL,
    serve,
    protocol=Protocol(question=_startup(), welcome=b"R\0\0\0\x08\0\0\0\0", before=_ask_for_tls),
)
