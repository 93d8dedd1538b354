"""Waiting that takes no time: botocore's pauses between attempts, and ours, move a clock instead.

botocore sleeps with the machine's ``time`` and takes no other, so that is what is replaced, for as long as the context lasts. The sandbox has the
same clock, so its time goes on while somebody waits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from unittest.mock import patch

from pkiops.clock import ManualClock


@contextlib.contextmanager
def virtual_time(clock: ManualClock) -> Iterator[None]:
    """``time.sleep`` and ``time.monotonic`` of this process are those of ``clock``."""
    with patch.object(time, "sleep", clock.sleep), patch.object(time, "monotonic", clock.monotonic):
        yield
