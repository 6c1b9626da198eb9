"""A study's trials as columns, for a sampler that asks the same of all of them: kept, and brought up to date."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.changes import Changes
from tuner.search.levels import STARTUP
from tuner.space import SearchSpace

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


@final
@dataclass(frozen=True)
class Past:
    """The trials of a history by place: unit coordinates (n, d), NaN where a configuration lies outside the space; the
    loss (n, r) at each of the r `resources`, which rise, NaN where there is none; whether each is open, and has failed.
    """

    units: Array
    resources: Sequence[int]
    losses: Array
    is_open: Flags
    has_failed: Flags

    def __len__(self) -> int:
        return len(self.units)

    @cached_property
    def known(self) -> Places:
        """The trials that have losses."""
        return np.flatnonzero(self._is_inside & self._has_losses)

    @cached_property
    def least(self) -> Array:
        """The least loss of each of the `known`."""
        return np.asarray(np.fmin.reduce(self.losses[self.known], axis=1))

    @cached_property
    def is_enough(self) -> bool:
        """Whether there is anything to model: `STARTUP` trials with losses, two of them finite."""
        return len(self.known) >= STARTUP and int(np.isfinite(self.losses[self.known]).any(1).sum()) >= 2

    def under_way(self, most: int, taken: Array) -> tuple[Places, Array]:
        """The places and coordinates of the trials that are open and have no loss yet, the latest `most` of them. Those
        at `taken` (k, d) come after the others: proposals that were made since.
        """
        places = np.concatenate([self._open, len(self) + np.arange(len(taken))])
        units = np.concatenate([self.units[self._open], taken])
        is_inside = ~np.isnan(units).any(1)
        return places[is_inside][-most:], units[is_inside][-most:]

    @cached_property
    def _open(self) -> Places:
        return np.flatnonzero(self.is_open & ~self._has_losses)

    @cached_property
    def _is_inside(self) -> Flags:
        return np.asarray(~np.isnan(self.units).any(1))

    @cached_property
    def _has_losses(self) -> Flags:
        return np.asarray(~np.isnan(self.losses).all(1))


@final
class Archive:
    """Makes a `Past` of a history: what is the same as at the last call is not read again."""

    def __init__(self, space: SearchSpace, resource: int) -> None:
        """`resource` has its column, whether there is a loss at it or not."""
        self._space = space
        self._resource = resource
        self._changes = Changes()
        self._forget()

    def __call__(self, history: Sequence[Observation]) -> Past:
        """Its trials."""
        n = len(history)
        if n < len(self._configs):
            self._forget()
        changed = self._changes(history)
        self._make_room(n)
        for place in changed:
            self._enter(place, history[place])
        resources = sorted(self._columns)
        order = [self._columns[resource] for resource in resources]
        return Past(
            self._units[:n].copy(),
            resources,
            self._losses[:n, order],
            self._flags[:n, 0].copy(),
            self._flags[:n, 1].copy(),
        )

    def place_of(self, config: Config) -> Array:
        """The unit coordinates of a configuration; NaN if it lies outside the space."""
        inside = self._space.contains(config)
        return np.array(self._space.to_unit(config) if inside else [math.nan] * len(self._space))

    def _forget(self) -> None:
        self._configs: list[Config] = []
        self._columns = {self._resource: 0}
        self._units = np.empty((256, len(self._space)))
        self._losses = np.empty((256, 1))
        self._flags = np.empty((256, 2), dtype=bool)

    def _enter(self, place: int, seen: Observation) -> None:
        if place == len(self._configs) or self._configs[place] is not seen.config:
            self._configs[place : place + 1] = [seen.config]
            self._units[place] = self.place_of(seen.config)
        self._flags[place] = seen.open, seen.failed
        self._losses[place] = math.nan
        for resource, loss in seen.losses.items():
            column = self._column(resource)  # which may lengthen the rows
            self._losses[place, column] = loss

    def _column(self, resource: int) -> int:
        if resource not in self._columns:
            self._columns[resource] = len(self._columns)
            self._losses = np.concatenate([self._losses, np.full((len(self._losses), 1), math.nan)], axis=1)
        return self._columns[resource]

    def _make_room(self, n: int) -> None:
        more = max(n, 2 * len(self._units)) - len(self._units)
        if n > len(self._units):
            self._units = np.concatenate([self._units, np.empty((more, self._units.shape[1]))])
            self._losses = np.concatenate([self._losses, np.empty((more, self._losses.shape[1]))])
            self._flags = np.concatenate([self._flags, np.empty((more, 2), dtype=bool)])
