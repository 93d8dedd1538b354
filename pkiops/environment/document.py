"""One YAML document as plain values, with the line and column of every key and value.

What this module decides: which part of YAML an environment file may use. Mappings with text keys, lists, text, decimal whole numbers, true, false and
null; no anchors, aliases, merge keys, tags or second documents, because what a reviewer reads must be what is meant, and nothing in a file may grow
when it is read. Every text is one line of visible characters: plans, logs and merge requests show it, and a line break in it would be a line of
theirs. Where YAML 1.1 would turn a word or number into something else (NO, 0755, 12:30, a date), the file has to say it in quotes.

The parser's events are read one by one instead of composing nodes first: anchors are seen before they multiply, and depth and size are bounded while
reading. What the keys mean is left to ``models.py`` and ``checks.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pkiops.environment.finding import Finding, KeyPath, dotted, shown
from pkiops.errors import Problem

MAX_BYTES = 1_048_576
MAX_ALIASES_TOLD = 3
MAX_DEPTH = 16
MAX_VALUES = 20_000

# Controls, bidirectional overrides (a reviewer would see another text than the parser) and the line breaks that editors do not show.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff\U000e0000-\U000e007f]"
)
_TAG = "tag:yaml.org,2002:"
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_NULLS = {"", "~", "null", "Null", "NULL"}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read: its values, their places, and what is wrong with it as YAML.

    ``value`` is None where the file could not be read to its end. ``spoiled`` holds the paths whose value was already complained about.
    """

    file: str
    value: Mapping[str, Any] | None
    keys: Mapping[KeyPath, Place]
    values: Mapping[KeyPath, Place]
    problems: tuple[Problem, ...]
    spoiled: frozenset[KeyPath]

    def locate(self, finding: Finding) -> Problem:
        """The finding with the place of its key or value, or of the nearest one above that the file has."""
        first, second = (self.keys, self.values) if finding.at_key else (self.values, self.keys)
        path = finding.path
        place = first.get(path)
        while place is None and path:
            place = second.get(path)
            path = path[:-1]
            # a missing key is shown where its parent's name stands, not where the parent's first key does
            first = second = self.keys
        place = place or Place(1, 1)
        return Problem(self.file, place.line, place.column, dotted(finding.path), finding.message, finding.code)


class _Unreadable(Exception):
    """Reading cannot go on; the problem is recorded already."""


