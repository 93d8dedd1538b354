"""What is wrong, and where: the shape that every check of an environment file reports in.

A finding names a key by its path; ``document.py`` knows the line and column of each path. Text out of a file passes ``shown`` before it becomes part
of a message: it may hold line breaks or terminal controls, and it is cut because a message is no place for a whole value.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
_SHOWN = 48
_LISTED = 20
_COMPARED = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem at one key path; ``at_key`` points at the key itself instead of its value."""

    path: KeyPath
    message: str
    code: str
    at_key: bool = False


def shown(text: str) -> str:
    """Text from a file, fit for a message: one line, printable, at most 48 characters."""
    return one_line(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def one_line(text: str) -> str:
    """Text of any origin as one line of visible characters, the others as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text)


def dotted(path: KeyPath) -> str:
    """``authorities.root.validity`` or ``profiles.service.san.dns[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}"
    return text.removeprefix(".")


def listed(names: Iterable[str]) -> str:
    """``a, b or c``; of very many names, the first."""
    first = list(itertools.islice(names, _LISTED + 1))
    if len(first) > _LISTED:
        first[-1] = "another one"
    *rest, last = first or ["nothing"]
    return f"{', '.join(rest)} or {last}" if rest else last


def nearest(text: str, known: Iterable[str]) -> str | None:
    """The known word (of the first 100) that ``text`` is most likely a misspelling of."""
    import difflib  # only wrong files pay for it

    folded = {word.lower().replace("-", "_"): word for word in itertools.islice(known, _COMPARED)}
    close = difflib.get_close_matches(text[:64].lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None
