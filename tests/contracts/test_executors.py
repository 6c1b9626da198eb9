"""The executors against their contract, and against each other."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from by_hand import study_spec
from executor_objectives import Curve
from executors import CHECKS, Impatient, Recorder, decisions_of, play

from tuner.errors import ObjectiveError, RunFailed, SpecError, StoreError
from tuner.execution import Job, LocalExecutor
from tuner.execution.simulated import SimulatedExecutor
from tuner.records import Command, CommandKind, Ending, FailureKind, Report, TrialState


@pytest.fixture(scope="module")
def ray_executor():
    """One Ray for all tests of this file; executors use a connection that is there."""
    from tuner.execution.ray.executor import RayTuneExecutor  # sets Ray's environment

    ray = importlib.import_module("ray")
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    yield RayTuneExecutor()
    assert ray.is_initialized(), "a Ray that executors were given stays"
    ray.shutdown()


@pytest.fixture(params=["local", "ray", "simulated"])
def make(request):
    match request.param:
        case "local":
            return LocalExecutor
        case "simulated":
            return SimulatedExecutor
        case _:
            executor = request.getfixturevalue("ray_executor")
            return lambda: executor


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(make, check, tmp_path):
    check(make, tmp_path)


def test_with_one_worker_local_and_ray_give_the_same_trials(ray_executor, tmp_path):
    local = play(LocalExecutor(), tmp_path / "local", Curve(), budget={"trials": 20}, sampler={"name": "tpe"})
    ray = play(ray_executor, tmp_path / "ray", Curve(), budget={"trials": 20}, sampler={"name": "tpe"})
    assert decisions_of(local) == decisions_of(ray)


def test_with_one_worker_local_and_simulated_give_the_same_trials(tmp_path):
    local = play(LocalExecutor(), tmp_path / "local", Curve(), budget={"trials": 20}, sampler={"name": "tpe"})
    simulated = play(SimulatedExecutor(), tmp_path / "sim", Curve(), budget={"trials": 20}, sampler={"name": "tpe"})
    assert decisions_of(local) == decisions_of(simulated)
    assert [type(event) for event in local.journal] == [type(event) for event in simulated.journal]


def test_slow_epochs_change_nothing(ray_executor, tmp_path):
    """Reports that come slower than the pulse: each is posted by itself, while the objective works on."""
    parts = {"budget": {"trials": 4}, "fixed": {"pause": 0.45}}
    local = play(LocalExecutor(), tmp_path / "local", Curve(), **parts)
    ray = play(ray_executor, tmp_path / "ray", Curve(), **parts)
    assert decisions_of(local) == decisions_of(ray)
    assert [trial.state for trial in ray.controller.trials] == [trial.state for trial in local.controller.trials]


def test_a_trial_that_nobody_answers_still_learns_that_it_is_to_stop(ray_executor, tmp_path):
    """Without rungs no report is waited for; the budget's end is heard at the next one."""
    parts = {"budget": {"trials": None, "epochs": 4}, "fixed": {"pause": 0.45}}
    recorder = play(ray_executor, tmp_path, Curve(), scheduler={"name": "none", "max_resource": 8}, parallel=2, **parts)
    suspended = min(recorder.controller.trials, key=lambda trial: trial.resource)
    steps = (tmp_path / str(suspended.number) / "steps.txt").read_text().split()
    assert len(steps) <= suspended.resource + 2
    assert [trial.resource for trial in recorder.controller.trials].count(8) == 1


def test_two_workers_share_the_work(ray_executor, tmp_path):
    recorder = play(ray_executor, tmp_path, Slow(), parallel=2, budget={"trials": 8})
    workers = {(tmp_path / str(trial.number) / "worker").read_text() for trial in recorder.controller.trials}
    assert len(workers) == 2
    assert all(trial.ended for trial in recorder.controller.trials)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGKILL, FailureKind.WORKER_LOST), (signal.SIGTERM, FailureKind.PREEMPTED)]
)
def test_a_killed_worker_is_replaced_and_its_trial_goes_on(ray_executor, tmp_path, number, kind):
    recorder = play(ray_executor, tmp_path, KillsItsWorkerOnce(number), parallel=2, budget={"trials": 4})
    lost = [end for end in recorder.ends if end.ending is Ending.LOST]
    assert [(end.trial, end.failure.kind) for end in lost] == [(1, kind)]
    assert all(trial.failure is None for trial in recorder.controller.trials)
    again = [segment for segment in recorder.pulled if segment.trial == 1]
    assert [(s.index, s.start, s.until) for s in again] == [(0, 0, 1), (1, 1, 3), (2, 2, 3), (3, 3, 9)]


