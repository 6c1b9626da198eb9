"""A trial in a lane: what it reports leaves by another thread, in order, each report after its checkpoint."""

from __future__ import annotations

import errno
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from tuner.errors import StopTrial, TrialFailed, UserMistake
from tuner.execution import Job
from tuner.execution.in_order import Lines
from tuner.execution.lane_trial import LaneTrial
from tuner.execution.trial_log import opened_log
from tuner.records import Checkpoint, Decision, Ending, FailureKind, Report, Segment, SegmentEnd, Waiting
from tuner.spec import CheckpointPolicy

SEGMENT = Segment(trial=3, index=0, start=0, until=9, config={}, seed=1, horizon=9, decide_at=(2, 6))


@pytest.fixture
def lines():
    found = Lines(2)
    yield found
    found.close()


def made(lines, folder, segment=SEGMENT, every=1):
    """A prepared trial, and what it has said so far."""
    said: list[object] = []
    job = Job("hand", None, "loss", folder, checkpoint=CheckpointPolicy(every=every))
    trial = LaneTrial(job, segment, said.append, lines.line(), abandon=no_abandon, gpus=0.0)
    trial.prepare(said.append)
    wait_for(lambda: said)
    if said[0] is trial:
        said.clear()
    return trial, said


def no_abandon(end):
    raise AssertionError(end)


