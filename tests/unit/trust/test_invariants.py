"""What holds for every rendered target, whatever the hierarchy: derived from random trees of CAs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pkiops.backends.interface import AuthorityStatus, AuthorityType, ObservedAuthority
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl
from pkiops.environment.models import Bundle, Environment, Revocation, Target, TargetKind, Trust
from pkiops.errors import VerificationFailed
from pkiops.trust.bundle import build_bundle
from pkiops.trust.pem_file import read_ca_file, read_crl_file
from pkiops.trust.render import render_target
from pkiops.trust.targets.registry import built_in
from pkiops.x509.certificate import extension_of
from pkiops.x509.crl import verify_crl
from tests import builders
from tests.builders import AT, Issued
from tests.fakes.authority import environment
from tests.seeded import seeded

OBSERVED = ObservedAuthority(
    reference="arn",
    type=AuthorityType.ROOT,
    status=AuthorityStatus.ACTIVE,
    subject={},
    key_algorithm="EC_prime256v1",
    signing_algorithm="SHA256WITHECDSA",
    usage_mode="GENERAL_PURPOSE",
    created_at=AT,
)


def _grow() -> dict[str, list[Issued]]:
    """Chains by label (own first): two roots, two CAs below each, one more level below the first of these."""
    chains: dict[str, list[Issued]] = {}
    for root in ("a", "b"):
        chains[root] = [builders.root_ca(f"Root {root}")]
        for number in (1, 2):
            label = f"{root}{number}"
            chains[label] = [builders.subordinate_ca(chains[root][0], f"CA {label}", path_length=1), *chains[root]]
        chains[f"{root}11"] = [builders.subordinate_ca(chains[f"{root}1"][0], f"CA {root}11"), *chains[f"{root}1"]]
    return chains


CHAINS = _grow()
CRLS = {
    f"{label}-g1": check_crl(builders.crl(chain[0], revoked={7: None}), chain[0].certificate, label, at=AT)
    for label, chain in CHAINS.items()
}
PARENTS = {"a": None, "a1": "a", "a2": "a", "a11": "a1", "b": None, "b1": "b", "b2": "b", "b11": "b1"}


KINDS = (TargetKind.PEM, TargetKind.NGINX, TargetKind.HAPROXY, TargetKind.APACHE, TargetKind.ENVOY)
# where it stands, and how much more than the intermediates is counted
DEPTHS = {
    "nginx": ("mtls.conf", "ssl_verify_depth", 0),
    "apache": ("mtls.conf", "SSLVerifyDepth", 1),
    "envoy": ("sds-validation-context.yaml", "max_verify_depth:", 1),
}


@dataclass(frozen=True)
class Case:
    environment: Environment
    authorities: Sequence[KnownAuthority]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    anchors = draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=2, unique=True))
    there = {label for label, parent in PARENTS.items() if label in anchors or draw(st.booleans())}
    there = {label for label in there if all(above in there for above in _above(label))}
    base = environment()
    template = base.authorities["root"]
    bundle = Bundle(
        anchors=tuple(anchors),
        targets={"pem": Target(), "nginx": Target()},
        include_intermediates=draw(st.booleans()),
        revocation=draw(st.sampled_from(list(Revocation))),
    )
    env = replace(
        base,
        authorities={label: replace(template, issuer=PARENTS[label]) for label in PARENTS if label in there},
        profiles={},
        trust=Trust(bundles={"services": bundle}),
    )
    known = [KnownAuthority(label, 1, OBSERVED, tuple(c.certificate for c in CHAINS[label])) for label in there]
    return Case(env, draw(st.permutations(sorted(known, key=lambda a: a.label))))


def _above(label: str) -> list[str]:
    parent = PARENTS[label]
    return [] if parent is None else [parent, *_above(parent)]


def rendered(case: Case, crls: dict[str, CheckedCrl]) -> dict[str, dict[str, bytes]]:
    bundle = build_bundle(case.environment, "services", case.authorities, crls, at=AT)
    targets = {kind.value: built_in(kind) for kind in KINDS}
    return {
        name: {file.path: file.data for file in render_target(bundle, name, target, "/x")}
        for name, target in targets.items()
    }


@seeded(60)
@given(cases())
def test_the_invariants_of_every_rendering(case: Case) -> None:
    declared = case.environment.trust.bundles["services"]
    relevant = [a for a in case.authorities if a.chain[-1] in [CHAINS[x][0].certificate for x in declared.anchors]]
    for name, files in rendered(case, CRLS).items():
        cas = read_ca_file(files["ca.pem"], "ca.pem")
        for certificate in cas:
            constraints = extension_of(certificate, x509.BasicConstraints)
            assert constraints is not None
            assert constraints.ca
            assert certificate.not_valid_after_utc > AT + timedelta(0)
        assert len(set(cas)) == len(cas)
        anchors = [c for c in cas if c.issuer == c.subject]
        assert set(anchors) == {CHAINS[label][0].certificate for label in declared.anchors}
        assert list(cas[: len(anchors)]) == anchors, "roots first"
        if name != "pem":
            assert len(cas) == (len(relevant) if declared.include_intermediates else len(anchors))
        if declared.revocation is Revocation.NONE:
            assert not [path for path in files if "crl" in path]
            continue
        crls = read_crl_file(files["crl.pem"], "crl.pem")
        covered = set()
        for crl in crls:
            (of,) = (a for a in relevant if a.certificate.subject == crl.issuer)
            verify_crl(crl, of.certificate, at=AT)
            assert of.name not in covered, "one CRL for each CA"
            covered.add(of.name)
        if declared.revocation is Revocation.CHAIN:
            assert covered == {a.name for a in relevant}
        depth = max(len(a.chain) - 1 for a in relevant)
        if name in DEPTHS:
            file, setting, more = DEPTHS[name]
            assert f"{setting} {depth + more}".encode() in files[file]
    assert rendered(replace(case, authorities=tuple(reversed(case.authorities))), CRLS) == rendered(case, CRLS)


@seeded(60)
@given(cases(), st.sampled_from(sorted(CRLS)))
def test_a_missing_crl_is_either_not_needed_or_refused(case: Case, missing: str) -> None:
    complete = rendered(case, CRLS)
    without = {name: crl for name, crl in CRLS.items() if name != missing}
    if f"crls/{missing}.crl" not in complete["pem"]:
        assert rendered(case, without) == complete
        return
    with pytest.raises(VerificationFailed, match=missing) as caught:
        rendered(case, without)
    assert caught.value.code == "trust.crl-missing"
