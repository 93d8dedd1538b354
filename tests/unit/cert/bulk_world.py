"""A service that is only numbers: quotas, latency and readiness, on a clock that jumps from event to event; and runs of the schedule against it."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pkiops.cert.bulk_schedule import Schedule, Ticket, Work
from pkiops.cert.pace import Lane
from pkiops.cert.reuse import Step

Ready = Callable[[float, int], bool]


@dataclass
class Bucket:
    """A quota as the service holds it: ``depth`` calls at once."""

    rate: float
    depth: float
    tokens: float = 0.0
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.depth

    def admits(self, now: float) -> bool:
        self.tokens = min(self.depth, self.tokens + (now - self.at) * self.rate)
        self.at = now
        admitted = self.tokens >= 1
        self.tokens -= admitted
        return admitted


def ready_after(seconds: float, spread: float = 0.0, seed: int = 1) -> Ready:
    """Certificates are there some time after they were asked for."""
    chosen = random.Random(seed)  # noqa: S311 - times, nothing to guess
    drawn: dict[int, float] = {}

    def ready(age: float, ticket: int) -> bool:
        return age >= drawn.setdefault(ticket, seconds + chosen.random() * spread)

    return ready


def ready_at_second_look(seconds: float) -> Ready:
    """There when looked for a second time, or after a while: what the sandbox does by itself."""
    looked: set[int] = set()

    def ready(age: float, ticket: int) -> bool:
        if ticket in looked or age >= seconds:
            return True
        looked.add(ticket)
        return False

    return ready


@dataclass
class Run:
    """One run: ``count`` rows from ``start`` on."""

    count: int
    told: float = 25.0
    start: float = 0.0
    done: int = 0
    calls: int = 0
    throttles: int = 0
    early: int = 0
    last_asked: float = 0.0
    finished_at: float = 0.0
    wakes_at: float = 0.0
    schedule: Schedule = field(init=False)


@dataclass
class World:
    """The service and the runs that share it."""

    issue: Bucket
    get: Bucket
    ready: Ready
    latency: float = 0.06
    jitter: float = 0.2
    at_once: int = 24
    window: int = 64
    seed: int = 7

    def play(self, runs: Sequence[Run], until: float = 10_000.0) -> None:
        """Let them all go on until they are done."""
        chosen = random.Random(self.seed)  # noqa: S311 - times, nothing to guess
        events: list[tuple[float, int, Callable[[float], None]]] = []
        number = itertools.count()
        asked: dict[Any, tuple[float, int]] = {}

        def at(moment: float, event: Callable[[float], None]) -> None:
            heapq.heappush(events, (moment, next(number), event))

        def delay() -> float:
            return self.latency * (1 + self.jitter * (2 * chosen.random() - 1))

        def answer(run: Run, work: Work, ticket: Ticket, admitted: bool, there: bool) -> Callable[[float], None]:
            def event(now: float) -> None:
                schedule = run.schedule
                if not admitted:
                    run.throttles += 1
                    schedule.throttled(work, ticket, now)
                elif work is Work.ASK:
                    run.last_asked = now
                    schedule.asked(ticket, now)
                elif there:
                    run.done += 1
                    run.finished_at = now
                    schedule.done(work, ticket, now, there=True)
                else:
                    run.early += 1
                    schedule.early(ticket, now)
                step(run)(now)

            return event

        def arrive(run: Run, work: Work, ticket: Ticket) -> Callable[[float], None]:
            def event(now: float) -> None:
                admitted = (self.issue if work is Work.ASK else self.get).admits(now)
                there = False
                if admitted and work is Work.ASK:
                    asked[ticket] = (now, len(asked))
                elif admitted:
                    moment, index = asked[ticket]
                    there = self.ready(now - moment, index)
                at(now + delay() / 2, answer(run, work, ticket, admitted, there))

            return event

        def step(run: Run, wake: float | None = None) -> Callable[[float], None]:
            def event(now: float) -> None:
                if run.done >= run.count or (wake is not None and wake != run.wakes_at):
                    return
                while isinstance(found := run.schedule.next(now), tuple):
                    run.calls += 1
                    at(now + delay() / 2, arrive(run, *found))
                # one alarm at a time
                run.wakes_at = now + max(found, 0.001)
                at(run.wakes_at, step(run, run.wakes_at))

            return event

        def begin(run: Run) -> Callable[[float], None]:
            def event(now: float) -> None:
                run.schedule = Schedule(Lane(run.told, now), Lane(3 * run.told, now), at_once=self.at_once)
                for _ in range(run.count):
                    run.schedule.add(ticket(), now)
                run.schedule.is_last = True
                step(run)(now)

            return event

        for run in runs:
            at(run.start, begin(run))
        while events and any(run.done < run.count for run in runs):
            now, _, event = heapq.heappop(events)
            assert now < until, "it does not end"
            event(now)


def ticket(step: Step = Step.NEW_ATTEMPT) -> Ticket:
    """A row of which the schedule sees no more than that it is one."""
    return Ticket(row=cast(Any, None), prepared=cast(Any, None), step=step)


def world(quota: float = 25.0, depth: float | None = None, ready: Ready | None = None, **more: Any) -> World:
    """A service with three times as many calls for fetching as for asking."""
    issue = Bucket(quota, quota if depth is None else depth)
    return World(issue, Bucket(3 * quota, 3 * quota), ready or ready_after(0.3), **more)
