"""Envoy with file SDS: it takes new files by itself when the folder is exchanged."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from pkiops.environment.models import TargetKind
from tests.live.relying_party import PATH, RelyingParty, Running, free_port, process, run, wait_until_it_listens
from tests.live.site import Site
from tests.live_programs import unavailable

# where `make clients` puts the program
INSTALLED = Path(__file__).parents[3] / ".venv-envoy" / "bin"


def program() -> str:
    path = shutil.which("envoy", path=f"{INSTALLED}:{PATH}")
    if path is None:
        unavailable("envoy is not installed (make clients fetches it)")
    return path


def bootstrap(site: Site, rendered: Path, port: int) -> dict[str, object]:
    socket = yaml.safe_load((rendered / "listener.yaml").read_text())["transport_socket"]
    own = {"certificate_chain": "server.pem", "private_key": "server.key"}
    certificate = {key: {"filename": str(site.folder / name)} for key, name in own.items()}
    socket["typed_config"]["common_tls_context"]["tls_certificates"] = [certificate]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "clients",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
                "transport_socket": socket,
            }
        ],
    }
    return {
        "node": {"id": "trial", "cluster": "trial"},
        "static_resources": {"listeners": [listener]},
    }


@contextlib.contextmanager
def serve(site: Site, rendered: Path) -> Iterator[Running]:
    envoy, port = program(), free_port()
    configuration = site.folder / "bootstrap.json"
    configuration.write_text(json.dumps(bootstrap(site, rendered, port)))
    log = site.folder / "output.log"
    run([envoy, "--mode", "validate", "-c", configuration], site.folder)
    command = [envoy, "-c", str(configuration), "--disable-hot-restart", "--concurrency", "1", "--log-level", "info"]
    with process(command, site.folder) as running:
        wait_until_it_listens(port, running, lambda: log.read_text(errors="replace"))
        yield Running(port, lambda: None, lambda: log.read_text(errors="replace"))


PARTY = RelyingParty(TargetKind.ENVOY, serve)
