"""What every executor must do: put yours through `check_executor`.

    check_executor(lambda: MyExecutor(), tmp_path)

Its objectives are in executor_objectives.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from by_hand import controller_of, study_spec
from executor_objectives import Curve, Dawdling, LateWatchdog, Moody, Stubborn, Talkative, Unequal

from tuner.control import Nothing, StudyController
from tuner.execution import Executor, Job, Message
from tuner.records import (
    Decision,
    Details,
    Ending,
    Event,
    FailureKind,
    Pace,
    Report,
    Segment,
    SegmentEnd,
    SegmentIssued,
    TrialState,
)
from tuner.spec import StudySpec


class Recorder:
    """A driver without a store: a controller, and everything that passed."""

    def __init__(self, spec: StudySpec) -> None:
        self.controller: StudyController = controller_of(spec)
        self.pulled: list[Segment] = []
        self.reports: list[Report] = []
        self.decisions: list[Decision] = []
        self.ends: list[SegmentEnd] = []
        self.paces: list[Pace] = []
        self.journal: list[Event] = []

    def pull(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        segments = self.controller.next_segments(workers)
        if isinstance(segments, list):
            assert len(segments) <= len(workers)
            self.pulled.extend(segments)
        return segments

    def push(self, messages: Sequence[Message]) -> list[Decision]:
        decisions = []
        for message in messages:
            if isinstance(message, Report):
                decisions += self.controller.on_reports([message])
                self.reports.append(message)
                self.decisions.append(decisions[-1])
            elif isinstance(message, Pace):
                self.paces.append(message)
                decisions.append(Decision.CONTINUE)
            else:
                self.controller.on_segment_end(message)
                self.ends.append(message)
                decisions.append(Decision.STOP)
        return decisions

    def tick(self) -> None:
        pass

    def overdue(self) -> list[tuple[int, int]]:
        return []

    def commit(self) -> None:
        self.journal.extend(self.controller.take_changes().events)


class Impatient(Recorder):
    """A driver to which the first segment of trial 1 is overdue from the moment when it says that it dawdles."""

    dawdles: Path

    def overdue(self) -> list[tuple[int, int]]:
        over = any((end.trial, end.segment) == (1, 0) for end in self.ends)
        return [(1, 0)] if self.dawdles.exists() and not over else []


def play(
    executor: Executor,
    folder: Path,
    objective: Any,
    *,
    parallel: int | None = 1,
    driver: type[Recorder] = Recorder,
    **parts: Any,
) -> Recorder:
    """Run a small study to its end."""
    spec = study_spec(**({"checkpoint": {"every": 2}} | parts))
    recorder = driver(spec)
    if isinstance(recorder, Impatient):
        recorder.dawdles = folder / "1" / "dawdles"
    job = Job(
        study=spec.study,
        objective=objective,
        metric="loss",
        folder=folder,
        unit=spec.scheduler.unit,
        resources=spec.resources,
        checkpoint=spec.checkpoint,
        timeouts=spec.timeouts,
        parallel=parallel,
    )
    executor.run(job, recorder)
    assert recorder.controller.ended is not None
    return recorder


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
    recorder = play(make(), folder, Moody(), budget={"trials": 14}, failures={"retries": 0, "give_up_after": 13})
    trials = recorder.controller.trials
    said = {trial.number: trial.failure.message for trial in trials if trial.failure}
    assert set(said) == {0, 1, 2, 3, 4, 5, 6, 8, 9, 11, 12}, said
    assert "on purpose" in said[0]
    assert "executor_objectives.py:" in said[0], "the line of the user's code"
    assert "sys.exit(3)" in said[1]
    assert "nan" in said[2]
    assert "no 'loss'" in said[3]
    assert "reported: other" in said[3]
    assert "must be a number, got 'high'" in said[4]
    assert "without having reported" in said[5]
    assert r"no such file: \udcff" in said[8]
    assert "CancelledError" in said[9]
    assert said[11] == "the loss is NaN"
    assert trials[11].failure.kind is FailureKind.NON_FINITE
    assert trials[11].failure.details.startswith("step 7: inf\n\n")
    assert "executor_objectives.py" in trials[11].failure.details
    assert trials[12].failure.kind is FailureKind.EXCEPTION
    assert "unknown kind: 'sulking'" in said[12]
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


def check_attachments(make: Callable[[], Executor], folder: Path) -> None:
    """What was attached comes with its report and with no other; the pace comes by itself; both decide nothing."""
    scheduler = {"name": "asha", "max_resource": 3, "unit": "step"}
    recorder = play(make(), folder, Talkative(), scheduler=scheduler, budget={"trials": 4})
    assert any(report.resource > 1 for report in recorder.reports)
    for report in recorder.reports:
        if report.resource == 1:
            assert report.details is None
            continue
        expected = Details(
            {"loss": (1 / report.resource, math.nan, float(report.resource))},
            (f"epoch {report.resource}", r"größe \ud83c"),
        )
        assert repr(report.details) == repr(expected)
    assert {(pace.trial, pace.seconds) for pace in recorder.paces} == {(n, 0.25 + n) for n in range(4)}
    assert {(pace.trial, pace.segment) for pace in recorder.paces} <= {segment.key for segment in recorder.pulled}
    assert [end.ending for end in recorder.ends].count(Ending.FAILED) == 0
    assert (folder / "0" / "given").read_text() == "step 0 cpu"


def check_late_watchdog(make: Callable[[], Executor], folder: Path) -> None:
    """An objective that is abandoned after its segment's end takes nothing with it."""
    recorder = play(make(), folder, LateWatchdog(), budget={"trials": 2}, scheduler={"name": "none", "max_resource": 1})
    assert [trial.state for trial in recorder.controller.trials] == [TrialState.COMPLETE] * 2
    assert {end.ending for end in recorder.ends} <= {Ending.REACHED, Ending.STOPPED}
    assert (folder / "0" / "late").exists()
    assert "too late" not in (folder / "0" / "log.txt").read_text()


