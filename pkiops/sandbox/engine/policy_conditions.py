"""The conditions of policies: every operator of the IAM user guide ("IAM JSON policy elements: Condition operators").

What this module decides: whether a ``Condition`` holds for the condition keys of a request. One with an operator it does not know, or a value that is
not of the operator's type, does not hold.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from pkiops.sandbox.engine.policy_language import Values, Variables, as_list, like, resolved

_Test: TypeAlias = Callable[[str, str, Variables | None], bool]
_SETS = ("ForAllValues:", "ForAnyValue:")
_IF_EXISTS = "IfExists"
_ARN_PARTS = 6


def conditions_hold(conditions: Any, context: Mapping[str, Values], variables: Variables | None = None) -> bool:
    """Whether all conditions hold.

    Args:
        conditions: the ``Condition`` of a statement.
        context: the condition keys of the request, lower case, each with its value or values.
        variables: what ``${key}`` stands for in a value, or None where policies know no variables.
    """
    if not isinstance(conditions, dict):
        return False
    return all(
        _holds(str(operator), str(key).lower(), [_text(v) for v in as_list(values)], context, variables)
        for operator, tests in conditions.items()
        for key, values in (tests.items() if isinstance(tests, dict) else [("", tests)])
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _holds(
    operator: str, key: str, values: list[str], context: Mapping[str, Values], variables: Variables | None
) -> bool:
    quantifier = next((each for each in _SETS if operator.startswith(each)), "")
    name = operator.removeprefix(quantifier).removesuffix(_IF_EXISTS)
    given = context.get(key)
    actual = [given] if isinstance(given, str) else list(given or ())
    if name == "Null":
        return any(value.lower() == str(not actual).lower() for value in values)
    known = _OPERATORS.get(name)
    if known is None:
        return False
    test, negated = known
    if not actual:
        return operator.endswith(_IF_EXISTS) or quantifier == _SETS[0] or (negated and not quantifier)
    found = [any(test(each, value, variables) for value in values) != negated for each in actual]
    # a key with several values and no set operator: one that fits is enough, one that is excluded is too many
    return all(found) if quantifier == _SETS[0] or (negated and not quantifier) else any(found)


def _equals(actual: str, value: str, variables: Variables | None) -> bool:
    wanted = resolved(value, variables)
    return wanted is not None and actual == wanted


def _equals_any_case(actual: str, value: str, variables: Variables | None) -> bool:
    wanted = resolved(value, variables)
    return wanted is not None and actual.lower() == wanted.lower()


def _arn_like(actual: str, value: str, variables: Variables | None) -> bool:
    """Each of the six parts for itself: a wildcard does not reach over a colon."""
    if value == "*":
        return True
    parts, patterns = actual.split(":", _ARN_PARTS - 1), value.split(":", _ARN_PARTS - 1)
    if variables is not None and "${" in value:  # a variable holds colons
        return like(actual, value, variables)
    return len(parts) == len(patterns) and all(like(*each) for each in zip(parts, patterns, strict=True))


def _bool(actual: str, value: str, variables: Variables | None) -> bool:
    del variables
    return actual.lower() == value.lower()


def _in_network(actual: str, value: str, variables: Variables | None) -> bool:
    del variables
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,30}(\.\d{1,30})?", text, re.ASCII) else None


def _moment(text: str) -> float | None:
    """Epoch seconds, given as such or as ISO 8601."""
    number = _number(text)
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ordered(read: Callable[[str], float | None], compare: Callable[[float, float], bool]) -> _Test:
    def test(actual: str, value: str, variables: Variables | None) -> bool:
        wanted = resolved(value, variables)
        left, right = read(actual), None if wanted is None else read(wanted)
        return left is not None and right is not None and compare(left, right)

    return test


_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": lambda left, right: left == right,
    "LessThan": lambda left, right: left < right,
    "LessThanEquals": lambda left, right: left <= right,
    "GreaterThan": lambda left, right: left > right,
    "GreaterThanEquals": lambda left, right: left >= right,
}
# by name: the test, and whether it is turned round
_OPERATORS: Mapping[str, tuple[_Test, bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_any_case, False),
    "StringNotEqualsIgnoreCase": (_equals_any_case, True),
    "StringLike": (like, False),
    "StringNotLike": (like, True),
    "ArnEquals": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnLike": (_arn_like, False),
    "ArnNotLike": (_arn_like, True),
    "BinaryEquals": (_equals, False),
    "Bool": (_bool, False),
    "IpAddress": (_in_network, False),
    "NotIpAddress": (_in_network, True),
    **{f"Numeric{name}": (_ordered(_number, compare), False) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": (_ordered(_moment, compare), False) for name, compare in _COMPARISONS.items()},
    "NumericNotEquals": (_ordered(_number, _COMPARISONS["Equals"]), True),
    "DateNotEquals": (_ordered(_moment, _COMPARISONS["Equals"]), True),
}
