"""What a bulk run does next: which row is asked for or fetched, at which moment.

What this module decides:

- issuing comes first, because its rate is what limits the whole; what the ledger serves goes through at once;
- a certificate is asked for when it is probably there, so that two calls do for almost every one; until that age is known, one row finds it out while
  the others wait;
- at the end, when nothing is left to issue, the youngest are asked for early as long as that proves to help, within an allowance of a few calls in
  a hundred certificates, in which throttled calls do not count: nobody is behind them, and waiting is all that is left;
- a throttled row keeps its place and its token.

Pure: the moments are the caller's. Not safe to share between threads; ``bulk`` holds a lock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pkiops.cert.bulk_manifest import Row
from pkiops.cert.order import Prepared
from pkiops.cert.pace import Lane, Readiness
from pkiops.cert.reuse import Step
from pkiops.ledger.interface import Entry

# calls beyond two for each certificate that questions asked too early may have cost, all told
_ALLOWANCE = 0.085
_FEW = 3
_HURRY_AGAIN_S = 0.1
_AGAIN_FACTOR = 1.1
_AGAIN_S = 0.05
_LONG = 1.0  # seconds; nothing is overlooked for longer


class Work(StrEnum):
    """What is done with a row."""

    SERVE = "serve"
    ASK = "ask"
    FETCH = "fetch"


@dataclass(kw_only=True, slots=True, eq=False)
class Ticket:
    """A row on its way. ``entry`` is there while it may be asked for or fetched; ``asked_at`` (monotonic) once its reference is known.

    ``begun`` says that its intent is in the ledger, so that it cannot be forgotten; ``sent_at`` is the moment of its last call.
    ``created`` says that this run wrote the intent and that no call of it was left without an answer or throttled; ``fetches`` and ``losses`` count.
    """

    row: Row
    prepared: Prepared
    step: Step
    entry: Entry | None = None
    created: bool = False
    begun: bool = False
    asked_at: float | None = None
    sent_at: float = 0.0
    fetches: int = 0
    losses: int = 0
    hurried: bool = False

    @property
    def age(self) -> float:
        """How old the certificate was when last asked for, in seconds; 0 where that is not known."""
        return 0.0 if self.asked_at is None else self.sent_at - self.asked_at


class Schedule:
    """The rows on their way.

    Args:
        asks: the lane of IssueCertificate, or what is like it.
        fetches: the lane of GetCertificate, or what is like it.
        at_once: how many calls may be under way.
    """

    def __init__(self, asks: Lane, fetches: Lane, *, at_once: int) -> None:
        self.asks = asks
        self.fetches = fetches
        self.readiness = Readiness()
        self.load = 0
        self.calls = 0
        self.active = 0
        self.is_last = False
        self._at_once = at_once
        self._serve: deque[Ticket] = deque()
        self._to_ask: deque[Ticket] = deque()
        self._asking = 0
        self._ask_later: list[tuple[float, int, Ticket]] = []
        self._fetch_later: list[tuple[float, int, Ticket]] = []
        self._made: deque[Ticket] = deque()
        self._looking: set[Ticket] = set()
        self._hurried = self._asked = self._extra = self._helped = self._useless = self._number = 0

    @property
    def unasked(self) -> int:
        """Rows that wait to be asked for."""
        return len(self._to_ask)

    def add(self, ticket: Ticket, now: float) -> None:
        """A row that is ready to go on, as its step says."""
        self.load += 1
        if ticket.step in {Step.SERVE, Step.PROVE_AGAIN}:
            self._serve.append(ticket)
        elif ticket.step is Step.FETCH:
            self._put_off(now, Work.FETCH, ticket)
        else:
            self._to_ask.append(ticket)

    def next(self, now: float) -> tuple[Work, Ticket] | float:
        """What to do now, or the seconds until there may be something."""
        if self.active >= self._at_once:
            return _LONG
        if self._serve:
            return self._begin(Work.SERVE, self._serve.popleft(), now)
        while self._ask_later and self._ask_later[0][0] <= now:
            self._to_ask.append(heapq.heappop(self._ask_later)[2])
        wait = self._ask_later[0][0] - now if self._ask_later else _LONG
        if self._to_ask:
            lane = self.asks.wait(now)
            if lane <= 0:
                self.asks.take(now)
                self._asking += 1
                return self._begin(Work.ASK, self._to_ask.popleft(), now)
            wait = min(wait, lane)
        found = self._to_fetch(now)
        if isinstance(found, Ticket):
            self.fetches.take(now)
            return self._begin(Work.FETCH, found, now)
        return min(wait, found)

    def asked(self, ticket: Ticket, now: float) -> None:
        """The service makes the certificate."""
        self._end(Work.ASK)
        self.asks.admitted(now)
        self._asked += 1
        ticket.asked_at = now
        self._made.append(ticket)

    def throttled(self, work: Work, ticket: Ticket, now: float) -> None:
        """The service refused a call because of its rate: the same call goes again."""
        self._end(work)
        if work is Work.ASK:
            self.asks.throttled(now)
            self._to_ask.appendleft(ticket)
        else:
            self.fetches.throttled(now)
            self._put_off(now + _AGAIN_S, Work.FETCH, ticket)

    def early(self, ticket: Ticket, now: float) -> None:
        """The certificate is not there yet."""
        self._end(Work.FETCH)
        self.fetches.admitted(now)
        self._extra += 1
        if ticket.asked_at is None:
            # an earlier run asked: all that is known of its age is how long it is waited for here
            ticket.asked_at = ticket.sent_at
        age = ticket.age
        if ticket.hurried:
            # the first question is the one that may have been needed; that the second was in vain says that age alone counts
            if ticket.fetches > 1:
                self._useless += 1
                self._hurried -= 1
        elif ticket in self._looking:
            self.readiness.was_early(age)
            if self.readiness.known:
                self._looking.remove(ticket)
        again = now + _HURRY_AGAIN_S
        if not (ticket.hurried and ticket.fetches == 1):
            ticket.hurried = False
            again = ticket.sent_at - age + max(self.readiness.age, age * _AGAIN_FACTOR, age + _AGAIN_S)
        self._put_off(again, Work.FETCH, ticket)

    def lost(self, work: Work, ticket: Ticket, now: float, *, pause: float) -> None:
        """No answer came, or none that says anything: the same again after ``pause`` seconds."""
        self._end(work)
        self._extra += 1
        self._put_off(now + pause, work, ticket)

    def go_on(self, work: Work, ticket: Ticket, now: float) -> None:
        """A row turned out to be at another step, which it says now."""
        self._end(work)
        self.load -= 1
        self.add(ticket, now)

    def done(self, work: Work, ticket: Ticket, now: float, *, there: bool) -> None:
        """A row is finished; ``there`` says that its certificate was fetched."""
        self._end(work)
        self.load -= 1
        looking = ticket in self._looking
        self._looking.discard(ticket)
        if work is not Work.FETCH or not there:
            return
        self.fetches.admitted(now)
        if ticket.hurried:
            self._helped += 1
            self._hurried -= 1
        elif looking:
            self.readiness.was_there(ticket.age)

    def drop_unasked(self, wanted: Callable[[Ticket], bool] = lambda _: True) -> list[Ticket]:
        """Forget, and return, the rows (that are ``wanted``) for which nothing was asked yet; what was begun, or whose answer was lost, stays."""
        dropped = [one for one in self._to_ask if not (one.begun or one.losses) and wanted(one)]
        self._to_ask = deque(one for one in self._to_ask if one.begun or one.losses or not wanted(one))
        self.load -= len(dropped)
        return dropped

    def _begin(self, work: Work, ticket: Ticket, now: float) -> tuple[Work, Ticket]:
        self.active += 1
        ticket.sent_at = now
        self.calls += work is not Work.SERVE
        ticket.fetches += work is Work.FETCH
        return work, ticket

    def _end(self, work: Work) -> None:
        self.active -= 1
        self._asking -= work is Work.ASK

    def _put_off(self, until: float, work: Work, ticket: Ticket) -> None:
        self._number += 1
        heapq.heappush(self._ask_later if work is Work.ASK else self._fetch_later, (until, self._number, ticket))

    def _to_fetch(self, now: float) -> Ticket | float:
        """The ticket to fetch now, or the seconds until there may be one."""
        again = self._fetch_later[0][0] - now if self._fetch_later else _LONG
        first = _LONG
        if self._made and len(self._looking) < self._most_looking:
            first = self._asked_at(self._made[0]) + self.readiness.age - now
        hurry = bool(self._made) and self._may_hurry()
        lane = self.fetches.wait(now)
        if lane > 0 or (min(again, first) > 0 and not hurry):
            return max(lane, min(again, first, 0.0 if hurry else _LONG))
        if again <= 0:
            return heapq.heappop(self._fetch_later)[2]
        if first <= 0:
            ticket = self._made.popleft()
            self._looking.add(ticket)
            return ticket
        ticket = self._made.pop()
        ticket.hurried = True
        self._hurried += 1
        return ticket

    @property
    def _most_looking(self) -> int:
        """How many may be asked for for the first time at the same moment: one finds out when they are there, two see whether it is so."""
        if self.readiness.is_proven:
            return self._at_once
        return 2 if self.readiness.known else 1

    def _may_hurry(self) -> bool:
        nothing_to_ask = self.is_last and not (self._to_ask or self._ask_later or self._asking)
        if not nothing_to_ask or not self.readiness.known:
            return False
        # each may turn out to be two calls in vain, and it takes a few to see whether it helps
        helps = self._hurried + self._useless < _FEW + self._helped
        return helps and self._extra + 2 * self._hurried < max(_ALLOWANCE * self._asked, _FEW)

    @staticmethod
    def _asked_at(ticket: Ticket) -> float:
        return 0.0 if ticket.asked_at is None else ticket.asked_at
