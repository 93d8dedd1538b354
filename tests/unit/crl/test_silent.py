"""CAs that have issued nothing yet do not hold up the CRLs of the others, and no CA that has issued something is taken for one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pkiops.backends.interface import ObservedAuthority
from pkiops.clock import ManualClock
from pkiops.crl.silent import REASON, issuers_in, silent_authorities
from pkiops.environment.models import AuthoritySubject, Environment
from pkiops.errors import AccessDenied, VerificationFailed
from pkiops.ledger.interface import Entry, EntryState
from pkiops.trust.render import Choice, Destination, RenderOutcome, render_trust
from tests import builders
from tests.fakes.authority import environment, reference_of
from tests.unit.crl.world import CrlAuthorities, World, with_bundle


class GrowingAuthorities(CrlAuthorities):
    """CAs of which ``devices`` is made later."""

    def __init__(self, env: Environment, clock: ManualClock) -> None:
        super().__init__(env, clock)
        self.hidden = {reference_of("devices")}

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        return tuple(one for one in super().list_authorities() if one.reference not in self.hidden)


@pytest.fixture
def world(tmp_path: Path) -> World:
    env = environment()
    devices = replace(
        env.authorities["clients"], subject=AuthoritySubject(common_name="Devices G1", organization="Example Ltd")
    )
    made = World(tmp_path, env=with_bundle(replace(env, authorities={**env.authorities, "devices": devices})))
    made.backend = GrowingAuthorities(made.environment, made.clock)
    made.backend.crls["devices"] = None
    return made


def growing(world: World) -> GrowingAuthorities:
    assert isinstance(world.backend, GrowingAuthorities)
    return world.backend


def entry(label: str, state: EntryState) -> Entry:
    return Entry(
        id=label, state=state, created_at=builders.AT, updated_at=builders.AT, environment="test", profile="service",
        authority=label, authority_reference=reference_of(label),
    )  # fmt: skip


def render(world: World, folder: Path) -> RenderOutcome:
    destination = Destination(folder=folder, location="/etc/pki", overwrite=True)
    at = world.clock.now()
    return render_trust(world.environment, world.backend, world.store, destination, Choice(), at=at)


def test_a_new_ca_waits_outside_of_the_set_and_of_the_bundles_until_it_has_a_crl(world: World, tmp_path: Path) -> None:
    world.publish()
    growing(world).hidden.clear()
    world.backend.write("clients", 2)
    outcome = world.publish()
    assert {one.record.name: one.change for one in outcome.records} == {"root-g1": "unchanged", "clients-g1": "updated"}
    assert [(one.name, one.reason) for one in outcome.skipped] == [("devices-g1", REASON)]
    rendered = render(world, tmp_path / "rendered")
    assert ("devices-g1", REASON) in [(one.name, one.reason) for one in rendered.skipped]
    assert [crl.name for crl in rendered.targets[0].bundle.crls] == ["root-g1", "clients-g1"]
    world.backend.write("devices", 1)
    with pytest.raises(VerificationFailed) as caught:
        render(world, tmp_path / "rendered")  # the CA has spoken: a bundle without its CRL would lock its clients out
    assert caught.value.code == "trust.crl-missing"
    assert [one.record.name for one in world.publish().records] == ["root-g1", "clients-g1", "devices-g1"]
    assert len(render(world, tmp_path / "rendered").targets[0].bundle.crls) == 3


def test_the_first_set_of_an_environment_is_complete(world: World) -> None:
    growing(world).hidden.clear()
    with pytest.raises(VerificationFailed, match="devices") as caught:
        world.publish()
    assert caught.value.code == "crl.missing"


def test_a_ca_that_has_issued_or_signed_or_had_a_crl_is_not_silent(world: World) -> None:
    world.publish()
    growing(world).hidden.clear()
    issued = [entry("devices", EntryState.ISSUED)]
    with pytest.raises(VerificationFailed) as caught:
        world.publish(entries=lambda: issued)
    assert caught.value.code == "crl.missing"
    world.publish(entries=lambda: [entry("devices", EntryState.REFUSED), entry("clients", EntryState.ISSUED)])
    for label in ("root", "clients"):
        kept = world.backend.crls[label]
        world.backend.crls[label] = None
        with pytest.raises(VerificationFailed, match=label) as caught:
            world.publish()
        assert caught.value.code == "crl.missing"
        world.backend.crls[label] = kept


def test_only_a_backend_that_writes_crls_has_silent_cas(world: World) -> None:
    growing(world).hidden.clear()
    found = silent_authorities(world.known(), world.backend, published=())
    assert [one.name for one in found] == ["devices-g1"]
    assert silent_authorities(world.known(), object(), published=()) == ()
    assert issuers_in([entry("devices", EntryState.ISSUED), entry("root", EntryState.FAILED)]) == {
        reference_of("devices")
    }


def test_a_ca_without_a_complete_crl_is_not_silent_but_misconfigured(world: World) -> None:
    growing(world).hidden.clear()
    known = world.known()
    for crl in (None, replace(known[0].observed.crl, complete=False) if known[0].observed.crl else None):
        odd = [replace(one, observed=replace(one.observed, crl=crl)) for one in known]
        assert silent_authorities(odd, world.backend, published=()) == ()


def test_whoever_may_not_look_takes_no_ca_for_silent(world: World) -> None:
    growing(world).hidden.clear()

    class Closed(GrowingAuthorities):
        def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
            raise AccessDenied(f"no right to the CRL of {authority.reference}")

    closed = Closed(world.environment, world.clock)
    closed.hidden.clear()
    assert silent_authorities(world.known(), closed, published=()) == ()
