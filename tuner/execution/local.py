"""LocalExecutor: one worker, in this process and thread, so that a debugger and a profiler see the objective."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn, final

from tuner.control import Nothing
from tuner.errors import RunFailed
from tuner.execution._base import Aside, Driver, Job
from tuner.execution.abandoning import PATIENCE_SECONDS, leave
from tuner.execution.devices import local_gpus
from tuner.execution.trial_run import DriverFailed, run_segment
from tuner.records import Decision, Report, Segment, SegmentEnd

NAME = "local"
COMMIT_SECONDS = 0.2
"""How long a report that nobody waits for may stay uncommitted, if others follow it."""


@final
class LocalExecutor:
    """Segments one after the other. `resources.isolate` and `timeouts` need a process of their own: use ray. Commands,
    too, are heard when the objective reports, and not before.
    """

    def check(self, job: Job) -> None:
        """See Executor."""
        local_gpus(job)

    def run(self, job: Job, driver: Driver) -> None:
        """See Executor."""
        line = Line(job, driver)
        gpus = local_gpus(job)
        end: SegmentEnd | None = None
        while (segment := line.pull(end)) is not None:
            try:
                end = run_segment(job, segment, line.send, abandon=line.abandon, gpus=gpus, echo=True)
            except DriverFailed as failed:
                raise failed.error from None

    def close(self) -> None:
        """See Executor."""


@final
class Line:
    """Between the one worker and the driver. A lock keeps a watchdog's thread, which has the last word when the
    objective is stuck, from calling the driver while the objective's thread does.
    """

    def __init__(self, job: Job, driver: Driver) -> None:
        self._job = job
        self._driver = driver
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._committed = time.monotonic()

    def pull(self, end: SegmentEnd | None) -> Segment | None:
        """Say how the last segment ended, and get the next; None when there is none any more."""
        self._segment = None
        with self._lock:
            if end is not None:
                self._driver.push([end])
            self._driver.tick()
            segments = self._driver.pull([NAME])
            self._driver.commit()
        if segments is Nothing.WAIT:
            raise RunFailed("the study waits for a segment that nobody has")
        self._segment = None if isinstance(segments, Nothing) else segments[0]
        return self._segment

    def send(self, message: Report | Aside, /, *, wait: bool) -> Decision:
        """Take a segment's message; the decision on it."""
        try:
            with self._lock:
                return self._passed_on(message, wait=wait)
        except Exception as error:
            raise DriverFailed(error) from error

    def _passed_on(self, message: Report | Aside, *, wait: bool) -> Decision:
        if not isinstance(message, Report):
            self._driver.push([message])
            self._driver.tick()  # now, as the next report may be an hour away
            return Decision.CONTINUE
        self._driver.tick()
        decision = self._driver.push([message])[0]
        if wait or decision is not Decision.CONTINUE or time.monotonic() - self._committed > COMMIT_SECONDS:
            self._driver.commit()
            self._committed = time.monotonic()
        return decision

    def abandon(self, end: SegmentEnd) -> NoReturn:
        """See Abandon: write down how the segment ended, and all that was reported before; then end this process."""
        if self._is_over(end):
            sys.exit()
        if self._lock.acquire(timeout=PATIENCE_SECONDS):  # never given back: nothing may follow this end
            if self._is_over(end):
                self._lock.release()
                sys.exit()
            with suppress(Exception):  # what it has committed before stays; the process ends in any case
                self._driver.push([end])
                self._driver.commit()
        leave(self._job.study, end)

    def _is_over(self, end: SegmentEnd) -> bool:
        return self._segment is None or self._segment.key != (end.trial, end.segment)
