"""Random hierarchies for the bundle's property tests: one to three tiers, several generations with names and dates that overlap, CRLs for each.

Certificates are made once and kept: what is drawn is which of them exist, what the file declares, and what is revoked.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import strategies as st

from pkiops.backends.interface import AuthorityStatus, AuthorityType, ObservedAuthority
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl
from pkiops.environment.models import Bundle, Environment, Revocation, Target, Trust
from tests import builders
from tests.builders import AT, Issued
from tests.fakes.authority import environment

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
# label -> issuer's label: two hierarchies of three tiers
PARENTS = {"a": None, "a-policy": "a", "a-issuing": "a-policy", "a-clients": "a", "b": None, "b-clients": "b"}
GENERATIONS = (1, 2)


@dataclass(frozen=True)
class Node:
    """One CA that exists: the generation of a label, and those above it, nearest first."""

    label: str
    generation: int
    above: tuple[Node, ...] = ()
    same_name: bool = False

    @property
    def name(self) -> str:
        return f"{self.label}-g{self.generation}"

    @property
    def root(self) -> Node:
        return self.above[-1] if self.above else self


@dataclass(frozen=True)
class Case:
    """An environment, what exists of it, its CRLs, and what was revoked."""

    environment: Environment
    nodes: tuple[Node, ...]
    authorities: tuple[KnownAuthority, ...]
    crls: dict[str, CheckedCrl]
    revoked: frozenset[Node]

    @property
    def bundle(self) -> Bundle:
        return self.environment.trust.bundles["services"]

    def relevant(self) -> tuple[Node, ...]:
        """Those whose chain ends in an anchor, by the tree that was drawn and not by certificates."""
        return tuple(one for one in self.nodes if one.root.label in self.bundle.anchors)

    def depth(self) -> int:
        """CAs between an anchor and an end entity in the longest chain: steps in the tree that was drawn, and in the declared one."""
        declared = [steps(label) for label in self.environment.authorities if top(label) in self.bundle.anchors]
        return max(*declared, *(len(one.above) for one in self.relevant()), 0)


def steps(label: str) -> int:
    parent = PARENTS[label]
    return 0 if parent is None else 1 + steps(parent)


def top(label: str) -> str:
    parent = PARENTS[label]
    return label if parent is None else top(parent)


@functools.cache
def issued(node: Node) -> Issued:
    """The CA of a node. Of the same name: as its other generation is called, with a key of its own."""
    shown = node.label if node.same_name else node.name
    # a later generation is not always a younger certificate
    since = AT - timedelta(days=100 + (50 if node.generation == 2 and node.same_name else 0) + len(node.label))
    if not node.above:
        return builders.root_ca(f"Root {shown}", not_before=since)
    return builders.subordinate_ca(issued(node.above[0]), f"CA {shown}", path_length=None, not_before=since)


@functools.cache
def crl(node: Node, revoked: frozenset[Node]) -> CheckedCrl:
    ca = issued(node)
    below = {issued(one).serial: None for one in revoked if one.above and one.above[0] == node}
    return check_crl(builders.crl(ca, revoked={7: None, **below}), ca.certificate, node.name, at=AT)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    anchors = draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=2, unique=True))
    same_name = draw(st.booleans())
    nodes: dict[str, list[Node]] = {}
    generations: dict[str, int] = {}
    for label, parent in PARENTS.items():
        if parent is not None and (parent not in generations or not draw(st.booleans())):
            continue  # not declared
        if parent is None and label not in anchors and not draw(st.booleans()):
            continue
        generations[label] = draw(st.sampled_from(GENERATIONS))
        # an anchor of the declared generation must be there, everything else may be yet to come, or gone
        wanted = [
            g
            for g in range(1, generations[label] + 1)
            if (g == generations[label] and not parent) or draw(st.booleans())
        ]
        above = [None] if parent is None else nodes[parent]
        nodes[label] = []
        for generation in wanted if above else ():
            issuer = draw(st.sampled_from(above))
            chain = () if issuer is None else (issuer, *issuer.above)
            nodes[label].append(Node(label, generation, chain, same_name))
    everyone = tuple(node for found in nodes.values() for node in found)
    revoked = frozenset(one for one in everyone if one.above and draw(st.integers(0, 5)) == 0)
    made = case_of(
        everyone,
        anchors=tuple(anchors),
        revocation=draw(st.sampled_from(list(Revocation))),
        include_intermediates=draw(st.booleans()),
        revoked=revoked,
        generations=generations,
    )
    return replace(made, authorities=tuple(draw(st.permutations(made.authorities))))


def case_of(
    nodes: tuple[Node, ...],
    *,
    anchors: tuple[str, ...],
    revocation: Revocation,
    include_intermediates: bool = False,
    revoked: frozenset[Node] = frozenset(),
    generations: Mapping[str, int] | None = None,
) -> Case:
    """What exists, below a file that declares it; ``generations`` by label where the file declares more."""
    declared = generations or {one.label: one.generation for one in sorted(nodes, key=lambda one: one.generation)}
    base = environment()
    authorities = {
        label: replace(base.authorities["root"], issuer=PARENTS[label], generation=generation)
        for label, generation in declared.items()
    }
    bundle = Bundle(
        anchors=anchors,
        targets={"pem": Target()},
        include_intermediates=include_intermediates,
        revocation=revocation,
    )
    return Case(
        environment=replace(base, authorities=authorities, profiles={}, trust=Trust(bundles={"services": bundle})),
        nodes=nodes,
        authorities=tuple(
            KnownAuthority(n.label, n.generation, OBSERVED, tuple(issued(one).certificate for one in (n, *n.above)))
            for n in nodes
        ),
        crls={node.name: crl(node, frozenset(one for one in revoked if one.above[0] == node)) for node in nodes},
        revoked=revoked,
    )
