"""The verbs at the end of a CA's life, whose every call is failed; what they leave, in the account and in the archive, is looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta

from cryptography import x509

from tests.faults.hierarchy import assert_buckets_closed, assert_index_names
from tests.faults.world import Verb, World

_ARCHIVE = "dev-clients-g1-archive"
_DAY = "2027-01-10"


def _applied(world: World) -> None:
    world.done("ca", "apply", "dev", "--yes")


def _disabled(world: World) -> None:
    _applied(world)
    world.done("ca", "disable", "dev", "clients", "--yes")


def _used(world: World) -> None:
    """A CA that is DISABLED, and what it has issued."""
    _applied(world)
    for name in ("a", "b"):
        request = ("cert", "request", "dev", "--profile", "service", "--san", f"dns:{name}.svc.dev.example.com")
        world.done(*request, "--key", f"{name}.key", "--csr", f"{name}.csr")
        world.done("cert", "issue", "dev", "--profile", "service", "--csr", f"{name}.csr", "--output", f"{name}.pem")
    world.done("ca", "disable", "dev", "clients", "--yes")


def _deleted(world: World) -> None:
    _used(world)
    world.done("ca", "delete", "dev", "clients", "--yes", "--allow-live-certificates")


def _due(world: World) -> None:
    """Both CAs are to be renewed, and it is time."""
    _applied(world)
    world.edit("    issuer: root\n", f'    issuer: root\n    renew_from: "{_DAY}"\n')
    world.edit("    path_length: 1 ", f'    renew_from: "{_DAY}"\n    path_length: 1 ')
    world.clock.advance(timedelta(days=50))


def _is(status: str, world: World) -> None:
    assert world.authority("clients")["Status"] == status
    assert_index_names(world.client("s3"), {label: world.arn(label) for label in ("root", "clients")})
    assert_buckets_closed(world.client("s3"))


def _gone(world: World) -> None:
    """The CA is DELETED, and everything of it is in the archive."""
    (gone,) = [one for one in world.authorities() if one["Type"] == "SUBORDINATE"]
    assert gone["Status"] == "DELETED"
    assert_index_names(world.client("s3"), {"root": world.arn("root")})
    folder = world.folder / _ARCHIVE
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["complete"], manifest["certificates"], manifest["reference"]) == (True, 2, gone["Arn"])
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    own = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
    certificates = [x509.load_pem_x509_certificate(one.read_bytes()) for one in folder.glob("certificates/*")]
    assert len(certificates) == 2
    for certificate in certificates:
        certificate.verify_directly_issued_by(own)


def _renewed(*labels: str) -> Callable[[World], None]:
    def converged(world: World) -> None:
        for label in labels:
            assert world.authority(label)["NotBefore"].strftime("%Y-%m-%d") == _DAY
        _is("ACTIVE", world)

    return converged


RETIRING = (
    Verb(
        "disable",
        lambda world: ["ca", "disable", "dev", "clients", "--yes"],
        lambda world: _is("DISABLED", world),
        _applied,
    ),
    Verb(
        "enable",
        lambda world: ["ca", "enable", "dev", "clients", "--yes"],
        lambda world: _is("ACTIVE", world),
        _disabled,
    ),
    Verb(
        "delete",
        lambda world: ["ca", "delete", "dev", "clients", "--yes", "--allow-live-certificates"],
        _gone,
        _used,
        # until when it can be restored is looked at when all is done, and said if it cannot
        tolerates=frozenset({"DescribeCertificateAuthority"}),
    ),
    Verb(
        "restore",
        lambda world: ["ca", "restore", "dev", "clients", "--yes"],
        lambda world: _is("DISABLED", world),
        _deleted,
        tolerates=frozenset({"ListCertificateAuthorities", "ListTags"}),
    ),
    Verb(
        "renew",
        lambda world: ["ca", "renew", "dev", "clients", "--yes"],
        _renewed("clients"),
        _due,
        # the fingerprint of the new certificate is looked at when all is done
        tolerates=frozenset({"ListCertificateAuthorities", "ListTags", "GetCertificateAuthorityCertificate"}),
    ),
    Verb(
        "apply renews",
        lambda world: ["ca", "apply", "dev", "--yes"],
        _renewed("root", "clients"),
        _due,
        looks_elsewhere=True,
    ),
)
