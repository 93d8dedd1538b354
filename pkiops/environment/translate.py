"""The validation library's errors as findings: at which key, and what to write instead.

What this module decides: the words. No message repeats a value of the file (a mis-indented secret must not reach a CI
log); only words this program knows are suggested. Which keys exist is read from the JSON Schema of the models, and only
when something is wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkiops.environment import models
from pkiops.environment.checks import FUTURE_KINDS, SUPPORTED_KINDS
from pkiops.environment.finding import Finding, KeyPath, listed, nearest

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Schema = Mapping[str, Any]

# Designed, but not in this version: said plainly, instead of "unknown".
_FUTURE_KEYS = {
    ("trust", "bundles", "*", "receivers"),
    ("trust", "bundles", "*", "targets", "*", "trust_store"),
}
_FUTURE_VALUES: Mapping[KeyPath, frozenset[str]] = {
    ("backend", "type"): frozenset({"internal", "step-ca", "acme"}),
}
# of AWS Private CA in China; nothing here can check its signatures, and what cannot be checked is never installed
_UNVERIFIABLE = frozenset({"SM2", "SM3WITHSM2"})
_SPELLING = {
    models.NAME_PATTERN: "write lower-case letters, digits and single inner hyphens, starting with a letter",
    r"^[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]$": "write a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens",
    r"^[0-9a-f]{64}$": "write 64 lower-case hexadecimal digits, without colons",
    r"^[a-z]{2}(-[a-z]+)+-[0-9]$": "write an AWS region, such as eu-west-1",
    r"^[0-9]{12}$": 'write the 12 digits of an AWS account in quotes, such as "111122223333"',
    r"^[A-Z]{2}$": "write a country code of two capitals, such as GB",
    r"^https?://[^\s]+$": "write a URL with http:// or https://",
    models.PATTERNS.arn: "write the ARN of a CA, arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID",
    models.PATTERNS.crl_path: "write a folder such as crl/clients, without / at its ends, or / for none",
    models.PATTERNS.distribution: "write the ARN of a CloudFront distribution, arn:aws:cloudfront::ACCOUNT:distribution/ID",
    models.PATTERNS.table: "write the name of a table: 3 to 255 letters, digits, _ . and -",
    models.PATTERNS.day: 'write a day in quotes, such as "2026-11-25"',
    models.PATTERNS.tag_key: "write letters, digits, spaces and _ . : / = + @ -",
    models.PATTERNS.tag_value: "write letters, digits, spaces and _ . : / = + @ -",
}
_LEDGERS = {"sqlite", "dynamodb"}
_TAGS = {"union_tag_invalid": "literal_error", "union_tag_not_found": "missing"}
_UNITS = {
    "dataclass_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
}


def findings_of(error: ValidationError, value: object, schema: Callable[[], Schema]) -> tuple[Finding, ...]:
    """Everything a validation error of ``Environment`` says about ``value``, one finding for each cause."""
    translation = _Translation(value, schema)
    found: dict[tuple[KeyPath, str], Finding] = {}
    for detail in error.errors(include_url=False, include_input=False):
        finding = translation.finding(detail)
        if finding is not None:
            found.setdefault((finding.path, finding.code), finding)
    return tuple(_without_echoes(found.values(), translation.meant))


def _without_echoes(found: Iterable[Finding], meant: set[KeyPath]) -> Iterator[Finding]:
    """Leave out what follows from another finding: the missing half of a misspelled key, the keys of an unsupported type."""
    findings = list(found)
    foreign = {f.path[:-1] for f in findings if f.code == "env.unsupported" and f.path in _FUTURE_VALUES}
    for finding in findings:
        if finding.code == "env.missing-key" and finding.path in meant:
            continue
        if finding.path not in _FUTURE_VALUES and any(finding.path[: len(f)] == f for f in foreign):
            continue
        yield finding


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where an error is in the file: its path, whether it is about the key, and what stands there."""

    path: KeyPath
    at_key: bool
    value: object


