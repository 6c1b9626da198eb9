"""A search space as a Gaussian process sees it: points whose distances mean something."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from tuner.space import NONE_SHARE, Axis, Choice, SearchSpace, same_value

Array = npt.NDArray[np.float64]

CELLS = 4096
"""Into so many cells the unit interval of an axis of few values is cut, to tell which value a coordinate means."""
FEW = 512
"""An axis of more values than this is taken as continuous."""
APART = 0.5
"""How far two values of a choice without an order are from each other, along each of their two columns."""


class Embedding:
    """Points of the unit cube as rows of features, all in [0, 1].

    A number is its coordinate, at the middle of its share where there are few of them; so is a choice of numbers in
    order. Another choice has a column for each value. An axis that may be off has one more column, which says so. An
    axis that is off, or absent, stands in the middle.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space: Final = space
        self._snapped = {name: _middles(axis) for name, axis in space.items() if _has_few(axis)}

    def units(self, points: Array) -> Array:
        """Those coordinates that the configurations at `points` (n, d) have in common with all that equal them."""
        units = points.copy()
        for column, name in enumerate(self._space):
            axis = self._space[name]
            if name in self._snapped:
                units[:, column] = self._snapped[name][_cells(points[:, column])]
            elif not isinstance(axis, Choice) and axis.none:
                units[:, column] = np.where(points[:, column] < NONE_SHARE, NONE_SHARE / 2, points[:, column])
        active: dict[str, npt.NDArray[np.bool_]] = {}
        for column, name in enumerate(self._space):
            active[name] = self._active(name, points, active)
            units[~active[name], column] = 0.5
        return units

    def features(self, units: Array) -> Array:
        """The features (n, f) of `units` (n, d), as `units` or `SearchSpace.to_unit` give them."""
        columns = []
        for column, axis in enumerate(self._space.values()):
            along = units[:, column]
            if isinstance(axis, Choice) and not _is_ordered(axis):
                index = np.minimum((along * len(axis.values)).astype(int), len(axis.values) - 1)
                columns += [APART * (index == value) for value in range(len(axis.values))]
            elif not isinstance(axis, Choice) and axis.none:
                off = along < NONE_SHARE
                columns += [np.where(off, 0.5, (along - NONE_SHARE) / (1 - NONE_SHARE)), APART * off]
            else:
                columns.append(along)
        return np.column_stack(columns)

    def _active(self, name: str, points: Array, active: dict[str, npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
        """At which of `points` axis `name` exists."""
        exists = np.ones(len(points), dtype=bool)
        for parent, allowed in (self._space[name].when or {}).items():
            if parent in self._space.fixed:
                exists &= any(same_value(self._space.fixed[parent], value) for value in allowed)
                continue
            column = list(self._space).index(parent)
            axis = self._space[parent]
            at_cell = [any(same_value(axis.from_unit(unit), value) for value in allowed) for unit in _centres()]
            exists &= active[parent] & np.array(at_cell)[_cells(points[:, column])]
        return exists


def _has_few(axis: Axis) -> bool:
    n_values = axis.cardinality()
    return n_values is not None and n_values <= FEW


def _is_ordered(axis: Choice) -> bool:
    """Whether the values are numbers that rise or fall; two values of any kind are in order, too."""
    if len(axis.values) <= 2:
        return True
    numbers = [value for value in axis.values if isinstance(value, int | float) and not isinstance(value, bool)]
    signs = {b > a for a, b in pairwise(numbers)}
    return len(numbers) == len(axis.values) and len(signs) == 1


def _centres() -> list[float]:
    return [(cell + 0.5) / CELLS for cell in range(CELLS)]


def _cells(coordinates: Array) -> npt.NDArray[np.intp]:
    return np.minimum((coordinates * CELLS).astype(np.intp), CELLS - 1)


def _middles(axis: Axis) -> Array:
    """For each cell, the middle of the share of the value that is there."""
    return np.array([axis.to_unit(axis.from_unit(unit)) for unit in _centres()])
