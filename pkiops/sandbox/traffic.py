"""What every call passes, in process and over HTTP: the counter, the delay, the quotas, the faults.

What this module decides: their order (a call is counted, then held to its quota, then to the faults; a throttled call counts as a
call) and that after a ``stop`` nothing is answered any more. Where the answer goes, or is cut off, is the caller's part.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pkiops.clock import Clock
from pkiops.sandbox.calls import Call, Refused, refused
from pkiops.sandbox.faults import DROP, STOP, Fault, Faults, When
from pkiops.sandbox.quotas import Quotas

PRIVATE_CA = "acm-pca"
_MOST_COUNTED = 1000  # operations; names come from outside


class Dropped(Exception):
    """The call gets no answer: its connection is to be closed."""


@dataclass(frozen=True, slots=True)
class Hindrances:
    """What makes calls slower than they are, or fail.

    Args:
        latency: before every answer.
        quotas: calls per second of Private CA's operations; the others are free.
        faults: calls that fail.
    """

    latency: timedelta = timedelta()
    quotas: Mapping[str, float] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


class Traffic:
    """The calls of one sandbox.

    Args:
        clock: waits, and fills the quotas' buckets.
        hindrances: what calls run into.
        on_stop: what a ``stop`` does besides ending all answers.
    """

    def __init__(self, clock: Clock, hindrances: Hindrances, on_stop: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._latency = hindrances.latency.total_seconds()
        self._quotas = Quotas(hindrances.quotas, clock)
        self._faults = Faults(hindrances.faults)
        self._lock = threading.Lock()
        self.on_stop = on_stop
        self._stopped = False
        self._served: Counter[tuple[str, str]] = Counter()

    @property
    def served(self) -> Mapping[tuple[str, str], int]:
        """Calls by service and operation, refused and dropped ones too."""
        with self._lock:
            return dict(self._served)

    @property
    def faults_pending(self) -> tuple[Fault, ...]:
        """The faults that have hit nothing yet."""
        with self._lock:
            return self._faults.pending

    def arrive(self, call: Call) -> Refused | Fault | None:
        """Let a call in: its refusal, or the fault that waits behind its effect, or None.

        Raises:
            Dropped: it gets no answer.
        """
        if self._latency:
            self._clock.sleep(self._latency)
        with self._lock:
            if self._stopped:
                raise Dropped
            counted = (call.service, call.operation)
            if counted in self._served or len(self._served) < _MOST_COUNTED:
                self._served[counted] += 1
            fault = self._faults.hit(call.operation)
            throttled = call.service == PRIVATE_CA and not self._quotas.admits(
                call.operation, call.account, call.region
            )
        if throttled:
            return refused(call, "ThrottlingException", "Rate exceeded")
        if fault is not None and fault.when is When.BEFORE:
            return self.strike(fault, call)
        return fault

    def strike(self, fault: Fault, call: Call) -> Refused:
        """What a fault makes of a call.

        Raises:
            Dropped: it gets no answer.
        """
        if fault.what == STOP:
            self._stopped = True
            self.on_stop()
            raise Dropped
        if fault.what == DROP:
            raise Dropped
        return refused(call, fault.what, f"the sandbox was told to fail here: {fault}")
