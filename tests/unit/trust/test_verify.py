"""Rendered files are judged by their bytes: whatever fails open or locks out is found, whoever changed it and however
well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.clock import SystemClock
from pkiops.environment.models import Environment, Revocation, TargetKind, Trust
from pkiops.errors import InputError, VerificationFailed
from pkiops.trust.handshake import Identity
from pkiops.trust.probe import Probe, ProbeResult, run_probes
from pkiops.trust.render import Choice, Destination, RenderOutcome, crls_for, render_trust
from pkiops.trust.targets.registry import built_in
from pkiops.trust.verify import Expected, VerifiedFolder, verify_folder
from pkiops.x509.certificate import fingerprint
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.builders import Issued
from tests.fakes.authority import environment
from tests.unit.crl.world import World, with_authority, with_bundle

NOW = SystemClock().now()  # OpenSSL judges handshakes by the clock of this machine


class Rendered:
    """A world whose bundle has been rendered."""

    def __init__(self, folder: Path, env: Environment | None = None) -> None:
        self.world = World(folder, at=NOW, env=env or with_bundle(environment()))
        self.keys = folder / "keys"
        self.keys.mkdir()
        self.out = folder / "out"
        self.good, self.bad = self.client("good"), self.client("bad")
        self.world.backend.write("clients", 2, revoked={self.bad.serial: None})
        self.world.publish()
        self.render()

    def client(self, name: str, **changes: object) -> Issued:
        clients = self.world.backend.cas["clients"]
        issued = builders.end_entity(clients, f"{name}.svc.test.example.com", at=NOW, **changes)  # type: ignore[arg-type]
        chain = [issued.certificate, clients.certificate]
        (self.keys / f"{name}.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
        (self.keys / f"{name}.key").write_bytes(private_key_pem(issued.key))
        return issued

    def identity(self, name: str) -> Identity:
        return Identity(self.keys / f"{name}.pem", self.keys / f"{name}.key")

    def render(self, **changes: Any) -> RenderOutcome:
        return render_trust(
            self.world.environment,
            self.world.backend,
            self.world.store,
            Destination(folder=self.out, location=str(self.out)),
            Choice(**changes),
            at=self.world.clock.now(),
        )

    def path(self, name: str, target: str = "nginx") -> Path:
        return self.out / "services" / target / name

    def verify(self, target: str = "nginx") -> VerifiedFolder:
        environment, known, at = self.world.environment, self.world.known(), self.world.clock.now()
        bundles = [one for one in environment.trust.bundles.values() if one.revocation is Revocation.NONE]
        expected = Expected(
            environment=environment,
            authorities=known,
            bundle="services",
            target_name=target,
            target=built_in(TargetKind(target)),
            at=at,
            published=crls_for(environment, bundles, known, self.world.store, at=at),
        )
        return verify_folder(self.path("", target), expected)

    def codes(self, target: str = "nginx") -> list[str]:
        return sorted({finding.code for finding in self.verify(target).findings})

    def write(self, name: str, data: bytes, *, cover_up: bool) -> None:
        """Change a file, and its digest in the manifest too when it is to be covered up."""
        self.path(name).write_bytes(data)
        if cover_up:
            manifest = json.loads(self.path("MANIFEST.json").read_bytes())
            manifest["files"][name] = hashlib.sha256(data).hexdigest()
            text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=True) + "\n"
            self.path("MANIFEST.json").write_text(text)

    def knock(self, probes: Sequence[Probe], target: str = "nginx") -> tuple[ProbeResult, ...]:
        found = self.verify(target).relying_party
        assert found is not None
        return run_probes(found, probes)


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    return Rendered(tmp_path)


@pytest.mark.parametrize("target", ["nginx", "pem"])
@pytest.mark.parametrize("revocation", [Revocation.CHAIN, Revocation.NONE])
@pytest.mark.parametrize("include", [False, True])
def test_what_was_rendered_is_fine(tmp_path: Path, target: str, revocation: Revocation, include: bool) -> None:
    env = with_bundle(environment(), revocation=revocation, include_intermediates=include)
    found = Rendered(tmp_path, env).verify(target)
    assert found.findings == ()
    assert len(found.anchors) == 1


def test_leaf_revocation(tmp_path: Path) -> None:
    rendered = Rendered(tmp_path, with_bundle(environment(), revocation=Revocation.LEAF))
    assert rendered.verify("pem").findings == ()
    assert rendered.verify("pem").crls == ("clients-g1",)
    results = rendered.knock(
        [Probe("good", rendered.identity("good"), True), Probe("bad", rendered.identity("bad"), False)], "pem"
    )
    assert all(one.as_expected for one in results), results


def other_root() -> Issued:
    return builders.root_ca("Somebody Else", at=NOW)


def pem_of(issued: Issued) -> bytes:
    return issued.certificate.public_bytes(Encoding.PEM)


def crl_pem(issuer: Issued, **changes: object) -> bytes:
    return builders.crl(issuer, at=NOW, **changes).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


# name of the case -> what it does to a file, and the finding that must come of it even when the manifest is made to fit
Damage = Callable[[Rendered], tuple[str, bytes]]
FAIL_OPEN: dict[str, tuple[Damage, str]] = {
    "a foreign anchor": (
        lambda r: ("ca.pem", r.path("ca.pem").read_bytes() + pem_of(other_root())),
        "trust.foreign-certificate",
    ),
    "only a foreign anchor": (lambda r: ("ca.pem", pem_of(other_root())), "trust.anchor-missing"),
    "a leaf as a CA": (
        lambda r: ("ca.pem", r.path("ca.pem").read_bytes() + pem_of(r.good)),
        "trust.foreign-certificate",
    ),
    "an expired root": (
        lambda r: (
            "ca.pem",
            r.path("ca.pem").read_bytes()
            + pem_of(builders.root_ca("Old", not_before=NOW - timedelta(days=9), not_after=NOW)),
        ),
        "trust.foreign-certificate",
    ),
    "a private key": (
        lambda r: ("ca.pem", r.path("ca.pem").read_bytes() + private_key_pem(builders.key())),
        "trust.private-key",
    ),
    "the root twice": (lambda r: ("ca.pem", 2 * r.path("ca.pem").read_bytes()), "trust.duplicate"),
    "an empty CA file": (lambda r: ("ca.pem", b""), "trust.file-empty"),
    "a damaged CA file": (lambda r: ("ca.pem", r.path("ca.pem").read_bytes()[:-40]), "trust.file-unreadable"),
    "an empty CRL file": (lambda r: ("crl.pem", b""), "trust.file-empty"),
    "a CRL file of comments": (lambda r: ("crl.pem", b"# nothing\n"), "trust.file-unreadable"),
    "a certificate among the CRLs": (
        lambda r: ("crl.pem", r.path("crl.pem").read_bytes() + pem_of(other_root())),
        "trust.file-mixed",
    ),
    "one CRL missing": (lambda r: ("crl.pem", crl_pem(r.world.backend.cas["root"])), "trust.crl-missing"),
    "a forged CRL": (
        lambda r: (
            "crl.pem",
            crl_pem(r.world.backend.cas["root"]) + crl_pem(r.world.backend.cas["clients"], signer=builders.key()),
        ),
        "crl.signature",
    ),
    "an expired CRL": (
        lambda r: (
            "crl.pem",
            crl_pem(r.world.backend.cas["root"])
            + crl_pem(r.world.backend.cas["clients"], next_update=NOW - timedelta(seconds=1)),
        ),
        "crl.expired",
    ),
    "a CRL of somebody else": (
        lambda r: ("crl.pem", r.path("crl.pem").read_bytes() + crl_pem(other_root())),
        "trust.crl-foreign",
    ),
    "two CRLs of one CA": (lambda r: ("crl.pem", 2 * r.path("crl.pem").read_bytes()), "trust.duplicate"),
    "clients need no certificate": (
        lambda r: ("mtls.conf", r.path("mtls.conf").read_bytes().replace(b"client on", b"client optional")),
        "trust.rendering",
    ),
    "no CRLs in the snippet": (
        lambda r: (
            "mtls.conf",
            b"".join(x for x in r.path("mtls.conf").read_bytes().splitlines(True) if b"ssl_crl" not in x),
        ),
        "trust.rendering",
    ),
}


@pytest.mark.parametrize("case", sorted(FAIL_OPEN))
@pytest.mark.parametrize("cover_up", [False, True])
def test_what_fails_open_or_locks_out_is_found(rendered: Rendered, case: str, cover_up: bool) -> None:
    damage, code = FAIL_OPEN[case]
    rendered.write(*damage(rendered), cover_up=cover_up)
    codes = rendered.codes()
    assert ("trust.file-changed" in codes) is not cover_up
    if cover_up or code != "trust.rendering":
        assert code in codes


def test_files_that_are_missing_or_do_not_belong_there(rendered: Rendered) -> None:
    rendered.path("crl.pem").unlink()
    assert rendered.codes() == ["trust.file-missing"]
    rendered.render()
    rendered.path("extra.pem").write_bytes(b"x")
    assert rendered.codes() == ["trust.file-extra"]
    rendered.path("extra.pem").unlink()
    rendered.path("MANIFEST.json").unlink()
    assert "trust.manifest" in rendered.codes()
    rendered.path("ca.pem").unlink()
    rendered.path("ca.pem").symlink_to("/etc/hostname")
    with pytest.raises(InputError):
        rendered.verify()


def test_a_folder_of_another_target_is_noticed(rendered: Rendered) -> None:
    manifest = rendered.path("MANIFEST.json", "pem").read_bytes()
    rendered.path("MANIFEST.json").write_bytes(manifest)
    assert "trust.wrong-folder" in rendered.codes()


def test_a_wrong_pin_is_found(rendered: Rendered) -> None:
    root = fingerprint(rendered.world.backend.cas["root"].certificate)
    rendered.world.environment = with_authority(rendered.world.environment, "root", sha256="0" * 64)
    assert rendered.codes() == ["trust.pin"]
    rendered.world.environment = with_authority(rendered.world.environment, "root", sha256=root)
    assert rendered.codes() == ["trust.rendering"], "the manifest does not know yet that it is pinned"
    rendered.render()
    assert rendered.codes() == []


def test_files_grow_old(rendered: Rendered) -> None:
    rendered.world.later(days=6, hours=23, minutes=30)
    assert rendered.codes() == [], "current to the last minute, though too old to be rendered anew"
    rendered.world.later(hours=1)
    assert rendered.codes() == ["crl.expired", "trust.crl-missing"]


def test_rendering_without_published_crls_says_what_to_do(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(VerificationFailed) as caught:
        render_trust(
            world.environment,
            world.backend,
            world.store,
            Destination(folder=tmp_path / "out", location="/x"),
            Choice(),
            at=world.clock.now(),
        )
    assert caught.value.hint == "pkiops crl publish test"
    assert not (tmp_path / "out").exists()


def test_rendering_again_changes_nothing_and_a_choice_narrows(rendered: Rendered) -> None:
    assert [one.change for one in rendered.render().targets] == ["unchanged", "unchanged"]
    assert [one.target for one in rendered.render(target="nginx").targets] == ["nginx"]
    for choice in ({"bundle": "none"}, {"target": "none"}):
        with pytest.raises(InputError):
            rendered.render(**choice)


def test_unpinned_anchors_are_named(rendered: Rendered) -> None:
    assert rendered.render().unpinned == ("root-g1",)


@pytest.mark.parametrize("target", ["nginx", "pem"])
def test_who_gets_in(rendered: Rendered, target: str) -> None:
    rendered.client("expired", not_after=NOW - timedelta(hours=1))
    rendered.client("server", usage=("serverAuth",))
    leaf_only = rendered.keys / "leaf-only.pem"
    leaf_only.write_bytes(pem_of(rendered.good))
    probes = [
        Probe("good", rendered.identity("good"), True),
        *(Probe(name, rendered.identity(name), False) for name in ("bad", "expired", "server")),
        Probe("leaf only", replace(rendered.identity("good"), certificate=leaf_only), False),
    ]
    results = rendered.knock(probes, target)
    assert all(one.as_expected for one in results), results
    reasons = {one.name: one.reason for one in results if one.tls == "1.3"}
    assert reasons["good"] == ""
    assert reasons["no certificate"] == "no certificate was sent"
    assert reasons["bad"].startswith("it is revoked (OpenSSL 23")
    assert reasons["expired"].startswith("the certificate has expired")
    assert reasons["server"].startswith("it is not made for clients")
    assert reasons["a stranger's certificate"].startswith("it is self-signed")
    assert "issu" in reasons["leaf only"]
    assert [one.tls for one in results[:2]] == ["1.2", "1.3"]


def test_included_intermediates_let_a_lone_leaf_in(tmp_path: Path) -> None:
    rendered = Rendered(tmp_path, with_bundle(environment(), include_intermediates=True))
    leaf_only = rendered.keys / "leaf-only.pem"
    leaf_only.write_bytes(pem_of(rendered.good))
    identity = replace(rendered.identity("good"), certificate=leaf_only)
    for target in ("nginx", "pem"):
        assert all(one.as_expected for one in rendered.knock([Probe("leaf only", identity, True)], target))


def test_a_revoked_ca_lets_nobody_in(rendered: Rendered) -> None:
    clients = rendered.world.backend.cas["clients"]
    rendered.world.backend.write("root", 2, revoked={clients.serial: None})
    rendered.world.publish()
    rendered.render()
    assert rendered.codes() == []
    results = rendered.knock([Probe("good", rendered.identity("good"), False)])
    assert all(one.as_expected for one in results)


@pytest.mark.parametrize("alone", [True, False])
def test_a_revoked_ca_is_not_listed_where_no_crl_is_looked_at(tmp_path: Path, alone: bool) -> None:
    """Some relying parties take clients of every CA in their file; which other bundles are made with it changes nothing."""
    env = with_bundle(environment(), revocation=Revocation.NONE, include_intermediates=True)
    others = {} if alone else {"others": replace(env.trust.bundles["services"], revocation=Revocation.CHAIN)}
    rendered = Rendered(tmp_path, replace(env, trust=Trust(bundles={**env.trust.bundles, **others})))
    listed = rendered.path("ca.pem").read_bytes()
    clients = rendered.world.backend.cas["clients"]
    assert pem_of(clients) in listed
    rendered.world.backend.write("root", 2, revoked={clients.serial: None})
    rendered.world.publish()
    assert rendered.codes() == ["trust.rendering"]
    rendered.render()
    assert pem_of(clients) not in rendered.path("ca.pem").read_bytes()
    assert rendered.codes() == []


def test_intermediates_are_listed_where_no_crl_was_ever_published(tmp_path: Path) -> None:
    world = World(tmp_path, env=with_bundle(environment(), revocation=Revocation.NONE, include_intermediates=True))
    made = render_trust(
        world.environment,
        world.backend,
        world.store,
        Destination(folder=tmp_path / "out", location="/x"),
        Choice(),
        at=world.clock.now(),
    )
    assert [one.name for one in made.targets[0].bundle.intermediates] == ["clients-g1"]


def test_keys_that_cannot_be_used_are_errors(rendered: Rendered, tmp_path: Path) -> None:
    mixed = Identity(rendered.identity("good").certificate, rendered.identity("bad").key)
    with pytest.raises(InputError, match="do not belong together"):
        rendered.knock([Probe("mixed", mixed, True)])
    with pytest.raises(InputError, match="cannot read"):
        rendered.knock([Probe("none", Identity(tmp_path / "none", tmp_path / "none"), True)])
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"garbage")
    with pytest.raises(InputError, match="no certificate in PEM, or the other no private key"):
        rendered.knock([Probe("garbage", Identity(garbage, garbage), True)])
