"""One segment from the inside: the `trial` that an objective is given, and how its end is told."""

from __future__ import annotations

import math
import numbers
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol, final

from tuner.errors import CheckpointError, StopTrial, UserMistake
from tuner.execution._base import Job
from tuner.execution.abandoning import Abandon, leave
from tuner.execution.attachment import Attachment
from tuner.execution.devices import device_of
from tuner.execution.failures import failure_of
from tuner.execution.numbers import as_float, as_floats
from tuner.execution.trial_log import LOG_NAME, trial_log
from tuner.objective import CheckpointState
from tuner.records import (
    Checkpoint,
    Config,
    Decision,
    Ending,
    Failure,
    FailureKind,
    Pace,
    Report,
    Segment,
    SegmentEnd,
)
from tuner.training.checkpoint import load, save


class Send(Protocol):
    """The way out of a segment: takes a report; if `wait`, returns the decision on it, else may return CONTINUE.

    A pace is never waited for.
    """

    def __call__(self, message: Report | Pace, /, *, wait: bool) -> Decision: ...


class DriverFailed(BaseException):
    """Raised by a `Send` where the driver has failed: no fault of the objective through which it rises."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@final
class TrialRun:
    """The `trial` of an objective `(config, trial)`: see tuner.objective.TrialHandle."""

    def __init__(
        self,
        job: Job,
        segment: Segment,
        send: Send,
        *,
        abandon: Abandon,
        gpus: float,
        state: dict[str, Any] | None,
    ) -> None:
        self.number = segment.trial
        self.seed = segment.seed
        self.start = segment.start
        self.until = segment.until
        self.horizon = segment.horizon
        self.unit = job.unit
        self.checkpoint = state
        self.folder = trial_folder(job, segment.trial)
        self.threads = max(1, int(job.resources.cpus))
        self.device = device_of(gpus)
        self.gpus = math.ceil(gpus)
        self.last = segment.start
        """The last resource reported."""
        self.over = False
        """Whether the objective has returned, or raised."""
        self.told = Decision.CONTINUE
        self._job = job
        self._segment = segment
        self._send = send
        self._abandon = abandon
        self._attached = Attachment()
        self._since = time.perf_counter()

    def report(
        self,
        resource: int,
        /,
        *,
        checkpoint: CheckpointState | Callable[[], CheckpointState] | None = None,
        **metrics: float,
    ) -> None:
        """See tuner.objective.TrialHandle."""
        if self.told is not Decision.CONTINUE:
            raise StopTrial(f"the trial was told to {self.told}")
        resource = self._checked(resource)
        values = as_floats(metrics)
        kept = self._keep(resource, checkpoint) if checkpoint is not None else None
        now = time.perf_counter()
        seconds = now - self._since
        report = Report(self.number, self._segment.index, resource, values, seconds, kept, self._attached.take())
        wait = resource >= self.until or any(self.last < due <= resource for due in self._segment.decide_at)
        self.told = self._send(report, wait=wait)
        self.last = resource
        self._since = time.perf_counter()
        if self.told is not Decision.CONTINUE:
            raise StopTrial(f"the trial was told to {self.told}")

    def attach(self, *, curves: Mapping[str, Sequence[float]] | None = None, events: Sequence[str] = ()) -> None:
        """See tuner.objective.TrialHandle. Called again before the report, it lengthens what is there."""
        self._attached.add(curves, events)

    def pace(self, seconds: float) -> None:
        """See tuner.objective.TrialHandle."""
        value = as_float("trial.pace", "seconds", seconds)
        if not (math.isfinite(value) and value >= 0):
            raise UserMistake(f"trial.pace: seconds must be finite and not negative, got {value}")
        self._send(Pace(self.number, self._segment.index, value), wait=False)

    def abandon(self, reason: str) -> NoReturn:
        """See tuner.objective.TrialHandle. Once the objective has returned, it ends the calling thread alone."""
        if self.over:
            sys.exit()
        with suppress(OSError), (self.folder / LOG_NAME).open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"abandoned: {reason}\n")
        failure = Failure(FailureKind.TIMEOUT, reason)
        self._abandon(SegmentEnd(self.number, self._segment.index, Ending.FAILED, failure))

    def _checked(self, resource: int) -> int:
        if isinstance(resource, bool) or not isinstance(resource, numbers.Integral):
            raise UserMistake(f"trial.report: the resource must be a whole number, got {resource!r}")
        if resource <= self.last:
            raise UserMistake(
                f"trial.report: resource {resource} after {self.last}: it must rise",
                hint="Go on after trial.start: for epoch in range(trial.start + 1, trial.until + 1).",
            )
        return int(resource)

    def _keep(self, resource: int, state: CheckpointState | Callable[[], CheckpointState]) -> Checkpoint | None:
        every = self._job.checkpoint.every
        if resource < self.until and resource // every == self.last // every:
            return None
        name = f"{resource:09d}-{self._segment.index:03d}.ckpt"
        size, sha256 = save(state() if callable(state) else state, self.folder / name)
        return Checkpoint(resource, f"{self.number}/{name}", size, sha256)


def run_segment(
    job: Job,
    segment: Segment,
    send: Send,
    *,
    abandon: Abandon | None = None,
    gpus: float = 0.0,
    echo: bool = False,
) -> SegmentEnd:
    """Run the objective for one segment, in this process, and say how it ended.

    Whatever it prints goes to the trial's log, and to the terminal as well if `echo`. KeyboardInterrupt passes through.
    `gpus` are those of this worker. `abandon` tells the end of a stuck segment and ends this process; left out, the
    process ends with a message on stderr.
    """
    abandon = partial(leave, job.study) if abandon is None else abandon
    folder = trial_folder(job, segment.trial)
    folder.mkdir(parents=True, exist_ok=True)
    with trial_log(folder, segment, echo=echo):
        ending, failure = _attempt(job, segment, send, abandon, gpus)
        if failure is not None:
            print(failure.details or failure.message)
        return SegmentEnd(segment.trial, segment.index, ending, failure)


def _attempt(job: Job, segment: Segment, send: Send, abandon: Abandon, gpus: float) -> tuple[Ending, Failure | None]:
    try:
        trial = TrialRun(job, segment, send, abandon=abandon, gpus=gpus, state=_load(job, segment))
        return _run(job, segment.config, trial), None
    except (KeyboardInterrupt, DriverFailed):
        raise
    except CheckpointError as error:  # it cannot be read, or the trainer cannot go on from it
        return Ending.FAILED, Failure(FailureKind.CHECKPOINT, str(error))
    except BaseException as error:  # noqa: BLE001 (whatever the objective lets out is its failure, not ours)
        return Ending.FAILED, failure_of(error)


def trial_folder(job: Job, trial: int) -> Path:
    """Where a trial keeps its log, its checkpoints and what else it writes."""
    return job.folder / str(trial)


def _load(job: Job, segment: Segment) -> dict[str, Any] | None:
    kept = segment.checkpoint
    return None if kept is None else load(job.folder / kept.path, sha256=kept.sha256, size=kept.size)


def _run(job: Job, config: Config, trial: TrialRun) -> Ending:
    try:
        result = _call(job.objective, config, trial)
        if result is not None and trial.last == trial.start:
            # A function that reports nothing has trained in full: what it returns counts as its last report.
            values = result if isinstance(result, Mapping) else {job.metric: result}
            trial.report(trial.horizon, **values)
    except StopTrial:
        return Ending.STOPPED
    finally:
        trial.over = True
    return Ending.REACHED if trial.last >= trial.until else Ending.FINISHED


def _call(objective: Any, config: Config, trial: TrialRun) -> Any:
    if getattr(objective, "__tuner_task__", False):
        from tuner.training import train  # imports torch: only for those who need it

        return train(objective, config, trial)
    return objective(dict(config), trial)
