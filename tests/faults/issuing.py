"""Issuing and revoking, whose every call is failed, with a ledger in a file and with one that is shared: one request ends with one certificate."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pkiops.sandbox.engine.state import Authority
from tests.faults.world import Verb, World

NAME = "a.svc.dev.example.com"
_SHARED = "{type: dynamodb, table: dev-ledger}"
_REVOKE_BOTH = ("cert", "revoke", "dev", "--from", "both.txt", "--reason", "superseded", "--yes")
_ISSUE = ("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", "--output", "a.pem")


def _requested(world: World) -> None:
    world.done("ca", "apply", "dev", "--yes")
    request = ("cert", "request", "dev", "--profile", "service", "--san", f"dns:{NAME}")
    world.done(*request, "--key", "a.key", "--csr", "a.csr")


def issued(world: World) -> None:
    _requested(world)
    world.done(*_ISSUE)


def _shared(prepare: Callable[[World], None]) -> Callable[[World], None]:
    def prepared(world: World) -> None:
        world.edit("{type: sqlite, path: .pkiops/dev.db}", _SHARED)
        prepare(world)

    return prepared


def authority_in(world: World) -> Authority:
    """The subordinate as the sandbox has it, because the service has no call that lists what was issued."""
    server = world.sandbox.server
    assert server is not None
    arn = world.arn("clients")
    with server.sandbox.lock:
        (found,) = [region.authorities[arn] for region in server.sandbox.regions() if arn in region.authorities]
    return found


def issued_serials(world: World) -> set[str]:
    """The serials of what the subordinate has issued."""
    return {f"{serial:x}" for serial in authority_in(world).issued}


def _one_certificate(world: World) -> None:
    """The CA has issued one certificate, it is the one in the file, and asking again gives that one."""
    certificate = x509.load_pem_x509_certificate((world.folder / "a.pem").read_bytes())
    assert issued_serials(world) == {f"{certificate.serial_number:x}"}
    (world.folder / "a.pem").unlink()
    world.done(*_ISSUE)
    assert x509.load_pem_x509_certificate((world.folder / "a.pem").read_bytes()) == certificate


def revoke(world: World) -> list[str]:
    certificate = x509.load_pem_x509_certificate((world.folder / "a.pem").read_bytes())
    return ["cert", "revoke", "dev", f"{certificate.serial_number:x}", "--reason", "superseded", "--yes"]


def _revoked(world: World) -> None:
    """The CA knows it as revoked once, and so does the ledger, because what is revoked is not handed out again."""
    assert len(authority_in(world).revoked) == 1
    world.done(*_ISSUE, "--overwrite")
    assert len(issued_serials(world)) == 2


def _two_issued(world: World) -> None:
    issued(world)
    world.done(*_ISSUE[:-1], "b.pem", "--request-id", "another")
    (world.folder / "both.txt").write_text("a.pem  # lost\nb.pem\n")


def _both_revoked(world: World) -> None:
    """The CA knows both as revoked, and so does the ledger: another run has nothing to call for."""
    assert len(authority_in(world).revoked) == 2
    assert world.done(*_REVOKE_BOTH).stdout.strip() == "2 rows: 2 already"


def _lost(world: World) -> None:
    """A run was killed when the CA had heard of it, and the token's time has passed."""
    issued(world)
    with closing(sqlite3.connect(world.folder / ".pkiops" / "dev.db")) as ledger, ledger:
        ledger.execute(
            "UPDATE entries SET state = 'pending', serial = NULL, certificate_sha256 = NULL, chain = '[]', certificate_reference = NULL"
        )
    world.clock.advance(timedelta(minutes=11))


def _due(world: World) -> None:
    """A folder for a server, whose certificate is due."""
    _requested(world)
    world.done(*_ISSUE[:-2], "--key", "a.key", "--output", "folder=tls")
    world.clock.advance(timedelta(days=25))


def _renewed(world: World) -> None:
    """One new certificate, which is the one in the folder, with its key."""
    assert len(issued_serials(world)) == 2
    server = world.folder / "tls" / "current"
    certificate = x509.load_pem_x509_certificate((server / "tls.crt").read_bytes())
    key = load_pem_private_key((server / "tls.key").read_bytes(), None)
    assert certificate.public_key() == key.public_key()
    assert f"{certificate.serial_number:x}" in issued_serials(world)
    assert certificate.not_valid_after_utc > world.clock.now() + timedelta(days=29)


ISSUING = (
    Verb("issue", lambda world: _ISSUE, _one_certificate, _requested),
    Verb("issue with a shared ledger", lambda world: _ISSUE, _one_certificate, _shared(_requested)),
    Verb("revoke", revoke, _revoked, issued),
    Verb("revoke a list", lambda world: list(_REVOKE_BOTH), _both_revoked, _two_issued),
    Verb(
        "resolve",
        lambda world: ["cert", "resolve", "dev"],
        _one_certificate,
        _lost,
        # a report that is in the bucket was made
        recovers=frozenset({"CreateCertificateAuthorityAuditReport"}),
    ),
    Verb("cert renew", lambda world: ["cert", "renew", "dev", "tls", "--due"], _renewed, _due),
    Verb("revoke with a shared ledger", revoke, _revoked, _shared(issued), looks_elsewhere=True),
)
