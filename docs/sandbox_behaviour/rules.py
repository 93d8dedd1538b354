"""The rules of the sandbox, read from ``rules/*.toml``.

What this module decides: the form of a rule. Each file holds arrays of tables; the name of an array is an operation, or a subject that several
operations share. ``does-not.toml`` says what the sandbox lacks. tests/test_behaviour_rules.py holds all of it to the tests and cases that are named.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "rules"
_DOES_NOT = "does-not.toml"
_REQUIRED = frozenset({"id", "says", "source", "standing", "test"})
_OPTIONAL = frozenset({"cases", "errors"})
_ID = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


class Standing(StrEnum):
    """How well a rule is known before anybody has looked at AWS itself; ``CHOICE``: it says nothing of AWS."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"
    GUESS = "guess"
    CHOICE = "choice"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One behaviour of the sandbox.

    Args:
        id: stable, in kebab case.
        subject: an operation, or what several of them share.
        says: one sentence: what the sandbox does; Markdown.
        source: where it is documented or was seen, and on what the documentation is silent.
        standing: documented; seen by others than us; inferred, because the documentation is silent or contradicts itself; or the sandbox's own.
        test: the pytest node that proves that the sandbox does so.
        cases: the canary cases whose answers on AWS confirm it.
        errors: the error codes that it explains.
    """

    id: str
    subject: str
    says: str
    source: str
    standing: Standing
    test: str
    cases: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lack:
    """Something AWS does and the sandbox does not; ``test``: the pytest node that shows what it does instead, if one can."""

    what: str
    instead: str
    test: str | None = None


def read_rules(folder: Path = FOLDER) -> tuple[Rule, ...]:
    """All rules, in the order of the files and of what is in them.

    Raises:
        ValueError: a file is not TOML, a key is missing or unknown, or an id is there twice.
    """
    found: dict[str, Rule] = {}
    for path in sorted(folder.glob("*.toml")):
        if path.name == _DOES_NOT:
            continue
        for subject, tables in _tables(path).items():
            for table in tables:
                rule = _rule(subject, table)
                if rule.id in found:
                    raise ValueError(f"{path.name}: the id {rule.id} is there twice")
                found[rule.id] = rule
    return tuple(found.values())


def read_lacks(folder: Path = FOLDER) -> tuple[Lack, ...]:
    """What the sandbox does not do.

    Raises:
        ValueError: as ``read_rules``.
    """
    tables = _tables(folder / _DOES_NOT)
    if set(tables) != {"does-not"}:
        raise ValueError(f"{_DOES_NOT} holds [[does-not]] and nothing else")
    return tuple(_lack(table) for table in tables["does-not"])


def subjects(rules: tuple[Rule, ...]) -> tuple[str, ...]:
    """The subjects in their order."""
    return tuple(dict.fromkeys(rule.subject for rule in rules))


def _tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    for subject, tables in document.items():
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise ValueError(f"{path.name}: {subject} must be an array of tables")
    return document


def _rule(subject: str, table: dict[str, Any]) -> Rule:
    name = table.get("id", "a rule without an id")
    if not _REQUIRED <= table.keys() <= _REQUIRED | _OPTIONAL:
        raise ValueError(
            f"{name}: a rule has {', '.join(sorted(_REQUIRED))}, and may have {', '.join(sorted(_OPTIONAL))}"
        )
    for key in _REQUIRED:
        if not isinstance(table[key], str) or not table[key].strip() or "\n" in table[key]:
            raise ValueError(f"{name}: {key} must be one line of text")
    if not _ID.fullmatch(table["id"]):
        raise ValueError(f"{name}: an id is in kebab case")
    for key in _OPTIONAL & table.keys():
        if not isinstance(table[key], list) or not all(isinstance(each, str) for each in table[key]):
            raise ValueError(f"{name}: {key} must be a list of texts")
    return Rule(
        id=table["id"],
        subject=subject,
        says=table["says"],
        source=table["source"],
        standing=Standing(table["standing"]),
        test=table["test"],
        cases=tuple(table.get("cases", ())),
        errors=tuple(table.get("errors", ())),
    )


def _lack(table: dict[str, Any]) -> Lack:
    if not {"what", "instead"} <= table.keys() <= {"what", "instead", "test"}:
        raise ValueError("a lack has what and instead, and may have test")
    return Lack(table["what"], table["instead"], table.get("test"))
