"""Many patterns at once give what each alone gives, by an oracle that tries everything; and no pattern is slow."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.policy.automata import REMEMBERED, PartPatterns, TextPatterns, text_tokens
from pkiops.policy.patterns import dns_matches, first_text, san_patterns
from pkiops.x509.san import SanKind
from tests.counted import lines_run
from tests.seeded import seeded

PLAIN = frozenset("abc")
parts = st.lists(st.sampled_from(["a", "b", "c", "", ".", "-"]), max_size=6)
part_patterns = st.lists(st.lists(st.sampled_from(["a", "b", "*", "**", "-", ""]), max_size=5), min_size=1, max_size=6)


def matches(pattern: Sequence[str], found: Sequence[str]) -> bool:
    """Tries everything."""
    if not pattern:
        return not found
    if not found:
        return False
    token, rest = pattern[0], pattern[1:]
    is_plain = found[0] in {"a", "b", "c"}
    if token == "*":
        return is_plain and matches(rest, found[1:])
    if token == "**":
        return is_plain and (matches(rest, found[1:]) or matches(pattern, found[1:]))
    return token == found[0] and matches(rest, found[1:])


@seeded(500)
@given(part_patterns, st.lists(parts, min_size=1, max_size=5), st.sampled_from([1, 2, REMEMBERED]))
def test_parts(patterns: list[list[str]], names: list[list[str]], remembered: int) -> None:
    together = PartPatterns(enumerate(patterns), PLAIN, remembered)
    for name in [*names, *names]:  # what was remembered says the same
        expected = next((number for number, one in enumerate(patterns) if matches(one, name)), None)
        assert together.first(name) == expected


texts = st.text(alphabet="ab.*", max_size=6)


def text_oracle(tokens: Sequence[str], text: str) -> bool:
    if not tokens:
        return not text
    if not text:
        return False
    token, rest = tokens[0], tokens[1:]
    takes = text[0] in "ab" or (token == "**" and text[0] == ".")
    if token in {"*", "**"}:
        return takes and (text_oracle(rest, text[1:]) or text_oracle(tokens, text[1:]))
    return token == text[0] and text_oracle(rest, text[1:])


@seeded(500)
@given(st.lists(texts, min_size=1, max_size=6), st.text(alphabet="ab.*x", max_size=8))
def test_texts(patterns: list[str], text: str) -> None:
    together = TextPatterns(patterns, one=frozenset("ab"), many=frozenset("ab."))
    expected = next(
        (number for number, one in enumerate(patterns) if text and text_oracle(text_tokens(one), text)), None
    )
    assert (together.first(text) if text else None) == expected


labels = st.sampled_from(["a", "b", "svc", "example", "com"])


@seeded(300)
@given(
    st.lists(
        st.lists(labels | st.sampled_from(["*", "**"]), min_size=1, max_size=5).map(".".join), min_size=1, max_size=8
    ),
    st.lists(labels, min_size=1, max_size=6).map(".".join),
)
def test_the_first_pattern_in_the_list_is_the_one_that_counts(patterns: list[str], name: str) -> None:
    expected = next((number for number, one in enumerate(patterns) if dns_matches(one, name)), None)
    assert san_patterns(SanKind.DNS, tuple(patterns)).first(name) == expected


# lists of patterns that make regular expressions and backtracking explode
HOSTILE = {
    "wildcards alone": ["*.**." * 30 + f"n{n}" for n in range(60)],
    "words that repeat": ["**.a." * 40 + f"n{n}" for n in range(60)],
    "both": ["**.a.*.a." * 20 + f"n{n}" for n in range(60)],
    "different beginnings": [f"n{n}." + "**.a.*." * 20 + "a" for n in range(200)],
    "sets of states that never repeat": ["**." + "*." * n + "a" + ".*" * (n % 7) for n in range(1, 60)],
}
LONGEST = ["a." * 126 + "a", "a.b." * 63 + "a", "b." * 126 + "n1", ".".join("ab"[n * n % 7 % 2] for n in range(127))]


@pytest.mark.parametrize("patterns", HOSTILE.values(), ids=HOSTILE)
def test_no_pattern_is_slow(patterns: list[str]) -> None:
    matcher = san_patterns(SanKind.DNS, tuple(patterns))
    for name in LONGEST:
        work = lines_run(lambda: matcher.first(name))  # noqa: B023 - called at once
        # 127 labels, each with less than 500 lines for the states that are reached together
        assert work <= 127 * 500
        assert lines_run(lambda: matcher.first(name)) <= work  # noqa: B023 - called at once


def test_no_pattern_of_characters_is_slow() -> None:
    patterns = tuple("a*" * 120 + f"{n}" for n in range(100))
    first_text(patterns, "x")
    # a few lines for each character, however many patterns
    assert lines_run(lambda: first_text(patterns, "a" * 256)) <= 256 * 6 + 100 + 20
