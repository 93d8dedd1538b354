"""What a bulk run is given besides its rows: where results go, the CAs that it asks for once in a while only, and the wish to end it.

It also decides that two rows of a run never write one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pkiops.cert.bulk_manifest import Row
from pkiops.cert.issuer import Issuer
from pkiops.cert.order import Issued, Prepared
from pkiops.clock import Clock
from pkiops.errors import InputError

_ISSUER_KEPT_S = 300.0


class Delivery(Protocol):
    """Where results go; called by several threads."""

    def files(self, row: Row) -> Sequence[str]:
        """The names of all files that the result of a row consists of."""

    def check(self, row: Row, prepared: Prepared) -> None:
        """Ask whether the result of a row may be written, before anything is asked for; raises what ``cert issue`` would."""

    def write(self, row: Row, issued: Issued) -> tuple[str, ...]:
        """Write it; what was written."""


class Claims:
    """The files of all rows of a run so far: whoever comes second would replace another host's certificate. For one thread.

    A name counts in any case and any normal form, because file systems differ in that. Kept are 15 bytes for each file, and for as long as
    the run is: about 100 bytes with all that is around them.
    """

    def __init__(self) -> None:
        self._claimed: set[bytes] = set()

    @contextlib.contextmanager
    def claimed(self, names: Sequence[str]) -> Iterator[None]:
        """Claim the files of a row, all or none; what is refused within writes nothing, and claims nothing.

        Raises:
            InputError: code ``manifest.output-twice``, an earlier row writes one of them.
        """
        digests = {_digest(name): name for name in names}
        if twice := self._claimed & digests.keys():
            raise InputError(
                f"an earlier row writes {min(digests[one] for one in twice)!r}, in whatever case",
                hint="give every row an output of its own",
                code="manifest.output-twice",
            )
        yield
        self._claimed |= digests.keys()


def _digest(name: str) -> bytes:
    same = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
    # 15 bytes and what Python puts around them are 48, one more would be 64
    return hashlib.blake2b(same.encode(), digest_size=15).digest()


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
