"""The rules of the sandbox as data: complete, each with a source and a test that exists; and what a run on AWS makes of them."""

from __future__ import annotations

import ast
import functools
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pkiops.sandbox.engine.request_model import operation_names, service_model
from sandbox_behaviour import page
from sandbox_behaviour.aws_run import AwsRun, Confirmation, confirmation, outdated, parse_run, read_run
from sandbox_behaviour.rules import Lack, Rule, Standing, read_lacks, read_rules
from tests.canary.cases import CASES
from tests.canary.results import compare, document, not_run

REPOSITORY = Path(__file__).parents[1]
RULES, LACKS = read_rules(), read_lacks()
SHARED = "Every operation"
SUBJECTS = {
    SHARED,
    "Templates and extensions",
    "CRLs",
    "OCSP",
    "Buckets of CRLs and reports",
    "Callers of other accounts",
    "Callers under --enforce-iam",
    "Services beside",
}


@functools.cache
def names_of_tests(path: Path) -> frozenset[str]:
    """The names of the tests in a module, read and not run."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in module.body if isinstance(node, ast.FunctionDef))


def exists(node: str) -> bool:
    """Whether a pytest node like ``tests/unit/test_x.py::test_y`` is there."""
    path, _, name = node.partition("::")
    parts = Path(path).parts
    file = REPOSITORY / path
    sound = bool(parts) and parts[0] == "tests" and ".." not in parts and name.startswith("test_")
    return sound and file.is_file() and name in names_of_tests(file)


def test_every_operation_has_rules_and_nothing_else_has() -> None:
    assert {rule.subject for rule in RULES} == {*operation_names(), *SUBJECTS}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_a_test(rule: Rule) -> None:
    assert exists(rule.test), rule.test


@pytest.mark.parametrize("lack", LACKS, ids=lambda lack: lack.what[:40])
def test_what_is_lacking_is_shown_by_a_test(lack: Lack) -> None:
    assert lack.test is None or exists(lack.test), lack.test


def test_a_test_that_is_not_there_is_found_out() -> None:
    this = "tests/test_behaviour_rules.py"
    assert exists(f"{this}::test_a_test_that_is_not_there_is_found_out")
    for node in (
        "",
        this,
        f"{this}::test_none",
        f"{this}::exists",
        "tests/none.py::test_x",
        f"tests/../{this}::test_x",
    ):
        assert not exists(node)


def test_what_the_documentation_is_silent_on_is_not_documented() -> None:
    assert not [rule.id for rule in RULES if "silent" in rule.source and rule.standing is Standing.DOCUMENTED]


def test_a_guess_says_why_it_is_one() -> None:
    words = re.compile(
        "silent|not (said|seen|named?)|no longer said|does not (say|name)|one page|shows? both|only|samples|says nothing"
    )
    guesses = [rule for rule in RULES if rule.standing is Standing.GUESS]
    assert not [rule.id for rule in guesses if not words.search(rule.source)]


def explained(operation: str) -> set[str]:
    """The error codes that an operation's rules, or those of every operation, explain."""
    return {code for rule in RULES if rule.subject in {operation, SHARED} for code in rule.errors}


@pytest.mark.parametrize("operation", operation_names())
def test_every_error_of_the_model_is_explained(operation: str) -> None:
    modelled = {shape.name for shape in service_model().operation_model(operation).error_shapes}
    assert modelled <= explained(operation)
    own = {code for rule in RULES if rule.subject == operation for code in rule.errors}
    assert own <= modelled | {"ValidationException"}, "an error that the model does not know for this operation"


def test_errors_outside_the_model_are_explained() -> None:
    codes = {"AccessDeniedException", "ThrottlingException", "ValidationException"}
    assert codes <= {code for rule in RULES if rule.subject == SHARED for code in rule.errors}


def test_a_rule_speaks_of_the_errors_it_explains() -> None:
    """Those of its own operation by name; what is the same everywhere may be left out."""
    generic = {"InvalidStateException", "ValidationException", "ResourceNotFoundException", "InvalidArnException"}
    for rule in RULES:
        for code in set(rule.errors) - generic:
            assert f"`{code}`" in rule.says, f"{rule.id} does not name {code}"


def test_every_case_of_the_canary_is_named_by_a_rule_and_the_other_way_round() -> None:
    assert {case for rule in RULES for case in rule.cases} == {case.name for case in CASES}


def test_the_recorded_run_is_about_the_sandbox_of_today() -> None:
    """Once ``docs/canary.json`` is there, a changed expectation needs another run, or its case taken out of the file."""
    run = read_run(REPOSITORY / "docs" / "canary.json")
    assert outdated(run, {case.name: case.expected for case in CASES}) == []


