"""What ``trust handshake`` makes of nginx, which refuses with a page, and the reasons that nginx logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.environment.models import TargetKind
from pkiops.trust.handshake import Address, Attempt, Outcome, Result, Side, knock
from tests.live.servers import nginx
from tests.live.site import CLOCK, SERVER, Site

pytestmark = pytest.mark.live


def attempt(port: int, site: Site, name: str | None, tls: str = "1.3") -> Outcome:
    identity = None if name is None else site.identity(name)
    ca = SERVER.certificate.public_bytes(Encoding.PEM).decode()
    address = Address("127.0.0.1", port)
    return knock(Attempt(address=address, identity=identity, server_ca=ca, verify_server=False, tls=tls), CLOCK)


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_the_page_of_nginx_is_a_refusal_and_its_log_has_the_reason(tmp_path: Path, tls: str) -> None:
    site = Site(tmp_path, TargetKind.NGINX)
    with nginx.serve(site, site.render()) as server:
        accepted = attempt(server.port, site, "good", tls)
        assert (accepted.result, accepted.http_status) == (Result.ACCEPTED, 200), server.log()
        for name, reason in (
            ("revoked", "certificate revoked"),
            ("expired", "certificate has expired"),
            ("server EKU", "unsuitable certificate purpose"),
            # nginx goes on after the unknown root and tells the last error: a stranger's CA has no CRL here either
            ("unknown CA", "unable to get certificate CRL"),
        ):
            refused = attempt(server.port, site, name, tls)
            assert (refused.result, refused.refused_by) == (Result.REFUSED, Side.SERVER)
            assert refused.code == "nginx-refused"
            assert reason in server.log()
        nothing = attempt(server.port, site, None, tls)
        assert (nothing.result, nothing.code) == (Result.REFUSED, "no-certificate")


def test_an_included_intermediate_lets_a_lone_leaf_in(tmp_path: Path) -> None:
    site = Site(tmp_path, TargetKind.NGINX, include_intermediates=True)
    with nginx.serve(site, site.render()) as server:
        assert attempt(server.port, site, "leaf only").result is Result.ACCEPTED, server.log()
        assert attempt(server.port, site, "revoked issuer").result is Result.REFUSED
