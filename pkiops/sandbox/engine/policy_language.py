"""The parts of the policy language that all policies share: conditions, patterns, one value or several.

What this module decides: a condition with an operator it does not know does not hold.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Any


def conditions_hold(conditions: Any, context: Mapping[str, str]) -> bool:
    """Whether all conditions hold; ``context`` holds the condition keys of the request, lower case."""
    if not isinstance(conditions, dict):
        return False
    return all(
        _condition_holds(str(operator), str(key).lower(), [str(v) for v in as_list(values)], context)
        for operator, tests in conditions.items()
        for key, values in (tests.items() if isinstance(tests, dict) else [("", tests)])
    )


def _condition_holds(operator: str, key: str, values: list[str], context: Mapping[str, str]) -> bool:
    actual = context.get(key)
    optional = operator.endswith("IfExists")
    match = re.fullmatch(r"(String|Arn)(Not)?(Equals|Like)|(Bool)", operator.removesuffix("IfExists"))
    if match is None:
        return False
    negated = bool(match[2])
    if actual is None:
        return optional or negated
    if match[4]:
        return any(actual.lower() == value.lower() for value in values)
    wild = match[1] == "Arn" or match[3] == "Like"
    found = any(like(actual, value) if wild else actual == value for value in values)
    return found != negated


def like(text: str, pattern: str) -> bool:
    """Whether a text fits a pattern with ``*`` and ``?``."""
    # fnmatch knows [..] too, which policies do not
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def as_list(value: Any) -> list[Any]:
    """One value or several, as policies have them."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
