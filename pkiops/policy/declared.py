"""``@declared``: a frozen dataclass that may be read from a file.

Plain dataclasses stay cheap to import and to compare; the configuration they carry tells pydantic, when a file is read, to refuse unknown keys
and never to repeat the offending input (a mis-indented secret must not reach a CI log).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def declared(cls: type[_T]) -> type[_T]:
    """Make ``cls`` a frozen, keyword-only dataclass whose unknown keys are refused when it is read."""
    # one repr for all of them: generating one for each costs a fifth of making the class, at every start
    made: Any = dataclass(frozen=True, kw_only=True, slots=True, repr=False)(cls)
    made.__repr__ = _repr
    made.__pydantic_config__ = {"extra": "forbid", "hide_input_in_errors": True}
    return made  # type: ignore[no-any-return]


def _repr(self: Any) -> str:
    values = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self))
    return f"{type(self).__qualname__}({values})"
