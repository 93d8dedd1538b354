"""Names: one order when built, no order when compared, nothing dangerous when printed."""

from __future__ import annotations

import unicodedata

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pkiops.errors import InputError
from pkiops.x509.names import (
    SUBJECT_FIELDS,
    build_name,
    has_unprintable,
    name_attributes,
    printable,
    rfc4514,
    same_name,
)
from tests.seeded import seeded

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), min_size=1, max_size=16)
ATTRIBUTES = st.dictionaries(st.sampled_from([f for f in SUBJECT_FIELDS if f != "country"]), TEXT, min_size=1)


def test_builds_from_wide_to_narrow_whatever_the_order_given() -> None:
    name = build_name({"common_name": "a", "organization": "Example Ltd", "country": "GB"})
    assert name_attributes(name) == (("C", "GB"), ("O", "Example Ltd"), ("CN", "a"))
    assert rfc4514(name) == "CN=a,O=Example Ltd,C=GB"


def test_compares_without_order_grouping_and_string_type() -> None:
    country, organization = (
        x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Ltd"),
    )
    printable_string = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Ltd", x509.name._ASN1Type.PrintableString)
    ours = x509.Name([country, organization])
    assert same_name(ours, x509.Name([printable_string, country]))
    assert same_name(ours, x509.Name([x509.RelativeDistinguishedName([organization, country])]))
    assert not same_name(ours, x509.Name([country]))
    assert not same_name(ours, x509.Name([country, organization, organization]))
    assert not same_name(ours, build_name({"country": "GB", "organization": "example ltd"}))


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"pseudonym": "x"}, "names.field"),
        ({"country": "GBR"}, "names.value"),
        ({"common_name": "x" * 65}, "names.value"),
        ({"common_name": ""}, "names.value"),
        ({"organization": "a\nb"}, "names.value"),
        ({"organization": "a\u202eb"}, "names.value"),
    ],
)
def test_refuses_what_cannot_be_encoded_or_shown(attributes: dict[str, str], code: str) -> None:
    with pytest.raises(InputError) as caught:
        build_name(attributes)
    assert caught.value.code == code


def test_prints_control_and_invisible_characters_as_hex_pairs() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\x1b[31m\u202eb\n,c")])
    assert rfc4514(name) == r"CN=a\1b[31m\e2\80\aeb\0a\,c"


@seeded(100)
@given(ATTRIBUTES)
def test_a_name_survives_its_encoding(attributes: dict[str, str]) -> None:
    name = build_name(attributes)
    again = x509.Name.from_bytes(name.public_bytes())
    assert same_name(name, again)
    assert sorted(value for _, value in name_attributes(again)) == sorted(attributes.values())


@seeded(100)
@given(ATTRIBUTES, ATTRIBUTES)
def test_same_name_is_equality_of_attributes(a: dict[str, str], b: dict[str, str]) -> None:
    assert same_name(build_name(a), build_name(b)) == (a == b)


@seeded(200)
@given(st.text(max_size=40))
def test_printable_leaves_no_control_character(text: str) -> None:
    shown = printable(text)
    assert not has_unprintable(shown)
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in shown)
