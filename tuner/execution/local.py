"""LocalExecutor: one worker, in this process and thread, so that a debugger and a profiler see the objective."""

from __future__ import annotations

import time
from typing import final

from tuner.control import Nothing
from tuner.errors import RunFailed
from tuner.execution._base import Driver, Job
from tuner.execution.devices import local_device
from tuner.execution.trial_run import DriverFailed, run_segment
from tuner.records import Decision, Report

NAME = "local"
COMMIT_SECONDS = 0.2
"""How long a report that nobody waits for may stay uncommitted, if others follow it."""


@final
class LocalExecutor:
    """Segments one after the other. `resources.isolate` and `timeouts` need a process of their own: use ray."""

    def check(self, job: Job) -> None:
        """See Executor."""
        local_device(job)

    def run(self, job: Job, driver: Driver) -> None:
        """See Executor."""
        committed = time.monotonic()

        def send(report: Report, *, wait: bool) -> Decision:
            nonlocal committed
            try:
                driver.tick()
                decision = driver.push([report])[0]
                if wait or decision is not Decision.CONTINUE or time.monotonic() - committed > COMMIT_SECONDS:
                    driver.commit()
                    committed = time.monotonic()
            except Exception as error:
                raise DriverFailed(error) from error
            return decision

        device = local_device(job)
        while True:
            driver.tick()
            segments = driver.pull([NAME])
            driver.commit()
            if segments is Nothing.DONE:
                return
            if segments is Nothing.WAIT:
                raise RunFailed("the study waits for a segment that nobody has")
            try:
                end = run_segment(job, segments[0], send, device=device, echo=True)
            except DriverFailed as failed:
                raise failed.error from None
            driver.push([end])

    def close(self) -> None:
        """See Executor."""
