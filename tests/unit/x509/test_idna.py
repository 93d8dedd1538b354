"""International labels, held against the ``idna`` package, which knows the tables of IDNA2008."""

from __future__ import annotations

import contextlib

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.x509.idna import a_label_problem, to_ascii
from pkiops.x509.san import parse_san
from tests.seeded import SOAK, seeded


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("xn--bcher-kva", None),
        ("xn--strae-oqa", None),
        ("xn--p1ai", None),
        ("xn--fiqs8s", None),
        ("xn--80ak6aa92e", None),
        ("xn--", "nothing international"),
        ("xn--abc-", "nothing international"),
        ("xn--a", "U+0080"),
        ("xn--99zzzz99", "not an encoded"),
        ("xn--ls8h", "U+1F4A9"),
        ("xn--bcher-kvb", "U+"),
    ],
)
def test_what_is_an_a_label(label: str, says: str | None) -> None:
    problem = a_label_problem(label)
    assert problem is None if says is None else says in str(problem), problem


def test_the_form_that_people_write() -> None:
    assert to_ascii("*.B\u00fccher.example") == "*.xn--bcher-kva.example"
    assert to_ascii("bu\u0308cher.example") == "xn--bcher-kva.example"
    assert str(parse_san("dns:b\u00fccher.Example")) == "dns:xn--bcher-kva.example"
    for wrong in ("a\u200db.example", "\uff0e.example", "\u0300a.example", "-\u00fc.example", "\u00fc" * 60):
        with pytest.raises(ValueError, match="international label"):
            to_ascii(wrong)


@seeded(300)
@given(
    st.text(
        alphabet=st.characters(min_codepoint=0x80, max_codepoint=0x2FFF) | st.sampled_from("ab1-"),
        min_size=1,
        max_size=12,
    )
)
def test_what_is_accepted_is_idna_2008(text: str) -> None:
    if text.isascii():
        return
    try:
        label = to_ascii(text)
    except ValueError:
        return
    if a_label_problem(label) is not None or "." in label:
        return
    try:
        decoded = idna.decode(label)
    except idna.IDNABidiError:
        return  # writing directions are left to whoever grants the pattern
    assert idna.encode(decoded).decode() == label


def test_no_character_is_allowed_that_idna_2008_does_not_allow() -> None:
    for point in range(0x80, 0x110000, 1 if SOAK else 13):
        try:
            label = to_ascii(f"a{chr(point)}b")
        except ValueError:
            continue
        if label.startswith("xn--"):  # what is plain ASCII in normal form is judged as any label is
            with contextlib.suppress(idna.IDNABidiError):
                idna.decode(label)


@seeded(300)
@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-", max_size=59))
def test_noise_has_a_problem_or_an_encoding_of_its_own(tail: str) -> None:
    label = f"xn--{tail}"
    if a_label_problem(label) is None:
        assert to_ascii(label.removeprefix("xn--").encode().decode("punycode")) == label
