"""nginx: finishes the handshake and refuses with a page."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from pkiops.environment.models import TargetKind
from tests.live.relying_party import (
    RelyingParty,
    Running,
    find_program,
    free_port,
    process,
    run,
    wait_for,
    wait_until_it_listens,
)
from tests.live.site import Site

CONFIGURATION = """
daemon off;
pid "{folder}/nginx.pid";
error_log "{folder}/error.log" info;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path "{folder}/t1"; proxy_temp_path "{folder}/t2"; fastcgi_temp_path "{folder}/t3";
  uwsgi_temp_path "{folder}/t4"; scgi_temp_path "{folder}/t5";
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate "{folder}/server.pem";
    ssl_certificate_key "{folder}/server.key";
    include "{rendered}/mtls.conf";
    location / {{ return 200 "hello\\n"; }}
  }}
}}
"""


@contextlib.contextmanager
def serve(site: Site, rendered: Path, configured: str = CONFIGURATION) -> Iterator[Running]:
    program, port = find_program("nginx"), free_port()
    configuration = site.folder / "nginx.conf"
    configuration.write_text(configured.format(folder=site.folder, port=port, rendered=rendered))
    command: list[str | Path] = [program, "-p", site.folder, "-c", configuration]
    log = site.folder / "error.log"
    run([*command, "-t"], site.folder)
    with process(command, site.folder) as running:
        wait_until_it_listens(port, running, log.read_text)

        def reload() -> None:
            running.send_signal(signal.SIGHUP)
            wait_for(lambda: "exited with code 0" in log.read_text(), "the end of the old worker")

        yield Running(port, reload, log.read_text)


PARTY = RelyingParty(TargetKind.NGINX, serve)