def test_silence_becomes_a_failure(ray_executor, tmp_path):
    parts = {"timeouts": {"report": 1.0}, "budget": {"trials": 3}, "failures": {"retries": 0}}
    recorder = play(ray_executor, tmp_path, SilentOnce(), **parts)
    assert [trial.failure and trial.failure.kind for trial in recorder.controller.trials] == [
        None,
        FailureKind.TIMEOUT,
        None,
    ]


THREE = {"name": "none", "max_resource": 3}


@pytest.mark.parametrize("isolate", [False, True], ids=["worker", "isolated"])
def test_what_is_stuck_is_abandoned_and_goes_on_from_its_checkpoint(ray_executor, tmp_path, isolate):
    parts = {"resources": {"isolate": isolate}, "budget": {"trials": 3}, "checkpoint": {"every": 1}}
    recorder = play(ray_executor, tmp_path, StuckOnce(), failures={"retries": 1}, scheduler=THREE, **parts)
    failed = [end for end in recorder.ends if end.ending is Ending.FAILED]
    assert [(end.trial, end.failure.kind, end.failure.message) for end in failed] == [
        (1, FailureKind.TIMEOUT, "a step took more than 0.3 s")
    ]
    assert [trial.state for trial in recorder.controller.trials] == [TrialState.COMPLETE] * 3
    assert [segment.start for segment in recorder.pulled if segment.trial == 1] == [0, 1]
    assert "abandoned: a step took more than 0.3 s" in (tmp_path / "1" / "log.txt").read_text()
    assert is_gone(int((tmp_path / "1" / "stuck").read_text()))


def test_a_segments_process_does_not_outlive_its_worker(ray_executor, tmp_path):
    """The worker is ended for its silence; the stuck process that it had started goes, too."""
    parts = {"resources": {"isolate": True}, "budget": {"trials": 2}, "timeouts": {"report": 3.0}}
    recorder = play(ray_executor, tmp_path, SilentOnce(), failures={"retries": 0}, **parts)
    assert recorder.controller.trials[1].failure.kind is FailureKind.TIMEOUT
    assert is_gone(int((tmp_path / "1" / "silent").read_text()))


@pytest.mark.parametrize("how", ["asleep", "isolated", "in native code"])
def test_a_worker_that_is_overdue_is_ended_however_stuck_it_is(ray_executor, tmp_path, how):
    """In native code that holds the interpreter's lock, nothing of its process can end it."""
    parts = {"resources": {"isolate": how == "isolated"}, "budget": {"trials": 3}, "checkpoint": {"every": 1}}
    objective = Stuck(native=how == "in native code")
    recorder = play(ray_executor, tmp_path, objective, driver=Impatient, scheduler=THREE, **parts)
    assert next(end.ending for end in recorder.ends if end.trial == 1) is Ending.RECALLED
    assert Ending.LOST not in {end.ending for end in recorder.ends}, "it is not held against the trial"
    assert [trial.state for trial in recorder.controller.trials] == [TrialState.COMPLETE] * 3
    assert [segment.start for segment in recorder.pulled if segment.trial == 1] == [0, 1]
    assert is_gone(int((tmp_path / "1" / "pid").read_text()))


def test_a_worker_that_works_on_although_its_trial_was_stopped_is_ended(ray_executor, tmp_path):
    """A report that nobody waits for is answered behind the objective's back: it is stuck before it hears of it."""

    class Stops(Impatient):
        def push(self, messages):
            reached = any(isinstance(m, Report) and (m.trial, m.resource) == (1, 1) for m in messages)
            if reached and self.controller.trials[1].segment:
                self.controller.on_command(Command(CommandKind.STOP, "ada", trial=1))
            return super().push(messages)

    recorder = play(ray_executor, tmp_path, Stuck(), driver=Stops, scheduler=THREE, budget={"trials": 3})
    assert [trial.state.value for trial in recorder.controller.trials] == ["complete", "pruned", "complete"]
    assert [end.ending for end in recorder.ends if end.trial == 1] == [Ending.RECALLED]
    assert is_gone(int((tmp_path / "1" / "pid").read_text()))


