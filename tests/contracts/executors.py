"""What every executor must do: put yours through `check_executor`.

    check_executor(lambda: MyExecutor(), tmp_path)

Objectives here are classes with `__call__`, so that they can be sent to other processes; what they did is told by the
files they leave in their trials' folders.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from by_hand import controller_of, study_spec

from tuner.control import Nothing, StudyController
from tuner.execution import Executor, Job
from tuner.objective import TrialHandle
from tuner.records import Decision, Event, Report, Segment, SegmentEnd, SegmentIssued, TrialState
from tuner.spec import StudySpec


class Recorder:
    """A driver without a store: a controller, and everything that passed."""

    def __init__(self, spec: StudySpec) -> None:
        self.controller: StudyController = controller_of(spec)
        self.pulled: list[Segment] = []
        self.reports: list[Report] = []
        self.decisions: list[Decision] = []
        self.ends: list[SegmentEnd] = []
        self.journal: list[Event] = []

    def pull(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        segments = self.controller.next_segments(workers)
        if isinstance(segments, list):
            assert len(segments) <= len(workers)
            self.pulled.extend(segments)
        return segments

    def push(self, messages: Sequence[Report | SegmentEnd]) -> list[Decision]:
        decisions = []
        for message in messages:
            if isinstance(message, Report):
                decisions += self.controller.on_reports([message])
                self.reports.append(message)
                self.decisions.append(decisions[-1])
            else:
                self.controller.on_segment_end(message)
                self.ends.append(message)
                decisions.append(Decision.STOP)
        return decisions

    def tick(self) -> None:
        pass

    def commit(self) -> None:
        self.journal.extend(self.controller.take_changes().events)


def play(executor: Executor, folder: Path, objective: Any, *, parallel: int | None = 1, **parts: Any) -> Recorder:
    """Run a small study to its end."""
    spec = study_spec(**({"checkpoint": {"every": 2}} | parts))
    recorder = Recorder(spec)
    job = Job(
        study=spec.study,
        objective=objective,
        metric="loss",
        folder=folder,
        resources=spec.resources,
        checkpoint=spec.checkpoint,
        timeouts=spec.timeouts,
        parallel=parallel,
    )
    executor.run(job, recorder)
    assert recorder.controller.ended is not None
    return recorder


class Curve:
    """Reports a curve that depends on everything it should; counts its steps in the checkpoint and in a file."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> None:
        state = trial.checkpoint or {"steps": 0}
        assert state["steps"] == trial.start, "the checkpoint is that of the resource it starts from"
        for epoch in range(trial.start + 1, trial.until + 1):
            with (trial.folder / "steps.txt").open("a") as file:
                file.write(f"{epoch}\n")
            state = {"steps": state["steps"] + 1}
            loss = abs(config["x"] - 0.3) + 1 / epoch + (trial.seed % 1000) / 1e6
            print(f"epoch {epoch}")
            time.sleep(config.get("pause", 0.0))
            trial.report(epoch, checkpoint=state, loss=loss)


