"""Many patterns against one name at once: the machinery below ``patterns.py``. Pure.

What this module decides: how patterns are put together so that a name is read once, however many patterns there are, and so that no pattern can
make it slow: the work for a name is bounded by its parts (or characters) times the states, which are fewer than the parts of all patterns. Nothing
goes back, nothing is a regular expression. Where a part leads is remembered, up to a bound, so that the names after it are faster. Which characters a
wildcard may stand for is said by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

ANY = "**"
ONE = "*"
# states in all remembered sets of them: more than sensible lists of patterns have; what goes beyond is followed without being remembered
REMEMBERED = 65_536


class _State:
    """Where a pattern may have got to; ``accepts`` is the number of the first pattern that ends here, -1 for none."""

    __slots__ = ("accepts", "any", "literal", "loops", "one")

    def __init__(self, *, loops: bool) -> None:
        self.literal: dict[str, _State] = {}
        self.one: _State | None = None
        self.any: _State | None = None
        self.loops = loops
        self.accepts = -1


class _Point:
    """A set of states that patterns may have got to together, and where parts lead from there, as far as that was asked."""

    __slots__ = ("accepts", "moves", "states", "words")

    def __init__(self, states: frozenset[_State]) -> None:
        self.states = states
        self.words = frozenset(word for state in states for word in state.literal)
        self.moves: dict[str, _Point] = {}
        self.accepts = min((state.accepts for state in states if state.accepts >= 0), default=-1)


class PartPatterns:
    """Patterns over parts (labels, path segments): literals, ``*`` for one plain part, ``**`` for one or more.

    Args:
        patterns: (number, parts) of each; the number is what ``first`` answers with.
        plain: the characters of a part that a wildcard may stand for.
        remembered: how many states all remembered sets of them may have together.
    """

    __slots__ = ("_plain", "_points", "_room", "_start")

    def __init__(
        self, patterns: Iterable[tuple[int, Sequence[str]]], plain: frozenset[str], remembered: int = REMEMBERED
    ) -> None:
        self._plain = plain
        self._room = remembered
        start = _State(loops=False)
        for number, parts in patterns:
            state = start
            for part in parts:
                state = _grown(state, part)
            if state.accepts < 0:
                state.accepts = number
        self._start = _Point(frozenset({start}))
        self._points: dict[frozenset[_State], _Point] = {self._start.states: self._start}

    def first(self, parts: Sequence[str], *, wildcard: int = -1) -> int | None:
        """The lowest number of the patterns that match all of ``parts``; None if none does.

        Args:
            parts: those of the name.
            wildcard: the place of a part ``*`` that is a wildcard of the name itself, which only a wildcard of a pattern covers; -1 for none.
        """
        point = self._start
        for index, part in enumerate(parts):
            if part in point.words:
                key = part
            elif self._is_plain(part) or (index == wildcard and part == ONE):
                key = ONE  # whichever it is; no literal is spelled like that
            else:
                return None
            following = point.moves.get(key)
            point = self._follow(point, key, part) if following is None else following
            if not point.states:
                return None
        return point.accepts if point.accepts >= 0 else None

    def _is_plain(self, part: str) -> bool:
        """Not empty, not a step up or in place, nothing but plain characters."""
        return bool(part) and part not in {".", ".."} and self._plain.issuperset(part)

    def _follow(self, point: _Point, key: str, part: str) -> _Point:
        """Where a part leads from a point; remembered, but never more than was said."""
        following: set[_State] = set()
        is_plain = key == ONE or self._is_plain(part)
        for state in point.states:
            if part in state.literal:
                following.add(state.literal[part])
            if is_plain:
                following |= {one for one in (state.one, state.any, state if state.loops else None) if one}
        states = frozenset(following)
        known = self._points.get(states)
        if known is None:
            known = _Point(states)
            if self._room < len(states):
                return known
            self._room -= len(states)
            self._points[states] = known
        point.moves[key] = known
        return known


def _grown(state: _State, part: str) -> _State:
    if part == ONE:
        state.one = state.one or _State(loops=False)
        return state.one
    if part == ANY:
        state.any = state.any or _State(loops=True)
        return state.any
    return state.literal.setdefault(part, _State(loops=False))


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
