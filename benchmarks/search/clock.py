"""A virtual clock for any method that can be asked and told: asynchronous workers, and a budget in units of resource.

Every unit takes the same time, and a trial that goes on does so from where it stood, whoever the method is: neither
promotion nor resuming costs anything, and a trial is charged for a unit once.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from problem import Curve, Curves, Exhausted

MOST_REPEATS = 10_000
"""Jobs in a row that a method may ask for although nothing in them is new."""


@dataclass(frozen=True, slots=True)
class Job:
    """A trial, and the resource until which a worker is to train it. `tag` is the method's own."""

    trial: int
    config: dict[str, Any]
    until: int
    tag: Any = None


class Method(Protocol):
    """A search method: what it wants tried next, and what it makes of a report."""

    def ask(self) -> Job | None:
        """What an idle worker should do now; None: nothing before the next report."""
        ...

    def tell(self, job: Job, resource: int, loss: float) -> bool:
        """A report, which may be NaN. Whether the trial goes on; at `job.until` the job is over in any case."""
        ...


@dataclass
class Trace:
    """What one study saw: the best loss after so many units, whenever it fell, and what the method took for itself."""

    incumbents: list[tuple[int, float]] = field(default_factory=list)
    units: int = 0
    n_trials: int = 0
    own_seconds: float = 0.0
    """Seconds of CPU in the method's own code."""

    def incumbent(self, units: int) -> float:
        """The best loss among the first `units` reports; +inf if none was finite."""
        return min((loss for when, loss in self.incumbents if when <= units), default=math.inf)


def run(method: Method, curves: Curves, *, n_workers: int, budget: int) -> Trace:
    """Run a study until `budget` units are spent, the table is used up or the method has nothing left to ask for."""
    study = _Study(method, curves)
    idle = list(range(n_workers))
    # When a worker reports next, and what (job, resource); of equal times the one that was scheduled first.
    events: list[tuple[int, int, int, Job, int]] = []
    now = n_events = 0
    try:
        while study.trace.units < budget:
            while idle and (found := study.next_job()) is not None:
                job, reached = found
                n_events += 1
                heapq.heappush(events, (now + 1, n_events, idle.pop(), job, reached + 1))
            if not events:
                break
            now, _, worker, job, resource = heapq.heappop(events)
            if study.report(job, resource):
                n_events += 1
                heapq.heappush(events, (now + 1, n_events, worker, job, resource + 1))
            else:
                idle.append(worker)
    except Exhausted:
        pass
    return study.trace


class _Study:
    """The trials' curves and how far each was trained."""

    def __init__(self, method: Method, curves: Curves) -> None:
        self.trace = Trace()
        self._method = method
        self._curves = curves
        self._known: dict[int, Curve] = {}
        self._reached: dict[int, int] = {}
        self._best = math.inf

    def next_job(self) -> tuple[Job, int] | None:
        """The next job in which there is something to train, and where its trial stands. What is known is told at
        once.
        """
        for _ in range(MOST_REPEATS):
            start = time.process_time()
            job = self._method.ask()
            self.trace.own_seconds += time.process_time() - start
            if job is None:
                return None
            if job.trial not in self._known:
                self._known[job.trial] = self._curves(job.config)
                self._reached[job.trial] = 0
                self.trace.n_trials += 1
            if job.until > self._reached[job.trial]:
                return job, self._reached[job.trial]
            self._tell(job, job.until)
        raise RuntimeError(f"{MOST_REPEATS} jobs in a row asked for nothing new")

    def report(self, job: Job, resource: int) -> bool:
        """One unit of training. Whether the worker goes on with the job."""
        if resource > self._reached[job.trial]:  # else another job of the same trial has paid for it
            self._reached[job.trial] = resource
            self.trace.units += 1
        loss = float(self._known[job.trial][resource - 1])
        if loss < self._best:
            self._best = loss
            self.trace.incumbents.append((self.trace.units, loss))
        return self._tell(job, resource) and resource < job.until

    def _tell(self, job: Job, resource: int) -> bool:
        loss = float(self._known[job.trial][resource - 1])
        start = time.process_time()
        goes_on = self._method.tell(job, resource, loss)
        self.trace.own_seconds += time.process_time() - start
        return goes_on


def readings(trace: Trace, at: Sequence[int], max_resource: int) -> dict[str, float]:
    """The incumbent's loss when so many full trainings had been spent."""
    return {str(trainings): trace.incumbent(trainings * max_resource) for trainings in at}
