"""What a scheduler is told, and what it answers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from tuner.records import Decision


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which part of a trial comes next: up to `until`, with an answer needed at each of `decide_at`."""

    trial: int
    until: int
    decide_at: tuple[int, ...] = ()


class Scheduler(Protocol):
    """Says which stretch of which trial comes next, and what becomes of a report.

    Deterministic, and rebuilt by telling it the same things in the same order: it has no clock and no generator.
    Losses are lower-is-better and may be +inf (a failure); ties go to the lower trial number.

    The contract (tests/contracts/): a trial never goes beyond max_resource; a trial that was stopped is never promoted;
    a failed one neither; a promotion is offered once `start` or `promote` has accepted it no more; decisions depend
    only on what was told. Trials are numbered from 0; telling of one that was never started is a KeyError.
    """

    max_resource: int

    def stretch(self, trial: int) -> Stretch:
        """What a trial has before it, changing nothing: a new one its first stretch, a paused one the way to its next
        rung, an interrupted one the way to its target, with the decisions that are still due.

        Raises ValueError if the trial is over.
        """
        ...

    def start(self, trial: int) -> Stretch:
        """A new trial sets out on its first stretch; it is known from now on."""
        ...

    def on_report(self, trial: int, resource: int, loss: float) -> Decision:
        """What becomes of the trial after its first report at `resource`.

        PAUSE: it waits for promotion. STOP: it is over; at max_resource, because it is complete. CONTINUE also where
        nothing is to be decided. An objective that skips resources is judged at every rung it has passed. Telling a
        report again changes nothing.
        """
        ...

    def on_failure(self, trial: int) -> None:
        """The trial failed for good: worst at the rung it was heading for, and never to go on."""
        ...

    def on_finish(self, trial: int) -> None:
        """The trial is over without a failure (it finished early, or a person stopped it): never to go on."""
        ...

    def promotable(self, but: Collection[int] = ()) -> Stretch | None:
        """The paused trial that should go on now, if any: the highest rung first, the best loss first. `but` are trials
        that are kept from it; they stand on their rungs as before.
        """
        ...

    def promote(self, trial: int) -> Stretch:
        """Let a paused trial go on to its next rung: one that was `promotable`, or any paused one."""
        ...

    def rungs(self, trial: int) -> tuple[int, ...]:
        """The resources at which the trial is judged, the last one being max_resource."""
        ...
