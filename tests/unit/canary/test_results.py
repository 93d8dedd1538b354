"""The file of results: what gets into it, and what never does."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from tests.canary.case import Case, Observation
from tests.canary.cases import CASES
from tests.canary.results import compare, document, not_run, redact, table, write

ONE = CASES[0]


@pytest.mark.parametrize(
    ("observed", "redacted"),
    [
        ("arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/x is", "ARN is"),
        ("account 123456789012, not 1234567890123", "account ACCOUNT, not 1234567890123"),
        (123456789012, "ACCOUNT"),
        (12, 12),
        (True, True),
        (None, None),
        ({"arn:aws-cn:s3:::b": ["AKIAIOSFODNN7EXAMPLE"]}, {"ARN": ["KEY"]}),
        ("-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----", "PEM"),
        ("-----BEGIN PRIVATE KEY-----\nMIG", "PEM"),
        ("pkiops-canary-20261125120000-00000000-open", "BUCKET"),
        ("from 192.0.2.17", "from ADDRESS"),
        ("id 0f8fad5b-d9cb-469f-a165-70867728950e", "id UUID"),
        ("a" * 40, "BASE64"),
        ("open /home/ada/.aws/config", "open PATH"),
        ("http://BUCKET.s3.REGION.amazonaws.com/crl/CA-ID.crl", "http://BUCKET.s3.REGION.amazonaws.com/crl/CA-ID.crl"),
        ("\x1b[31mred", "?[31mred"),
        ("word " * 200, ("word " * 200)[:400] + "..."),
    ],
)
def test_account_run_and_secrets_are_taken_out(observed: Observation, redacted: Observation) -> None:
    assert redact(observed) == redacted


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_that_is_expected_is_taken_out(case: Case) -> None:
    expected = case.expected
    assert redact(expected) == expected


def test_the_file_has_everything_of_a_result() -> None:
    results = [compare(ONE, ONE.expected), compare(CASES[1], {"authorities": 2}), not_run(CASES[2], "KeyError: 'x'")]
    found = json.loads(document(results, "eu-west-1", date(2026, 11, 25)))
    assert found == {
        "version": 1,
        "date": "2026-11-25",
        "region": "eu-west-1",
        "cases": {
            ONE.name: {"outcome": "same", "expected": ONE.expected, "observed": ONE.expected},
            CASES[1].name: {"outcome": "differs", "expected": CASES[1].expected, "observed": {"authorities": 2}},
            CASES[2].name: {
                "outcome": "not-run",
                "expected": CASES[2].expected,
                "observed": None,
                "reason": "KeyError: 'x'",
            },
        },
    }
    assert list(table(results))[-1] == "1 same, 1 differs, 1 not-run"


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "canary.json"
    path.write_text("old")
    write("new", path)
    assert path.read_text() == "new"
    with pytest.raises(UnicodeEncodeError):
        write("\ud800", path)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
