"""How far a study is said to be, and what a terminal shows of it."""

from __future__ import annotations

import io
import math
from contextlib import closing

import pytest
from by_hand import Hand
from clocks import Clock
from rich.console import Console

from tuner.analysis import best_trial
from tuner.cli.progress import ProgressDisplay
from tuner.records import Decision, Ending, Pace, Report, Segment, SegmentEnd
from tuner.store import open_store
from tuner.workflows.driver import StudyDriver
from tuner.workflows.gauge import Gauge, Speed
from tuner.workflows.progress import best_so_far, progress_of, seconds_left


def test_asha_is_expected_to_let_one_in_three_pass_a_rung():
    """9 trials on rungs 1, 3, 9: 9 (1 + 2/3 + 6/9) = 21 epochs are expected."""
    hand = Hand()
    for _ in range(2):
        hand.report(hand.one(), 1, 0.5)
    progress = progress_of(hand.controller, seconds_this_session=4.0)
    assert progress.share == pytest.approx(2 / 21)
    assert progress.seconds_left == pytest.approx(4.0 * 19 / 2)


def test_the_share_never_falls_back_to_what_is_running_and_ends_at_one():
    hand = Hand(budget={"trials": 2}, scheduler={"name": "none", "max_resource": 4})
    segment = hand.one()
    assert hand.report(segment, 2, 0.5) is Decision.CONTINUE
    assert progress_of(hand.controller, seconds_this_session=1.0).share == pytest.approx(2 / 8)
    hand.report(segment, 4, 0.5)
    hand.play(lambda segment, resource: 1.0)
    done = progress_of(hand.controller, seconds_this_session=1.0)
    assert (done.share, done.seconds_left) == (1.0, 0.0)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_display_shows_the_best_and_what_is_running(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    hand = Hand()
    hand.report(hand.one(), 1, 0.25)
    hand.one()
    with ProgressDisplay(console) as display:
        display._every = 0.0
        display(hand.controller)
    said = console.file.getvalue()
    assert "0.25" in said
    assert "1 running" in said
    assert ("1 (0→1)" in said) is terminal


@pytest.mark.parametrize(
    ("units", "seconds_per_unit", "speed", "left"),
    [
        (10, 2.0, Speed(), 20.0),
        (10, 2.0, Speed(n_workers=4), 5.0),
        (10, 2.0, Speed(n_workers=4, efficiency=0.5), 10.0),
        (10, 2.0, Speed(seconds_under_way=5.0), 15.0),
        (10, 2.0, Speed(n_workers=2, efficiency=0.5, seconds_under_way=5.0), 15.0),
        (10, 2.0, Speed(seconds_under_way=50.0), 0.0),
        (0, 2.0, Speed(n_workers=2), 0.0),
    ],
)
def test_the_time_left_is_the_work_over_the_workers_and_their_efficiency(units, seconds_per_unit, speed, left):
    assert seconds_left(units, seconds_per_unit, speed) == pytest.approx(left)


def segment_of(trial):
    return Segment(trial, 0, 0, 9, {}, 0, 9)


def test_the_gauge_measures_by_hand():
    clock = Clock(100.0)
    gauge = Gauge(clock)
    assert gauge.speed() == Speed()
    gauge.issued([segment_of(0), segment_of(1)], ["a", "b"])
    gauge.paced(Pace(0, 0, 3.0))
    gauge.paced(Pace(7, 0, 1.0))  # of a segment that is over
    clock.now = 110.0
    speed = gauge.speed()
    assert (dict(speed.paces), speed.n_workers, speed.efficiency, speed.seconds_under_way) == ({0: 3.0}, 2, 1.0, 20.0)
    gauge.reported(Report(0, 0, 1, {}, 8.0))  # 2 of the 10 seconds went into waiting
    assert gauge.speed().seconds_under_way == 10.0
    assert gauge.speed().efficiency == pytest.approx((8 + 10) / 20)
    gauge.ended(0, 0)
    gauge.reported(Report(0, 0, 2, {}, 99.0))  # late
    clock.now = 120.0
    assert gauge.speed().efficiency == pytest.approx((8 + 20) / 40), "a was idle"
    gauge.issued([segment_of(2)], ["c"])
    clock.now = 130.0
    assert gauge.speed().efficiency == pytest.approx((8 + 30 + 10) / 70), "c has been there for 10 s"
    assert gauge.speed().n_workers == 3


def test_the_time_left_is_known_before_any_report():
    """9 trials on rungs 1, 3, 9: 21 epochs are expected."""
    hand = Hand()
    hand.pull(2)
    early = progress_of(hand.controller, seconds_this_session=1.0, speed=Speed({0: 2.0, 1: 4.0}, n_workers=2))
    assert early.share == 0.0
    assert early.seconds_left == pytest.approx(21 * 3.0 / 2)
    assert progress_of(hand.controller, seconds_this_session=1.0, speed=Speed()).seconds_left is None


def test_what_was_measured_takes_the_place_of_what_was_said():
    hand = Hand()
    first, _ = hand.pull(2)
    hand.report(first, 1, 0.5)  # took 1 s
    said = Speed({0: 5.0, 1: 4.0})
    progress = progress_of(hand.controller, seconds_this_session=1.0, speed=said)
    assert progress.seconds_left == pytest.approx(20 * (1.0 + 4.0) / 2)


def test_the_time_budget_is_a_bound():
    hand = Hand(budget={"trials": 9, "minutes": 1})
    hand.pull(1)
    assert progress_of(hand.controller, seconds_this_session=20.0, speed=Speed({0: 9.0})).seconds_left == 40.0
    slow = progress_of(hand.controller, seconds_this_session=20.0, speed=Speed({0: 1.0}))
    assert slow.seconds_left == pytest.approx(21.0)
    hand = Hand(budget={"trials": None, "minutes": 1})
    hand.pull(1)
    assert progress_of(hand.controller, seconds_this_session=20.0, speed=Speed({0: 9.0})).seconds_left == 40.0
    hand = Hand(budget={"trials": None, "epochs": 10})
    hand.pull(1)
    assert progress_of(hand.controller, seconds_this_session=20.0, speed=Speed({0: 9.0})).seconds_left == 90.0


def test_a_driver_shows_a_pace_although_nothing_is_committed_and_nothing_uncommitted(tmp_path):
    hand, clock, seen = Hand(), Clock(100.0), []
    with closing(open_store(tmp_path / "tuner.db")) as store:
        store.create(hand.spec)
        gauge = Gauge(clock)

        def watch(controller):
            seen.append((controller.units, dict(gauge.speed().paces)))

        driver = StudyDriver(hand.controller, store, store.write("hand"), list, watch=watch, gauge=gauge, clock=clock)
        segments = driver.pull(["a", "b"])
        driver.commit()
        driver.push([Pace(0, 0, 2.0)])
        driver.commit()
        assert seen == [(0, {})]
        driver.tick()
        assert seen[1:] == [(0, {0: 2.0})], "no commit was needed"
        driver.tick()
        assert len(seen) == 2, "and not all the time"
        driver.push([Report(0, 0, 1, {"loss": 0.5}, 1.0), Pace(1, 0, 3.0)])
        clock.now += 60
        driver.tick()
        assert len(seen) == 2, "what is not committed is not shown"
        driver.push([SegmentEnd(0, 0, Ending.STOPPED)])
        driver.commit()
        assert seen[2:] == [(1, {0: 2.0, 1: 3.0})]
        assert len(segments) == 2
        assert not any("pace" in type(entry.event).__name__.lower() for entry in store.journal("hand"))


@pytest.mark.parametrize("terminal", [True, False])
def test_a_display_tells_the_time_left_as_soon_as_it_is_known(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    hand, gauge = Hand(), Gauge(lambda: 0.0)
    gauge.issued([hand.one()], ["a"])
    with ProgressDisplay(console, gauge=gauge) as display:
        display(hand.controller)
        assert " left" not in console.file.getvalue()
        gauge.paced(Pace(0, 0, 10.0))
        display(hand.controller)
        assert "about 3 min 30 s left" in console.file.getvalue()
        length = len(console.file.getvalue())
        display(hand.controller)
        assert len(console.file.getvalue()) == length, "only the first pace is news"


@pytest.mark.parametrize("losses", [[], [0.5, 0.2, 0.2], [math.nan, 0.9], [math.nan]])
def test_the_best_so_far_is_that_of_the_leaderboard(losses):
    hand = Hand()
    segments = hand.pull(3)
    for segment, loss in zip(segments, losses, strict=False):
        hand.report(segment, 1, loss)
    best = best_so_far(hand.controller)
    summaries = [trial.summary(hand.spec.metric) for trial in hand.controller.trials]
    assert best == best_trial(summaries, hand.spec.metric)
    assert (best is None) == (not any(map(math.isfinite, losses)))