def read_document(data: bytes, file: str) -> Document:
    """Read one YAML document; never raises for what is in it.

    Args:
        data: the file's bytes.
        file: its name, for messages.
    """
    reader = _Reader(file)
    value: object = None
    try:
        value = reader.read(data)
    except _Unreadable:
        value = None
    return Document(
        file=file,
        value=value if isinstance(value, dict) else None,
        keys=reader.keys,
        values=reader.values,
        problems=tuple(reader.problems),
        spoiled=frozenset(reader.spoiled),
    )


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.keys: dict[KeyPath, Place] = {}
        self.values: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []
        self.spoiled: set[KeyPath] = set()
        self._count = 0
        self._aliases = 0
        self._lines: list[str] = []
        self._loader: Any = None

    def read(self, data: bytes) -> object:
        text = self._text(data)
        self._lines = text.split("\n")
        try:
            self._loader = _LOADER(text)
            return self._document()
        except yaml.YAMLError as error:
            raise self._not_yaml(error) from error
        except (ValueError, OverflowError) as error:  # the pure-Python scanner on escapes beyond Unicode
            raise self._stop(Place(1, 1), (), "not YAML: an escape names no character", "env.yaml") from error
        finally:
            if self._loader is not None:
                self._loader.dispose()

    def _text(self, data: bytes) -> str:
        if len(data) > MAX_BYTES:
            raise self._stop(
                Place(1, 1), (), "the file is larger than 1 MiB; an environment file is a few KiB", "env.size"
            )
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = data[: error.start].decode("utf-8", "replace")
            raise self._stop(_end_of(before), (), "not UTF-8; save the file as UTF-8", "env.encoding") from error
        unseen = _UNSEEN.search(text)
        if unseen:
            message = f"the invisible character U+{ord(unseen[0]):04X} is not allowed; remove it"
            raise self._stop(_end_of(text[: unseen.start()]), (), message, "env.character")
        return text

    def _document(self) -> object:
        self._loader.get_event()  # the start of the stream
        if isinstance(self._loader.get_event(), yaml.StreamEndEvent):
            raise self._stop(
                Place(1, 1), (), "the file is empty; `pkiops env init` writes one to start from", "env.empty"
            )
        event = self._loader.get_event()
        place = _place(event)
        value = self._node(event, ())
        self._loader.get_event()  # the end of the document
        follows = self._loader.get_event()
        if not isinstance(follows, yaml.StreamEndEvent):
            raise self._stop(
                _place(follows),
                (),
                "a second document starts here; write one file for each environment",
                "env.documents",
            )
        if not isinstance(value, dict) and () not in self.spoiled:
            raise self._stop(place, (), "an environment file is a mapping; it starts with `schema: 1`", "env.type")
        return value

    def _node(self, event: Any, path: KeyPath) -> object:
        place = _place(event)
        self.values[path] = place
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._stop(place, path, f"more than {MAX_VALUES} values in one file", "env.size")
        if isinstance(event, yaml.AliasEvent):
            return self._spoil(place, path, "an alias (*name) is not allowed; write the value out", "env.alias")
        if event.anchor is not None:
            self._problem(place, path, "an anchor (&name) is not allowed; remove it", "env.alias")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            raise self._stop(place, path[:-1], f"nested deeper than {MAX_DEPTH} levels", "env.depth")
        if event.tag not in {None, "!", f"{_TAG}map", f"{_TAG}seq"}:
            self._problem(place, path, "a tag (!name) is not allowed; remove it", "env.tag")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        return self._mapping(path)

    def _list(self, path: KeyPath) -> list[object]:
        items: list[object] = []
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: KeyPath) -> dict[str, object]:
        made: dict[str, object] = {}
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            place = _place(event)
            key = self._key(event, path)
            if key is None:
                self._skip()
            elif key in made:
                first = self.keys[(*path, key)].line
                self._problem(
                    place, (*path, key), f"this key is in line {first} already; keep one of them", "env.duplicate-key"
                )
                self._skip()
            else:
                self.keys[(*path, key)] = place
                made[key] = None
                made[key] = self._node(self._loader.get_event(), (*path, key))
        return made

    def _key(self, event: Any, path: KeyPath) -> str | None:
        """The key, or None after complaining about it."""
        place = _place(event)
        if not isinstance(event, yaml.ScalarEvent):
            if isinstance(event, yaml.CollectionStartEvent):
                self._skip_to_end()
            self._problem(place, path, "a key is one word, not a list, a mapping or an alias", "env.key")
            return None
        if event.anchor is not None:
            self._problem(place, path, "an anchor (&name) is not allowed; remove it", "env.alias")
        tag = self._tag(event)
        text: str = event.value
        if tag == f"{_TAG}merge":
            self._problem(place, path, "a merge key (<<) is not allowed; write the keys out", "env.alias")
        elif tag != f"{_TAG}str":
            self._problem(
                place, path, f'YAML does not read this key as text; write it in quotes: "{shown(text)}"', "env.key"
            )
        elif not text.isprintable():
            self._problem(place, path, "a key holds an invisible character or a line break; remove it", "env.character")
        else:
            return text
        return None

    def _skip(self) -> None:
        if isinstance(self._loader.get_event(), yaml.CollectionStartEvent):
            self._skip_to_end()

    def _skip_to_end(self) -> None:
        """Read on to the end of a collection whose start was read."""
        depth = 1
        while depth:
            event = self._loader.get_event()
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)

    def _tag(self, event: Any) -> str:
        if event.tag is None or event.tag == "!":
            return str(self._loader.resolve(yaml.ScalarNode, event.value, event.implicit))
        return str(event.tag)

    def _scalar(self, event: Any, path: KeyPath) -> object:
        place, text = _place(event), event.value
        kind = self._tag(event).removeprefix(_TAG)
        if kind == "str":
            if text.isprintable():
                return text
            what = "a line break" if "\n" in text else "an invisible character"
            return self._spoil(place, path, f"the text holds {what}; remove it", "env.character")
        if kind == "null" and text in _NULLS:
            return None
        if kind == "bool" and text in {"true", "false"}:
            return text == "true"
        if kind == "int" and _DECIMAL.fullmatch(text):
            return int(text)
        reads = {
            "bool": "true or false; write true or false, or put it in quotes if it is text",
            "int": "a number in a way of its own (octal, hexadecimal, base 60 or too long); put it in quotes if it is text",
            "float": "a number with a fraction; put it in quotes",
            "timestamp": "a date; put it in quotes",
        }.get(kind)
        if reads is None:
            return self._spoil(
                place, path, "a tag (!name) or a lone sign like = is not allowed; put text in quotes", "env.tag"
            )
        return self._spoil(place, path, f"YAML reads this as {reads}", "env.quotes")

    def _spoil(self, place: Place, path: KeyPath, message: str, code: str) -> object:
        """Complain about a value; what stands in for it is None."""
        self.spoiled.add(path)
        self._problem(place, path, message, code)
        return None

    def _problem(self, place: Place, path: KeyPath, message: str, code: str) -> None:
        if code == "env.alias":
            self._aliases += 1
            if self._aliases > MAX_ALIASES_TOLD:
                return  # a bomb is made of them; the first few say what is wrong
        self.problems.append(Problem(self.file, place.line, place.column, dotted(path), message, code))

    def _stop(self, place: Place, path: KeyPath, message: str, code: str) -> _Unreadable:
        self._problem(place, path, message, code)
        return _Unreadable()

    def _not_yaml(self, error: yaml.YAMLError) -> _Unreadable:
        mark = getattr(error, "problem_mark", None)
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        line = self._lines[place.line - 1] if place.line <= len(self._lines) else ""
        indent = line[: len(line) - len(line.lstrip())]
        what = str(getattr(error, "problem", None) or "cannot be read")
        if "\t" in indent or line[place.column - 1 : place.column] == "\t":
            return self._stop(place, (), "a tab cannot indent YAML; indent with spaces", "env.tab")
        advice = "check quotes, brackets and indentation"
        if what.startswith("mapping values are not allowed"):
            advice = "check the indentation, and quote a text that holds a colon"
        return self._stop(place, (), f"not YAML: {shown(what)}; {advice}", "env.yaml")


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _end_of(text: str) -> Place:
    return Place(text.count("\n") + 1, len(text) - text.rfind("\n"))