def wait_for(holds, seconds=5.0):
    """It becomes true in another thread."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def test_a_report_waits_for_its_checkpoint_and_the_lane_for_nothing(lines, tmp_path):
    trial, said = made(lines, tmp_path)
    may_write = threading.Event()

    def state():
        assert may_write.wait(5.0)
        assert threading.current_thread() is not threading.main_thread()
        return {"weights": np.arange(3)}

    trial.attach(curves={"loss": [0.5]}, events=["a thing"])
    trial.report(1, checkpoint=state, loss=np.float32(0.5))
    trial.report(2, loss=0.25)
    assert trial.pending, "the decision at 2 is waited for"
    time.sleep(0.05)
    assert said == [], "the second report does not overtake the first"
    may_write.set()
    wait_for(lambda: len(said) == 2)
    first, second = said
    assert (first.resource, dict(first.metrics), first.details.events) == (1, {"loss": 0.5}, ("a thing",))
    assert (tmp_path / first.checkpoint.path).stat().st_size == first.checkpoint.size
    assert (second.resource, second.checkpoint, second.details) == (2, None, None)
    assert "a thing" in (tmp_path / "3" / "log.txt").read_text()


def test_trials_do_not_wait_for_each_other(lines, tmp_path):
    slow, said_by_slow = made(lines, tmp_path)
    other, said = made(lines, tmp_path, Segment(4, 0, 0, 9, {}, 1, 9))
    gate = threading.Event()
    slow.report(1, checkpoint=lambda: {"x": gate.wait(5.0)}, loss=1.0)
    other.report(1, checkpoint={}, loss=1.0)
    wait_for(lambda: said)
    assert said_by_slow == []
    gate.set()
    wait_for(lambda: said_by_slow)


def test_checkpoints_are_due_as_the_policy_says(lines, tmp_path):
    trial, said = made(lines, tmp_path, every=4)
    for resource in (1, 5, 6, 9):
        trial.decide(Decision.CONTINUE, resource)
        trial.report(resource, checkpoint={}, loss=0.0)
    wait_for(lambda: len(said) == 4)
    assert [report.resource for report in said if report.checkpoint] == [5, 9]


def test_a_decision_lets_it_go_on_or_stops_it(lines, tmp_path):
    trial, _ = made(lines, tmp_path)
    trial.report(1, loss=0.0)
    assert not trial.pending
    trial.report(2, loss=0.0)
    trial.decide(Decision.CONTINUE, 1)
    assert trial.pending, "that was the decision on an earlier report"
    trial.decide(Decision.CONTINUE, 2)
    assert not trial.pending
    trial.report(7, loss=0.0)
    assert trial.pending, "a report beyond 6 stands for it"
    trial.decide(Decision.PAUSE, 7)
    assert (trial.pending, trial.told) == (False, Decision.PAUSE)
    with pytest.raises(StopTrial, match="told to pause"):
        trial.report(8, loss=0.0)


@pytest.mark.parametrize(
    ("resource", "metrics", "why"),
    [(0, {"loss": 1.0}, "must rise"), (1.5, {"loss": 1.0}, "whole number"), (1, {"loss": "high"}, "must be a number")],
)
def test_what_cannot_be_reported_is_the_callers_mistake(lines, tmp_path, resource, metrics, why):
    trial, said = made(lines, tmp_path)
    with pytest.raises(UserMistake, match=why):
        trial.report(resource, **metrics)
    assert said == []


@pytest.mark.parametrize(
    ("error", "last", "ending"),
    [
        (None, 9, Ending.REACHED),
        (None, 4, Ending.FINISHED),
        (StopTrial(), 2, Ending.STOPPED),
        (TrialFailed("the loss is NaN", kind="non-finite"), 4, Ending.FAILED),
    ],
)
def test_its_end_is_the_last_that_is_said(lines, tmp_path, error, last, ending):
    trial, said = made(lines, tmp_path)
    trial.report(last, checkpoint=lambda: time.sleep(0.05) or {}, loss=0.0)
    trial.end(error)
    wait_for(lambda: len(said) == 2)
    report, end = said
    assert isinstance(report, Report)
    assert (end.trial, end.segment, end.ending) == (3, 0, ending)
    if error is not None and ending is Ending.FAILED:
        assert end.failure.kind is FailureKind.NON_FINITE
        assert "the loss is NaN" in (tmp_path / "3" / "log.txt").read_text()


def test_an_error_of_the_writer_is_the_trials_failure(lines, tmp_path):
    """The report that it belonged to, and those after it, are not said; a trial that rests is let go."""
    trial, said = made(lines, tmp_path)
    trial.report(1, checkpoint={}, loss=0.0)
    trial.report(2, checkpoint=lambda: {"what": object()}, loss=0.0)
    wait_for(lambda: trial.told is Decision.STOP)
    assert not trial.pending
    with pytest.raises(StopTrial):
        trial.report(3, loss=0.0)
    trial.end(StopTrial())
    wait_for(lambda: len(said) == 2)
    assert said[0].resource == 1
    assert (said[1].ending, said[1].failure.kind) == (Ending.FAILED, FailureKind.EXCEPTION)
    assert "object" in said[1].failure.message


def test_a_checkpoint_that_is_gone_ends_it_before_it_is_placed(lines, tmp_path):
    kept = Checkpoint(3, "3/000000003-000.ckpt", 10, "0")
    _, said = made(lines, tmp_path, Segment(3, 1, 3, 9, {}, 1, 9, checkpoint=kept))
    assert isinstance(said[0], SegmentEnd)
    assert (said[0].ending, said[0].failure.kind) == (Ending.FAILED, FailureKind.CHECKPOINT)


def test_what_rests_takes_no_time(lines, tmp_path):
    trial, said = made(lines, tmp_path)
    trial.report(2, loss=0.0)
    time.sleep(0.2)
    trial.decide(Decision.CONTINUE, 2)
    trial.report(3, loss=0.0)
    wait_for(lambda: len(said) == 2)
    assert said[1].seconds < 0.15


def test_seconds_begin_when_it_boards(lines, tmp_path):
    trial, said = made(lines, tmp_path)
    time.sleep(0.2)
    trial.boarded()
    trial.report(1, loss=0.0)
    wait_for(lambda: said)
    assert said[0].seconds < 0.15


def test_its_log_waits_for_room_before_it_boards(lines, tmp_path, monkeypatch):
    monkeypatch.setattr("tuner.execution.room.PAUSE_SECONDS", 0.01)
    said: list[object] = []

    @contextmanager
    def full_once(folder):
        if not said:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder))
        with opened_log(folder) as log:
            yield log

    monkeypatch.setattr("tuner.execution.lane_trial.opened_log", full_once)
    trial = LaneTrial(
        Job("hand", None, "loss", tmp_path), SEGMENT, said.append, lines.line(), abandon=no_abandon, gpus=0.0
    )
    trial.prepare(said.append)
    wait_for(lambda: trial in said)
    assert isinstance(said[0], Waiting)
    assert "No space left" in said[0].why
    assert "segment 0: from 0 until 9" in (tmp_path / "3" / "log.txt").read_text()
