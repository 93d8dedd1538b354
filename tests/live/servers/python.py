"""Python: a server with the rendered context."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pkiops.environment.models import TargetKind
from tests.live.relying_party import RelyingParty, Running, free_port, process, run, wait_until_it_listens
from tests.live.site import Site

SOURCE = """
import http.server
import sys

port, folder, certificate, key = sys.argv[1:]
sys.path.insert(0, folder)
import mtls


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
server.socket = mtls.server_context(certificate, key).wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    port = free_port()
    source = site.folder / "server.py"
    source.write_text(SOURCE)
    own = [site.folder / "server.pem", site.folder / "server.key"]
    command: list[str | Path] = [sys.executable, "-B", source, str(port), rendered, *own]
    log = site.folder / "output.log"
    run([sys.executable, "-B", "mtls.py"], rendered)
    with contextlib.ExitStack() as stack:

        def start() -> None:
            running: subprocess.Popen[bytes] = stack.enter_context(process(command, site.folder))
            wait_until_it_listens(port, running, log.read_text)

        def start_again() -> None:
            stack.close()
            start()

        start()
        yield Running(port, start_again, log.read_text)


PARTY = RelyingParty(TargetKind.PYTHON, serve)
