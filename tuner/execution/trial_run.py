"""One segment from the inside: the `trial` that an objective is given, and how its end is told."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, NoReturn, Protocol, TextIO, final

from tuner.errors import StopTrial
from tuner.execution._base import Aside, Job
from tuner.execution.abandoning import Abandon, leave
from tuner.execution.of_segment import OfSegment
from tuner.execution.reporter import Reporter, checked_pace, load_state
from tuner.execution.room import when_there_is_room
from tuner.execution.trial_log import LOG_NAME, trial_log
from tuner.execution.workspace import Workspace, open_workspace
from tuner.failures import failure_of, printable
from tuner.objective import CheckpointState
from tuner.records import (
    Config,
    Decision,
    Ending,
    Failure,
    FailureKind,
    Pace,
    Report,
    Segment,
    SegmentEnd,
    Waiting,
)


class Send(Protocol):
    """The way out of a segment: takes a report; if `wait`, returns the decision on it, else may return CONTINUE.

    An aside is never waited for.
    """

    def __call__(self, message: Report | Aside, /, *, wait: bool) -> Decision: ...


class DriverFailed(BaseException):
    """Raised by a `Send` where the driver has failed: no fault of the objective through which it rises."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@final
class TrialRun(OfSegment):
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
        workspace: Workspace,
    ) -> None:
        super().__init__(job, segment, gpus)
        self.checkpoint = state
        self.folder = workspace.folder
        self.over = False
        """Whether the objective has returned, or raised."""
        self.told = Decision.CONTINUE
        self._job = job
        self._segment = segment
        self._send = send
        self._abandon = abandon
        self._workspace = workspace
        self._reporter = Reporter(job, segment, workspace, self._wait_for_room)

    @property
    def last(self) -> int:
        """The last resource reported."""
        return self._reporter.last

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
        resource, values = self._reporter.checked(resource, metrics)
        wait = self._reporter.is_decided(resource)
        kept = None
        if checkpoint is not None and self._reporter.is_kept(resource):
            kept, events = self._reporter.keep(resource, checkpoint)
            self._reporter.attached.add(None, events)
        self.told = self._send(self._reporter.report(resource, values, kept), wait=wait)
        self._reporter.go_on()
        if self.told is not Decision.CONTINUE:
            raise StopTrial(f"the trial was told to {self.told}")

    def attach(self, *, curves: Mapping[str, Sequence[float]] | None = None, events: Sequence[str] = ()) -> None:
        """See tuner.objective.TrialHandle. Called again before the report, it lengthens what is there."""
        self._reporter.attached.add(curves, events)

    def pace(self, seconds: float) -> None:
        """See tuner.objective.TrialHandle."""
        self._send(Pace(self.number, self._segment.index, checked_pace(seconds)), wait=False)

    def abandon(self, reason: str) -> NoReturn:
        """See tuner.objective.TrialHandle. Once the objective has returned, it ends the calling thread alone."""
        if self.over:
            sys.exit()
        with suppress(OSError), (self.folder / LOG_NAME).open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"abandoned: {reason}\n")
        with suppress(OSError):
            self._workspace.share()
        failure = Failure(FailureKind.TIMEOUT, reason)
        self._abandon(SegmentEnd(self.number, self._segment.index, Ending.FAILED, failure))

    def _wait_for_room(self, why: str) -> None:
        self._send(Waiting(self.number, self._segment.index, why), wait=False)


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
    failure: Failure | None = None

    def waiting(why: str) -> None:
        send(Waiting(segment.trial, segment.index, why), wait=False)

    try:
        with ExitStack() as stack:
            begun = stack.enter_context
            workspace = when_there_is_room(lambda: begun(open_workspace(job.folder, segment.trial)), waiting)
            log = when_there_is_room(lambda: begun(trial_log(workspace.folder, segment, echo=echo)), waiting)
            ending, failure = _attempt(job, segment, send, abandon, gpus, workspace, log)
    except OSError as error:  # what the trial wrote cannot be put, or taken to the object store
        ending, failure = Ending.FAILED, failure or failure_of(error)
    return SegmentEnd(segment.trial, segment.index, ending, failure)


def _attempt(
    job: Job, segment: Segment, send: Send, abandon: Abandon, gpus: float, workspace: Workspace, log: TextIO
) -> tuple[Ending, Failure | None]:
    try:
        state = load_state(job, segment)
        trial = TrialRun(job, segment, send, abandon=abandon, gpus=gpus, state=state, workspace=workspace)
        return _run(job, segment.config, trial), None
    except (KeyboardInterrupt, DriverFailed):
        raise
    except BaseException as error:  # noqa: BLE001 (whatever the objective lets out is its failure, not ours)
        failure = failure_of(error)
        print(failure.details or failure.message)
        log.write(printable("\nThe same, with every line:\n" + "".join(traceback.format_exception(error))))
        return (Ending.LOST if failure.kind.of_machines else Ending.FAILED), failure


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
