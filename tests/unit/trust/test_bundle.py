"""What a bundle holds, and that one which fails open or locks everyone out is never built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from cryptography import x509

from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl
from pkiops.environment.models import Bundle, CrlSettings, Environment, Revocation, Target, Trust
from pkiops.errors import InputError, VerificationFailed
from pkiops.trust.bundle import TrustBundle, build_bundle
from pkiops.x509.certificate import fingerprint
from pkiops.x509.crl import crl_der
from pkiops.x509.duration import Duration
from tests import builders
from tests.builders import AT, Issued
from tests.fakes.authority import environment
from tests.unit.crl.world import World, with_authority, with_bundle


def authority(like: KnownAuthority, label: str, *chain: Issued, generation: int = 1) -> KnownAuthority:
    return KnownAuthority(label, generation, like.observed, tuple(one.certificate for one in chain))


def crl_of(name: str, issuer: Issued, *, revoked: Mapping[int, x509.ReasonFlags | None] | None = None) -> CheckedCrl:
    return check_crl(builders.crl(issuer, revoked=revoked), issuer.certificate, name, at=AT)


class Made:
    """The CAs of ``World``, with the CRL of each."""

    def __init__(self, folder: Path, env: Environment | None = None) -> None:
        self.world = World(folder, env=env)
        self.environment = self.world.environment
        self.authorities = list(self.world.known())
        self.cas = self.world.backend.cas
        self.crls = {a.name: crl_of(a.name, self.cas[a.label]) for a in self.authorities}

    def build(self) -> TrustBundle:
        return build_bundle(self.environment, "services", self.authorities, self.crls, at=AT)

    def refused(self) -> str:
        with pytest.raises(VerificationFailed) as caught:
            self.build()
        assert caught.value.exit_code == 8
        return caught.value.code

    def add(self, label: str, *chain: Issued, generation: int = 1) -> KnownAuthority:
        added = authority(self.authorities[0], label, *chain, generation=generation)
        self.authorities.append(added)
        self.crls[added.name] = crl_of(added.name, chain[0])
        return added


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_a_bundle_holds_the_roots_and_the_crl_of_every_ca(made: Made) -> None:
    bundle = made.build()
    assert [one.name for one in bundle.anchors] == ["root-g1"]
    assert bundle.intermediates == ()
    assert [one.name for one in bundle.crls] == ["root-g1", "clients-g1"]
    assert bundle.intermediate_depth == 1


def test_intermediates_are_included_when_wanted_unless_revoked(tmp_path: Path) -> None:
    made = Made(tmp_path, with_bundle(environment(), include_intermediates=True))
    assert [one.name for one in made.build().intermediates] == ["clients-g1"]
    made.crls["root-g1"] = crl_of("root-g1", made.cas["root"], revoked={made.cas["clients"].serial: None})
    assert made.build().intermediates == ()


def test_a_ca_below_a_revoked_one_is_left_out_too(tmp_path: Path) -> None:
    made = Made(tmp_path, with_bundle(environment(), include_intermediates=True))
    root, clients = made.cas["root"], made.cas["clients"]
    upper = builders.subordinate_ca(root, "Upper", path_length=1)
    made.add("clients", builders.subordinate_ca(upper, "Lower"), upper, root, generation=2)
    made.add("clients", upper, root, generation=3)
    assert {one.name for one in made.build().intermediates} == {"clients-g1", "clients-g2", "clients-g3"}
    made.crls["root-g1"] = crl_of("root-g1", root, revoked={upper.serial: None})
    assert [one.certificate for one in made.build().intermediates] == [clients.certificate]


@pytest.mark.parametrize(
    ("revocation", "names"),
    [
        (Revocation.CHAIN, ["root-g1", "clients-g1"]),
        (Revocation.LEAF, ["clients-g1"]),
        (Revocation.NONE, []),
    ],
)
def test_whose_crls_are_in_it(tmp_path: Path, revocation: Revocation, names: list[str]) -> None:
    made = Made(tmp_path, with_bundle(environment(), revocation=revocation))
    made.crls = {name: crl for name, crl in made.crls.items() if name in names}
    assert [one.name for one in made.build().crls] == names


def test_every_crl_that_is_needed_must_be_there(made: Made) -> None:
    for name in list(made.crls):
        crl = made.crls.pop(name)
        assert made.refused() == "trust.crl-missing"
        made.crls[name] = crl


def test_a_crl_of_another_ca_or_one_that_expired_is_not_taken(made: Made) -> None:
    good = made.crls["clients-g1"]
    made.crls["clients-g1"] = made.crls["root-g1"]
    assert made.refused() == "crl.issuer"
    forged = builders.crl(made.cas["clients"], signer=builders.key())
    made.crls["clients-g1"] = replace(good, crl=forged, der=crl_der(forged))
    assert made.refused() == "crl.signature"
    old = builders.crl(made.cas["clients"], next_update=AT + timedelta(minutes=5))
    made.crls["clients-g1"] = replace(good, crl=old, der=crl_der(old))
    assert made.refused() == "crl.expires-soon"


def test_an_anchor_must_exist(made: Made) -> None:
    made.authorities = [a for a in made.authorities if a.label != "root"]
    assert made.refused() == "trust.anchor-missing"


def test_an_anchor_must_be_a_root(made: Made) -> None:
    bundle = Bundle(anchors=("clients",), targets={"pem": Target()})
    made.environment = replace(made.environment, trust=Trust(bundles={"services": bundle}))
    assert made.refused() == "trust.anchor-not-root"


def test_an_anchor_must_be_a_ca(made: Made) -> None:
    leaf = builders.root_ca("Leaf", extra=[builders.Extra(x509.BasicConstraints(False, None), critical=True)])
    made.authorities[0] = authority(made.authorities[0], "root", leaf)
    assert made.refused() == "trust.not-a-ca"


def test_an_expired_ca_is_refused(made: Made) -> None:
    old = builders.root_ca("Old", not_after=AT)
    made.authorities[0] = authority(made.authorities[0], "root", old)
    assert made.refused() == "trust.expired"


def test_the_pin_binds(made: Made) -> None:
    pin = fingerprint(made.cas["root"].certificate)
    made.environment = with_authority(made.environment, "root", sha256=pin)
    assert [one.pinned for one in made.build().anchors] == [True]
    made.environment = with_authority(made.environment, "root", sha256="0" * 64)
    assert made.refused() == "trust.pin"


def test_the_pin_of_a_subordinate_binds_too(made: Made) -> None:
    made.environment = with_authority(made.environment, "clients", sha256="0" * 64)
    assert made.refused() == "trust.pin"


def test_one_certificate_under_two_names_is_refused(made: Made) -> None:
    made.add("clients", made.cas["clients"], made.cas["root"], generation=2)
    assert made.refused() == "trust.duplicate"


def test_an_older_generation_of_an_anchor_stays_and_the_newest_comes_first(made: Made) -> None:
    name = {"organization": "Example Ltd", "common_name": "Example Test Root CA G1"}
    old = builders.root_ca(name, not_before=AT - timedelta(days=2000))
    below_old = builders.subordinate_ca(old, "Old Clients")
    made.environment = with_authority(made.environment, "root", generation=2)
    made.authorities[0] = replace(made.authorities[0], generation=2)
    made.crls["root-g2"] = made.crls.pop("root-g1")
    made.add("root", old, generation=1)
    made.add("clients", below_old, old, generation=1)
    made.authorities[1] = replace(made.authorities[1], generation=2)
    made.crls["clients-g2"] = crl_of("clients-g2", made.cas["clients"])
    made.environment = with_authority(made.environment, "clients", generation=2)
    bundle = made.build()
    assert [one.name for one in bundle.anchors] == ["root-g2", "root-g1"]
    assert sorted(one.name for one in bundle.crls) == ["clients-g1", "clients-g2", "root-g1", "root-g2"]


def test_cas_below_other_roots_are_left_out(made: Made) -> None:
    other = builders.root_ca("Other Root")
    made.add("clients", builders.subordinate_ca(other, "Other Clients"), other, generation=9)
    bundle = made.build()
    assert [one.name for one in bundle.crls] == ["root-g1", "clients-g1"]


def test_the_order_of_what_comes_in_does_not_matter(tmp_path: Path) -> None:
    made = Made(tmp_path, with_bundle(environment(), include_intermediates=True))
    for label in ("partners", "devices"):
        made.environment = replace(
            made.environment,
            authorities={**made.environment.authorities, label: made.environment.authorities["clients"]},
        )
        made.add(label, builders.subordinate_ca(made.cas["root"], f"Example {label}"), made.cas["root"])
    expected = made.build()
    names = [one.name for one in expected.certificates]
    assert names == ["root-g1", "clients-g1", "devices-g1", "partners-g1"]
    for order in permutations(made.authorities):
        made.authorities = list(order)
        made.crls = dict(reversed(made.crls.items()))
        assert made.build() == expected


def test_depth_counts_what_exists_and_what_is_declared(made: Made) -> None:
    issuing = replace(made.environment.authorities["clients"], issuer="clients")
    made.environment = replace(made.environment, authorities={**made.environment.authorities, "issuing": issuing})
    assert made.build().intermediate_depth == 2
    made.add("issuing", builders.subordinate_ca(made.cas["clients"], "Issuing"), made.cas["clients"], made.cas["root"])
    assert made.build().intermediate_depth == 2


def test_a_root_that_issues_by_itself_has_no_depth(tmp_path: Path) -> None:
    env = environment()
    root = replace(env.authorities["root"], crl=CrlSettings(validity=Duration(7, "d")))
    profiles = {name: replace(profile, authority="root") for name, profile in env.profiles.items()}
    made = Made(tmp_path, with_bundle(replace(env, authorities={"root": root}, profiles=profiles)))
    assert made.build().intermediate_depth == 0


def test_an_unknown_bundle_is_said_so(made: Made) -> None:
    with pytest.raises(InputError, match="'service'") as caught:
        build_bundle(made.environment, "service", made.authorities, made.crls, at=AT)
    assert "services" in str(caught.value.hint)
