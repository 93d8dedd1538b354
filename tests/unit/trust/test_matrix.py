"""The matrix over a mirror: every case is there and ends as it should, and a target that renders the wrong thing is found out by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pkiops.clock import SystemClock
from pkiops.crl.authorities import KnownAuthority
from pkiops.environment.models import Environment, ExternalAuthority, Revocation, TargetKind
from pkiops.trust.bundle import TrustBundle
from pkiops.trust.matrix import Matrix, MatrixOfBundle
from pkiops.trust.mirror import mirror_of
from pkiops.trust.targets.interface import RenderedFile, Target
from pkiops.trust.targets.registry import built_in
from tests.fakes.authority import environment
from tests.unit.crl.world import World, with_bundle

NOW = SystemClock().now()  # OpenSSL judges handshakes by the clock of this machine
OUT = {
    "no certificate",
    "expired",
    "not yet valid",
    "revoked",
    "serverAuth only",
    "other environment",
    "unknown CA",
    "self-signed",
    "revoked issuer",
    "old root, no longer in it",
}
IN = {
    "good, of clients-g1",
    "no EKU",
    "three tiers",
    "old root, both in the bundle",
    "new root, both in the bundle",
    "new root, alone in it",
}


def tried(
    folder: Path, env: Environment, target: Target | None = None, *, name: str = "pem", world: World | None = None
) -> Matrix:
    world = world or World(folder, at=NOW, env=env)
    matrix = MatrixOfBundle(env, "services", world.known(), NOW, folder)
    return matrix.try_target(name, target or built_in(TargetKind(name)), "/etc/trust")


def outcomes(matrix: Matrix) -> Mapping[str, bool]:
    assert {one.tls for one in matrix.results} == {"1.2", "1.3"}
    return {one.name: one.accepted for one in matrix.results}


def test_every_case_ends_as_it_should(tmp_path: Path) -> None:
    matrix = tried(tmp_path, with_bundle(environment()))
    assert outcomes(matrix) == dict.fromkeys(OUT, False) | dict.fromkeys(IN, True)
    assert (matrix.wrong, matrix.untried) == (0, ())


@pytest.mark.parametrize(
    ("revocation", "let_in"),
    [(Revocation.LEAF, {"revoked issuer"}), (Revocation.NONE, {"revoked issuer", "revoked"})],
)
@pytest.mark.parametrize("include", [False, True])
def test_what_is_not_looked_at_lets_in_and_is_expected_to(
    tmp_path: Path, revocation: Revocation, let_in: set[str], include: bool
) -> None:
    matrix = tried(tmp_path, with_bundle(environment(), revocation=revocation, include_intermediates=include))
    assert {name for name, accepted in outcomes(matrix).items() if accepted} == IN | let_in
    assert matrix.wrong == 0


def without_crls(bundle: TrustBundle) -> TrustBundle:
    return replace(bundle, crls=(), revocation=Revocation.NONE)


def without_anchor(bundle: TrustBundle) -> TrustBundle:
    """Without the new one, as long as there are two."""
    return replace(bundle, anchors=tuple(sorted(bundle.anchors, key=lambda one: one.name)[:1]))


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (without_crls, set(IN)),  # chains are checked, and no CRL is there
        (without_anchor, {"new root, both in the bundle"}),
    ],
)
def test_a_target_that_renders_the_wrong_thing_is_found_out(
    tmp_path: Path, change: Callable[[TrustBundle], TrustBundle], wrong: set[str]
) -> None:
    sound = built_in(TargetKind.PEM)

    def render(bundle: TrustBundle, location: str) -> tuple[RenderedFile, ...]:
        return sound.render(change(bundle), location)

    matrix = tried(tmp_path, with_bundle(environment()), replace(sound, render=render))
    assert {one.name for one in matrix.results if not one.as_expected} == wrong
    assert matrix.wrong == 2 * len(wrong)


def test_a_relying_party_that_cannot_hold_two_roots_is_not_tried_with_them(tmp_path: Path) -> None:
    matrix = tried(tmp_path, with_bundle(environment()), name="aws-rolesanywhere")
    assert {one.name for one in matrix.untried} == {
        "three tiers",
        "old root, both in the bundle",
        "new root, both in the bundle",
    }
    assert all("it takes 2" in one.reason for one in matrix.untried)
    assert matrix.wrong == 0


def test_a_relying_party_that_needs_the_issuing_ca_is_not_tried_without_it(tmp_path: Path) -> None:
    env = with_bundle(environment(), revocation=Revocation.NONE, include_intermediates=True)
    matrix = tried(tmp_path, env, name="aws-apigateway")
    assert [(one.name, one.excused) for one in matrix.untried] == [("revoked issuer", True)]
    assert (matrix.wrong, outcomes(matrix)["revoked"]) == (0, True)
    without = tried(
        tmp_path, with_bundle(environment(), revocation=Revocation.NONE), name="aws-apigateway"
    )  # as it is, that is no excuse
    assert any(not one.excused for one in without.untried)


def test_a_bundle_that_cannot_be_built_at_all_is_wrong(tmp_path: Path) -> None:
    env = with_bundle(environment())
    world = World(tmp_path, at=NOW, env=env)
    rootless = replace(env.trust.bundles["services"], anchors=("clients",))
    matrix = tried(tmp_path, replace(env, trust=replace(env.trust, bundles={"services": rootless})), world=world)
    assert matrix.wrong > 0
    assert any("is no root" in one.reason and not one.excused for one in matrix.untried)


def shared(revocation: Revocation) -> Environment:
    env = with_bundle(environment(), revocation=revocation)
    bundle = replace(env.trust.bundles["services"], anchors=("offline",))
    return replace(
        env,
        authorities={"clients": replace(env.authorities["clients"], issuer="offline")},
        external_authorities={"offline": ExternalAuthority()},
        trust=replace(env.trust, bundles={"services": bundle}),
    )


@pytest.mark.parametrize("revocation", Revocation)
def test_a_root_that_is_kept_elsewhere(tmp_path: Path, revocation: Revocation) -> None:
    matrix = tried(tmp_path, shared(revocation))
    assert matrix.wrong == 0, matrix
    assert outcomes(matrix)["neighbour below the shared root"] is (revocation is Revocation.NONE)
    assert [(one.name, one.excused) for one in matrix.untried] == [("old and new root", True)]


def test_a_rollover_that_is_under_way(tmp_path: Path) -> None:
    env = with_bundle(environment())
    world = World(tmp_path, at=NOW, env=env)
    root, clients = world.known()
    other = World(tmp_path / "other", at=NOW, env=env).known()[0]
    turned = replace(env, authorities={**env.authorities, "root": replace(env.authorities["root"], generation=2)})
    both: tuple[KnownAuthority, ...] = (replace(other, generation=2), root, clients)
    matrix = MatrixOfBundle(turned, "services", both, NOW, tmp_path)
    result = matrix.try_target("pem", built_in(TargetKind.PEM), "/etc/trust")
    assert result.wrong == 0, result
    assert "a rollover is under way" in result.untried[0].reason


def test_nobody_issues_yet(tmp_path: Path) -> None:
    result = MatrixOfBundle(with_bundle(environment()), "services", (), NOW, tmp_path).try_target(
        "pem", built_in(TargetKind.PEM), "/etc/trust"
    )
    assert [(one.name, one.excused) for one in result.untried] == [("every case", True)]
    assert result.results == ()


def test_keys_are_readable_by_nobody_else(tmp_path: Path) -> None:
    tried(tmp_path, with_bundle(environment()))
    keys = list(tmp_path.glob("*.key"))
    assert keys
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


def test_the_mirror_shares_names_and_no_keys(tmp_path: Path) -> None:
    env = with_bundle(environment())
    world = World(tmp_path, at=NOW, env=env)
    mirror = mirror_of(env, world.known(), NOW)
    for real, made in zip(world.known(), mirror.authorities, strict=True):
        assert made.certificate.subject == real.certificate.subject
        assert made.certificate.public_key() != real.certificate.public_key()
        assert made.name == real.name
