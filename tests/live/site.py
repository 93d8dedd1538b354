"""The site that every relying party is tried with: CAs, a rendered bundle, and clients that ought to get in or not.

What this module decides: the cases. A root with an issuing CA below it, a second one that the root has revoked, and a third behind a policy CA; a
client for each thing that can be wrong with one; then a next generation of the root and the issuing CA, with a client of its own. Time
is that of this machine, because servers look at no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.clock import SystemClock
from pkiops.environment.models import (
    Authority,
    AuthoritySubject,
    Bundle,
    Environment,
    Revocation,
    Target,
    TargetKind,
    Trust,
)
from pkiops.trust.handshake import Identity
from pkiops.trust.render import Choice, Destination, render_trust
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.builders import Issued
from tests.fakes.authority import environment
from tests.live.generations import Generations, next_generation
from tests.unit.crl.world import World

CLOCK = SystemClock()
NOW = CLOCK.now()
SERVER = builders.root_ca("localhost", at=NOW)
ANY_USAGE = "2.5.29.37.0"


@dataclass(frozen=True)
class Case:
    """A client: the CA that issued its certificate, what is odd about it, and which CAs it sends along."""

    issuer: str = "clients"
    sends: tuple[str, ...] = ("clients",)
    usage: tuple[str, ...] = ("clientAuth",)
    age: int = 0


CASES = {
    "good": Case(),
    "three tiers": Case("deep", ("deep", "policy")),
    "no EKU": Case(usage=()),
    "any EKU": Case(usage=(ANY_USAGE,)),
    "leaf only": Case(sends=()),
    "server EKU": Case(usage=("serverAuth",)),
    "expired": Case(age=60),
    "not yet valid": Case(age=-60),
    "revoked": Case(),
    "revoked issuer": Case("gone", ("gone",)),
    "other environment": Case("other", ("other",)),
    "unknown CA": Case("stranger", ("stranger",)),
    "self-signed": Case("", ()),
}
NONE = "no certificate"
LATER = "revoked later"
NEW = "of the new root"
# what happens to the clients of the old and of the new root while both are in the bundle, and after the old one has left it
ROLLOVER = {"old root of two": True, "new root of two": True, "old root gone": False, "new root alone": True}


def _environment(kind: TargetKind, revocation: Revocation, *, include_intermediates: bool) -> Environment:
    env = environment()
    clients = env.authorities["clients"]

    def below(label: str, issuer: str, path_length: int = 0) -> tuple[str, Authority]:
        subject = AuthoritySubject(common_name=f"Example Test {label} CA G1", organization="Example Ltd")
        return label, replace(clients, subject=subject, issuer=issuer, path_length=path_length)

    added = dict([below("gone", "root"), below("policy", "root", 1), below("deep", "policy")])
    bundle = Bundle(
        anchors=("root",),
        targets={kind.value: Target()},
        include_intermediates=include_intermediates,
        revocation=revocation,
    )
    return replace(
        env,
        authorities={**env.authorities, **added},
        trust=Trust(bundles={"services": bundle}),
    )


class Site:
    """A rendered bundle, in a folder whose name has a blank, and its clients."""

    def __init__(
        self,
        folder: Path,
        kind: TargetKind,
        *,
        revocation: Revocation = Revocation.CHAIN,
        include_intermediates: bool = False,
    ) -> None:
        self.folder = folder
        self.kind = kind
        self.trust = folder / "trust files"
        env = _environment(kind, revocation, include_intermediates=include_intermediates)
        self.world = World(folder, at=NOW, env=env)
        self.cas = {
            **self.world.backend.cas,
            "stranger": builders.root_ca("Stranger", at=NOW),
            "other": World(folder / "other", at=NOW, env=env).backend.cas["clients"],  # the same names, but other keys
        }
        self.write("server", SERVER)
        self.issued = {name: self._issue(name, case) for name, case in {**CASES, LATER: Case()}.items()}
        self._revoked = {self.issued["revoked"].serial: None}
        self.world.backend.write("root", 2, revoked={self.cas["gone"].serial: None})
        self.world.backend.write("clients", 2, revoked=self._revoked)

    def _issue(self, name: str, case: Case) -> Issued:
        subject = f"{name.replace(' ', '-')}.svc.test.example.com"
        if not case.issuer:
            own = builders.root_ca(subject, at=NOW)
            self.write(name, own)
            return own
        start = NOW - timedelta(days=case.age, hours=1)
        issued = builders.end_entity(
            self.cas[case.issuer],
            subject,
            at=NOW,
            usage=case.usage,
            not_before=start,
            not_after=start + timedelta(days=30),
        )
        self.write(name, issued, *(self.cas[label] for label in case.sends))
        return issued

    def write(self, name: str, issued: Issued, *above: Issued) -> None:
        identity = self.identity(name)
        chain = [one.certificate.public_bytes(Encoding.PEM) for one in (issued, *above)]
        identity.certificate.write_bytes(b"".join(chain))
        identity.key.write_bytes(private_key_pem(issued.key))
        identity.key.chmod(0o600)

    def identity(self, name: str) -> Identity:
        return Identity(self.folder / f"{name}.pem", self.folder / f"{name}.key")

    def render(self, *, allow_removal: bool = False) -> Path:
        """Publish the CRLs, write the folder, and say where it is."""
        if self.world.environment.trust.bundles["services"].revocation is not Revocation.NONE:
            self.world.publish(allow_removal=allow_removal)
        destination = Destination(folder=self.trust, location=str(self.trust), allow_removal=allow_removal)
        (done,) = render_trust(
            self.world.environment, self.world.backend, self.world.store, destination, Choice(), at=NOW
        ).targets
        return done.path

    def revoke_later(self) -> None:
        """Revoke the client who was good until now, and write the folder again."""
        self._revoked[self.issued[LATER].serial] = None
        self.world.backend.write("clients", 3, revoked=self._revoked)
        self.render()

    def renew_root(self) -> None:
        """Put the next generation of the root and the issuing CA beside those of before, and write the folder again."""
        before = self.world
        env = next_generation(before.environment, ("root", "clients"))
        renewed = {label: env.authorities[label] for label in ("root", "clients")}
        after = World(self.folder / "next", at=NOW, env=replace(env, authorities=renewed))
        self._renewed = after.backend
        issued = builders.end_entity(after.backend.cas["clients"], "new.svc.test.example.com", at=NOW)
        self.write(NEW, issued, after.backend.cas["clients"])
        before.environment = env
        before.backend = Generations([before.backend, after.backend])
        self.render()

    def remove_old_root(self) -> None:
        """Leave the old root, and all that is below it, out of the bundle, and write the folder again."""
        self.world.backend = Generations([self._renewed])
        self.render(allow_removal=True)
