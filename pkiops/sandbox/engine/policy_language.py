"""The parts of the policy language that all policies share: patterns with their variables, one value or several.

What this module decides: what ``*``, ``?`` and ``${...}`` in a pattern stand for. Conditions are ``policy_conditions``' decision.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Values: TypeAlias = str | Sequence[str]
Variables: TypeAlias = Mapping[str, Values]
_ONE, _MANY = object(), object()
_LITERALS = frozenset("*?$")
_TOKEN = re.compile(r"\$\{([^{}]*)\}|(\*)|(\?)|(.)", re.DOTALL)
_WITH_DEFAULT = re.compile(r"\s*([^,\s]+)\s*(?:,\s*'([^']*)'\s*)?", re.DOTALL)


def like(text: str, pattern: str, variables: Variables | None = None) -> bool:
    """Whether a text fits a pattern with ``*`` and ``?``.

    Args:
        text: what is tried.
        pattern: out of a policy.
        variables: what ``${key}`` stands for, by lower case key; without it, it stands for itself. A variable that is not known, or has several
            values, and has no default fits nothing (IAM user guide, policy variables).
    """
    if pattern == "*":
        return True
    tokens = _tokens(pattern, variables)
    return tokens is not None and _fits(text, tokens)


def resolved(text: str, variables: Variables | None) -> str | None:
    """A text with its variables replaced and its wildcards kept as they are, or None if one is not known."""
    if variables is None or "${" not in text:
        return text
    tokens = _tokens(text, variables)
    names = {_ONE: "?", _MANY: "*"}
    return None if tokens is None else "".join(names.get(token, str(token)) for token in tokens)


def as_list(value: Any) -> list[Any]:
    """One value or several, as policies have them."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _tokens(pattern: str, variables: Variables | None) -> list[object] | None:
    tokens: list[object] = []
    for match in _TOKEN.finditer(pattern):
        name, many, one, char = match.groups()
        if name is not None and variables is not None:
            value = _value(name, variables)
            if value is None:
                return None
            tokens += value  # its wildcards are letters like others
        elif name is not None:
            tokens += match[0]
        else:
            tokens.append(_MANY if many else _ONE if one else char)
    return tokens


def _value(name: str, variables: Variables) -> str | None:
    if name in _LITERALS:
        return name
    match = _WITH_DEFAULT.fullmatch(name)
    if match is None:
        return None
    value = variables.get(match[1].lower())
    return value if isinstance(value, str) else match[2]


def _fits(text: str, tokens: list[object]) -> bool:
    """Two pointers and one place to come back to: never worse than the product of the lengths, whatever the pattern."""
    at, token, star, resume = 0, 0, -1, 0
    while at < len(text):
        here = tokens[token] if token < len(tokens) else None
        if here is _MANY:
            star, resume = token, at
            token += 1
        elif here is _ONE or here == text[at]:
            at += 1
            token += 1
        elif star >= 0:
            resume += 1
            at, token = resume, star + 1
        else:
            return False
    return all(each is _MANY for each in tokens[token:])