def test_answers_of_other_days_are_found_out() -> None:
    run = parsed(a=SAME, b=SAME, c=SAME)
    assert outdated(run, {"a": 1, "b": 2}) == ["b", "c"]
    assert outdated(None, {"a": 1}) == []


def test_there_is_a_rule_for_everything_that_is_lacking() -> None:
    assert len(LACKS) >= 10
    assert all(lack.what and lack.instead for lack in LACKS)


ROW = """
[[ListTags]]
id = "one"
says = "x"
source = "silent"
standing = "guess"
test = "tests/x.py::test_x"
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (ROW + ROW, "twice"),
        (ROW.replace('id = "one"', ""), "without an id"),
        (ROW.replace('id = "one"', 'id = "One Two"'), "kebab"),
        (ROW.replace('standing = "guess"', 'standing = "sure"'), "sure"),
        (ROW + 'more = "x"\n', "a rule has"),
        (ROW + 'cases = "x"\n', "list of texts"),
        (ROW.replace('says = "x"', 'says = "a\\nb"'), "one line"),
        (ROW.replace('says = "x"', "says = 1"), "one line"),
        ('ListTags = "x"\n', "array of tables"),
        ("[[", "Invalid|Expected"),
    ],
)
def test_rules_that_are_none(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ValueError, match=why):
        read_rules(tmp_path)


def run_of(**cases: Any) -> dict[str, Any]:
    return {"version": 1, "date": "2027-01-31", "region": "eu-west-1", "cases": cases}


def parsed(**cases: Any) -> AwsRun:
    return parse_run(json.dumps(run_of(**cases)).encode())


SAME = {"outcome": "same", "expected": 1, "observed": 1}
DIFFERS = {"outcome": "differs", "expected": 1, "observed": {"error": "ValidationException"}}
NOT_RUN = {"outcome": "not-run", "expected": 1}


@pytest.mark.parametrize(
    ("cases", "answers", "expected"),
    [
        ((), {"a": SAME}, Confirmation.NEVER),
        (("a",), {}, Confirmation.NEVER),
        (("a",), {"a": NOT_RUN}, Confirmation.NEVER),
        (("a",), {"a": SAME}, Confirmation.CONFIRMED),
        (("a", "b"), {"a": SAME, "b": SAME}, Confirmation.CONFIRMED),
        (("a", "b"), {"a": SAME, "b": NOT_RUN}, Confirmation.IN_PART),
        (("a", "b"), {"a": SAME}, Confirmation.IN_PART),
        (("a", "b"), {"a": SAME, "b": DIFFERS}, Confirmation.DIFFERS),
        (("a",), {"a": DIFFERS}, Confirmation.DIFFERS),
    ],
)
def test_what_a_run_says_of_a_rule(cases: tuple[str, ...], answers: dict[str, Any], expected: Confirmation) -> None:
    assert confirmation(cases, parsed(**answers)) is expected
    assert confirmation(cases, None) is Confirmation.NEVER


def rule_with(*cases: str, standing: Standing = Standing.GUESS) -> Rule:
    return Rule(
        id="x",
        subject="ListTags",
        says="a | b",
        source="silent",
        standing=standing,
        test="tests/x.py::test_x",
        cases=cases,
    )


def test_the_pages_follow_a_run() -> None:
    rules = (rule_with("a"), rule_with("b"), rule_with("c"), rule_with(standing=Standing.DOCUMENTED))
    before, run = None, parsed(a=SAME, b=DIFFERS, c=NOT_RUN, stray=DIFFERS)
    old, new = page.behaviour_page("", rules, before), page.behaviour_page("", rules, run)
    assert old.count("| never run on AWS |") == 4
    assert "Never run on AWS: nobody has compared" in old
    assert "| confirmed on AWS on 2027-01-31 |" in new
    assert '**differs on AWS** (2027-01-31): `b` answered `{"error": "ValidationException"}`' in new
    assert new.count("| never run on AWS |") == 2
    assert "Compared with AWS on 2027-01-31 in eu-west-1: 1 cases the same, 2 different, 1 not run." in new
    assert "## Cases that no rule names" not in old
    assert "| `stray` | differs |" in new
    assert "a \\| b" in new
    assert page.unverified_page("", rules, before).count("| ListTags |") == 3
    assert page.unverified_page("", rules, run).count("| ListTags |") == 2  # what is confirmed is no guess any more
    assert "| together | 4 | 1 | 0 | 3 | 0 | 1 | 1 |" in page.summary(rules, run)


def test_a_documented_rule_that_aws_does_not_keep_is_unverified() -> None:
    rule = rule_with("b", standing=Standing.DOCUMENTED)
    assert page.is_unverified(rule, parsed(b=DIFFERS))
    assert not page.is_unverified(rule, parsed(b=SAME))


@pytest.mark.parametrize(
    "observed",
    [
        "a | b",
        "`code` <script>alert(1)</script>",
        "line\nline\r\n\x00\x7f\u2028",
        "](http://example.com)",
        "\u202e\ud800",
        ["|"] * 1000,
        {"`|`": {"<b>": None}},
    ],
)
def test_what_aws_answered_is_inert(observed: Any) -> None:
    run = parsed(a={**DIFFERS, "observed": observed})
    cell = page.on_aws(rule_with("a"), run)
    assert len(cell) < 500
    inside = cell.partition("answered `")[2].removesuffix("`")
    assert re.fullmatch(r"[ -~]+", inside)
    assert not set(inside) & set("|`<>&")


def nested(depth: int) -> bytes:
    return b'{"version": 1, "cases": ' + b"[" * depth + b"]" * depth + b"}"


HOSTILE = {
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "a list": b"[]",
    "nested": nested(100_000),
    "another version": json.dumps({**run_of(), "version": 2}).encode(),
    "true for a version": json.dumps({**run_of(), "version": True}).encode(),
    "no date": json.dumps({**run_of(), "date": "<b>today</b>"}).encode(),
    "no day of the calendar": json.dumps({**run_of(), "date": "2027-02-30"}).encode(),
    "no Region": json.dumps({**run_of(), "region": "eu-west-1 | x"}).encode(),
    "cases in a list": json.dumps({**run_of(), "cases": []}).encode(),
    "a name that is none": json.dumps(run_of(**{"A | b": SAME})).encode(),
    "an endless name": json.dumps(run_of(**{"a" * 101: SAME})).encode(),
    "an outcome that is none": json.dumps(run_of(a={"outcome": "perhaps", "observed": 1})).encode(),
    "a list for an outcome": json.dumps(run_of(a={"outcome": [], "observed": 1})).encode(),
    "a case that is none": json.dumps(run_of(a=1)).encode(),
    "nothing observed": json.dumps(run_of(a={"outcome": "same"})).encode(),
    "no number": b'{"version": NaN}',
    "too many cases": json.dumps(run_of(**{f"c{i}": SAME for i in range(1001)})).encode(),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_run_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        parse_run(data)


def test_a_run_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "canary.json"
    assert read_run(path) is None
    path.write_text(json.dumps(run_of(a=SAME)))
    found = read_run(path)
    assert found is not None
    assert (found.date, found.region, set(found.answers)) == ("2027-01-31", "eu-west-1", {"a"})
    path.write_text(" " * 1_000_001)
    with pytest.raises(ValueError, match="larger"):
        read_run(path)


def test_what_the_canary_writes_is_what_the_pages_read() -> None:
    """The file of a run that agrees in everything but one case, and was cut short before the last."""
    *agreeing, differing, missing = CASES
    found = [compare(case, case.expected) for case in agreeing]
    found += [compare(differing, {"error": "SomethingElse"}), not_run(missing, "the limit was reached")]
    run = parse_run(document(found, "eu-west-1", date(2027, 1, 31)).encode())
    assert (run.date, run.region, len(run.answers)) == ("2027-01-31", "eu-west-1", len(CASES))
    assert outdated(run, {case.name: case.expected for case in CASES}) == []
    by_case = {case: rule for rule in RULES for case in rule.cases}
    assert confirmation([agreeing[0].name], run) is Confirmation.CONFIRMED
    assert "SomethingElse" in page.on_aws(by_case[differing.name], run)
    assert confirmation([missing.name], run) is Confirmation.NEVER
    text = page.behaviour_page("", RULES, run)
    confirmed = sum(confirmation(rule.cases, run) is Confirmation.CONFIRMED for rule in RULES)
    assert text.count("| confirmed on AWS on 2027-01-31 |") == confirmed > 60
    assert len(page.unverified_page("", RULES, run)) < len(page.unverified_page("", RULES, None))


def test_only_what_is_between_the_marks_is_replaced() -> None:
    text = "before\n<!-- x: written by docs/generate.py -->\nold\n<!-- end of x -->\nafter\n"
    once = page.replaced(text, {"x": "new"})
    assert once == text.replace("old", "new")
    assert page.replaced(once, {"x": "new"}) == once
    for wrong in ("", text + text, text.replace("end of x", "end of y")):
        with pytest.raises(ValueError, match="marks"):
            page.replaced(wrong, {"x": "new"})