class Moody:
    """Fails in as many ways as there are trials."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> Any:
        match trial.number:
            case 0:
                raise ValueError("on purpose")
            case 1:
                sys.exit(3)
            case 2:
                trial.report(1, loss=math.nan)
            case 3:
                trial.report(1, other=1.0)
            case 4:
                trial.report(2, loss="high")
            case 5:
                return None
            case 6:
                trial.report(0, loss=0.5)
            case 8:
                raise Untellable(b"\xff".decode("utf-8", "surrogateescape"))
            case 9:
                raise asyncio.CancelledError
            case 10:
                trial.report(np.int64(1), loss=np.float32(2.0))
            case 7:
                return 0.25
            case _:
                for epoch in range(trial.start + 1, trial.until + 1):
                    trial.report(epoch, loss=1.0)
        return None


class Untellable(Exception):
    """Its text cannot be written to a file, and its arguments cannot be shown."""

    def __str__(self) -> str:
        return f"no such file: {self.args[0]}"


class Stubborn:
    """Does not let StopTrial pass."""

    def __call__(self, config: dict[str, Any], trial: TrialHandle) -> None:
        for epoch in range(trial.start + 1, trial.horizon + 1):
            try:
                trial.report(epoch, loss=float(trial.number))
            except BaseException:  # noqa: BLE001 (on purpose)
                (trial.folder / "swallowed").touch()


def check_one_worker(make: Callable[[], Executor], folder: Path) -> None:
    """Segments, reports, ends, checkpoints and logs, with one worker."""
    recorder = play(make(), folder, Curve())
    keys = [segment.key for segment in recorder.pulled]
    assert sorted(keys) == sorted({(end.trial, end.segment) for end in recorder.ends}), "each segment ends once"
    assert len(recorder.ends) == len(keys)
    assert [(report.trial, report.segment) for report in recorder.reports] == [
        segment.key for segment in recorder.pulled for _ in range(segment.until - segment.start)
    ]
    for trial in recorder.controller.trials:
        steps = (folder / str(trial.number) / "steps.txt").read_text().split()
        assert steps == [str(epoch) for epoch in range(1, trial.resource + 1)], "no step too many, none twice"
        log = (folder / str(trial.number) / "log.txt").read_text()
        assert log.count("epoch") == trial.resource
        assert len(list((folder / str(trial.number)).glob("*.ckpt"))) >= 1
    assert any(trial.state is TrialState.COMPLETE for trial in recorder.controller.trials)


def check_stopping(make: Callable[[], Executor], folder: Path) -> None:
    """A trial that is told to stop works no more, also one that has not arrived at its last resource."""
    scheduler = {"name": "asha", "type": "stop", "max_resource": 9}
    recorder = play(make(), folder, Curve(), scheduler=scheduler)
    stopped = [trial for trial in recorder.controller.trials if trial.state is TrialState.PRUNED]
    assert stopped
    for trial in stopped:
        assert (folder / str(trial.number) / "steps.txt").read_text().split()[-1] == str(trial.resource)
        assert trial.resource in (1, 3)


def check_failures(make: Callable[[], Executor], folder: Path) -> None:
    """A failing objective ends its own segment only, and says why."""
    recorder = play(make(), folder, Moody(), budget={"trials": 14}, failures={"retries": 0, "give_up_after": 9})
    trials = recorder.controller.trials
    said = {trial.number: trial.failure.message for trial in trials if trial.failure}
    assert set(said) == {0, 1, 2, 3, 4, 5, 6, 8, 9}, said
    assert "on purpose" in said[0]
    assert "executors.py:" in said[0], "the line of the user's code"
    assert "sys.exit(3)" in said[1]
    assert "nan" in said[2]
    assert "no 'loss'" in said[3]
    assert "reported: other" in said[3]
    assert "must be a number, got 'high'" in said[4]
    assert "without having reported" in said[5]
    assert r"no such file: \udcff" in said[8]
    assert "CancelledError" in said[9]
    assert "resource 0 after 0: it must rise" in said[6]
    assert (trials[7].state, trials[7].resource, trials[7].loss) == (TrialState.COMPLETE, 9, 0.25)
    assert "on purpose" in (folder / "0" / "log.txt").read_text()


def check_stubborn(make: Callable[[], Executor], folder: Path) -> None:
    """Swallowing StopTrial helps nobody: no further report is taken."""
    recorder = play(make(), folder, Stubborn())
    assert (folder / "0" / "swallowed").exists()
    for trial in recorder.controller.trials:
        assert max(trial.losses) == trial.resource
        assert trial.resource in (1, 3, 9)


def check_executor(make: Callable[[], Executor], folder: Path) -> None:
    """The whole contract, as far as one worker shows it."""
    for check in CHECKS:
        check(make, folder / check.__name__)


CHECKS = [check_one_worker, check_stopping, check_failures, check_stubborn]


def decisions_of(recorder: Recorder) -> list[Any]:
    """A study without what differs from run to run: seconds, worker names, checksums' files."""
    return [
        (event.segment.key, event.segment.start, event.segment.until, dict(event.segment.config))
        for event in recorder.journal
        if isinstance(event, SegmentIssued)
    ] + [(report.trial, report.segment, report.resource, dict(report.metrics)) for report in recorder.reports]
