"""Node.js: a server with the rendered options, which takes new ones while it runs."""

from __future__ import annotations

import contextlib
import json
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
    wait_for,
    wait_until_it_listens,
)
from tests.live.site import Site

SOURCE = """
const fs = require('node:fs');
const https = require('node:https');
const mtls = require(%s);
const own = { cert: fs.readFileSync(%s), key: fs.readFileSync(%s) };
const server = https.createServer({ ...own, ...mtls.options() }, (request, answer) => answer.end('hello'));
process.on('SIGHUP', () => {
  server.setSecureContext({ ...own, ...mtls.options() });
  console.log('reloaded');
});
server.listen(%d, '127.0.0.1');
"""


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    program, port = find_program("node"), free_port()
    source = site.folder / "server.cjs"
    paths = [
        json.dumps(str(path))
        for path in (rendered / "mtls.cjs", site.folder / "server.pem", site.folder / "server.key")
    ]
    source.write_text(SOURCE % (*paths, port))
    log = site.folder / "output.log"
    with process([program, source], site.folder) as running:
        wait_until_it_listens(port, running, log.read_text)

        def reload() -> None:
            running.send_signal(signal.SIGHUP)
            wait_for(lambda: "reloaded" in log.read_text(), "the reload")

        yield Running(port, reload, log.read_text)


PARTY = RelyingParty(TargetKind.NODEJS, serve)
