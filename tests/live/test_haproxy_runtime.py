"""The rendered script puts new CRLs into a running HAProxy, and says so when they do not fit into a command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pkiops.environment.models import TargetKind
from tests.live.knocking import Knocker
from tests.live.relying_party import PATH, find_program
from tests.live.servers import haproxy
from tests.live.site import LATER, Site

pytestmark = pytest.mark.live


def update(rendered: Path, socket: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_program("sh"), rendered / "update-crl.sh", socket],
        capture_output=True,
        text=True,
        env={"PATH": PATH, **environment},
        timeout=20,
        check=False,
    )


def test_a_client_is_out_without_a_reload(tmp_path: Path) -> None:
    find_program("socat")
    site = Site(tmp_path, TargetKind.HAPROXY)
    rendered = site.render()
    with haproxy.serve(site, rendered) as server:
        client = Knocker(server.port, site.identity(LATER), "1.3")
        good = Knocker(server.port, site.identity("good"), "1.3")
        assert client.knock()
        site.revoke_later()
        assert client.knock(), "a running HAProxy knows nothing of new files"
        small = update(rendered, site.folder / "admin.sock", PKIOPS_HAPROXY_BUFSIZE="1000")
        assert (small.returncode, small.stdout) == (1, "")
        assert "reload HAProxy" in small.stderr
        assert client.knock()
        done = update(rendered, site.folder / "admin.sock")
        assert done.returncode == 0, done.stderr + server.log()
        assert not client.knock(), server.log()
        assert good.knock(), server.log()


def test_an_answer_that_is_no_success_is_an_error(tmp_path: Path) -> None:
    find_program("socat")
    rendered = Site(tmp_path, TargetKind.HAPROXY).render()
    failed = update(rendered, tmp_path / "nobody.sock")
    assert failed.returncode != 0
