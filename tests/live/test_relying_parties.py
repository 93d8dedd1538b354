"""Every relying party that can be had here, over the files that are rendered for it: who gets in, and who does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pkiops.environment.models import Revocation
from tests.live.relying_party import RelyingParty, Running, try_all, try_without_crls
from tests.live.servers import apache, envoy, go, haproxy, java, mosquitto, nginx, nodejs, postgresql, python
from tests.live.site import Site
from tests.live.table import check_row

pytestmark = pytest.mark.live
MODULES = [nginx, haproxy, apache, envoy, java, postgresql, nodejs, python, go, mosquitto]
# those that can also look at the client's own certificate only; what the root has revoked goes unnoticed then
LEAF = [
    replace(module.PARTY, revocation=Revocation.LEAF, accepts=module.PARTY.accepts | {"revoked issuer"})
    for module in (apache, envoy, python, go)
]
PARTIES = [*(module.PARTY for module in MODULES), *LEAF]


@pytest.mark.parametrize("party", PARTIES, ids=lambda party: f"{party.kind.value}-{party.revocation.value}")
def test_the_right_clients_get_in_before_and_after_a_reload(party: RelyingParty) -> None:
    check_row(party, try_all(party))


def test_the_trial_notices_who_comes_back_with_an_old_session() -> None:
    @contextlib.contextmanager
    def serve(site: Site, rendered: Path) -> Iterator[Running]:
        snippet = rendered / "mtls.conf"
        text = snippet.read_text().replace("cache off", "cache shared:all:1m")
        snippet.write_text(text)
        with nginx.serve(site, rendered) as running:

            def reload() -> None:
                snippet.write_text(text)
                running.reload()

            yield replace(running, reload=reload)

    with pytest.raises(AssertionError, match="came back with an old session"):
        try_all(replace(nginx.PARTY, serve=serve))


# java's default trust manager is not ours to try
@pytest.mark.parametrize("party", [m.PARTY for m in MODULES if m is not java], ids=lambda party: party.kind.value)
def test_without_crls_everybody_of_ours_gets_in_and_nobody_else(party: RelyingParty) -> None:
    try_without_crls(party)
