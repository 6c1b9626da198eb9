"""SimulatedExecutor: workers on a virtual clock, which jumps from one event to the next."""

from __future__ import annotations

import time
from heapq import heapify, heappop, heappush
from typing import final

from tuner.control import Nothing
from tuner.errors import RunFailed, SpecError
from tuner.execution._base import Driver, Job
from tuner.execution.simulated.costs import FREE, Costs
from tuner.execution.simulated.curves import Curves, CurvesSession
from tuner.execution.simulated.players import CurvePlayer, ObjectivePlayer, Player
from tuner.execution.simulated.worker import SimulatedWorker

COMMIT_SECONDS = 0.2
"""Real seconds after which what was said is committed: nothing waits for it but people who watch."""


@final
class SimulatedExecutor:
    """`job.parallel` simulated workers, in this process and thread; the job's objective is a `Curves`, or a function.

    A function is run, one segment at a time, whichever worker has it. It takes the seconds that were measured, or
    `seconds_per_unit` of resource. With curves, or with that, a study is the same whenever and wherever it is run
    (unless Costs.charge_sampler is above 0). Messages of one instant are taken in the order of the workers, and the
    idle workers are served together once all are answered. `resources` and `timeouts` mean nothing here. A run of
    curves that was cut short is to be begun anew, not gone on with: what its session remembered is gone.
    """

    def __init__(self, costs: Costs = FREE, *, seconds_per_unit: float | None = None) -> None:
        self._costs = costs
        self._seconds_per_unit = seconds_per_unit
        self._now = 0.0
        self.session: CurvesSession | None = None
        """What answered the last run, if it was of curves: a table's knows how far its rows were."""
        self.sampler_seconds = 0.0
        """Real seconds that the driver took to hand out segments."""

    def clock(self) -> float:
        """Virtual seconds: for a driver that is to live on the same clock. It never goes back."""
        return self._now

    def check(self, job: Job) -> None:
        """See Executor."""
        if job.parallel is None:
            raise SpecError(
                "there is room for any number of simulated workers, got auto", path="parallel", hint="Give a number."
            )

    def run(self, job: Job, driver: Driver) -> None:
        """See Executor."""
        self.check(job)
        player = self._player(job)
        workers = [SimulatedWorker(index, self._costs, self._now) for index in range(job.parallel or 0)]
        try:
            self._run(driver, player, workers)
        finally:
            for worker in workers:
                worker.close()

    def close(self) -> None:
        """See Executor."""

    def _player(self, job: Job) -> Player:
        if isinstance(job.objective, Curves):
            self.session = job.objective.session()
            return CurvePlayer(self.session, job.checkpoint.every)
        return ObjectivePlayer(job, self._seconds_per_unit)

    def _run(self, driver: Driver, player: Player, workers: list[SimulatedWorker]) -> None:
        agenda = [(worker.due, index) for index, worker in enumerate(workers)]  # at most one entry for each worker
        heapify(agenda)
        idle: list[int] = []
        committed = time.monotonic()
        while agenda:
            self._now = agenda[0][0]
            driver.tick()
            freed = self._live_through(agenda, driver, workers)
            if freed:
                idle = sorted(idle + freed)
                served = self._serve(idle, driver, player, workers)
                if served is Nothing.DONE:
                    driver.commit()
                    return
                if not isinstance(served, Nothing):
                    for index in served:
                        heappush(agenda, (workers[index].due, index))
                    idle = idle[len(served) :]
            if time.monotonic() - committed > COMMIT_SECONDS:
                driver.commit()
                committed = time.monotonic()
        raise RunFailed("the study waits for a segment that nobody has")

    def _live_through(
        self, agenda: list[tuple[float, int]], driver: Driver, workers: list[SimulatedWorker]
    ) -> list[int]:
        """All that is due at this instant, and what follows from it at once; the workers that have become idle."""
        freed: list[int] = []
        while agenda and agenda[0][0] <= self._now:
            due: list[int] = []
            while agenda and agenda[0][0] <= self._now:
                index = heappop(agenda)[1]
                (freed if workers[index].message is None else due).append(index)
            messages = [message for index in due if (message := workers[index].message) is not None]
            for index, decision in zip(due, driver.push(messages), strict=True):
                workers[index].hear(decision)
                heappush(agenda, (workers[index].due, index))
        return freed

    def _serve(
        self, idle: list[int], driver: Driver, player: Player, workers: list[SimulatedWorker]
    ) -> list[int] | Nothing:
        """Hand out segments to the first of the idle workers; which ones got one."""
        began = time.perf_counter()
        segments = driver.pull([workers[index].name for index in idle])
        seconds = time.perf_counter() - began
        self.sampler_seconds += seconds
        if isinstance(segments, Nothing):
            return segments
        served = idle[: len(segments)]
        now = self._now + self._costs.charge_sampler * seconds
        for index, segment in zip(served, segments, strict=True):
            workers[index].begin(segment, player.play(segment), now)
        return served
