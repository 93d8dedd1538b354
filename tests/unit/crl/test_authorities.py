"""Which authorities count: older generations do, and nobody who only says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pkiops.backends.identity import identity_tags
from pkiops.backends.interface import ObservedAuthority
from pkiops.clock import ManualClock
from pkiops.crl.authorities import observe_authorities
from pkiops.environment.models import Environment
from tests.unit.crl.world import CrlAuthorities, World, with_authority


class WithAnother(CrlAuthorities):
    """One more CA than the file declares: tagged as an older generation of the root, made ``later`` than the root."""

    def __init__(self, env: Environment, clock: ManualClock, later: timedelta) -> None:
        super().__init__(env, clock)
        self._later = later

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        root, *others = super().list_authorities()
        tags = identity_tags(self._environment.environment, "root", 1)
        return (root, *others, replace(root, tags=tags, created_at=root.created_at + self._later))


@pytest.mark.parametrize(
    ("later", "counts"), [(timedelta(days=-400), True), (timedelta(), True), (timedelta(seconds=1), False)]
)
def test_an_older_generation_is_older(tmp_path: Path, later: timedelta, counts: bool) -> None:
    world = World(tmp_path)
    env = with_authority(world.environment, "root", generation=2)
    found = observe_authorities(env, WithAnother(env, world.clock, later), world.clock.now())
    assert [one.name for one in found.known if one.label == "root"] == ["root-g2", *(["root-g1"] if counts else [])]
    assert [one.reason for one in found.skipped] == (
        [] if counts else ["it says it is generation 1, but was made after generation 2: find out who made it"]
    )


class Late(CrlAuthorities):
    """Lists tags out of an index: ``clients`` has lost its own a moment ago."""

    asked: tuple[str, ...] = ()

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        stranger = replace(super().list_authorities()[0], reference="arn:stranger", tags={"pkiops:environment": "x"})
        listed = (*super().list_authorities(), stranger)
        return tuple(replace(one, tags_confirmed=False) for one in listed)

    def confirm_tags(self, authorities: Sequence[ObservedAuthority]) -> tuple[ObservedAuthority, ...]:
        self.asked = tuple(one.reference for one in authorities)
        return tuple(
            replace(
                one, tags={} if (one.tags or {})["pkiops:authority"] == "clients" else one.tags, tags_confirmed=True
            )
            for one in authorities
        )


def test_who_lost_its_tags_a_moment_ago_vouches_for_nobody(tmp_path: Path) -> None:
    world = World(tmp_path)
    backend = Late(world.environment, world.clock)
    found = observe_authorities(world.environment, backend, world.clock.now())
    assert [one.label for one in found.known] == ["root"]
    assert [(one.name, one.reason) for one in found.skipped] == [("clients-g1", "does not exist yet")]
    assert "arn:stranger" not in backend.asked
