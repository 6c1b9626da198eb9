"""Asynchronous successive halving in one bracket: promoting, as in the paper, or stopping.

Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar: A System for Massively Parallel Hyperparameter
Tuning, MLSys 2020, Algorithm 2 (here: `PromotingASHA`). The stopping variant needs no checkpoints: a trial runs on
while it is among the best 1/η of its rung so far, as in Ray Tune and in Syne Tune's ASHA of type "stopping".
"""

from __future__ import annotations

import math
from collections.abc import Collection
from heapq import heappop, heappush
from typing import final

from tuner.records import Decision
from tuner.schedule._base import Stretch
from tuner.schedule.ladder import Ladder

Standing = tuple[int, float, int]
"""A paused trial as (-resource of its rung, its loss there, its number): the smallest is the most advanced and best."""


@final
class PromotingASHA:
    """Every trial pauses at its rung; one goes on while it is among the best floor(n/η) of the n recorded there.

    Failures are recorded as +inf at the rung they were heading for: they make room for others and never go on. A trial
    whose loss is +inf is stopped at once, for it could only wait for ever.
    """

    def __init__(self, rungs: tuple[int, ...], reduction_factor: int) -> None:
        self.max_resource = rungs[-1]
        self._reduction_factor = reduction_factor
        self._ladder = Ladder(rungs)
        self._paused: dict[int, int] = {}  # trial -> index of the rung it waits at
        # Per rung the trials that wait there, best first. Those that left are dropped when they come to the top.
        self._waiting: tuple[list[tuple[float, int]], ...] = tuple([] for _ in rungs)

    def stretch(self, trial: int) -> Stretch:
        return Stretch(trial, self._ladder.ahead(trial)[0])

    def start(self, trial: int) -> Stretch:
        self._ladder.enter(trial)
        return self.stretch(trial)

    def on_report(self, trial: int, resource: int, loss: float) -> Decision:
        if self._ladder.is_over(trial):
            return Decision.STOP
        reached = self._ladder.climb(trial, resource, loss)
        if not reached:
            return Decision.PAUSE if trial in self._paused else Decision.CONTINUE
        if self._ladder.target(trial) == len(self._ladder.rungs) or loss == math.inf:
            self._leave(trial)
            return Decision.STOP
        self._paused[trial] = reached[-1]
        heappush(self._waiting[reached[-1]], (loss, trial))
        return Decision.PAUSE

    def on_failure(self, trial: int) -> None:
        if trial in self._paused:  # it heads for nowhere, so there is no rung to fail at
            self._leave(trial)
        self._ladder.fail(trial)

    def on_finish(self, trial: int) -> None:
        self._leave(trial)

    def promotable(self, but: Collection[int] = ()) -> Stretch | None:
        leader = self.leader(but)
        return None if leader is None else self.stretch(leader[2])

    def promote(self, trial: int) -> Stretch:
        if trial not in self._paused:
            raise ValueError(f"trial {trial} is not paused")
        del self._paused[trial]
        return self.stretch(trial)

    def rungs(self, trial: int) -> tuple[int, ...]:
        self._ladder.target(trial)
        return self._ladder.resources

    def leader(self, but: Collection[int] = ()) -> Standing | None:
        """The trial that `promotable` names.

        Only the best that waits at a rung is looked at: if it is not among the best floor(n/η), none that waits is.
        """
        for index in reversed(range(len(self._waiting) - 1)):
            rung, waiting = self._ladder.rungs[index], self._waiting[index]
            while waiting and self._paused.get(waiting[0][1]) != index:
                heappop(waiting)
            best = self._best(index, but)
            if best is not None:
                loss, trial = best
                if rung.rank(trial) < len(rung) // self._reduction_factor:
                    return (-rung.resource, loss, trial)
        return None

    def _best(self, index: int, but: Collection[int]) -> tuple[float, int] | None:
        """The best of all that wait at a rung, less those of `but`. The heap's first does wait there."""
        if not but:
            return next(iter(self._waiting[index]), None)
        there = (one for one in self._waiting[index] if self._paused.get(one[1]) == index and one[1] not in but)
        return min(there, default=None)

    def _leave(self, trial: int) -> None:
        self._paused.pop(trial, None)
        self._ladder.end(trial)


@final
class StoppingASHA:
    """A trial runs to max_resource unless, at a rung, it is not among the best max(1, floor(n/η)) recorded so far.

    n counts the trial itself, so the first one to reach a rung goes on; +inf never does.
    """

    def __init__(self, rungs: tuple[int, ...], reduction_factor: int) -> None:
        self.max_resource = rungs[-1]
        self._reduction_factor = reduction_factor
        self._ladder = Ladder(rungs)

    def stretch(self, trial: int) -> Stretch:
        return Stretch(trial, self.max_resource, self._ladder.ahead(trial))

    def start(self, trial: int) -> Stretch:
        self._ladder.enter(trial)
        return self.stretch(trial)

    def on_report(self, trial: int, resource: int, loss: float) -> Decision:
        if self._ladder.is_over(trial):
            return Decision.STOP
        reached = self._ladder.climb(trial, resource, loss)
        complete = self._ladder.target(trial) == len(self._ladder.rungs)
        if complete or not all(self._goes_on(trial, index) for index in reached):
            self._ladder.end(trial)
            return Decision.STOP
        return Decision.CONTINUE

    def on_failure(self, trial: int) -> None:
        self._ladder.fail(trial)

    def on_finish(self, trial: int) -> None:
        self._ladder.end(trial)

    def promotable(self, but: Collection[int] = ()) -> Stretch | None:  # noqa: ARG002 (a Scheduler's)
        return None

    def promote(self, trial: int) -> Stretch:
        raise ValueError(f"trial {trial} is not paused: this scheduler pauses none")

    def rungs(self, trial: int) -> tuple[int, ...]:
        self._ladder.target(trial)
        return self._ladder.resources

    def leader(self, but: Collection[int] = ()) -> Standing | None:  # noqa: ARG002 (as PromotingASHA's)
        """None: nothing is paused."""
        return None

    def _goes_on(self, trial: int, index: int) -> bool:
        rung = self._ladder.rungs[index]
        return rung.loss(trial) < math.inf and rung.rank(trial) < max(1, len(rung) // self._reduction_factor)
