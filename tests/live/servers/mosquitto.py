"""Mosquitto, which looks at the CRL of the client's own CA only, and is started again instead of being told to reload."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pkiops.environment.models import Revocation, TargetKind
from tests.live.knocking import Protocol
from tests.live.relying_party import (
    OPENSSL,
    RelyingParty,
    Running,
    find_program,
    free_port,
    process,
    wait_until_it_listens,
)
from tests.live.site import Site

# MQTT 3.1.1: CONNECT with a clean session and no name; the answer is CONNACK with return code 0
CONNECT = bytes([0x10, 0x0C, 0x00, 0x04]) + b"MQTT" + bytes([0x04, 0x02, 0x00, 0x3C, 0x00, 0x00])
CONNACK = bytes([0x20, 0x02, 0x00, 0x00])


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    program, port = find_program("mosquitto"), free_port()
    configuration = site.folder / "mosquitto.conf"
    configuration.write_text(
        f"user root\nlistener {port} 127.0.0.1\ncertfile {site.folder}/server.pem\nkeyfile {site.folder}/server.key\n"
        + (rendered / "mosquitto.conf").read_text()
    )
    log = site.folder / "output.log"
    with contextlib.ExitStack() as stack:

        def start() -> None:
            running: subprocess.Popen[bytes] = stack.enter_context(process([program, "-c", configuration], site.folder))
            wait_until_it_listens(port, running, log.read_text)

        def start_again() -> None:
            stack.close()
            start()

        start()
        yield Running(port, start_again, log.read_text)


PARTY = RelyingParty(
    TargetKind.MOSQUITTO,
    serve,
    # a revoked issuing CA goes unnoticed
    accepts=OPENSSL | {"revoked issuer"},
    revocation=Revocation.LEAF,
    protocol=Protocol(question=CONNECT, welcome=CONNACK),
)
