"""Issue certificates for many rows at once: as fast as the account lets us, and with the certainty of one.

What this module decides: which steps of ``issue`` are made by which thread, what a row does after each kind of error, and when a run ends before its
rows do. A row goes through the very steps of ``cert issue``, with the ledger written at the same moments; that makes an interrupted run go on where
it was when it is run again. What is done next is ``bulk_schedule``'s decision, how fast ``pace``'s.

One thread reads rows and takes them through steps 1 to 7; the caller's thread hands out calls; workers make them. Only rows that are on their way are
in memory.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pkiops.cert.bulk_manifest import BadRow, Row
from pkiops.cert.bulk_parts import Claims, Delivery, Interruption
from pkiops.cert.bulk_results import RowResult, RowStatus, Tally, bug_in, failed_row
from pkiops.cert.bulk_schedule import Schedule, Ticket, Work
from pkiops.cert.issue import UNANSWERED, Issuance
from pkiops.cert.order import Issued, Order
from pkiops.cert.pace import Lane
from pkiops.cert.reuse import Step
from pkiops.clock import Clock
from pkiops.errors import BackendError, InProgress, InputError, InternalError, Interrupted, PkiopsError, Throttled
from pkiops.ledger.interface import Entry
from pkiops.progress import NoProgress, Progress

# Service Quotas for AWS Private CA, defaults (see ``pkiops.pacing``)
ISSUE_RATE, GET_RATE = 25.0, 75.0
MOST_IN_FLIGHT = 500
_WORKERS = 24
_READY_AHEAD = 64
_LOSSES = 5
_FIRST_PAUSE_S = 0.2
_PATIENCE_S = 120.0
_GIVE_UP_AFTER = 10
_TELL_EVERY_S = 2.0
_LOOK_UP_S = 0.25
_SERVED = (Step.SERVE, Step.PROVE_AGAIN)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its counts, the calls it made to ask and fetch, whether it was stopped, and the CAs that it gave up, each with its error."""

    tally: Tally
    calls: int
    seconds: float
    interrupted: bool
    gave_up: Mapping[str, BackendError]


@dataclass(frozen=True, kw_only=True)
class BulkIssuance:
    """The use case and its collaborators.

    Args:
        issuance: takes a row through its steps; its backend makes single calls (``MakesSingleCalls``), and it keeps its issuers.
        delivery: where results go.
        clock: paces.
        report: gets each result, one at a time.
        interruption: is looked at a few times a second.
        issue_rate: certificates per second that the account is thought to have.
        get_rate: the same for fetching.
        most_in_flight: rows on their way at the same moment.
        progress: is told how far it is.
        read: how much of the manifest is read, from 0 to 1, where that is known.
    """

    issuance: Issuance
    delivery: Delivery
    clock: Clock
    report: Callable[[RowResult], None]
    interruption: Interruption
    issue_rate: float = ISSUE_RATE
    get_rate: float = GET_RATE
    most_in_flight: int = MOST_IN_FLIGHT
    progress: Progress = field(default_factory=NoProgress)
    read: Callable[[], float | None] = lambda: None

    def run(self, rows: Iterable[Row | BadRow]) -> Ended:
        """Issue for all rows.

        Raises:
            InputError: the manifest cannot be read (on); what was begun is finished.
            Interrupted: somebody asked twice; what was on its way is left.
        """
        return _Run(self, rows).run()


