"""What an executor is given, and what it must do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tuner.control import Nothing
from tuner.records import Decision, Pace, Report, Segment, SegmentEnd, Waiting
from tuner.spec import CheckpointPolicy, Resources, Timeouts
from tuner.storage import Place

Aside = Pace | Waiting
"""What a worker says beside its reports: it decides nothing."""

Message = Report | SegmentEnd | Aside


class Driver(Protocol):
    """The study's side: hands out segments, takes messages, answers reports. Called from one thread at a time.

    Nothing that it says may leave for a worker before `commit`: several calls can share one.
    """

    def pull(self, workers: Sequence[str]) -> list[Segment] | Nothing:
        """At most one segment for each of `workers`, which are idle, in their order."""
        ...

    def push(self, messages: Sequence[Message]) -> list[Decision]:
        """Take messages in the order they came; one decision each (those on ends and paces mean nothing)."""
        ...

    def tick(self) -> None:
        """Let the driver do what is due (clock, commands, heartbeat). To be called every second or so."""
        ...

    def overdue(self) -> Collection[tuple[int, int]]:
        """The segments (trial, index) that a person wants to rest or end, and that were silent for longer than the
        grace period: an executor that can end a worker ends theirs, once each is pushed as RECALLED and committed.
        """
        ...

    def commit(self) -> None:
        """Write down everything said so far."""
        ...


@dataclass(frozen=True)
class Job:
    """What the workers of a study need to know of it. `objective` is the object itself, not its name."""

    study: str
    objective: Any
    metric: str
    folder: Place
    """The study's own place, a folder or the URL of an object store's: trials' files and checkpoints are below it."""
    unit: str = "epoch"
    """What a unit of resource is: "epoch" or "step"."""
    resources: Resources = field(default_factory=Resources)
    checkpoint: CheckpointPolicy = field(default_factory=CheckpointPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    parallel: int | None = 1
    """The number of workers; None for as many as there is room for."""
    trials: int | None = None
    """The trials that the study may start; None where something else ends it."""


class Executor(Protocol):
    """Runs segments on workers until the driver is done.

    The contract (tests/contracts/): every segment that was pulled ends once, or its worker is lost and it is ended as
    LOST; a trial's reports arrive in order; a report at a resource of `decide_at`, or at `until` and beyond, waits for
    its decision, and a trial that is told PAUSE or STOP works no more; an objective that fails ends its own segment
    only; what a trial attached arrives with its report, once; an objective that is abandoned ends its segment as FAILED
    (time-out), and its process; a segment that is overdue ends as RECALLED, and its worker with it, where workers have
    processes of their own; with one worker, all executors give the same trials. KeyboardInterrupt passes through,
    after the workers were told to stop.
    """

    def check(self, job: Job) -> None:
        """Raise SpecError if there is no room for a worker of this job."""
        ...

    def run(self, job: Job, driver: Driver) -> None:
        """Return once the driver has nothing left to hand out. What the driver raises passes through. It is called
        again for a study that a person had paused.
        """
        ...

    def close(self) -> None:
        """Give back what `check` and `run` took hold of. Safe to call twice."""
        ...
