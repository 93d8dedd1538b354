"""CAs that are kept elsewhere, in the environment file: each rule broken once, and the tree with them above it."""

from __future__ import annotations

import pytest

from pkiops.environment.hierarchy import chain, effective_path_length, externals_above, issuers_first, root_of, roots
from pkiops.environment.index import index_digest
from pkiops.environment.load import load_environment
from tests.unit.environment.samples import ROOT, SOUND, problems, read

PIN = "ab" * 32
OUTSIDE = f"""\
external_authorities:
  company-root:
    sha256: "{PIN}"
  company-issuing:
    issuer: company-root
    subject: {{common_name: Company Issuing CA}}
authorities:
"""
# below a CA of the company: an issuing CA with one of ours below it, and a root of our own beside
BELOW = (
    SOUND.replace("authorities:\n", OUTSIDE)
    .replace("    issuer: root\n", "    issuer: company-issuing\n")
    .replace(
        "profiles:\n",
        "  below: {issuer: clients, subject: {common_name: B}, validity: 4y, crl: {validity: 7d}}\nprofiles:\n",
        1,
    )
)


def test_the_tree_with_cas_kept_elsewhere_above_it() -> None:
    environment = read(BELOW)
    assert roots(environment) == ("root", "company-root")
    assert chain(environment, "below") == ("below", "clients", "company-issuing", "company-root")
    assert externals_above(environment, "below") == ("company-issuing", "company-root")
    assert (root_of(environment, "below"), root_of(environment, "root")) == ("company-root", "root")
    assert issuers_first(environment) == ("root", "clients", "below")
    assert (effective_path_length(environment, "clients"), effective_path_length(environment, "below")) == (1, 0)


def test_the_index_is_made_for_what_is_declared_but_not_for_pins() -> None:
    before = index_digest(read(BELOW))
    assert index_digest(read(BELOW.replace(PIN, "cd" * 32))) == before
    assert index_digest(read(BELOW.replace("Company Issuing CA", "Company Issuing CA G2"))) != before
    assert index_digest(read(SOUND)) != before


def test_the_sample_runs() -> None:
    environment = load_environment("offline", ROOT / "environments")
    assert chain(environment, "clients") == ("clients", "offline-root")


# what is replaced, by what, then key path, code and a word of the message
WRONG = [
    (f'    sha256: "{PIN}"\n', "    {}\n", "external_authorities.company-root", "env.external", "says nothing"),
    (f'sha256: "{PIN}"', "sha256: no", "external_authorities.company-root.sha256", "env.quotes", "quotes"),
    (f'sha256: "{PIN}"', "sha256: abc", "external_authorities.company-root.sha256", "env.value", "64 lower-case"),
    (f'sha256: "{PIN}"', f'sha256: "{PIN}"\n    validity: 5y', "external_authorities.company-root.validity", "env.unknown-key", "subject"),
    (f'sha256: "{PIN}"', f'sha256: "{PIN}"\n    crl: {{url: "http://x.example.com"}}', "external_authorities.company-root.crl",
     "env.unknown-key", "no such key"),
    ("issuer: company-root", "issuer: root", "external_authorities.company-issuing.issuer", "env.issuer", "CA of ours"),
    ("issuer: company-root", "issuer: company-rot", "external_authorities.company-issuing.issuer", "env.issuer", "company-root?"),
    ("issuer: company-root", "issuer: company-issuing", "external_authorities.company-issuing.issuer", "env.loop", "loop"),
    ("Company Issuing CA", "Root CA G1", "external_authorities.company-issuing.subject.common_name", "env.common-name", "two keys"),
    ("{common_name: Company Issuing CA}", "{organization: C}", "external_authorities.company-issuing.subject.common_name",
     "env.missing-key", "required"),
    ("subject: {common_name: Company Issuing CA}", f'sha256: "{PIN}"',
     "external_authorities.company-issuing.sha256", "env.external", "declared once"),
    ("company-issuing:\n", "clients:\n", "external_authorities.clients", "env.external", "another name"),
    ("issuer: company-issuing", "issuer: company-isuing", "authorities.clients.issuer", "env.issuer", "company-issuing?"),
    ("    issuer: company-issuing\n", "    issuer: company-issuing\n    external: true\n", "authorities.clients.external",
     "env.unknown-key", "external_authorities"),
    ("    issuer: company-issuing\n", "    issuer: company-issuing\n    renew_from: '2030-01-01'\n", "authorities.clients.renew_from",
     "env.external", "signs when it likes"),
    ("anchors: [root]", "anchors: [company-issuing]", "trust.bundles.services.anchors[0]", "env.anchor", "must be a root"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "path", "code", "words"), WRONG)
def test_each_rule(old: str, new: str, path: str, code: str, words: str) -> None:
    assert BELOW.count(old) == 1
    found = [problem for problem in problems(BELOW.replace(old, new)) if problem.key_path == path]
    assert [problem.code for problem in found] == [code]
    assert words in found[0].message
    assert found[0].line > 1


def test_an_anchor_kept_elsewhere_is_pinned() -> None:
    anchored = BELOW.replace("anchors: [root]", "anchors: [company-root]")
    assert read(anchored).trust.bundles["services"].anchors == ("company-root",)
    (unpinned,) = problems(anchored.replace(f'sha256: "{PIN}"', "subject: {common_name: Company Root CA}"))
    assert (unpinned.key_path, unpinned.code) == ("trust.bundles.services.anchors[0]", "env.anchor")


def test_what_is_below_a_broken_one_is_still_checked() -> None:
    text = BELOW.replace(f'sha256: "{PIN}"', "sha256: abc").replace("validity: 4y", "validity: 6y")
    assert {(one.key_path, one.code) for one in problems(text)} == {
        ("external_authorities.company-root.sha256", "env.value"),
        ("authorities.below.validity", "env.outlives"),
    }


def test_five_levels_count_those_kept_elsewhere() -> None:
    more = "".join(
        f"  level{n}: {{issuer: {above}, subject: {{common_name: L{n}}}, validity: {4 - n}y, crl: {{validity: 7d}}}}\n"
        for n, above in ((1, "below"), (2, "level1"))
    )
    assert [one.code for one in problems(BELOW.replace("profiles:\n", more + "profiles:\n", 1))] == ["env.depth"]
