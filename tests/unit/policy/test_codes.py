"""The list of refusing codes is the whole of what the rules say."""

from __future__ import annotations

import ast
from pathlib import Path

from pkiops.policy import engine
from pkiops.policy.codes import REFUSAL_CODES
from tests.unit.policy.request_cases import CASES

FOLDER = Path(str(engine.__file__)).parent
KINDS = ("dns", "uri", "ip", "email")


def said() -> set[str]:
    """The first arguments of every call of ``refuse`` in the rules."""
    found: set[str] = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "refuse":
                code = node.args[0]
                assert isinstance(code, ast.Constant), (path, node.lineno)
                found.add(str(code.value))
    return found | {f"san-{kind}-not-allowed" for kind in KINDS}


def test_they_are_all_there_once() -> None:
    listed = [one.code for one in REFUSAL_CODES]
    assert len(set(listed)) == len(listed)
    assert set(listed) == said()


def test_the_requests_of_the_table_are_refused_by_listed_codes() -> None:
    seen = {code.removeprefix("policy.") for row in CASES for code in row[3] if code.startswith("policy.")}
    assert seen <= {one.code for one in REFUSAL_CODES}
