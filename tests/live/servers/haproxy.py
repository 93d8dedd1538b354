"""HAProxy in master-worker mode, so that it can be reloaded."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from pkiops.environment.models import TargetKind
from tests.live.relying_party import RelyingParty, Running, find_program, free_port, process, run, wait_until_it_listens
from tests.live.site import Site

FRONTEND = """
global
    stats socket "{folder}/admin.sock" mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend clients
    {bind}
    {rule}
    http-request return status 200 content-type text/plain string hello
"""


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    program, port = find_program("haproxy"), free_port()
    both = site.folder / "both.pem"
    both.write_bytes((site.folder / "server.pem").read_bytes() + (site.folder / "server.key").read_bytes())
    rendered_lines = (rendered / "bind.cfg").read_text()
    # the line that the file gives to copy, with a port and a certificate of ours
    (bind,) = [line for line in rendered_lines.splitlines() if line.startswith("#   bind ")]
    bind = (
        bind.removeprefix("#   ").replace(":443", f"127.0.0.1:{port}").replace("/etc/haproxy/server.pem", f'"{both}"')
    )
    rules = [line.removeprefix("#   ") for line in rendered_lines.splitlines() if line.startswith("#   http-request ")]
    configuration = site.folder / "haproxy.cfg"
    configuration.write_text(rendered_lines + FRONTEND.format(bind=bind, rule="".join(rules), folder=site.folder))
    log = site.folder / "output.log"
    run([program, "-c", "-f", configuration], site.folder)
    with process([program, "-W", "-db", "-f", configuration], site.folder) as running:
        wait_until_it_listens(port, running, log.read_text)
        yield Running(port, lambda: running.send_signal(signal.SIGUSR2), log.read_text)


PARTY = RelyingParty(TargetKind.HAPROXY, serve)
