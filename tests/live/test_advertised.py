"""What ``trust handshake --advertised`` learns of real servers over rendered files: the names of the bundle, and who gets in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.crl.authorities import observe_authorities
from pkiops.environment.models import Revocation, TargetKind
from pkiops.trust.advertised import NO_CERTIFICATE, Asks, Survey, survey
from pkiops.trust.advertised_names import Comparison, compare, our_names
from pkiops.trust.handshake import Address, Attempt
from pkiops.trust.probe import Probe
from tests.live.relying_party import RelyingParty, Running, open_folder
from tests.live.servers import haproxy, java, nginx
from tests.live.site import CLOCK, NOW, SERVER, Site

pytestmark = pytest.mark.live
# one refuses with a page, one with the alerts of OpenSSL, one with its own
REFUSALS = {
    nginx.PARTY: ("no-certificate", "nginx-refused", "nginx-refused", "nginx-refused"),
    haproxy.PARTY: ("no-certificate", "revoked", "unknown-ca", "wrong-purpose"),
    java.PARTY: ("no-certificate", "certificate-unknown", "certificate-unknown", "certificate-unknown"),
}
REFUSED = ("revoked", "unknown CA", "server EKU")
ROOT, STRANGER = "CN=Example Test Root CA G1,O=Example Ltd", "CN=Stranger,O=Example Ltd"


def ask(site: Site, server: Running, accepted: Sequence[str], refused: Sequence[str]) -> Survey:
    probes = [Probe(name, site.identity(name), name in accepted) for name in (*accepted, *refused)]
    ca = SERVER.certificate.public_bytes(Encoding.PEM).decode()
    address = Address("127.0.0.1", server.port)
    found = survey(Attempt(address=address, server_ca=ca, server_name="localhost", timeout=5), probes, CLOCK)
    assert [one.asks for one in found.versions] == [Asks.YES, Asks.YES], server.log()
    assert all(one.as_expected for one in found.clients), (found.clients, server.log())
    return found


def compared(site: Site, found: Survey) -> list[Comparison]:
    known = observe_authorities(site.world.environment, site.world.backend, NOW).known
    ours = our_names(site.world.environment, "services", known)
    return [compare(one.request.names, ours) for one in found.versions if one.request is not None]


@pytest.mark.parametrize("party", REFUSALS, ids=lambda party: str(party.kind))
def test_the_names_are_those_of_the_bundle_and_refusals_are_explained(party: RelyingParty) -> None:
    with open_folder() as folder:
        site = Site(folder, party.kind, revocation=party.revocation)
        with party.serve(site, site.render()) as server:
            found = ask(site, server, ["good"], REFUSED)
    comparisons = compared(site, found)
    assert [[one.name.text for one in comparison.names] for comparison in comparisons] == [[ROOT], [ROOT]]
    assert not any(one.foreign or one.missing for one in comparisons)
    for tls in ("1.2", "1.3"):
        codes = {one.client: one.outcome.code for one in found.clients if one.tls == tls}
        assert codes == dict(zip((NO_CERTIFICATE, *REFUSED), REFUSALS[party], strict=True)) | {"good": "accepted"}


def test_a_foreign_name_lets_foreign_clients_in_and_a_missing_one_shuts_ours_out() -> None:
    with open_folder() as folder:
        site = Site(folder, TargetKind.NGINX, revocation=Revocation.NONE)
        rendered = site.render()
        stranger = site.cas["stranger"].certificate.public_bytes(Encoding.PEM)
        anchors = (rendered / "ca.pem").read_bytes()
        (rendered / "ca.pem").write_bytes(anchors + stranger)
        with nginx.serve(site, rendered) as server:
            both = compared(site, ask(site, server, ["good", "unknown CA"], []))
        (rendered / "ca.pem").write_bytes(stranger)
        with nginx.serve(site, rendered) as server:
            wrong = compared(site, ask(site, server, ["unknown CA"], ["good"]))
    assert [[name.text for name in one.foreign] for one in both + wrong] == [[STRANGER]] * 4
    assert [[own.authority for own in one.missing] for one in both + wrong] == [[], [], ["root-g1"], ["root-g1"]]
