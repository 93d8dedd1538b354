"""Whose the advertised names are, and which are missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pkiops.environment.models import Bundle, Environment, Trust
from pkiops.errors import InputError
from pkiops.trust.advertised_names import bundle_to_compare, compare, our_names
from pkiops.trust.bundle import Role
from pkiops.trust.certificate_request import AdvertisedName, advertised_name
from tests import builders
from tests.fakes.authority import environment
from tests.unit.crl.world import World


def with_bundles(*names: str) -> Environment:
    return replace(environment(), trust=Trust(bundles={name: Bundle(anchors=("root",), targets={}) for name in names}))


def advertised(issued: builders.Issued) -> AdvertisedName:
    return advertised_name(issued.certificate.subject.public_bytes())


def test_the_only_bundle_need_not_be_named() -> None:
    assert bundle_to_compare(with_bundles("services"), None) == "services"
    assert bundle_to_compare(with_bundles("a", "b"), "b") == "b"
    with pytest.raises(InputError, match="several bundles") as several:
        bundle_to_compare(with_bundles("a", "b"), None)
    assert several.value.hint == "say which with --bundle: a, b"
    for env, name in ((with_bundles("a"), "c"), (with_bundles(), None)):
        with pytest.raises(InputError, match="declares no bundle"):
            bundle_to_compare(env, name)


def test_whose_names_they_are(tmp_path: Path) -> None:
    world = World(tmp_path, env=with_bundles("services"))
    ours = our_names(world.environment, "services", world.known())
    root, clients = (advertised(world.backend.cas[label]) for label in ("root", "clients"))
    foreign = advertised(builders.root_ca("Foreign"))
    octets = advertised_name(b"no name")

    everything = compare([foreign, clients, root, octets], ours)
    assert [[own.authority for own in one.ours] for one in everything.names] == [[], ["clients-g1"], ["root-g1"], []]
    assert everything.names[1].ours[0].role is Role.INTERMEDIATE
    assert everything.foreign == (foreign, octets)
    assert everything.missing == ()

    # what is below an anchor need not be advertised, the anchor must
    below = compare([clients], ours)
    assert [own.authority for own in below.missing] == ["root-g1"]
    assert below.foreign == ()
    assert compare([], ours).missing == (), "without a list nothing is missing in it"