class _Run:
    """One run. ``_changed`` guards all that follows it."""

    def __init__(self, bulk: BulkIssuance, rows: Iterable[Row | BadRow]) -> None:
        self._bulk = bulk
        self._rows = rows
        self._clock = bulk.clock
        self._issuance = bulk.issuance
        self._work: queue.SimpleQueue[tuple[Work, Ticket] | None] = queue.SimpleQueue()
        self._began = self._now
        self._tell_at = self._began + _TELL_EVERY_S
        self._changed = threading.Condition()
        lanes = Lane(bulk.issue_rate, self._began), Lane(bulk.get_rate, self._began)
        self._schedule = Schedule(*lanes, at_once=_WORKERS)
        self._claims = Claims()
        self._tally = Tally(_GIVE_UP_AFTER)
        self._is_read = self._is_taking_in = self._is_ending = False
        self._unread: InputError | None = None
        self._broken: BaseException | None = None

    @property
    def _now(self) -> float:
        return self._clock.monotonic()

    def run(self) -> Ended:
        threads = [threading.Thread(target=self._guarded, args=(self._feed,), name="bulk-rows", daemon=True)]
        threads += [
            threading.Thread(target=self._guarded, args=(self._labour,), name=f"bulk-{number}", daemon=True)
            for number in range(_WORKERS)
        ]
        for thread in threads:
            thread.start()
        try:
            self._hand_out()
        finally:
            with self._changed:
                self._is_ending = True
            for _ in range(_WORKERS):
                self._work.put(None)
        for thread in threads[1:]:
            thread.join()
        interrupted = self._bulk.interruption.times > 0
        return Ended(self._tally, self._schedule.calls, self._now - self._began, interrupted, self._tally.given_up)

    def _hand_out(self) -> None:
        """The caller's thread: who does what, and when; ends when nothing is left to do."""
        while True:
            with self._changed:
                if self._broken is not None:
                    raise self._broken
                if self._bulk.interruption.times > 1:
                    raise Interrupted(
                        f"abandoned with {self._schedule.load} certificates on their way ({self._tally})",
                        hint="run the same command again within four minutes: later, what was left is for pkiops cert resolve",
                    )
                if self._is_stopping:
                    self._stop()
                found = self._schedule.next(self._now)
                if isinstance(found, tuple):
                    self._work.put(found)
                elif not self._schedule.load and (self._is_read or (self._is_stopping and not self._is_taking_in)):
                    # whoever reads rows may wait for the next one for ever
                    break
                else:
                    self._changed.wait(min(found, _LOOK_UP_S))
            self._tell()
        if self._unread is not None:
            raise self._unread

    @property
    def _is_stopping(self) -> bool:
        """Whether nothing new is begun any more."""
        return self._is_ending or self._bulk.interruption.times > 0 or self._unread is not None

    def _stop(self) -> None:
        for ticket in self._schedule.drop_unasked():
            self._end(failed_row(ticket.row, Interrupted("the run ended before its turn"), RowStatus.NOT_TRIED))

    def _give_up(self, authority: str) -> None:
        for ticket in self._schedule.drop_unasked(lambda one: self._authority(one.row) == authority):
            self._end(self._not_tried(ticket.row, authority))

    def _authority(self, row: Row) -> str | None:
        profile = self._issuance.environment.profiles.get(row.profile)
        return None if profile is None else profile.authority

    def _not_tried(self, row: Row, authority: str) -> RowResult:
        last = self._tally.given_up[authority]
        message = f"{authority} was given up after {_GIVE_UP_AFTER} failures in a row, the last of them: {last.message}"
        error = Interrupted(message, hint=last.hint, code="cert.bulk-gave-up")
        return failed_row(row, error, RowStatus.NOT_TRIED)

    def _feed(self) -> None:
        """The thread of the rows: read, prepare, put into the schedule, no further ahead than is good."""
        try:
            for row in self._rows:
                with self._changed:
                    while not self._is_stopping and (
                        self._schedule.load >= self._bulk.most_in_flight or self._schedule.unasked >= _READY_AHEAD
                    ):
                        self._changed.wait(_LOOK_UP_S)
                    if self._is_stopping:
                        return
                    self._is_taking_in = True
                self._take_in(row)
                with self._changed:
                    self._is_taking_in = False
        except InputError as error:
            self._unread = error
        finally:
            with self._changed:
                self._is_read = self._schedule.is_last = True
                self._changed.notify_all()

    def _take_in(self, row: Row | BadRow) -> None:
        if isinstance(row, BadRow):
            with self._changed:
                self._end(failed_row(row, row.error))
            return
        authority = self._authority(row)
        with self._changed:
            if authority is not None and authority in self._tally.given_up:
                self._end(self._not_tried(row, authority))
                return
        try:
            with self._claims.claimed(self._bulk.delivery.files(row)):
                prepared = self._issuance.prepare(_order(row))
                with self._issuance.recorded(prepared):
                    self._bulk.delivery.check(row, prepared)
                entry, step = self._issuance.look(prepared)
        except Exception as error:  # see _labour
            with self._changed:
                self._end(failed_row(row, error if isinstance(error, PkiopsError) else bug_in(error)), row)
            return
        known = entry if step in {*_SERVED, Step.FETCH} else None
        with self._changed:
            self._schedule.add(Ticket(row=row, prepared=prepared, step=step, entry=known), self._now)
            self._changed.notify_all()

    def _labour(self) -> None:
        """A worker: one call after the other."""
        work_on = {Work.SERVE: self._serve, Work.ASK: self._ask, Work.FETCH: self._fetch}
        while (given := self._work.get()) is not None:
            work, ticket = given
            try:
                result = work_on[work](ticket)
            except PkiopsError as error:
                result = failed_row(ticket.row, error)
            except Exception as error:
                # A row is what a stranger wrote: what nobody foresaw in one must not end the run for all others, and again every time it is run.
                # What went wrong in the run's own books (``_settled``) does end it.
                if self._broken is not None:
                    raise
                result = failed_row(ticket.row, bug_in(error))
            if result is not None:
                there = work is Work.FETCH and result.issued is not None
                with self._settled():
                    self._schedule.done(work, ticket, self._now, there=there)
                    self._end(result, ticket.row)

    def _serve(self, ticket: Ticket) -> RowResult | None:
        issued = self._issuance.serve(ticket.prepared, _entry(ticket), ticket.step)
        return self._delivered(ticket, issued, RowStatus.KEPT)

    def _ask(self, ticket: Ticket) -> RowResult | None:
        """Write the intent and ask; None: the row goes on."""
        with self._lost_again(Work.ASK, ticket):
            if ticket.entry is None:
                ticket.entry, ticket.step, ticket.created = self._issuance.begin(ticket.prepared)
                ticket.begun = True
                if ticket.step in {*_SERVED, Step.FETCH}:
                    # another run, or another row, was faster
                    with self._settled():
                        self._schedule.go_on(Work.ASK, ticket, self._now)
                    return None
            try:
                reference = self._issuance.request(ticket.prepared, ticket.entry, created=ticket.created)
            except Throttled:
                # whether the token still lives is for the ledger to say when its turn comes
                ticket.entry, ticket.created = None, False
                with self._settled():
                    self._schedule.throttled(Work.ASK, ticket, self._now)
                return None
            # the ledger's own throttle is none of the CA's: it counts as an answer that was lost
            ticket.entry = self._issuance.ledger.record_reference(ticket.entry.id, reference)
            with self._settled():
                self._schedule.asked(ticket, self._now)
        return None

    def _fetch(self, ticket: Ticket) -> RowResult | None:
        """Fetch and compare; None: the row goes on."""
        result = None
        with self._lost_again(Work.FETCH, ticket):
            try:
                proven = self._issuance.fetch(ticket.prepared, _entry(ticket))
            except Throttled:
                with self._settled():
                    self._schedule.throttled(Work.FETCH, ticket, self._now)
                return None
            except InProgress:
                if ticket.age > _PATIENCE_S or ticket.fetches > _PATIENCE_S:
                    raise
                with self._settled():
                    self._schedule.early(ticket, self._now)
                return None
            issued = self._issuance.record(proven)
            if ticket.step is Step.FETCH and self._issuance.look(ticket.prepared)[1] is not Step.SERVE:
                # fetched late: known now, but due already
                ticket.step, ticket.entry, ticket.asked_at = Step.NEW_ATTEMPT, None, None
                with self._settled():
                    self._schedule.go_on(Work.FETCH, ticket, self._now)
                return None
            result = self._delivered(ticket, issued, RowStatus.ISSUED)
        return result

    @contextlib.contextmanager
    def _lost_again(self, work: Work, ticket: Ticket) -> Iterator[None]:
        """Try again a few times what got no answer; a request begins at the ledger again, which knows how long its token lives."""
        try:
            yield
        except BackendError as error:
            if isinstance(error, InProgress) and work is Work.FETCH:
                raise
            if not (error.retryable or error.code in UNANSWERED) or ticket.losses >= _LOSSES:
                raise
            ticket.losses += 1
            if work is Work.ASK:
                ticket.entry, ticket.created = None, False
            with self._settled():
                pause = _FIRST_PAUSE_S * 2 ** (ticket.losses - 1)
                self._schedule.lost(work, ticket, self._now, pause=pause)

    def _delivered(self, ticket: Ticket, issued: Issued, status: RowStatus) -> RowResult:
        row = ticket.row
        try:
            written = self._bulk.delivery.write(row, issued)
        except PkiopsError as error:
            # it is in the ledger: the next run writes it
            return RowResult(row=row.number, source=row.source, status=RowStatus.FAILED, issued=issued, error=error)
        return RowResult(row=row.number, source=row.source, status=status, issued=issued, written=written)

    def _end(self, result: RowResult, row: Row | None = None) -> None:
        """A row came to something."""
        authority = None if row is None else self._authority(row)
        already = authority in self._tally.given_up
        self._tally.add(result, authority)
        self._bulk.report(result)
        if authority is not None and authority in self._tally.given_up and not already:
            self._give_up(authority)

    @contextlib.contextmanager
    def _settled(self) -> Iterator[None]:
        with self._changed:
            try:
                yield
            except BaseException as error:
                self._broken = error
                raise
            finally:
                self._changed.notify_all()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Whatever ends a thread ends the run."""
        try:
            work()
        except BaseException as error:
            with self._settled():
                self._broken = error

    def _tell(self) -> None:
        now = self._now
        if now < self._tell_at:
            return
        self._tell_at = now + _TELL_EVERY_S
        rate = self._tally.rows / (now - self._began)
        read = self._bulk.read()
        left = f", {(now - self._began) * (1 - read) / read:.0f} s left" if read else ""
        self._bulk.progress.step(f"{self._tally}; {self._schedule.load} on their way; {rate:.1f} a second{left}")


def _order(row: Row) -> Order:
    return Order(
        csr=row.request(),
        csr_source=str(row.csr),
        profile=row.profile,
        sans=row.sans,
        validity=row.validity,
        request_id=row.request_id,
    )


def _entry(ticket: Ticket) -> Entry:
    if ticket.entry is None:
        raise InternalError(f"{ticket.row.source} has no entry in the ledger")
    return ticket.entry
