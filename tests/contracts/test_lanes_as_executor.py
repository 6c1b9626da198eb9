"""Lanes keep the executors' contract: their trials are a Task's, and many are trained at once."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from pathlib import Path

import pytest
from executors import Recorder, play
from lane_objectives import FIXED, SPACE, Asleep, Clouds, Fragile, Killed

from tuner.errors import SpecError
from tuner.execution import LocalExecutor
from tuner.records import Ending, FailureKind, SegmentIssued, TrialState
from tuner.spec import Resources, Timeouts

ALL = {"name": "none", "max_resource": 3}


@pytest.fixture(scope="module")
def lanes():
    from tuner.execution.ray.executor import RayTuneExecutor  # sets Ray's environment

    ray = importlib.import_module("ray")
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    yield RayTuneExecutor(lanes=True)
    ray.shutdown()


def play_in_lane(executor, folder, objective, *, slots=4, driver=Recorder, **parts):
    common = {"metric": {"name": "val_loss"}, "space": SPACE, "fixed": FIXED, "resources": {"slots": slots}}
    return play(executor, folder, objective, driver=driver, **(common | parts))


def told(recorder):
    """What was handed out, and what it reported, without what differs from run to run."""
    issued = [event.segment for event in recorder.journal if isinstance(event, SegmentIssued)]
    segments = [(s.key, s.start, s.until, dict(s.config)) for s in issued]
    return segments, {(r.trial, r.segment, r.resource): r.metrics["val_loss"] for r in recorder.reports}


def assert_each_ends_once(recorder):
    assert sorted((end.trial, end.segment) for end in recorder.ends) == sorted(s.key for s in recorder.pulled)
    for segment in recorder.pulled:
        own = [r.resource for r in recorder.reports if (r.trial, r.segment) == segment.key]
        assert own == list(range(segment.start + 1, segment.start + 1 + len(own))), "in order, from where it began"


@pytest.mark.parametrize("kind", ["promote", "stop"])
def test_with_one_slot_they_give_the_trials_of_one_worker(lanes, tmp_path, kind):
    parts = {"scheduler": {"name": "asha", "type": kind, "max_resource": 9}, "budget": {"trials": 6}}
    ours = play_in_lane(lanes, tmp_path / "lane", Clouds(), slots=1, **parts)
    local = play_in_lane(LocalExecutor(), tmp_path / "local", Clouds(), **parts)
    (segments, losses), (their_segments, their_losses) = told(ours), told(local)
    assert segments == their_segments
    assert losses == pytest.approx(their_losses, rel=1e-4)
    assert [t.state for t in ours.controller.trials] == [t.state for t in local.controller.trials]


@pytest.mark.parametrize("kind", ["promote", "stop"])
def test_many_slots(lanes, tmp_path, kind):
    """A trial that is told to stop works no more; what it says comes with its curves, its checkpoint and its log."""
    scheduler = {"name": "asha", "type": kind, "max_resource": 9}
    recorder = play_in_lane(
        lanes, tmp_path, Clouds(), scheduler=scheduler, budget={"trials": 12}, checkpoint={"every": 1}
    )
    assert_each_ends_once(recorder)
    trials = recorder.controller.trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in trials:
        assert trial.resource in (1, 3, 9)
        assert max(r.resource for r in recorder.reports if r.trial == trial.number) == trial.resource
        assert len(list((tmp_path / str(trial.number)).glob("*.ckpt"))) >= 1
        assert "segment 0: from 0" in (tmp_path / str(trial.number) / "log.txt").read_text()
    assert all(report.details is not None and "loss" in report.details.curves for report in recorder.reports)
    workers = {event.worker for event in recorder.journal if isinstance(event, SegmentIssued)}
    assert {worker.rpartition(".")[2] for worker in workers} >= {"0", "1", "2", "3"}, "each slot has a name"


def test_a_trial_that_fails_fails_alone(lanes, tmp_path):
    parts = {"budget": {"trials": 10}, "scheduler": ALL, "failures": {"retries": 0, "give_up_after": 9}}
    recorder = play_in_lane(lanes, tmp_path, Fragile(), **parts)
    assert_each_ends_once(recorder)
    for trial in recorder.controller.trials:
        fails = trial.config["lr"] > 0.03
        assert trial.state is (TrialState.FAILED if fails else TrialState.COMPLETE)
        assert (trial.failure is not None and "too fast for me" in trial.failure.message) is fails
        log = (tmp_path / str(trial.number) / "log.txt").read_text()
        assert "a model" in log
        assert ("too fast for me" in log) is fails
    assert len({trial.state for trial in recorder.controller.trials}) == 2


def test_what_a_killed_lane_held_is_lost_and_goes_on(lanes, tmp_path):
    recorder = play_in_lane(lanes, tmp_path, Killed(tmp_path, 8), budget={"trials": 8})
    lost = [end for end in recorder.ends if end.ending is Ending.LOST]
    assert lost
    assert {end.failure.kind for end in lost} == {FailureKind.WORKER_LOST}
    assert_each_ends_once(recorder)
    assert Counter(trial.failure for trial in recorder.controller.trials) == {None: 8}
    assert all(trial.ended for trial in recorder.controller.trials)
    again = [s for end in lost for s in recorder.pulled if s.key == (end.trial, end.segment + 1)]
    assert len(again) == len(lost), "each is taken up again"


@pytest.mark.slow
def test_a_lane_that_does_nothing_is_ended_and_its_trials_go_on(lanes, tmp_path):
    objective, parts = Asleep(tmp_path, 4), {"timeouts": {"report": 5.0}, "budget": {"trials": 6}}
    recorder = play_in_lane(lanes, tmp_path, objective, scheduler=ALL, **parts)
    lost = [end.failure.message for end in recorder.ends if end.ending is Ending.LOST]
    assert "its lane did nothing for 5 s (timeouts.report)" in lost
    assert set(lost) <= {"its lane did nothing for 5 s (timeouts.report)", "its worker went away"}, "on their way to it"
    assert [trial.state for trial in recorder.controller.trials] == [TrialState.COMPLETE] * 6
    assert_gone(tmp_path)


@pytest.mark.slow
def test_a_trial_that_is_overdue_is_recalled_and_the_others_of_its_lane_go_on(lanes, tmp_path):
    class Impatient(Recorder):
        """The first segment that is held when the lane falls asleep is overdue."""

        def overdue(self):
            over = {(end.trial, end.segment) for end in self.ends}
            held = [segment.key for segment in self.pulled if segment.key not in over]
            recalled = any(end.ending is Ending.RECALLED for end in self.ends)
            return held[:1] if (tmp_path / "misbehaved").exists() and not recalled else []

    recorder = play_in_lane(lanes, tmp_path, Asleep(tmp_path, 4), driver=Impatient, scheduler=ALL, budget={"trials": 6})
    endings = Counter(end.ending for end in recorder.ends)
    assert endings[Ending.RECALLED] == 1
    assert endings[Ending.LOST] >= 1
    assert [trial.state for trial in recorder.controller.trials] == [TrialState.COMPLETE] * 6
    assert_gone(tmp_path)


@pytest.mark.parametrize(
    ("objective", "asked", "why"),
    [
        (lambda config, trial: None, {}, "executor: lanes train a Task, and the objective is a plain function"),
        (Clouds(), {"resources": Resources(isolate=True)}, "resources.isolate: .* in one process"),
        (Clouds(), {"resources": Resources(gpus=2)}, "resources.gpus: a lane trains on one GPU, got 2"),
        (Clouds(), {"timeouts": Timeouts(straggler=3)}, "timeouts.straggler: a lane runs no trial .* got 3"),
    ],
    ids=["function", "isolate", "gpus", "straggler"],
)
def test_what_no_lane_has_is_a_mistake(lanes, tmp_path, objective, asked, why):
    from tuner.execution import Job

    with pytest.raises(SpecError, match=why):
        lanes.check(Job("hand", objective, "loss", tmp_path, **asked))


def assert_gone(folder: Path) -> None:
    pid = int((folder / "misbehaved").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
