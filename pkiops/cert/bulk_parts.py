"""What a bulk run is given besides its rows: where results go, the CAs that it asks for once in a while only, and the wish to end it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from pkiops.cert.bulk_manifest import Row
from pkiops.cert.issuer import Issuer
from pkiops.cert.order import Issued, Prepared
from pkiops.clock import Clock

_ISSUER_KEPT_S = 300.0


class Delivery(Protocol):
    """Where results go; called by several threads."""

    def check(self, row: Row, prepared: Prepared) -> None:
        """Ask whether the result of a row may be written, before anything is asked for; raises what ``cert issue`` would."""

    def write(self, row: Row, issued: Issued) -> tuple[str, ...]:
        """Write it; what was written."""


class Interruption:
    """Whether somebody wants the run to end: first what is on its way is finished, then not even that."""

    def __init__(self) -> None:
        self.times = 0

    def once_more(self) -> None:
        """Somebody asked (again)."""
        self.times += 1


class KeptIssuers:
    """Asks for each CA once in five minutes, and not for every row.

    Args:
        clock: whose monotonic time counts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Issuer]] = {}

    def __call__(self, label: str, ask: Callable[[], Issuer]) -> Issuer:
        """The CA with that label."""
        with self._lock:
            kept = self._kept.get(label)
            if kept is None or self._clock.monotonic() - kept[0] > _ISSUER_KEPT_S:
                kept = self._kept[label] = (self._clock.monotonic(), ask())
            return kept[1]
