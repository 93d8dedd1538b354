"""Apache httpd with the modules that it needs, and a graceful restart."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkiops.environment.models import TargetKind
from tests.live.relying_party import RelyingParty, Running, find_program, free_port, process, run, wait_until_it_listens
from tests.live.site import Site

MODULES = Path("/usr/lib/apache2/modules")
CONFIGURATION = """
ServerRoot "{folder}"
ServerName localhost
PidFile "{folder}/apache.pid"
DefaultRuntimeDir "{folder}"
Mutex "file:{folder}"
ErrorLog "{folder}/error.log"
LogLevel ssl:info
Listen 127.0.0.1:{port}
{modules}
DocumentRoot "{folder}/pages"
StartServers 1
MinSpareThreads 1
ThreadsPerChild 4
SSLSessionCache "shmcb:{folder}/sessions(512000)"
<VirtualHost 127.0.0.1:{port}>
  SSLEngine on
  SSLCertificateFile "{folder}/server.pem"
  SSLCertificateKeyFile "{folder}/server.key"
  Include "{rendered}/mtls.conf"
</VirtualHost>
"""


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    program, port = find_program("apache2"), free_port()
    if not MODULES.is_dir():
        pytest.fail(f"apache2 is here, but not its modules in {MODULES}")
    pages = site.folder / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("hello")
    lines = [
        f"LoadModule {name}_module {MODULES}/mod_{name}.so"
        for name in ("mpm_event", "authz_core", "ssl", "socache_shmcb", "dir", "rewrite")
    ]
    configuration = site.folder / "apache.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=site.folder, port=port, rendered=rendered, modules="\n".join(lines))
    )
    command: list[str | Path] = [program, "-f", configuration]
    log = site.folder / "error.log"
    run([*command, "-t"], site.folder)
    with process([*command, "-D", "FOREGROUND"], site.folder) as running:
        wait_until_it_listens(port, running, log.read_text)
        yield Running(port, lambda: running.send_signal(signal.SIGUSR1), log.read_text)


PARTY = RelyingParty(TargetKind.APACHE, serve)
