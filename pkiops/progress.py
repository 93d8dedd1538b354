"""Progress of long work, with a default that does nothing.

Use cases report steps; who shows them, and how, is decided by ``pkiops.cli``.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what is being done right now."""

    def step(self, message: str) -> None:
        """A step begins; ``message`` is one short line in the present tense."""


class NoProgress:
    """Progress that nobody watches."""

    def step(self, message: str) -> None:
        del message
