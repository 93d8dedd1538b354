"""CAs that are kept elsewhere: known by the chains below them, their CRLs brought by hand and kept while they are current."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.cert.verify import material_of_environment, verify_certificate
from pkiops.crl.outside import outside_cas
from pkiops.crl.outside_crls import read_given
from pkiops.environment.models import Bundle, Environment, ExternalAuthority, Revocation, Target, Trust
from pkiops.errors import InputError, VerificationFailed
from pkiops.trust.bundle import TrustBundle, build_bundle
from pkiops.trust.render import published_crls
from pkiops.x509.certificate import fingerprint
from pkiops.x509.chain import Purpose
from pkiops.x509.crl import crl_pem
from tests import builders
from tests.builders import AT, Issued
from tests.fakes.authority import environment
from tests.unit.crl.world import World


def below_a_company(revocation: Revocation = Revocation.CHAIN) -> Environment:
    """``clients`` below ``company-issuing`` below ``company-root``, beside a root of our own."""
    env = environment()
    clients = replace(env.authorities["clients"], issuer="company-issuing")
    bundle = Bundle(
        anchors=("company-root",), targets={"pem": Target()}, revocation=revocation, include_intermediates=True
    )
    return replace(
        env,
        authorities={**env.authorities, "clients": clients},
        external_authorities={
            "company-root": ExternalAuthority(),
            "company-issuing": ExternalAuthority(issuer="company-root"),
        },
        trust=Trust(bundles={"services": bundle}),
    )


def pinned(env: Environment, **pins: str) -> Environment:
    changed = {
        label: replace(one, sha256=pins.get(label.replace("-", "_"), one.sha256))
        for label, one in env.external_authorities.items()
    }
    return replace(env, external_authorities=changed)


class Company(World):
    """The world below a company, its root pinned."""

    def __init__(self, folder: Path, revocation: Revocation = Revocation.CHAIN) -> None:
        super().__init__(folder, env=below_a_company(revocation))
        self.outside = self.backend.outside
        self.environment = pinned(self.environment, company_root=fingerprint(self.outside["company-root"].certificate))

    def crl(self, label: str, number: int = 1, days: int = 90, **more: object) -> x509.CertificateRevocationList:
        at = self.clock.now()
        return builders.crl(self.outside[label], at=at, number=number, next_update=at + timedelta(days=days), **more)  # type: ignore[arg-type]

    def bundle(self) -> TrustBundle:
        at = self.clock.now()
        crls = published_crls(self.environment, self.known(), self.store, at=at)
        return build_bundle(self.environment, "services", self.known(), crls, at=at)


@pytest.fixture
def world(tmp_path: Path) -> Company:
    return Company(tmp_path)


def names(world: World, *external: x509.CertificateRevocationList) -> list[str]:
    return [one.record.name for one in world.publish(external=external).records]


def test_they_stand_in_the_chains_of_ours(world: Company) -> None:
    found = outside_cas(world.environment, world.known())
    assert [(one.label, one.name, len(one.chain)) for one in found] == [
        ("company-root", "company-root-g1", 1),
        ("company-issuing", "company-issuing-g1", 2),
    ]
    assert found[1].root == found[0].certificate == world.outside["company-root"].certificate


def test_a_pin_leaves_the_pinned_one_only(world: Company) -> None:
    other = pinned(world.environment, company_root="ab" * 32)
    assert [one.label for one in outside_cas(other, world.known())] == ["company-issuing"]


def test_in_a_chain_of_another_length_only_the_root_has_a_place(world: Company) -> None:
    declared = world.environment.external_authorities
    extra = {
        **declared,
        "company-issuing": ExternalAuthority(issuer="company-policy"),
        "company-policy": ExternalAuthority(issuer="company-root"),
    }
    other = replace(world.environment, external_authorities=extra)
    assert [one.label for one in outside_cas(other, world.known())] == ["company-root"]


def test_without_their_crls_the_set_holds_ours_and_says_so(world: Company) -> None:
    outcome = world.publish()
    assert [one.record.name for one in outcome.records] == ["root-g1", "clients-g1"]
    assert [one.name for one in outcome.skipped] == ["company-root", "company-issuing"]
    assert "--external-crl" in outcome.skipped[0].reason


def test_a_crl_is_known_by_its_signer_and_kept_until_it_expires(world: Company) -> None:
    given = [world.crl("company-issuing", days=30), world.crl("company-root", days=10)]
    everyone = ["company-root-g1", "company-issuing-g1", "root-g1", "clients-g1"]
    assert names(world, *given) == everyone
    assert names(world) == everyone  # a job without the files
    world.later(days=11)
    for label in world.backend.cas:
        world.backend.write(label, 2)
    assert names(world) == ["company-issuing-g1", "root-g1", "clients-g1"]
    assert names(world, world.crl("company-root", 2)) == everyone


def test_a_crl_that_must_not_be_handed_out_stops_the_set(world: Company) -> None:
    with pytest.raises(InputError) as foreign:
        world.publish(external=[builders.crl(builders.root_ca("Somebody"))])
    assert (foreign.value.code, "company-root, company-issuing" in str(foreign.value.hint)) == ("crl.foreign", True)
    twin = Issued(world.outside["company-root"].certificate, builders.key())
    with pytest.raises(InputError):
        world.publish(external=[builders.crl(twin)])
    ours = builders.crl(world.backend.cas["root"])
    with pytest.raises(InputError):
        world.publish(external=[ours])
    at = world.clock.now()
    expired = builders.crl(world.outside["company-root"], at=at - timedelta(days=30))
    with pytest.raises(VerificationFailed) as old:
        world.publish(external=[expired])
    assert old.value.code == "crl.expired"
    unnumbered = builders.crl(world.outside["company-root"], at=at, number=None)
    with pytest.raises(VerificationFailed):
        world.publish(external=[unnumbered])
    world.publish(external=[world.crl("company-root", 5)])
    with pytest.raises(VerificationFailed) as back:
        world.publish(external=[world.crl("company-root", 4)])
    assert back.value.code == "crl.number-went-back"


def test_crls_are_read_in_either_form() -> None:
    root = builders.root_ca()
    made = builders.crl(root)
    files = [(crl_pem(made), "a.pem"), (made.public_bytes(Encoding.DER), "a.crl")]
    assert read_given(files) == (made, made)
    with pytest.raises(InputError):
        read_given([(b"nothing", "a.crl")])


def test_a_bundle_needs_all_of_them(world: Company) -> None:
    world.publish(external=[world.crl("company-root")])
    with pytest.raises(VerificationFailed) as caught:
        world.bundle()
    assert (caught.value.code, "--external-crl" in str(caught.value.hint)) == ("trust.crl-missing", True)
    world.publish(external=[world.crl("company-issuing")])
    bundle = world.bundle()
    assert [(one.name, one.pinned) for one in bundle.anchors] == [("company-root-g1", True)]
    assert {one.name for one in bundle.intermediates} == {"company-issuing-g1", "clients-g1"}
    assert {one.name for one in bundle.crls} == {"company-root-g1", "company-issuing-g1", "clients-g1"}
    assert bundle.intermediate_depth == 2


def test_a_ca_that_they_revoked_leaves_the_intermediates(world: Company) -> None:
    serial = world.backend.cas["clients"].serial
    world.publish(external=[world.crl("company-root"), world.crl("company-issuing", revoked={serial: None})])
    assert {one.name for one in world.bundle().intermediates} == {"company-issuing-g1"}


def test_a_bundle_for_end_entities_needs_none_of_them(tmp_path: Path) -> None:
    world = Company(tmp_path, Revocation.LEAF)
    world.publish()
    assert [one.name for one in world.bundle().crls] == ["clients-g1"]


def test_an_anchor_that_is_not_the_pinned_one_is_refused(world: Company) -> None:
    world.publish()
    world.environment = pinned(world.environment, company_root="ab" * 32)
    with pytest.raises(VerificationFailed) as caught:
        world.bundle()
    assert caught.value.code == "trust.anchor-missing"


def test_a_certificate_below_them_is_verified_and_theirs_is_not_looked_up(world: Company) -> None:
    leaf = builders.end_entity(world.backend.cas["clients"], at=AT).certificate
    material = material_of_environment(world.environment, world.backend, world.clock)
    chain = verify_certificate([leaf], material, purpose=Purpose.CLIENT, at=AT).certificates
    assert chain[-1] == world.outside["company-root"].certificate
    assert set(material.unchecked) == {one.certificate for one in world.outside.values()}
    revoked = builders.end_entity(world.backend.cas["clients"], at=AT, serial=77).certificate
    world.backend.write("clients", 2, revoked={77: None})
    material = material_of_environment(world.environment, world.backend, world.clock)
    with pytest.raises(VerificationFailed) as caught:
        verify_certificate([revoked], material, purpose=Purpose.CLIENT, at=AT)
    assert caught.value.code == "chain.revoked"


def test_what_was_installed_above_ours_is_no_anchor_unless_it_is_pinned(world: Company) -> None:
    leaf = builders.end_entity(world.backend.cas["clients"], at=AT).certificate
    loose = replace(world.environment, external_authorities=below_a_company().external_authorities)
    material = material_of_environment(loose, world.backend, world.clock)
    with pytest.raises(VerificationFailed) as caught:
        verify_certificate([leaf], material, purpose=Purpose.CLIENT, at=AT)
    assert caught.value.code == "chain.unknown-issuer"
