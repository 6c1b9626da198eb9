"""Simulated workers: who does what when, what costs, what fails; all of it known beforehand."""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from queue import SimpleQueue

import numpy as np
import pytest
from by_hand import study_spec
from executors import Recorder, decisions_of
from replays import FULL, Formula, Trials, Witness, replay

from tuner.errors import RunFailed, SpecError, StoreError, UserMistake
from tuner.execution import Job
from tuner.execution.simulated import Costs, SimulatedExecutor
from tuner.records import Decision, Ending, FailureKind, Report, Segment, SegmentEnd, TrialState, encode_event


def test_full_trainings_of_one_length_run_in_waves():
    """7 trials of 9 epochs of 2 s over 3 workers: ceil(7 / 3) waves of 18 s."""
    executor = SimulatedExecutor()
    witness = replay(
        Formula(seconds=lambda trial, config: 2.0), parallel=3, executor=executor, scheduler=FULL, budget={"trials": 7}
    )
    assert executor.clock() == 3 * 18.0
    assert witness.begun() == [(18.0 * (n // 3), f"worker-{n % 3}", n) for n in range(7)]
    assert witness.pulls == [3, 3, 3, 3]


def test_the_next_trial_goes_to_whoever_is_free_first():
    """Seconds per trial 9, 18, 27, 9: two workers take 0, 1; then 2 at 9 s, 3 at 18 s."""
    per_epoch = [1.0, 2.0, 3.0, 1.0]
    executor = SimulatedExecutor()
    witness = replay(
        Formula(seconds=lambda trial, config: per_epoch[trial]),
        parallel=2,
        executor=executor,
        scheduler=FULL,
        budget={"trials": 4},
    )
    assert witness.begun() == [
        (0.0, "worker-0", 0),
        (0.0, "worker-1", 1),
        (9.0, "worker-0", 2),
        (18.0, "worker-1", 3),
    ]
    assert executor.clock() == 36.0


def test_workers_that_wait_take_a_promotion_at_the_instant_it_is_earned():
    """Four trials, budget spent: the best of three at rung 1 is promoted as soon as the third has reported."""
    seconds = [1.0, 2.0, 4.0]
    witness = replay(
        Formula(losses=Trials({0: [0.3] * 9, 1: [0.1] * 9, 2: [0.2] * 9}), seconds=lambda trial, _: seconds[trial]),
        parallel=3,
        scheduler={"name": "asha", "max_resource": 3},
        budget={"trials": 3},
    )
    assert witness.begun()[3:] == [(4.0, "worker-0", 1)]
    last = [(when, what.resource) for when, _, what in witness.said if isinstance(what, Report) and what.trial == 1]
    assert last == [(2.0, 1), (6.0, 2), (8.0, 3)], "it goes on from its checkpoint"


def test_everything_around_the_training_takes_its_time():
    """One worker, one trial, ASHA stops nobody: start 100, two segments of 10, loads 3, saves 1 a checkpoint."""
    costs = Costs(
        worker_start_seconds=100, segment_start_seconds=10, checkpoint_load_seconds=3, checkpoint_save_seconds=1
    )
    executor = SimulatedExecutor(costs)
    witness = replay(
        Formula(),
        executor=executor,
        scheduler={"name": "asha", "max_resource": 3},
        budget={"trials": 1},
        checkpoint={"every": 2},
    )
    assert [(when, what.resource, what.seconds) for when, _, what in witness.said if isinstance(what, Report)] == [
        (112.0, 1, 2.0),  # 100 + 10 + an epoch + a checkpoint where a segment ends
        (127.0, 2, 2.0),  # 10 + 3, an epoch, a checkpoint every two
        (129.0, 3, 2.0),
    ]
    assert executor.clock() == 129.0


def test_slow_workers_are_slow_by_their_own_factor():
    costs = Costs(speed_spread=0.5, seed=3)
    slowness = [costs.slowness(worker) for worker in range(400)]
    assert len(set(slowness)) == 400
    assert np.median(slowness) == pytest.approx(1.0, abs=0.15)
    assert np.std(np.log(slowness)) == pytest.approx(0.5, rel=0.15)
    witness = replay(Formula(), parallel=4, costs=costs, scheduler=FULL, budget={"trials": 4})
    ends = {worker: when for when, worker, what in witness.said if isinstance(what, Report)}
    assert ends == {f"worker-{n}": pytest.approx(9 * slowness[n]) for n in range(4)}


def test_failures_and_lost_workers_come_as_often_as_they_should_and_the_trials_go_on():
    costs = Costs(failure_probability=0.2, loss_probability=0.1, worker_start_seconds=50, seed=1)
    parts = {"budget": {"trials": 300}, "failures": {"retries": 20}, "scheduler": FULL}
    witness = replay(Formula(), parallel=8, costs=costs, **parts)
    endings = [end.ending for end in witness.ends]
    assert endings.count(Ending.FAILED) / len(endings) == pytest.approx(0.2, abs=0.06)
    assert endings.count(Ending.LOST) / len(endings) == pytest.approx(0.1, abs=0.05)
    assert all(trial.state is TrialState.COMPLETE for trial in witness.controller.trials)
    assert {trial.resource for trial in witness.controller.trials} == {9}
    free_at = {}
    for when, worker, what in witness.said:
        if getattr(what, "ending", None) is Ending.LOST:
            free_at[worker] = when + 50
        elif isinstance(what, Segment):
            assert when >= free_at.get(worker, 0.0), "a lost worker has to start again"


def test_a_mishap_strikes_on_the_way():
    """A segment that fails for certain: its training takes as long as it got, and what it reported before stays."""
    costs = Costs(failure_probability=1.0)
    parts = {"budget": {"trials": 20}, "failures": {"retries": 0, "give_up_after": 20}}
    witness = replay(Formula(), costs=costs, scheduler=FULL, **parts)
    began = {what.trial: when for when, _, what in witness.said if isinstance(what, Segment)}
    lasted = {what.trial: when - began[what.trial] for when, _, what in witness.said if isinstance(what, SegmentEnd)}
    for trial in witness.controller.trials:
        assert trial.state is TrialState.FAILED
        assert trial.failure.message == "a simulated failure"
        assert trial.resource == math.floor(lasted[trial.number])
    assert len({round(seconds, 6) for seconds in lasted.values()}) == 20


def test_the_time_budget_is_of_virtual_minutes():
    """Trials of 54 s: two workers finish 111 each in 5,994 s, and the next two are suspended at 6,000 s, 100 min."""
    executor = SimulatedExecutor()
    witness = replay(
        Formula(seconds=lambda trial, config: 6.0),
        executor=executor,
        scheduler=FULL,
        budget={"trials": None, "minutes": 100},
        parallel=2,
    )
    assert executor.clock() == 6000.0
    assert [trial.resource for trial in witness.controller.trials] == [9] * 222 + [1, 1]
    assert "time budget of 100 min" in witness.controller.ended.reason


def test_a_sampler_may_be_charged():
    class Slow(Witness):
        def pull(self, workers):
            time.sleep(0.02)
            return super().pull(workers)

    def makespan(costs):
        executor = SimulatedExecutor(costs)
        slow = Slow(study_spec(scheduler=FULL, budget={"trials": 3}), executor.clock)
        executor.run(Job("hand", Formula(), "loss", __file__, parallel=1), slow)
        return executor.clock(), executor.sampler_seconds

    assert makespan(Costs())[0] == 27.0
    seconds, measured = makespan(Costs(charge_sampler=100.0))
    assert measured >= 4 * 0.02
    assert 27.0 + 3 * 2.0 <= seconds <= 27.0 + 100 * measured


def test_a_curve_that_is_not_a_number_fails_its_trial_and_a_short_one_completes_it():
    losses = Trials({0: [0.5, math.nan, math.nan], 1: [0.5, 0.4], 2: [0.3] * 9})
    witness = replay(Formula(losses=losses), scheduler=FULL, budget={"trials": 3})
    states = [(trial.state, trial.resource) for trial in witness.controller.trials]
    assert states == [(TrialState.FAILED, 2), (TrialState.COMPLETE, 2), (TrialState.COMPLETE, 9)]
    assert witness.controller.trials[0].failure.kind is FailureKind.NON_FINITE


@pytest.mark.parametrize("costs", [Costs(), Costs(failure_probability=0.1, loss_probability=0.1, speed_spread=0.3)])
def test_the_same_study_in_another_process(costs):
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        elsewhere = pool.apply(digest_of, (costs,))
    assert digest_of(costs) == elsewhere


def digest_of(costs):
    sys.path[:0] = ["tests", "tests/contracts"]
    parts = {"sampler": {"name": "tpe"}, "budget": {"trials": 40}, "failures": {"retries": 2}}
    witness = replay(Formula(seconds=lambda trial, config: 1 + config["x"]), parallel=5, costs=costs, **parts)
    stamped = "\n".join([repr(witness.said), *(encode_event(event).decode() for event in witness.journal)])
    return hashlib.sha256(stamped.encode()).hexdigest()


def test_objectives_share_one_thread_of_control_and_their_prints_go_to_their_logs(tmp_path, capsys):
    parts = {"budget": {"trials": 6}, "scheduler": {"name": "asha", "max_resource": 9}}
    executor = SimulatedExecutor(seconds_per_unit=2.0)
    witness = replay(Chatty(), parallel=3, executor=executor, folder=tmp_path, **parts)
    assert all(report.seconds == 2.0 for report in witness.reports)
    for trial in witness.controller.trials:
        lines = (tmp_path / str(trial.number) / "log.txt").read_text().splitlines()
        said = [line for line in lines if not line.startswith("---")]
        assert said == [f"{trial.number} at {epoch}" for epoch in range(1, trial.resource + 1)]
    assert capsys.readouterr().out == ""
    again = replay(
        Chatty(), parallel=3, executor=SimulatedExecutor(seconds_per_unit=2.0), folder=tmp_path / "2", **parts
    )
    assert decisions_of(witness) == decisions_of(again)


class Chatty:
    at_work = threading.Semaphore(1)

    def __call__(self, config, trial):
        for epoch in range(trial.start + 1, trial.until + 1):
            assert self.at_work.acquire(blocking=False), "one works at a time"
            print(f"{trial.number} at {epoch}")
            self.at_work.release()
            trial.report(epoch, checkpoint={}, loss=abs(config["x"] - 0.3))


def test_one_that_is_abandoned_fails_alone(tmp_path):
    witness = replay(StuckOnce(), folder=tmp_path, scheduler=FULL, budget={"trials": 3})
    failures = [trial.failure and trial.failure.kind for trial in witness.controller.trials]
    assert failures == [None, FailureKind.TIMEOUT, None]


class StuckOnce:
    def __call__(self, config, trial):
        if trial.number == 1:
            threading.Timer(0.05, self.bark, [trial]).start()
            threading.Event().wait(3600)
        trial.report(trial.until, loss=config["x"])

    def bark(self, trial):
        with pytest.raises(SystemExit):  # which would end a real watchdog's thread, silently
            trial.abandon("stuck")


def test_a_driver_that_fails_stops_the_objectives(tmp_path):
    class Full(Recorder):
        def push(self, messages):
            if len(self.reports) >= 4:
                raise StoreError("no space left")
            return super().push(messages)

    objective = Listening()
    recorder = Full(study_spec(scheduler=FULL))
    with pytest.raises(StoreError, match="no space left"):
        SimulatedExecutor(seconds_per_unit=1.0).run(Job("hand", objective, "loss", tmp_path, parallel=3), recorder)
    assert objective.heard(3) == ["StopTrial"] * 3


def test_an_interruption_passes_and_stops_the_objectives(tmp_path):
    objective = Listening(interrupts=True)
    with pytest.raises(KeyboardInterrupt):
        replay(objective, parallel=3, folder=tmp_path, scheduler=FULL)
    assert objective.heard(3) == ["StopTrial"] * 3


class Listening:
    """Keeps what ended it; its third trial may interrupt the process."""

    def __init__(self, interrupts=False):
        self.interrupts = interrupts
        self.ended_by = SimpleQueue()

    def __call__(self, config, trial):
        try:
            for epoch in range(trial.start + 1, trial.until + 1):
                if self.interrupts and (trial.number, epoch) == (2, 1):
                    os.kill(os.getpid(), signal.SIGINT)
                trial.report(epoch, loss=config["x"])
        except BaseException as error:
            self.ended_by.put(type(error).__name__)
            raise

    def heard(self, n):
        return [self.ended_by.get(timeout=30) for _ in range(n)]


def test_what_cannot_be():
    with pytest.raises(SpecError, match="any number of simulated workers"):
        SimulatedExecutor().check(Job("hand", Formula(), "loss", __file__, parallel=None))
    for wrong in ({"failure_probability": -0.1}, {"speed_spread": math.nan}):
        with pytest.raises(UserMistake, match=f"Costs: {next(iter(wrong))}"):
            Costs(**wrong)
    with pytest.raises(UserMistake, match="must not exceed 1"):
        Costs(failure_probability=0.6, loss_probability=0.6)

    class Waits(Recorder):
        def push(self, messages):
            return [Decision.STOP for _ in messages]

    with pytest.raises(RunFailed, match="a segment that nobody has"):
        SimulatedExecutor().run(Job("hand", Formula(), "loss", __file__, parallel=2), Waits(study_spec()))
