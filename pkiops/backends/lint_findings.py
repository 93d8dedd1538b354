"""Findings of a linter that a backend's own recipes cause: as data with its source, and the Protocol of a backend that knows such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownLintFinding:
    """A finding of pkilint that a backend's own recipe causes for a type of key (``EC``, ``RSA``, ``ML``), and where that is written."""

    code: str
    key_type: str
    source: str


@runtime_checkable
class KnowsLintFindings(Protocol):
    """Knows which rules of RFC 5280 its recipes break, so that nobody is refused for it."""

    @property
    def known_lint_findings(self) -> Sequence[KnownLintFinding]:
        """Those of end entity certificates."""
