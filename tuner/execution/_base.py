"""What an executor is given, and what it must do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tuner.records import Decision, Report, Segment, SegmentEnd
from tuner.spec import CheckpointPolicy, Resources, Timeouts


class Wait:
    """Nothing to hand out now; ask again after the next message."""


class Done:
    """Nothing will ever be handed out again."""


Message = Report | SegmentEnd


class Driver(Protocol):
    """The study's side: hands out segments, takes messages, answers reports. Called from one thread only.

    Everything is committed before it returns, so an answer may leave at once.
    """

    def pull(self, workers: Sequence[str]) -> list[Segment] | Wait | Done:
        """At most one segment for each of `workers` (they are idle), in their order."""
        ...

    def push(self, messages: Sequence[Message]) -> list[Decision]:
        """Take reports and ends in the order they came; one decision each (an end's is STOP, and means nothing)."""
        ...

    def tick(self) -> bool:
        """Let the driver do what is due (clock, commands, heartbeat); False when running segments are to be stopped
        and the executor to return. Due at least every second.
        """
        ...


@dataclass(frozen=True)
class Job:
    """What workers need to know of a study. `objective` is what they run: an object, not its name."""

    study: str
    objective: Any
    metric: str
    folder: Path
    resources: Resources
    checkpoint: CheckpointPolicy
    timeouts: Timeouts
    parallel: int | None
    """The number of workers; None for as many as there is room for."""


class Executor(Protocol):
    """Runs segments on workers until the driver is done.

    The contract (tests/contracts/): every segment pulled is ended exactly once, or its worker is lost and it is ended
    as LOST; a trial's reports arrive in order; a report at a resource of `decide_at`, or at `until`, waits for its
    decision, and a trial told PAUSE or STOP does no more work; a failing objective ends its own segment only; with one
    worker, executors give the same trials. KeyboardInterrupt passes through, after the workers have been told to stop.
    """

    def run(self, job: Job, driver: Driver) -> None:
        """Return when the driver is done, or when its tick says so."""
        ...
