"""How fast a service is asked, and when a certificate is asked for: two numbers that are learnt while a bulk run goes on.

What this module decides:

- a ``Lane`` begins at the rate that it was told and looks for the real one. Until the first throttle it grows by a fifth a second; a throttle
  takes an eighth of it away, or brings it down to what was let through in the last half second, whichever is less; then it grows by a fiftieth
  of the told rate a second, faster the longer nobody objects. Growing by a sum and shrinking by a factor is what makes several runs on one
  account share it evenly (additive increase, multiplicative decrease: Chiu and Jain 1989);
- a service admits a second's worth of calls at once, as far as is known; the lane keeps a fifth of that in reserve;
- ``Readiness`` is the age at which about 99 of 100 certificates are there when first asked for.

Pure: the moments are the caller's. Not safe to share between threads; ``bulk`` holds a lock.
"""

from __future__ import annotations

_BURST_S = 0.8
_FIRST_GROWTH_PER_S = 0.2
_GROWTH_PER_S = 0.02
_RESTLESS_AFTER_S = 3.0
_HELD_S = 1.0
_CUT = 0.88
_CUT_ONCE_S = 0.5
_SLOWEST = 0.02
_FEW = 2

_FIRST_AGE_S = 0.25
_SHORTEST_AGE_S = 0.02
_LONGEST_AGE_S = 60.0
_DECAY = 0.001
_RAISE, _RAISE_MORE, _RAISE_MOST, _RAISE_UNKNOWN = 1.1, 0.1, 1.5, 1.4
_NEWS = 0.95
_PROOF = 3


class Lane:
    """The calls of one operation.

    Args:
        told: calls per second that the account is thought to have.
        now: monotonic seconds, as in every call.
    """

    def __init__(self, told: float, now: float) -> None:
        self._told = told
        self.rate = told
        self._tokens = max(1.0, told * _BURST_S)
        self._filled_at = now
        self._throttled_at: float | None = None
        self._cut_at: float | None = None
        self._admitted = 0
        self._refused = 0
        self._held_at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until a call may go that is there to go; 0 for now."""
        self._fill(now)
        wait = max(0.0, (1 - self._tokens) / self.rate)
        if wait > 0:
            self._held_at = now
        return wait

    def take(self, now: float) -> None:
        """A call goes."""
        self._fill(now)
        self._tokens -= 1

    def admitted(self, now: float) -> None:
        """The service took a call."""
        self._admitted += 1
        # where calls are fewer than the lane lets through, success says nothing about its rate
        if self._held_at is None or now - self._held_at > _HELD_S:
            return
        if self._throttled_at is None:
            self.rate += _FIRST_GROWTH_PER_S
            return
        quiet = (now - self._throttled_at) / _RESTLESS_AFTER_S
        self.rate += self._told * _GROWTH_PER_S * (1 + quiet * quiet) / self.rate

    def throttled(self, now: float) -> None:
        """The service refused a call because of its rate."""
        self._fill(now)
        self._tokens = min(self._tokens, 0.0)
        self._refused += 1
        self._throttled_at = now
        if self._cut_at is not None and now - self._cut_at < _CUT_ONCE_S:
            return
        rate = self.rate * _CUT
        if self._cut_at is not None and self._refused > max(_FEW, self._admitted / 4):
            # not even half of that: a few calls are a poor measure
            rate = min(rate, max(self.rate / 2, self._admitted / (now - self._cut_at)))
        self.rate = max(rate, self._told * _SLOWEST)
        self._cut_at, self._admitted, self._refused = now, 0, 0

    def _fill(self, now: float) -> None:
        most = max(1.0, self.rate * _BURST_S)
        self._tokens = min(most, self._tokens + max(0.0, now - self._filled_at) * self.rate)
        self._filled_at = max(now, self._filled_at)


class Readiness:
    """The age at which a certificate is first asked for, in seconds. ``known`` once one was there."""

    def __init__(self) -> None:
        self.age = _FIRST_AGE_S
        self.known = False
        self._in_a_row = 0
        self._good_in_a_row = 0

    @property
    def is_proven(self) -> bool:
        """Whether a few in a row were there at that age: before that, many should not be asked for by it at once."""
        return self._good_in_a_row >= _PROOF

    def was_there(self, age: float) -> None:
        """A certificate of that age was there when first asked for, or is the first of all that was."""
        if not self.known:
            self.known = True
            self.age = max(age, _SHORTEST_AGE_S)
            return
        self._in_a_row = 0
        self._good_in_a_row += 1
        # a late question tells nothing about an early one
        if age < self.age * 1.2:
            self.age = max(_SHORTEST_AGE_S, self.age * (1 - _DECAY))

    def was_early(self, age: float) -> None:
        """A certificate of that age was not there."""
        if age < self.age * _NEWS:
            return  # asked before the estimate was raised
        factor = min(_RAISE_MOST, _RAISE + _RAISE_MORE * self._in_a_row) if self.known else _RAISE_UNKNOWN
        self._in_a_row += 1
        self._good_in_a_row = 0
        self.age = min(_LONGEST_AGE_S, age * factor)
