"""A trial that is silent for too long is run a second time where a worker would idle: the first to report has it."""

from __future__ import annotations

import time

import pytest
from by_hand import Hand
from workplace import Workplace

from tuner.control import Nothing
from tuner.records import Decision, Ending, SegmentEnded


def hand_with_a_silent_trial(**timeouts):
    """Trials 0 to 2 are whole, a second an epoch; trial 3 has reported an epoch, and then nothing for two minutes."""
    hand = Hand(scheduler={"name": "none", "max_resource": 3}, budget={"trials": 4}, timeouts=timeouts)
    segments = hand.pull(4)
    for segment in segments[:3]:
        for epoch in range(1, 4):
            hand.report(segment, epoch, 0.5)
    hand.report(segments[3], 1, 0.5)
    hand.controller.on_tick(120.0)
    return hand, segments[3]


def test_nobody_is_run_twice_unless_it_is_asked_for():
    hand, _ = hand_with_a_silent_trial()
    assert hand.pull(2) is Nothing.WAIT


def test_the_second_runner_wins():
    hand, first = hand_with_a_silent_trial(straggler=3.0)
    (second,) = hand.pull(2)
    assert (second.trial, second.index, second.start, second.until) == (3, first.index + 1, 1, 3)
    assert hand.pull(1) is Nothing.WAIT, "one rival is enough"
    assert hand.report(second, 2, 0.4) is Decision.CONTINUE
    assert hand.report(first, 2, 9.9) is Decision.STOP
    hand.end(first, Ending.STOPPED)
    hand.report(second, 3, 0.3)
    assert hand.pull(1) is Nothing.DONE
    assert hand.states() == ["complete"] * 4
    assert hand.controller.trials[3].losses == {1: 0.5, 2: 0.4, 3: 0.3}
    assert hand.replayed().states() == hand.states()


def test_the_first_runner_wins():
    hand, first = hand_with_a_silent_trial(straggler=3.0)
    (second,) = hand.pull(1)
    assert hand.report(first, 2, 0.4) is Decision.CONTINUE
    assert hand.report(second, 2, 9.9) is Decision.STOP
    hand.report(first, 3, 0.3)
    assert hand.controller.trials[3].losses == {1: 0.5, 2: 0.4, 3: 0.3}


@pytest.mark.parametrize("which", [0, 1])
def test_where_one_is_lost_the_other_goes_on(which):
    hand, first = hand_with_a_silent_trial(straggler=3.0)
    (second,) = hand.pull(1)
    both = [first, second]
    hand.end(both[which], Ending.LOST)
    assert hand.states()[3] == "running"
    assert hand.report(both[1 - which], 2, 0.4) is Decision.CONTINUE
    assert hand.report(both[which], 2, 9.9) is Decision.STOP


def test_the_driver_loses_both():
    hand, _ = hand_with_a_silent_trial(straggler=3.0)
    hand.pull(1)
    hand.controller.on_driver_lost()
    hand._note()
    assert [event.end.ending for event in hand.journal if isinstance(event, SegmentEnded)] == [Ending.INTERRUPTED] * 2
    assert hand.states()[3] == "waiting"


def test_who_is_no_slower_than_usual_is_let_be():
    hand, _ = hand_with_a_silent_trial(straggler=1000.0)
    assert hand.pull(2) is Nothing.WAIT


SLOW_ONCE = """
import time
from pathlib import Path

def curve(config, trial):
    for epoch in range(trial.start + 1, trial.until + 1):
        mark = Path(MARK)
        if trial.number == 3 and epoch == 2 and not mark.exists():
            mark.touch()
            time.sleep(600)
        time.sleep(0.1)
        trial.report(epoch, checkpoint={}, loss=config["x"])
"""


@pytest.mark.slow
def test_on_ray_a_study_does_not_wait_for_its_slowest_worker(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(SLOW_ONCE.replace("MARK", repr(str(tmp_path / "mark"))))
    changes = ["executor=ray", "parallel=2", "scheduler={name: none, max_resource: 3}", "budget.trials=6"]
    began = time.monotonic()
    process = place.start("run", "spec.yaml", *(f"--set={change}" for change in [*changes, "timeouts.straggler=3"]))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, (out, err)
    assert time.monotonic() - began < 200
    shown = place.json("show", "demo")
    assert shown["counts"]["complete"] == 6
    assert [report["resource"] for report in place.json("trial", "demo", "3")["reports"]] == [1, 2, 3]
