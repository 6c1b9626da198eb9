"""Median stopping.

Golovin, Solnik, Moitra, Kochanski, Karro, Sculley: Google Vizier: A Service for Black-Box Optimization, KDD 2017,
§3.2.2.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Collection
from typing import final

from tuner.records import Decision
from tuner.schedule._base import Stretch


class Curve:
    """A trial's losses so far, as running sums over rising resources."""

    def __init__(self) -> None:
        self.resources: list[int] = []
        self.best = math.inf
        self.over = False
        self._sums: list[float] = []

    @property
    def last(self) -> int:
        """The last resource reported, or 0."""
        return self.resources[-1] if self.resources else 0

    def append(self, resource: int, loss: float) -> None:
        """Add a report beyond the last one."""
        self.resources.append(resource)
        self._sums.append(loss + (self._sums[-1] if self._sums else 0.0))
        self.best = min(self.best, loss)

    def mean(self, resource: int) -> float | None:
        """The mean of the losses up to `resource`; None if there are none."""
        count = bisect_right(self.resources, resource)
        return self._sums[count - 1] / count if count else None


@final
class MedianStopping:
    """A trial stops at a resource, from min_resource on, if its best loss so far is strictly worse than the median of
    the running means there of the other trials that came as far, given at least `min_trials` of these.

    For every resource at which some trial was judged, the running means are kept sorted, so that a report costs a
    search and an insertion; a trial that skips a resource counts there with what it reported before.
    """

    def __init__(self, min_resource: int, max_resource: int, min_trials: int) -> None:
        self.max_resource = max_resource
        self._min_trials = min_trials
        self._decide_at = tuple(range(min_resource, max_resource + 1))
        self._curves: dict[int, Curve] = {}
        self._means: dict[int, list[float]] = {}  # resource -> running means, sorted
        self._judged: list[int] = []  # the keys of _means, sorted

    def stretch(self, trial: int) -> Stretch:
        curve = self._curves.get(trial) or Curve()
        if curve.over:
            raise ValueError(f"trial {trial} is over")
        return Stretch(trial, self.max_resource, self._decide_at[bisect_right(self._decide_at, curve.last) :])

    def start(self, trial: int) -> Stretch:
        if trial in self._curves:
            raise ValueError(f"trial {trial} was started before")
        self._curves[trial] = Curve()
        return self.stretch(trial)

    def on_report(self, trial: int, resource: int, loss: float) -> Decision:
        curve = self._curves[trial]
        if not curve.over and resource > curve.last:
            worse = min(loss, curve.best) > self._median(resource)
            self._add(curve, resource, loss)
            curve.over = worse or resource >= self.max_resource
        return Decision.STOP if curve.over else Decision.CONTINUE

    def on_failure(self, trial: int) -> None:
        self.on_finish(trial)

    def on_finish(self, trial: int) -> None:
        self._curves[trial].over = True

    def promotable(self, but: Collection[int] = ()) -> Stretch | None:  # noqa: ARG002 (a Scheduler's)
        return None

    def promote(self, trial: int) -> Stretch:
        raise ValueError(f"trial {trial} is not paused: this scheduler pauses none")

    def rungs(self, trial: int) -> tuple[int, ...]:
        self._curves[trial]
        return self._decide_at

    def _median(self, resource: int) -> float:
        """The median that a trial must not exceed; +inf where nothing is judged.

        Asked before the trial's own report is added, so that all means are those of others.
        """
        if not self._decide_at[0] <= resource < self.max_resource:
            return math.inf
        means = self._means_at(resource)
        if len(means) < self._min_trials:
            return math.inf
        middle = len(means) // 2
        return means[middle] if len(means) % 2 else (means[middle - 1] + means[middle]) / 2

    def _means_at(self, resource: int) -> list[float]:
        if resource not in self._means:
            came_as_far = (curve for curve in self._curves.values() if curve.last >= resource)
            means = (curve.mean(resource) for curve in came_as_far)
            self._means[resource] = sorted(mean for mean in means if mean is not None)
            insort(self._judged, resource)
        return self._means[resource]

    def _add(self, curve: Curve, resource: int, loss: float) -> None:
        first, last = bisect_right(self._judged, curve.last), bisect_right(self._judged, resource)
        curve.append(resource, loss)
        for judged in self._judged[first:last]:
            mean = curve.mean(judged)
            if mean is not None:
                insort(self._means[judged], mean)
