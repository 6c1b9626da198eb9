"""What an executor is given, and what it must do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tuner.control import Nothing
from tuner.records import Decision, Pace, Report, Segment, SegmentEnd
from tuner.spec import CheckpointPolicy, Resources, Timeouts

Message = Report | SegmentEnd | Pace


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

    def commit(self) -> None:
        """Write down everything said so far."""
        ...


@dataclass(frozen=True)
class Job:
    """What the workers of a study need to know of it. `objective` is the object itself, not its name."""

    study: str
    objective: Any
    metric: str
    folder: Path
    """The study's own folder: trials' folders and checkpoints are below it."""
    unit: str = "epoch"
    """What a unit of resource is: "epoch" or "step"."""
    resources: Resources = field(default_factory=Resources)
    checkpoint: CheckpointPolicy = field(default_factory=CheckpointPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    parallel: int | None = 1
    """The number of workers; None for as many as there is room for."""


class Executor(Protocol):
    """Runs segments on workers until the driver is done.

    The contract (tests/contracts/): every segment that was pulled ends once, or its worker is lost and it is ended as
    LOST; a trial's reports arrive in order; a report at a resource of `decide_at`, or at `until` and beyond, waits for
    its decision, and a trial that is told PAUSE or STOP works no more; an objective that fails ends its own segment
    only; what a trial attached arrives with its report, once; an objective that is abandoned ends its segment as FAILED
    (time-out), and its process; with one worker, all executors give the same trials. KeyboardInterrupt passes through,
    after the workers were told to stop.
    """

    def check(self, job: Job) -> None:
        """Raise SpecError if there is no room for a worker of this job."""
        ...

    def run(self, job: Job, driver: Driver) -> None:
        """Return once the driver has nothing left to hand out. What the driver raises passes through."""
        ...

    def close(self) -> None:
        """Give back what `check` and `run` took hold of. Safe to call twice."""
        ...