class _Translation:
    def __init__(self, value: object, schema: Callable[[], Schema]) -> None:
        self._value = value
        self._schema = functools.cache(schema)
        self.meant: set[KeyPath] = set()

    def finding(self, detail: ErrorDetails) -> Finding | None:
        kind, context, loc = detail["type"], detail.get("ctx", {}), detail["loc"]
        if kind in _TAGS:
            # said of the whole mapping, and meant of the key that tells which kind it is
            kind, loc = _TAGS[kind], (*loc, "type")
            context = {"expected": context.get("expected_tags", "")}
        spot = self._spot(loc)
        if spot is None:
            return None
        if kind == "too_short" and spot.value:
            return None  # its entries are wrong, and were complained about; it is not empty
        if kind == "unexpected_keyword_argument":
            return self._unknown(spot.path)
        if kind == "missing":
            return Finding(spot.path, "this key is required; add it", "env.missing-key")
        if spot.value is None and not spot.at_key:
            what = (
                "write its keys, or {} for none"
                if kind in {"dataclass_type", "model_attributes_type"}
                else "give it a value"
            )
            return Finding(spot.path, f"is empty; {what}", "env.type")
        if kind == "string_type":
            if isinstance(spot.value, (bool, int)):
                return Finding(
                    spot.path, "YAML reads this as a number or a truth value; write it in quotes", "env.quotes"
                )
            return Finding(spot.path, "write one text here, not a list or a mapping", "env.type")
        if kind in _UNITS:
            return Finding(spot.path, f"write {_UNITS[kind]} here", "env.type")
        return Finding(spot.path, self._words(kind, context, spot), _code(kind, spot), spot.at_key)

    def _words(self, kind: str, context: Mapping[str, Any], spot: _Spot) -> str:
        if kind in {"enum", "literal_error"}:
            return self._choice(str(context["expected"]), spot)
        if kind == "string_pattern_mismatch":
            pattern = str(context["pattern"])
            if ":role/" in pattern:
                return "write the ARN of a role, arn:aws:iam::111122223333:role/name, without wildcards"
            return _SPELLING.get(
                pattern,
                "write a host name with at least one dot, in lower case, without scheme, port or path; no address",
            )
        words = {
            "int_type": "write a whole number, without quotes",
            "bool_type": "write true or false, without quotes",
            "bool_parsing": "write true or false, without quotes",
            "too_short": "is empty; write at least one entry",
            "too_long": "has too many entries; write at most {max_length}",
            "string_too_short": "is empty; write at least {min_length} character",
            "string_too_long": "is too long; write at most {max_length} characters",
            "greater_than_equal": "is too small; write at least {ge}",
            "less_than_equal": "is too large; write at most {le}",
        }.get(kind)
        if words is not None:
            return words.format(**context)
        return str(context["error"]) if kind == "value_error" else "this value does not fit here"

    def _choice(self, expected: str, spot: _Spot) -> str:
        known = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
        text = spot.value if isinstance(spot.value, str) else ""
        if text in _UNVERIFIABLE:
            return f"{text} is not supported: its signatures cannot be verified here; write {listed(known)}"
        if text in _FUTURE_VALUES.get(spot.path, frozenset()):
            return f"{text} is not supported by this version; write {listed(known)}"
        if known == list(SUPPORTED_KINDS) and text in FUTURE_KINDS:
            return f"{text} is not supported by this version; write {listed(known)}"
        close = nearest(text, known)
        return (
            f"did you mean {close}? Allowed: {listed(known)}" if close and len(known) > 1 else f"write {listed(known)}"
        )

    def _unknown(self, path: KeyPath) -> Finding:
        if any(_matches(path, future) for future in _FUTURE_KEYS):
            return Finding(path, "this key is not supported by this version; remove it", "env.unsupported", at_key=True)
        if _matches(path, ("authorities", "*", "external")):
            message = "a CA that is kept elsewhere is declared under external_authorities, with its subject and sha256"
            return Finding(path, message, "env.unknown-key", at_key=True)
        known = _properties(self._schema(), path[:-1])
        close = nearest(str(path[-1]), known)
        if close:
            self.meant.add((*path[:-1], close))
            return Finding(path, f"there is no such key; did you mean {close}?", "env.unknown-key", at_key=True)
        return Finding(path, f"there is no such key; here may stand {listed(known)}", "env.unknown-key", at_key=True)

    def _spot(self, loc: tuple[int | str, ...]) -> _Spot | None:
        """The place an error speaks of, or None where it is about a branch of a union that the file did not take."""
        if loc[-1:] == ("[key]",):
            return _Spot(loc[:-1], at_key=True, value=loc[-2])
        if len(loc) > 4 and loc[0] == "profiles" and loc[2] == "subject":
            value = self._at(loc[:4])
            if isinstance(value, (dict, str)) and isinstance(value, dict) != (loc[4] == "FromRequest"):
                return None
            loc = (*loc[:4], *loc[5:])
        if len(loc) > 1 and loc[0] == "ledger" and loc[1] in _LEDGERS:
            loc = (loc[0], *loc[2:])
        return _Spot(loc, at_key=False, value=self._at(loc))

    def _at(self, path: KeyPath) -> object:
        value: Any = self._value
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value


def _code(kind: str, spot: _Spot) -> str:
    text = spot.value if isinstance(spot.value, str) else ""
    if text in _FUTURE_VALUES.get(spot.path, frozenset()) or (
        kind == "enum" and spot.path[-1:] == ("kind",) and text in FUTURE_KINDS
    ):
        return "env.unsupported"
    return "env.type" if kind in {"int_type", "bool_type", "bool_parsing"} else "env.value"


def _matches(path: KeyPath, pattern: KeyPath) -> bool:
    return len(path) == len(pattern) and all(want in {"*", step} for step, want in zip(path, pattern, strict=True))


def _properties(schema: Schema, path: KeyPath) -> tuple[str, ...]:
    """The keys that the schema allows in the mapping at ``path``."""
    definitions: Schema = schema.get("$defs", {})
    places = _resolved([schema], definitions)
    for step in path:
        below: list[Schema] = []
        for place in places:
            if isinstance(step, int):
                below.append(place.get("items", {}))
            elif step in place.get("properties", {}):
                below.append(place["properties"][step])
            else:
                below.extend(place.get("patternProperties", {}).values())
                if isinstance(place.get("additionalProperties"), dict):
                    below.append(place["additionalProperties"])
        places = _resolved(below, definitions)
    return tuple(dict.fromkeys(name for place in places for name in place.get("properties", {})))


def _resolved(places: list[Schema], definitions: Schema) -> list[Schema]:
    flat: list[Schema] = []
    for place in places:
        if "$ref" in place:
            flat += _resolved([definitions[place["$ref"].rpartition("/")[2]]], definitions)
        elif "anyOf" in place or "oneOf" in place:
            flat += _resolved(place.get("anyOf") or place["oneOf"], definitions)
        else:
            flat.append(place)
    return flat