def check_wrong_attachments(make: Callable[[], Executor], folder: Path) -> None:
    """A mistake in what is attached is told, and keeps nothing; too many events are counted."""
    recorder = play(make(), folder, Unequal(), budget={"trials": 1}, scheduler={"name": "none", "max_resource": 2})
    said = (folder / "0" / "said").read_text().splitlines()
    signs = [
        "equally long",
        "sequence of numbers",
        "must be a number",
        "at most",
        "list of sentences",
        "-1",
        "nan",
        "slow",
    ]
    assert all(sign in line for sign, line in zip(signs, said, strict=True)), said
    (report,) = recorder.reports
    assert report.details is not None
    assert report.details.curves == {}
    assert len(report.details.events) == 201
    assert report.details.events[-1] == "... and 100 more events"


def check_overdue(make: Callable[[], Executor], folder: Path) -> None:
    """What is overdue ends, by itself or with its worker's process, once; the study goes on, and so does the trial."""
    parts = {"scheduler": {"name": "none", "max_resource": 3}, "budget": {"trials": 3}, "checkpoint": {"every": 1}}
    recorder = play(make(), folder, Dawdling(), driver=Impatient, **parts)
    assert [trial.state for trial in recorder.controller.trials] == [TrialState.COMPLETE] * 3
    assert sorted((end.trial, end.segment) for end in recorder.ends) == sorted(s.key for s in recorder.pulled)
    endings = [end.ending for end in recorder.ends if end.trial == 1]
    assert endings in ([Ending.REACHED], [Ending.STOPPED], [Ending.RECALLED, endings[-1]])
    again = [segment.start for segment in recorder.pulled if segment.trial == 1]
    assert again == [0, 1][: len(endings)], "from its last checkpoint"


def check_executor(make: Callable[[], Executor], folder: Path) -> None:
    """The whole contract, as far as one worker shows it."""
    for check in CHECKS:
        check(make, folder / check.__name__)


CHECKS = [
    check_one_worker,
    check_stopping,
    check_failures,
    check_stubborn,
    check_attachments,
    check_wrong_attachments,
    check_late_watchdog,
    check_overdue,
]


def decisions_of(recorder: Recorder) -> list[Any]:
    """A study without what differs from run to run: seconds, worker names, checksums' files."""
    return [
        (event.segment.key, event.segment.start, event.segment.until, dict(event.segment.config))
        for event in recorder.journal
        if isinstance(event, SegmentIssued)
    ] + [(report.trial, report.segment, report.resource, dict(report.metrics)) for report in recorder.reports]
