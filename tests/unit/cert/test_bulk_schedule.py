"""How fast a bulk run asks, and when it fetches: the real schedule against a service that is only numbers."""

from __future__ import annotations

import pytest

from pkiops.cert.bulk_schedule import Schedule, Work
from pkiops.cert.pace import Lane, Readiness
from pkiops.cert.reuse import Step
from tests.unit.cert.bulk_world import Run, ready_after, ready_at_second_look, ticket, world


def used(runs: list[Run], quota: float) -> float:
    """The part of the quota that they used, from start to end."""
    return sum(run.count for run in runs) / max(run.finished_at for run in runs) / quota


def calls(run: Run) -> float:
    return run.calls / run.count


class TestOneRun:
    @pytest.mark.parametrize("seed", range(3))
    def test_uses_the_quota_with_two_calls_a_certificate(self, seed: int) -> None:
        run = Run(1000)
        world(seed=seed).play([run])
        assert used([run], 25) >= 0.97
        assert calls(run) <= 2.1

    def test_hardly_asks_twice_where_certificates_take_three_seconds(self) -> None:
        for ready in (ready_after(3), ready_after(2, 1)):
            run = Run(300)
            world(ready=ready).play([run])
            assert used([run], 25) >= 0.8
            assert calls(run) <= 2.1

    def test_ends_soon_where_the_second_question_always_helps(self) -> None:
        run = Run(2000)
        world(ready=ready_at_second_look(5)).play([run])
        assert used([run], 25) >= 0.97
        assert calls(run) <= 2.1

    @pytest.mark.parametrize(("quota", "least"), [(5, 0.9), (10, 0.97), (15, 0.97), (50, 0.97), (100, 0.75)])
    def test_finds_a_quota_that_it_was_not_told(self, quota: float, least: float) -> None:
        run = Run(1000 if quota > 25 else 300)
        world(quota).play([run])
        assert used([run], quota) >= least
        assert 0.5 * quota <= run.schedule.asks.rate <= 1.5 * quota
        assert run.throttles <= 0.25 * run.count

    def test_goes_on_where_the_service_admits_nothing_in_advance(self) -> None:
        run = Run(200)
        world(25, 1).play([run])
        assert used([run], 25) >= 0.6

    def test_is_done_soon_with_a_few(self) -> None:
        run = Run(1)
        world().play([run])
        assert run.finished_at < 1
        assert run.calls <= 4


class TestTwoRuns:
    @pytest.mark.parametrize("later", [0.0, 3.0])
    @pytest.mark.parametrize("seed", range(3))
    def test_share(self, seed: int, later: float) -> None:
        runs = [Run(500), Run(500, start=later)]
        world(seed=seed).play(runs)
        assert used(runs, 25) >= 0.94
        for run in runs:
            assert run.count / (run.finished_at - run.start) >= 0.4 * 25

    def test_throttles_that_come_of_sharing_do_not_make_the_end_longer(self) -> None:
        runs = [Run(1000), Run(1000)]
        world(ready=ready_at_second_look(5)).play(runs)
        assert sum(run.throttles for run in runs) > 30
        assert used(runs, 25) >= 0.945


class TestLane:
    def test_lets_a_burst_through_and_then_its_rate(self) -> None:
        lane, now, gone = Lane(10, 0.0), 0.0, 0
        while now <= 2.0:
            if lane.wait(now) <= 0:
                lane.take(now)
                gone += 1
            else:
                now += lane.wait(now) + 1e-9
        assert 8 + 19 <= gone <= 8 + 21

    def test_does_not_grow_where_it_is_not_what_limits(self) -> None:
        lane = Lane(10, 0.0)
        for second in range(100):
            lane.take(float(second))
            lane.admitted(second + 0.1)
        assert lane.rate == 10

    def test_slows_down_once_for_many_throttles_of_a_moment(self) -> None:
        lane = Lane(10, 0.0)
        for _ in range(20):
            lane.throttled(0.1)
        assert lane.rate == pytest.approx(8.8)
        assert lane.wait(0.1) > 0.1

    def test_never_stands_still(self) -> None:
        lane = Lane(25, 0.0)
        for second in range(1000):
            lane.throttled(float(second))
        assert lane.rate == pytest.approx(0.5)


class TestReadiness:
    def test_takes_the_age_of_the_first_that_was_there(self) -> None:
        readiness = Readiness()
        readiness.was_early(0.3)
        before = readiness.known
        readiness.was_there(0.5)
        assert (before, readiness.known, readiness.age) == (False, True, 0.5)

    def test_many_answers_to_one_question_raise_it_once(self) -> None:
        readiness = Readiness()
        readiness.was_there(1.0)
        for _ in range(10):
            readiness.was_early(1.0)
        assert readiness.age == pytest.approx(1.1)

    def test_stays_within_reason(self) -> None:
        readiness = Readiness()
        readiness.was_there(0.0)
        for _ in range(100):
            readiness.was_early(readiness.age)
        assert readiness.age == 60


class TestOrder:
    def test_what_the_ledger_serves_waits_for_no_lane(self) -> None:
        schedule = Schedule(Lane(0.1, 0.0), Lane(0.1, 0.0), at_once=8)
        for _ in range(5):
            schedule.add(ticket(Step.SERVE), 0.0)
        assert [found[0] for found in (schedule.next(0.0) for _ in range(5)) if isinstance(found, tuple)] == [
            Work.SERVE
        ] * 5

    def test_a_throttled_row_keeps_its_place(self) -> None:
        schedule = Schedule(Lane(100, 0.0), Lane(100, 0.0), at_once=8)
        first, second = ticket(), ticket()
        schedule.add(first, 0.0)
        schedule.add(second, 0.0)
        assert schedule.next(0.0) == (Work.ASK, first)
        schedule.throttled(Work.ASK, first, 0.1)
        assert schedule.next(1.0) == (Work.ASK, first)

    def test_what_was_lost_comes_back_after_a_pause(self) -> None:
        schedule = Schedule(Lane(100, 0.0), Lane(100, 0.0), at_once=8)
        schedule.add(one := ticket(), 0.0)
        schedule.next(0.0)
        schedule.lost(Work.ASK, one, 0.1, pause=2.0)
        assert isinstance(schedule.next(1.0), float)
        assert schedule.next(2.2) == (Work.ASK, one)

    def test_forgets_only_what_was_never_asked_for(self) -> None:
        schedule = Schedule(Lane(100, 0.0), Lane(100, 0.0), at_once=8)
        fresh, begun, lost = ticket(), ticket(), ticket()
        for one in (begun, lost, fresh):
            schedule.add(one, 0.0)
        begun.begun, lost.losses = True, 1
        assert schedule.drop_unasked() == [fresh]
        assert schedule.load == 2

    def test_no_more_calls_than_workers(self) -> None:
        schedule = Schedule(Lane(100, 0.0), Lane(100, 0.0), at_once=2)
        for _ in range(3):
            schedule.add(ticket(), 0.0)
        assert [isinstance(schedule.next(0.0), tuple) for _ in range(3)] == [True, True, False]
