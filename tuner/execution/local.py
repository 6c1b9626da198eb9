"""LocalExecutor: one worker, in this process and thread, so that a debugger and a profiler see the objective."""

from __future__ import annotations

from typing import final

from tuner.control import Nothing
from tuner.errors import RunFailed
from tuner.execution._base import Driver, Job
from tuner.execution.devices import local_device
from tuner.execution.trial_run import DriverFailed, run_segment
from tuner.records import Decision, Report

NAME = "local"


@final
class LocalExecutor:
    """Segments one after the other. `resources.isolate` and `timeouts` need a process of their own: use ray."""

    def check(self, job: Job) -> None:
        """See Executor."""
        local_device(job)

    def run(self, job: Job, driver: Driver) -> None:
        """See Executor."""

        def send(report: Report, *, wait: bool) -> Decision:  # noqa: ARG001 (in one thread, every report waits)
            try:
                driver.tick()
                decision = driver.push([report])[0]
                driver.commit()
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