def is_gone(pid, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":  # ended; nobody has asked for its status yet
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


def test_isolated_segments_have_a_process_each(ray_executor, tmp_path):
    parts = {"resources": {"isolate": True}, "budget": {"trials": 3}, "failures": {"retries": 0}}
    recorder = play(ray_executor, tmp_path, DiesInTrialOne(), **parts)
    pids = [(tmp_path / name / "pid").read_text() for name in ("0", "2")]
    assert len({pid for text in pids for pid in text.split()}) == sum(len(text.split()) for text in pids)
    failed = recorder.controller.trials[1]
    assert failed.state is TrialState.FAILED
    assert "signal 9" in failed.failure.message


def test_what_cannot_be_pickled_is_a_mistake(ray_executor, tmp_path):
    job = Job("hand", lambda config, trial: LOCK, "loss", tmp_path)
    with pytest.raises(ObjectiveError, match=r"cannot be sent to workers: .*lock"):
        ray_executor.check(job)


def test_an_error_of_the_driver_is_not_the_trials(tmp_path):
    class Full(Recorder):
        def commit(self):
            super().commit()
            if len(self.reports) == 2:
                raise StoreError("no space left")

    recorder = Full(study_spec())
    with pytest.raises(StoreError, match="no space left"):
        LocalExecutor().run(Job("hand", Curve(), "loss", tmp_path), recorder)
    assert all(trial.failure is None for trial in recorder.controller.trials)


def test_an_objective_that_workers_cannot_load_ends_the_run(ray_executor, tmp_path):
    with pytest.raises(RunFailed, match="cannot load the objective: ValueError: not here"):
        play(ray_executor, tmp_path, CannotBeLoaded())


@pytest.mark.parametrize("resources", [{"cpus": 1000}, {"gpus": 999}])
def test_more_than_there_is_is_a_mistake(ray_executor, tmp_path, resources):
    with pytest.raises(SpecError, match="for a worker, but there are"):
        play(ray_executor, tmp_path, Curve(), resources=resources)
    assert not list(tmp_path.iterdir())


LOCK = threading.Lock()


class Slow:
    def __call__(self, config, trial):
        (trial.folder / "worker").write_text(str(os.getpid()))
        time.sleep(0.2)
        for epoch in range(trial.start + 1, trial.until + 1):
            trial.report(epoch, checkpoint={}, loss=config["x"])


class KillsItsWorkerOnce:
    def __init__(self, number):
        self.number = number

    def __call__(self, config, trial):
        marker = trial.folder / "killed"
        for epoch in range(trial.start + 1, trial.horizon + 1):
            if trial.number == 1 and epoch == 3 and not marker.exists():
                marker.touch()
                time.sleep(1.0)  # let the last report leave
                os.kill(os.getpid(), self.number)
                time.sleep(60)
            trial.report(epoch, checkpoint={}, loss=-float(trial.number == 1))


class SilentOnce:
    def __call__(self, config, trial):
        if trial.number == 1:
            (trial.folder / "silent").write_text(str(os.getpid()))
            time.sleep(60)
        for epoch in range(trial.start + 1, trial.until + 1):
            trial.report(epoch, checkpoint={}, loss=config["x"])


class StuckOnce:
    """Blocks in a call that it cannot leave; its watchdog is another thread."""

    def __call__(self, config, trial):
        marker = trial.folder / "stuck"
        for epoch in range(trial.start + 1, trial.until + 1):
            if (trial.number, epoch) == (1, 2) and not marker.exists():
                marker.write_text(str(os.getpid()))
                threading.Timer(0.3, trial.abandon, ["a step took more than 0.3 s"]).start()
                time.sleep(600)
            trial.report(epoch, checkpoint={}, loss=config["x"])


class Stuck:
    """Trial 1 never comes back from its second epoch, once."""

    def __init__(self, native=False):
        self.native = native

    def __call__(self, config, trial):
        marker = trial.folder / "dawdles"
        for epoch in range(trial.start + 1, trial.until + 1):
            if (trial.number, epoch) == (1, 2) and not marker.exists():
                time.sleep(0.5)  # let the report leave
                (trial.folder / "pid").write_text(str(os.getpid()))
                marker.touch()
                if self.native:
                    ctypes.PyDLL(None).sleep(600)
                time.sleep(600)
            trial.report(epoch, checkpoint={}, loss=config["x"])


class DiesInTrialOne:
    def __call__(self, config, trial):
        with (trial.folder / "pid").open("a") as file:
            file.write(f"{os.getpid()}\n")
        if trial.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        for epoch in range(trial.start + 1, trial.until + 1):
            trial.report(epoch, checkpoint={}, loss=config["x"])


class CannotBeLoaded:
    def __reduce__(self):
        return (_raise, (Path.cwd().name,))


def _raise(name):
    raise ValueError("not here")
