"""Many patterns against one name at once: the machinery below ``patterns.py``. Pure.

What this module decides: how patterns are put together so that a name is read once, however many patterns there are, and so that no pattern can
make it slow: the work for a name is bounded by its parts (or characters) times the states, which are fewer than the parts of all patterns. Nothing
goes back, nothing is a regular expression. Which characters a wildcard may stand for is said by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

ANY = "**"
ONE = "*"


class PartPatterns:
    """Patterns over parts (labels, path segments): literals, ``*`` for one plain part, ``**`` for one or more.

    Args:
        patterns: (number, parts) of each; the number is what ``first`` answers with.
        plain: the characters of a part that a wildcard may stand for.
    """

    __slots__ = ("_accepts", "_any", "_literal", "_loops", "_one", "_plain")

    def __init__(self, patterns: Iterable[tuple[int, Sequence[str]]], plain: frozenset[str]) -> None:
        self._plain = plain
        # one row a state; 0 is where every pattern begins
        self._literal: list[dict[str, int]] = [{}]
        self._one: list[int] = [0]
        self._any: list[int] = [0]
        self._loops: list[bool] = [False]
        self._accepts: list[int] = [-1]
        for number, parts in patterns:
            state = 0
            for part in parts:
                state = self._grown(state, part)
            if self._accepts[state] < 0:
                self._accepts[state] = number

    def first(self, parts: Sequence[str], *, wildcard: bool = False) -> int | None:
        """The lowest number of the patterns that match all of ``parts``; None if none does.

        Args:
            parts: those of the name.
            wildcard: a first part ``*`` is a wildcard of the name itself, which only a wildcard of a pattern covers.
        """
        states = {0}
        for index, part in enumerate(parts):
            is_plain = self._is_plain(part) or (wildcard and index == 0 and part == ONE)
            following: set[int] = set()
            for state in states:
                if found := self._literal[state].get(part):
                    following.add(found)
                if is_plain:
                    if self._one[state]:
                        following.add(self._one[state])
                    if self._any[state]:
                        following.add(self._any[state])
                    if self._loops[state]:
                        following.add(state)
            if not following:
                return None
            states = following
        numbers = [self._accepts[state] for state in states if self._accepts[state] >= 0]
        return min(numbers) if numbers else None

    def _is_plain(self, part: str) -> bool:
        """Not empty, not a step up or in place, nothing but plain characters."""
        return bool(part) and part not in {".", ".."} and self._plain.issuperset(part)

    def _grown(self, state: int, part: str) -> int:
        rows = self._one if part == ONE else self._any if part == ANY else None
        known = self._literal[state].get(part, 0) if rows is None else rows[state]
        if known:
            return known
        made = len(self._accepts)
        self._literal.append({})
        self._one.append(0)
        self._any.append(0)
        self._loops.append(part == ANY)
        self._accepts.append(-1)
        if rows is None:
            self._literal[state][part] = made
        else:
            rows[state] = made
        return made


class TextPatterns:
    """Patterns over characters: literals, ``*`` for one or more characters of ``one``, ``**`` for one or more of ``many``.

    All patterns lie side by side in one integer, a bit for each of their tokens, so that a character is one step for all of them.

    Args:
        patterns: in the order of their numbers.
        one: what ``*`` stands for.
        many: what ``**`` stands for.
    """

    __slots__ = ("_ends", "_literals", "_loops", "_starts", "_wild")

    def __init__(self, patterns: Sequence[str], one: frozenset[str], many: frozenset[str]) -> None:
        self._literals: dict[str, int] = {}
        self._starts = self._loops = 0
        self._ends: list[int] = []
        wild = {ONE: 0, ANY: 0}
        offset = 0
        for pattern in patterns:
            self._starts |= 1 << offset
            for token in text_tokens(pattern):
                bit = 1 << offset
                if token in wild:
                    wild[token] |= bit
                    self._loops |= bit
                else:
                    self._literals[token] = self._literals.get(token, 0) | bit
                offset += 1
            # the bit after the last token: no character leads on from there
            self._ends.append(1 << offset)
            offset += 1
        self._wild: Mapping[str, int] = {
            character: (wild[ONE] if character in one else 0) | (wild[ANY] if character in many else 0)
            for character in one | many
        }

    def first(self, text: str) -> int | None:
        """The lowest number of the patterns that match all of ``text``; None if none does."""
        reached = self._starts
        for character in text:
            taken = reached & (self._literals.get(character, 0) | self._wild.get(character, 0))
            reached = taken << 1 | taken & self._loops
            if not reached:
                return None
        return next((number for number, end in enumerate(self._ends) if reached & end), None)


def text_tokens(pattern: str) -> list[str]:
    """The characters of a pattern and its wildcards, of which ``**`` is one."""
    tokens: list[str] = []
    position = 0
    while position < len(pattern):
        width = 2 if pattern.startswith(ANY, position) else 1
        tokens.append(pattern[position : position + width])
        position += width
    return tokens
