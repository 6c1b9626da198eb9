"""Finitely many values per axis, as one sequence of configurations that is counted and indexed, never built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tuner.records import Value
from tuner.search.keys import Key, config_key
from tuner.space import Axis, Float, Int, SearchSpace


class Points:
    """Every configuration that takes its values from `values`, each once, in the order of the axes.

    A condition that does not hold takes its axis away, so that no two points are the same. The points are the leaves of
    a tree whose levels are the axes; leaves are counted per level and per values of those axes on which later ones
    depend, so that `len` and indexing cost the number of axes and values, not the number of points.
    """

    def __init__(self, space: SearchSpace, values: Mapping[str, Sequence[Value]]) -> None:
        self._space = space
        self._names: Final = list(space)
        self._values = values
        # A level's count depends on nothing but the values of its later axes' parents.
        self._parents = [
            {parent for later in self._names[level:] for parent in (space[later].when or {})}
            for level in range(len(self._names) + 1)
        ]
        self._counts: dict[tuple[int, Key], int] = {}
        self.count: Final = self._count(0, dict(space.fixed))

    def __getitem__(self, index: int) -> dict[str, Value]:
        """The configuration at `index` in 0..count-1."""
        config = dict(self._space.fixed)
        for level, name in enumerate(self._names):
            if not self._space.is_active(name, config):
                continue
            for value in self._values[name]:
                config[name] = value
                below = self._count(level + 1, config)
                if index < below:
                    break
                index -= below
        return config

    def __iter__(self) -> Iterator[dict[str, Value]]:
        return (self[index] for index in range(self.count))

    def _count(self, level: int, config: dict[str, Value]) -> int:
        if level == len(self._names):
            return 1
        place = (level, config_key(self._space, {k: v for k, v in config.items() if k in self._parents[level]}))
        if place not in self._counts:
            name = self._names[level]
            if not self._space.is_active(name, config):
                count = self._count(level + 1, config)
            elif name in self._parents[level + 1]:
                count = sum(self._count(level + 1, {**config, name: value}) for value in self._values[name])
            else:
                count = len(self._values[name]) * self._count(level + 1, config)
            self._counts[place] = count
        return self._counts[place]


def all_points(space: SearchSpace) -> Points | None:
    """Every configuration of a finite space; None if an axis is continuous or has very many values."""
    values: dict[str, list[Value]] = {}
    for name, axis in space.items():
        n_values = axis.cardinality()
        if n_values is None or n_values > MOST_VALUES:
            return None
        values[name] = every_value(axis)
    return Points(space, values)


MOST_VALUES = 10_000
"""An axis with more values than this is treated as if it had no end of them."""


def every_value(axis: Axis) -> list[Value]:
    """All values of an axis that has finitely many."""
    if isinstance(axis, Int):
        return [*range(axis.low, axis.high + 1, axis.step), *([None] if axis.none else [])]
    n_values = axis.cardinality()
    assert n_values is not None
    return axis.grid(n_values - (isinstance(axis, Float) and axis.none))
