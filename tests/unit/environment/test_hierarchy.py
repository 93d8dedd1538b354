"""The tree of authorities: order, chains, roots and path lengths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pkiops.environment.hierarchy import (
    chain,
    children,
    effective_path_length,
    effective_path_lengths,
    issuers_first,
    root_of,
    roots,
)
from pkiops.environment.load import load_environment
from pkiops.environment.models import Environment
from tests.seeded import seeded
from tests.unit.environment.samples import ROOT, SOUND, problems, read


def prod() -> Environment:
    return load_environment("prod", ROOT / "environments")


def test_prod() -> None:
    environment = prod()
    assert roots(environment) == ("root",)
    assert children(environment, "clients") == ("services", "partners")
    assert chain(environment, "partners") == ("partners", "clients", "root")
    assert root_of(environment, "devices") == root_of(environment, "root") == "root"
    assert issuers_first(environment) == ("root", "clients", "services", "partners", "devices")


def test_path_lengths_that_nobody_gave() -> None:
    text = SOUND.replace("    path_length: 1\n", "").replace(
        "profiles:\n",
        "  below: {issuer: clients, subject: {common_name: B}, validity: 4y, path_length: 1, crl: {validity: 7d}}\n"
        "  beside: {issuer: root, subject: {common_name: C}, validity: 4y, crl: {validity: 7d}}\nprofiles:\n",
    )
    environment = read(text)
    lengths = {label: effective_path_length(environment, label) for label in environment.authorities}
    assert lengths == {"root": None, "clients": 2, "below": 1, "beside": 0}
    assert effective_path_lengths(environment) == lengths


@seeded(100)
@given(st.lists(st.integers(min_value=-1, max_value=8), min_size=1, max_size=9))
def test_any_hierarchy_is_ordered_or_refused(parents: list[int]) -> None:
    rows = []
    for number, parent in enumerate(parents):
        issuer = f"issuer: a{parent}, " if 0 <= parent < len(parents) else ""
        rows.append(
            f"  a{number}: {{{issuer}subject: {{common_name: N{number}}}, validity: 5y, crl: {{validity: 7d}}}}\n"
        )
    head, tail = SOUND.split("authorities:\n")[0], "trust: {}\n"
    found = problems(head + "authorities:\n" + "".join(rows) + tail) if _nested(parents) else []
    allowed = {"env.outlives", "env.loop", "env.no-root", "env.depth", "env.path-length"}
    assert {problem.code for problem in found} <= allowed
    looped = {f"authorities.a{n}.issuer" for n in range(len(parents)) if _on_loop(parents, n)}
    assert {problem.key_path for problem in found if problem.code == "env.loop"} == looped
    if not found:
        environment = read(head + "authorities:\n" + "".join(rows) + tail)
        order = issuers_first(environment)
        assert effective_path_lengths(environment) == {each: effective_path_length(environment, each) for each in order}
        assert sorted(order) == sorted(environment.authorities)
        for label in order:
            assert all(order.index(above) < order.index(label) for above in chain(environment, label)[1:])


def _nested(parents: list[int]) -> bool:
    return any(0 <= parent < len(parents) for parent in parents)


def _on_loop(parents: list[int], start: int) -> bool:
    at = parents[start]
    for _ in parents:
        if at == start:
            return True
        if not 0 <= at < len(parents):
            return False
        at = parents[at]
    return False
