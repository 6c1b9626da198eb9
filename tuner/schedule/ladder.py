"""The rungs of one bracket, who stands where on them, and who is still climbing."""

from __future__ import annotations

import math
from bisect import bisect_left, insort


class Rung:
    """The losses recorded at one resource, best first; ties go to the lower trial number.

    Finding a rank takes O(log n) comparisons. Recording does too, and moves pointers in one block, which at 100,000
    trials is microseconds.
    """

    def __init__(self, resource: int) -> None:
        self.resource = resource
        self._losses: dict[int, float] = {}
        self._sorted: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def record(self, trial: int, loss: float) -> None:
        """Enter a trial, once."""
        self._losses[trial] = loss
        insort(self._sorted, (loss, trial))

    def loss(self, trial: int) -> float:
        """What was recorded of the trial."""
        return self._losses[trial]

    def rank(self, trial: int) -> int:
        """How many recorded trials are better."""
        return bisect_left(self._sorted, (self._losses[trial], trial))


class Ladder:
    """Where every trial of a bracket stands: the rung it is heading for, and whether it is over."""

    def __init__(self, resources: tuple[int, ...]) -> None:
        self.resources = resources
        self.rungs = tuple(Rung(resource) for resource in resources)
        self._target: dict[int, int] = {}  # the index of the rung a trial heads for, or waits below
        self._over: set[int] = set()

    def enter(self, trial: int) -> None:
        """A new trial heads for the first rung."""
        if trial in self._target:
            raise ValueError(f"trial {trial} was started before")
        self._target[trial] = 0

    def target(self, trial: int) -> int:
        """The index of the first rung at which nothing is recorded of the trial; len(rungs) above the last."""
        return self._target[trial]

    def ahead(self, trial: int) -> tuple[int, ...]:
        """The resources of the rungs that the trial (which may be a new one) has before it, at least one."""
        if trial in self._over:
            raise ValueError(f"trial {trial} is over")
        return self.resources[self._target.get(trial, 0) :]

    def is_over(self, trial: int) -> bool:
        """Whether the trial will never go on."""
        self._target[trial]  # unknown trials are an error, not "going on"
        return trial in self._over

    def end(self, trial: int) -> None:
        """The trial will never go on; what is recorded of it stays."""
        self._target[trial]
        self._over.add(trial)

    def climb(self, trial: int, resource: int, loss: float) -> range:
        """Record a report at every rung that it reaches; their indices.

        They are none when the trial has not come to its target yet, or was there before; several when an objective
        skips resources.
        """
        first = self._target[trial]
        last = first
        while last < len(self.rungs) and self.resources[last] <= resource:
            self.rungs[last].record(trial, loss)
            last += 1
        self._target[trial] = last
        return range(first, last)

    def fail(self, trial: int) -> None:
        """The trial counts as worst at the rung it was heading for, and will never go on."""
        target = self._target[trial]
        if trial not in self._over and target < len(self.rungs):
            self.rungs[target].record(trial, math.inf)
        self._over.add(trial)
