"""Judgements of a study that grows: what has not changed since they were last asked for is not judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import final

import numpy as np

from tuner.search._base import Observation
from tuner.search.changes import Changes
from tuner.search.levels import STARTUP, Judgement, Standing, judgement_of, level_among, seen_at

_COUNTED = (Standing.JUDGED, Standing.LOWER, Standing.WORST)


@final
class Judge:
    """`judge` of tuner.search.levels with its last two arguments fixed: the same answers, sooner."""

    def __init__(self, n_axes: int, by_level: bool, startup: int = STARTUP) -> None:
        self._n_axes = n_axes
        self._by_level = by_level
        self._startup = startup
        self._changes = Changes()
        self._forget()

    def __call__(self, history: Sequence[Observation]) -> Sequence[Judgement] | None:
        """A judgement of each trial by position; None while too little is known for a model."""
        self._look_at(history)
        n_judged, n_worst = (self._standings[standing] for standing in (Standing.JUDGED, Standing.WORST))
        return list(self._judgements) if n_judged >= 2 and n_judged + n_worst >= self._startup else None

    def best_to_worst(self, history: Sequence[Observation]) -> list[int] | None:
        """The places of the trials that were judged or failed, by rank; of equal ones the earlier first."""
        if self(history) is None:
            return None
        counted = np.flatnonzero(self._is_counted[: len(history)])
        order = np.lexsort(self._ranks[counted].T[::-1])  # which is stable, and sorts by its last row first
        places: list[int] = counted[order].tolist()
        return places

    def _forget(self) -> None:
        self._judgements: list[Judgement] = []
        self._seen_at: list[list[int]] = []
        self._counts: Counter[int] = Counter()
        self._standings: Counter[Standing] = Counter()
        self._level: int | None = None
        self._ranks = np.empty((256, 3))
        self._is_counted = np.empty(256, dtype=bool)

    def _look_at(self, history: Sequence[Observation]) -> None:
        if len(history) < len(self._judgements):
            self._forget()
        changed = self._changes(history)
        n_known = len(self._judgements)
        for place in changed:
            seen = seen_at(history[place])
            if place < n_known:
                self._counts.subtract(self._seen_at[place])
                self._seen_at[place] = seen
            else:
                self._seen_at.append(seen)
            self._counts.update(seen)
        level = None
        if self._by_level:
            level = level_among({resource: n for resource, n in self._counts.items() if n}, self._n_axes + 1)
        self._grow(len(history))
        for place in changed if level == self._level else range(len(history)):
            self._set(place, judgement_of(history[place], level, self._by_level))
        self._level = level

    def _set(self, place: int, judgement: Judgement) -> None:
        if place < len(self._judgements):
            self._standings[self._judgements[place].standing] -= 1
            self._judgements[place] = judgement
        else:
            self._judgements.append(judgement)
        self._standings[judgement.standing] += 1
        self._ranks[place] = judgement.rank
        self._is_counted[place] = judgement.standing in _COUNTED

    def _grow(self, n: int) -> None:
        if n > len(self._ranks):
            more = max(n, 2 * len(self._ranks)) - len(self._ranks)
            self._ranks = np.concatenate([self._ranks, np.empty((more, 3))])
            self._is_counted = np.concatenate([self._is_counted, np.empty(more, dtype=bool)])
