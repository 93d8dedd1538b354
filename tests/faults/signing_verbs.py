"""Verbs of a CA that is signed elsewhere: ``dev`` with its root kept in a test's hands."""

from __future__ import annotations

import json

from tests.faults.world import Verb, World
from tests.offline_root import OfflineRoot
from tests.sandbox_server import START

ROOT = OfflineRoot(
    START, name={"common_name": "Example Dev Root CA G1", "organization": "Example Ltd", "country": "GB"}
)
_INSTALL = ["ca", "install", "dev", "clients", "clients.pem", "--chain", "chain.pem", "--yes"]


def _kept_elsewhere(world: World) -> None:
    """The file of ``dev``, its root kept elsewhere, and the CA below it made: it waits for its certificate."""
    path = world.folder / "environments" / "dev.yaml"
    text = path.read_text()
    start, end = text.index("authorities:\n  root:"), text.index("  clients:\n")
    declared = f"external_authorities: {{root: {{sha256: {ROOT.sha256}}}}}\nauthorities:\n"
    path.write_text(text[:start] + declared + text[end:])


def _waiting(world: World) -> None:
    _kept_elsewhere(world)
    world.done("ca", "apply", "dev", "--yes")


def _brought(world: World) -> None:
    """What was signed is there."""
    ran = world.done("ca", "csr", "dev", "clients", "--format", "json")
    (world.folder / "clients.pem").write_bytes(ROOT.sign(json.loads(ran.stdout)["csr"].encode()))
    (world.folder / "chain.pem").write_bytes(ROOT.chain)


def _to_be_installed(world: World) -> None:
    _waiting(world)
    _brought(world)


def _to_be_renewed(world: World) -> None:
    _to_be_installed(world)
    world.done(*_INSTALL)
    _brought(world)


def _one_waits(world: World) -> None:
    assert world.authority("clients")["Status"] == "PENDING_CERTIFICATE"
    assert len(world.authorities()) == 1


def _installed(world: World) -> None:
    clients = world.authority("clients")
    assert clients["Status"] == "ACTIVE"
    answer = world.client("acm-pca").get_certificate_authority_certificate(CertificateAuthorityArn=clients["Arn"])
    assert answer["Certificate"].strip() == (world.folder / "clients.pem").read_text().strip()
    # nothing is left to do, and the index names it
    world.done("ca", "plan", "dev", "--detailed-exitcode")


SIGNING_VERBS = (
    Verb(
        "apply waits", lambda world: ["ca", "apply", "dev", "--yes"], _one_waits, _kept_elsewhere, looks_elsewhere=True
    ),
    Verb("csr", lambda world: ["ca", "csr", "dev", "clients"], _one_waits, _waiting, reads=True),
    Verb("install", lambda world: _INSTALL, _installed, _to_be_installed),
    Verb("install renews", lambda world: _INSTALL, _installed, _to_be_renewed),
)
