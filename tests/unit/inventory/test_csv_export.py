"""CSV: stable columns, one line per row, no cell that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import unicodedata
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.clock import ManualClock
from pkiops.inventory.collect import collect
from pkiops.inventory.export.csv_export import (
    AUTHORITY_COLUMNS,
    CERTIFICATE_COLUMNS,
    authorities_csv,
    certificates_csv,
    harmless,
)
from pkiops.inventory.records import AuthorityRecord, CertificateRecord, CrlRecord, Inventory
from tests import builders
from tests.seeded import seeded
from tests.unit.inventory.world import AT, ENVIRONMENT, Account, entry, leaf, tags

TRIGGERS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212"
CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
texts = st.text(alphabet=st.one_of(st.characters(), st.sampled_from(TRIGGERS + " ;,\"'\x00\u200b\u3000\ufeff\ud800")))


def parsed(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))


def inventory() -> Inventory:
    account = Account()
    account.add("clients", tags("clients"), (leaf(builders.root_ca()),))
    chain = [leaf(builders.root_ca())]
    return collect(ENVIRONMENT, account, lambda: [entry(chain=chain)], ManualClock(AT))


EXAMPLE = inventory()


def an_authority() -> AuthorityRecord:
    return next(one for one in EXAMPLE.authorities or () if one.exists)


def a_certificate() -> CertificateRecord:
    return (EXAMPLE.certificates or ())[0]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", r"'\x09=1"),
        ("\tplain", r"'\x09plain"),
        ("\rplain", r"'\x0dplain"),
        ("\u3000=1", "'\u3000=1"),
        ("\u200b=1", r"'\u200b=1"),
        ("\ufeff=1", r"'\ufeff=1"),
        ("\uff1d1", "'\uff1d1"),
        ("\uff20a", "'\uff20a"),
        ("\u22121", "'\u22121"),
        ("a;=1", "a;'=1"),
        ("a; +1;b", "a;' +1;b"),
        ("a\nb", r"a\x0ab"),
        ("a\x00b", r"a\x00b"),
        ("a\u2028b", r"a\u2028b"),
        ("a\U000e0001b", r"a\U000e0001b"),
        ("\ud800", r"\ud800"),
        ("O=a,CN=-b", "O=a,CN=-b"),
        ("uri:spiffe://a/-b", "uri:spiffe://a/-b"),
        ("", ""),
        ("Zürich 日本", "Zürich 日本"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_makes_cells_harmless(text: str, cell: str) -> None:
    assert harmless(text) == cell


@seeded(500)
@given(texts)
def test_no_cell_starts_a_formula_or_breaks_a_line(text: str) -> None:
    cell = harmless(text)
    for part in cell.split(";"):
        start = part.lstrip()[:1]
        assert start not in set(TRIGGERS) or not start
        assert unicodedata.normalize("NFKC", start)[:1] not in set("=+-@") or not start
    assert not any(unicodedata.category(one) in CATEGORIES for one in cell)
    assert len(cell.splitlines()) <= 1
    cell.encode("utf-8")


@seeded(300)
@given(texts)
def test_plain_text_stays_as_it_is(text: str) -> None:
    plain = "x" + "".join(one for one in text if unicodedata.category(one) not in CATEGORIES and one != ";")
    assert harmless(plain) == plain


@seeded(200)
@given(texts, texts, st.lists(texts, max_size=3))
def test_certificates_come_back_cell_by_cell(subject: str, requester: str, sans: list[str]) -> None:
    record = replace(a_certificate(), subject=subject, requester=requester, sans=tuple(sans))
    data = certificates_csv([record, record])
    header, *rows = parsed(data)
    assert tuple(header) == CERTIFICATE_COLUMNS
    assert len(rows) == 2
    assert rows[0] == rows[1]
    cells = dict(zip(header, rows[0], strict=True))
    assert cells["subject"] == harmless(subject)
    assert cells["requester"] == harmless(requester)
    assert cells["sans"] == harmless("; ".join(sans))
    assert cells["serial"] == record.serial
    assert data.count(b"\n") == data.count(b"\r\n") == 3  # a row is a line


@seeded(100)
@given(st.dictionaries(texts, texts, max_size=3), texts)
def test_authorities_come_back_cell_by_cell(their_tags: dict[str, str], label: str) -> None:
    header, row = parsed(authorities_csv([replace(an_authority(), tags=their_tags, authority=label)]))
    cells = dict(zip(header, row, strict=True))
    assert cells["authority"] == harmless(label)
    assert cells["tags"] == harmless("; ".join(f"{key}={value}" for key, value in their_tags.items()))


def test_columns_are_the_fields_of_the_records() -> None:
    crl = [f"crl_{one.name}" for one in fields(CrlRecord)]
    names = [one.name for one in fields(AuthorityRecord)]
    position = names.index("crl")
    assert list(AUTHORITY_COLUMNS) == [*names[:position], *crl, *names[position + 1 :]]
    assert list(CERTIFICATE_COLUMNS) == [one.name for one in fields(CertificateRecord)]


def test_nothing_to_list_leaves_the_header() -> None:
    assert parsed(authorities_csv([])) == [list(AUTHORITY_COLUMNS)]
    assert parsed(certificates_csv([])) == [list(CERTIFICATE_COLUMNS)]


def test_values_have_one_spelling() -> None:
    record = replace(an_authority(), days_left=-3, crl=None, ocsp=True)
    header, row = parsed(authorities_csv([record]))
    cells = dict(zip(header, row, strict=True))
    assert (cells["days_left"], cells["ocsp"], cells["crl_bucket"], cells["failure_reason"]) == ("-3", "true", "", "")
    assert cells["created_at"].endswith("Z")
