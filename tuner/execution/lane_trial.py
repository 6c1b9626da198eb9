"""One segment in a lane, from the inside: a `trial` that never waits.

A lane trains many trials in one thread, which must not stand still for one of them. So a report is only begun there: a
thread writes its checkpoint and then lets it go, and the decision is looked at when it has come.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, final

from tuner.errors import StopTrial
from tuner.execution._base import Job, Message
from tuner.execution.abandoning import Abandon
from tuner.execution.in_order import Line
from tuner.execution.of_segment import OfSegment
from tuner.execution.reporter import Reporter, StateOrMaker, checked_pace, load_state
from tuner.execution.room import when_there_is_room
from tuner.execution.trial_log import heading, opened_log
from tuner.execution.workspace import open_workspace
from tuner.failures import failure_of, printable
from tuner.records import Decision, Details, Ending, Failure, FailureKind, Pace, Report, Segment, SegmentEnd, Waiting


@final
class LaneTrial(OfSegment):
    """The `trial` of a segment that a lane trains: see tuner.objective.TrialHandle.

    `prepare` comes first, then what the lane calls, `end` last. What it has to say is given to `out`, from any thread
    and in its order, the segment's end last.
    """

    def __init__(
        self, job: Job, segment: Segment, out: Callable[[Message], None], line: Line, *, abandon: Abandon, gpus: float
    ) -> None:
        super().__init__(job, segment, gpus)
        self.checkpoint: dict[str, Any] | None = None
        """Of resource `start`, once it is prepared; `boarded` lets go of it."""
        self.folder = Path()
        self.segment = segment
        self.told = Decision.CONTINUE
        self.rests = 0
        """The resource whose decision it waits for; 0 if for none."""
        self._job = job
        self._out = out
        self._line = line
        self._abandon = abandon
        self._open = ExitStack()
        self._reporter: Reporter | None = None
        self.over = False
        """Whether the lane is done with it, or will never have it."""
        self._failed: BaseException | None = None
        """What went wrong with a report behind the lane's back."""

    @property
    def pending(self) -> bool:
        """Whether it must not be trained on before a decision comes."""
        return self.rests > 0 and self.told is Decision.CONTINUE

    @property
    def last(self) -> int:
        """The last resource reported."""
        return self._opened.last

    # Before it is placed, and how it is over.

    def prepare(self, ready: Callable[[LaneTrial], None]) -> None:
        """Open its folder and fetch its checkpoint, in another thread; then tell `ready`. An error is its end."""
        self._line.put(partial(self._prepare, ready))

    def boarded(self) -> None:
        """The lane has it now."""
        self.checkpoint = None
        self._opened.go_on()  # nor did it train before

    def end(self, error: BaseException | None) -> None:
        """The lane is done with it: it came to its end (None), was told to stop (StopTrial), or failed."""
        self.over = True
        self._line.put(partial(self._end, error))

    def decide(self, decision: Decision, resource: int) -> None:
        """The decision on its report at `resource` has come, and what was decided before that, too."""
        if decision is not Decision.CONTINUE:
            self.told = decision
        if self.rests and resource >= self.rests:
            self._opened.go_on()  # it did not train while it rested
            self.rests = 0

    @contextmanager
    def logged(self) -> Iterator[None]:
        """What is printed meanwhile goes to its log."""
        with opened_log(self.folder) as log, redirect_stdout(log), redirect_stderr(log):
            yield

    # What an objective is given.

    def report(self, resource: int, /, *, checkpoint: StateOrMaker | None = None, **metrics: float) -> None:
        """See tuner.objective.TrialHandle. It waits for nothing: look at `pending` and `told`. A `checkpoint` that is
        a function is called in another thread, later.
        """
        if self.told is not Decision.CONTINUE:
            raise StopTrial(f"the trial was told to {self.told}")
        reporter = self._opened
        resource, values = reporter.checked(resource, metrics)
        kept = checkpoint if checkpoint is not None and reporter.is_kept(resource) else None
        if reporter.is_decided(resource):
            self.rests = resource
        self._line.put(partial(self._send, reporter.report(resource, values), kept))

    def attach(self, *, curves: Mapping[str, Sequence[float]] | None = None, events: Sequence[str] = ()) -> None:
        """See tuner.objective.TrialHandle. Events are written into the trial's log, too: nothing that is printed in a
        lane can be told to be a trial's.
        """
        self._opened.attached.add(curves, events)
        if events:
            self._line.put(partial(self._note, "".join(f"{event}\n" for event in events)))

    def pace(self, seconds: float) -> None:
        """See tuner.objective.TrialHandle."""
        self._out(Pace(self.number, self.segment.index, checked_pace(seconds)))

    def abandon(self, reason: str) -> NoReturn:
        """See tuner.objective.TrialHandle. The lane's process ends, and all that it has with it."""
        if self.over:
            raise SystemExit
        self._note(f"abandoned: {reason}\n")
        failure = Failure(FailureKind.TIMEOUT, reason)
        self._abandon(SegmentEnd(self.number, self.segment.index, Ending.FAILED, failure))

    # In its line, on other threads.

    @property
    def _opened(self) -> Reporter:
        assert self._reporter is not None, "prepare comes first"
        return self._reporter

    def _prepare(self, ready: Callable[[LaneTrial], None]) -> None:
        try:
            place, number = self._job.folder, self.number
            workspace = when_there_is_room(
                lambda: self._open.enter_context(open_workspace(place, number)), self._waiting
            )
            self.folder = workspace.folder
            self._reporter = Reporter(self._job, self.segment, workspace, self._waiting)
            when_there_is_room(self._head, self._waiting)
            self.checkpoint = load_state(self._job, self.segment)
        except Exception as error:  # noqa: BLE001  (a damaged checkpoint, a folder that went away: its failure)
            self._end(error)
        else:
            ready(self)

    def _head(self) -> None:
        """Begin its log: once the file is there, it can be opened on a full disk, too."""
        with opened_log(self.folder) as log:
            log.write(heading(self.segment))

    def _send(self, report: Report, state: StateOrMaker | None) -> None:
        """Write the checkpoint, then let the report go: a failure is the trial's, and nothing more is said but it."""
        if self._failed is not None:
            return
        try:
            if state is not None:
                kept, events = self._opened.keep(report.resource, state)
                details = report.details
                if events:
                    given = details or Details()
                    details = Details(given.curves, (*given.events, *events))
                report = replace(report, checkpoint=kept, details=details)
        except BaseException as error:  # noqa: BLE001  (whatever the task's state is made of)
            self._failed, self.told = error, Decision.STOP
            return
        self._out(report)

    def _end(self, error: BaseException | None) -> None:
        error = self._failed or error
        if error is None:
            self._close(Ending.REACHED if self.last >= self.until else Ending.FINISHED)
        elif isinstance(error, StopTrial):
            self._close(Ending.STOPPED)
        else:
            failure = failure_of(error)
            every_line = "".join(traceback.format_exception(error))
            self._note(printable(f"{failure.details or failure.message}\nThe same, with every line:\n{every_line}"))
            self._close(Ending.LOST if failure.kind.of_machines else Ending.FAILED, failure)

    def _close(self, ending: Ending, failure: Failure | None = None) -> None:
        self.over = True
        try:
            self._open.close()
        except OSError as error:  # what the trial wrote cannot be taken to the object store
            ending, failure = Ending.FAILED, failure or failure_of(error)
        self._out(SegmentEnd(self.number, self.segment.index, ending, failure))

    def _note(self, text: str) -> None:
        """Into its log, if that can be had: a log is no reason to fail."""
        if self._reporter is not None:
            with suppress(OSError), opened_log(self.folder) as log:
                log.write(text)

    def _waiting(self, why: str) -> None:
        self._out(Waiting(self.number, self.segment.index, why))
