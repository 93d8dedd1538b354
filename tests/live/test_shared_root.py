"""Below a root that is kept elsewhere others have CAs too: their clients stay out of nginx, HAProxy and Apache by the list of issuers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pkiops.environment.models import Bundle, ExternalAuthority, Revocation, Target, TargetKind, Trust
from tests import builders
from tests.live.knocking import VERSIONS, Knocker
from tests.live.relying_party import Running
from tests.live.servers import apache, haproxy, nginx
from tests.live.site import NOW, Site
from tests.unit.crl.world import World

pytestmark = pytest.mark.live


def shared(folder: Path, kind: TargetKind) -> Site:
    """A site whose issuing CA hangs below an outside root, with a client of its own and one of a neighbour's."""
    site = Site(folder, kind)
    env = site.world.environment
    bundle = Bundle(anchors=("offline",), targets={kind.value: Target()}, revocation=Revocation.NONE)
    clients = replace(env.authorities["clients"], issuer="offline")
    clients = replace(
        clients, subject=replace(clients.subject, organization='Größe, "Inc" +1', common_name="Our \\ CA")
    )
    outside = {"offline": ExternalAuthority()}
    env = replace(
        env, authorities={"clients": clients}, external_authorities=outside, trust=Trust(bundles={"services": bundle})
    )
    site.world = World(folder / "shared", at=NOW, env=env)
    root = site.world.backend.outside["offline"]
    ours = site.world.backend.cas["clients"]
    neighbour = builders.subordinate_ca(root, "A neighbour's CA", at=NOW, not_after=NOW + timedelta(days=900))
    for name, ca in (("ours", ours), ("theirs", neighbour)):
        site.write(name, builders.end_entity(ca, f"{name}.example.com", at=NOW), ca)
    return site


@contextlib.contextmanager
def nginx_with_list(site: Site, rendered: Path) -> Iterator[Running]:
    listed = nginx.CONFIGURATION.replace("  server {{", '  include "{rendered}/issuers.conf";\n  server {{')
    with nginx.serve(site, rendered, listed) as running:
        yield running


@pytest.mark.parametrize("kind", [TargetKind.NGINX, TargetKind.HAPROXY, TargetKind.APACHE])
def test_a_neighbours_client_stays_out(tmp_path: Path, kind: TargetKind) -> None:
    site = shared(tmp_path, kind)
    serve = {TargetKind.NGINX: nginx_with_list, TargetKind.HAPROXY: haproxy.serve, TargetKind.APACHE: apache.serve}
    with serve[kind](site, site.render()) as server:
        for tls in VERSIONS:
            let_in = {name: Knocker(server.port, site.identity(name), tls).knock() for name in ("ours", "theirs")}
            assert let_in == {"ours": True, "theirs": False}, server.log()
