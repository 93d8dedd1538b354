"""Templates that others wrote, rendered without trust: they can place values that they are given, and nothing else.

What this module decides: which part of Jinja2 such a template may use. Not a list of what is forbidden, but of what is allowed: text, names,
attributes, comparisons, ``if``, ``for`` over the lists that it is given, and a handful of filters with constant arguments. So there is no call, no
include, no assignment, no arithmetic and no concatenation: nothing that could read a file, reach Python, or grow without bound. Jinja2's own sandbox
stands behind that. What is in the values, and where the result is written, is left to the caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pkiops.errors import InputError

MAX_SOURCE = 65_536
MAX_RESULT = 256 * 1024 * 1024
MAX_LOOPS = 2
_MAX_INDENT = 64
_LOOP = frozenset({"first", "last", "index", "index0", "length"})
_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Name, nodes.Const, nodes.Getattr,
    nodes.Getitem, nodes.Filter, nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or, nodes.CondExpr,
)  # fmt: skip


class UntrustedTemplate:
    """A template that was looked through. ``lists`` are the names over which it may loop, ``names`` those that it uses, ``undeclared`` those of
    them that it expects to be given.
    """

    def __init__(self, source: str, name: str, *, lists: frozenset[str]) -> None:
        """Look through ``source``; ``name`` is for messages.

        Raises:
            InputError: it is too large, no template, or wants more than it may.
        """
        self._name = name
        if len(source) > MAX_SOURCE:
            raise _refused(name, f"is longer than {MAX_SOURCE} characters")
        self._engine = _engine()
        try:
            tree = self._engine.parse(source)
            _look_through(tree, name, lists, loops=0)
            self._template = self._engine.from_string(source)
            self.names = frozenset(one.name for one in tree.find_all(nodes.Name))
            self.undeclared = frozenset(meta.find_undeclared_variables(tree))
        except jinja2.TemplateError as error:
            at = error.lineno if isinstance(error, jinja2.TemplateSyntaxError) else None
            said = f"is no template{'' if at is None else f', line {at}'}: {error.message}"
            raise _refused(name, said, at or 1) from error
        except (RecursionError, SyntaxError, MemoryError) as error:
            # a template becomes a program of Python, whose parser has limits of its own: a hundred levels of indentation, two hundred parentheses
            raise _refused(name, "is nested too deeply") from error

    def render(self, values: Mapping[str, Any]) -> str:
        """The text; ``values`` are plain data (text, numbers, lists and mappings of these).

        Raises:
            InputError: it names what is not there, or the text grows too large.
        """
        pieces: list[str] = []
        left = MAX_RESULT
        try:
            for piece in self._template.generate(values):
                left -= len(piece)
                if left < 0:
                    raise _refused(self._name, f"renders to more than {MAX_RESULT} characters")
                pieces.append(piece)
        except (jinja2.TemplateError, TypeError) as error:
            raise _refused(self._name, f"cannot be rendered: {error}") from error
        return "".join(pieces)


class _Engine(ImmutableSandboxedEnvironment):
    """Sees the items of mappings and lists and the state of a loop; no attribute of any Python object."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return super().getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        found = isinstance(obj, dict) and isinstance(argument, str) and argument in obj
        found = found or (isinstance(obj, list) and type(argument) is int and 0 <= argument < len(obj))
        return obj[argument] if found else self.undefined(obj=obj, name=str(argument))


def _engine() -> _Engine:
    engine = _Engine(
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
    )
    engine.globals.clear()
    engine.tests.clear()
    engine.filters.clear()
    engine.filters.update(_FILTERS)
    return engine


def _look_through(node: nodes.Node, name: str, lists: frozenset[str], *, loops: int) -> None:
    if not isinstance(node, _ALLOWED):
        raise _refused(
            name, f"line {node.lineno}: {type(node).__name__} is not allowed in the template of a target", node.lineno
        )
    if isinstance(node, nodes.For):
        loops += 1
        loops_over_list = isinstance(node.iter, nodes.Name) and node.iter.name in lists
        if not loops_over_list or node.recursive or loops > MAX_LOOPS:
            raise _refused(
                name,
                f"line {node.lineno}: loop over one of {', '.join(sorted(lists))}, at most {MAX_LOOPS} deep",
                node.lineno,
            )
    if isinstance(node, nodes.Name) and node.ctx == "store" and node.name in lists:
        raise _refused(name, f"line {node.lineno}: {node.name} is the name of a list; choose another", node.lineno)
    if isinstance(node, nodes.Filter):
        constant = all(isinstance(argument, nodes.Const) for argument in node.args)
        if node.kwargs or node.dyn_args or node.dyn_kwargs or not constant or node.node is None:
            raise _refused(name, f"line {node.lineno}: the arguments of a filter must be constants", node.lineno)
    for child in node.iter_child_nodes():
        _look_through(child, name, lists, loops=loops)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("this filter takes text")
    return value


def _bounded(size: int) -> None:
    if size > MAX_RESULT:
        raise TypeError("the result of a filter is too large")


def _replace(value: object, old: object, new: object) -> str:
    text, before, after = _text(value), _text(old), _text(new)
    if not before:
        raise TypeError("replace needs something to replace")
    _bounded(len(text) + text.count(before) * len(after))
    return text.replace(before, after)


def _indent(value: object, width: object) -> str:
    """The lines moved to the right, the first one not: what a YAML block needs after its own indentation."""
    text = _text(value)
    if not isinstance(width, int) or not 0 <= width <= _MAX_INDENT:
        raise TypeError(f"indent takes a number up to {_MAX_INDENT}")
    _bounded(len(text) + text.count("\n") * width)
    lines = text.splitlines(keepends=True)
    return (" " * width).join(lines)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True)


_FILTERS: dict[str, Callable[..., Any]] = {
    "indent": _indent,
    "json": _json,
    "length": len,
    "lower": lambda value: _text(value).lower(),
    "replace": _replace,
    "upper": lambda value: _text(value).upper(),
}


def _refused(name: str, what: str, line: int = 1) -> InputError:
    return InputError(
        f"{name}: {what}",
        hint="docs/guides/own-targets.md says what a template may use",
        code="trust.template",
        details={"file": name, "line": line},
    )
