"""Grid search: every combination of a few evenly spread values per axis, in an order that the seed shuffles."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from tuner.records import Config, Value
from tuner.search._base import Observation
from tuner.search.keys import Key, PerConfig, config_key
from tuner.search.points import Points
from tuner.seeds import derive_seed
from tuner.space import Choice, SearchSpace

DEFAULT_POINTS = 3
"""Points of an axis without `points` when the budget does not say how many trials there are."""


class GridSampler:
    """Proposes each point of the grid once, and then no more.

    `points` says how many values an axis gets: floats evenly spread ones, both ends among them, in log space where the
    axis is; ints the same, rounded; an axis with `none` one more, "off". A choice always gives all its values. Axes not
    named in `points` get the same number each: the largest with which the whole grid fits `budget` trials, at least 2
    (`DEFAULT_POINTS` without a budget). Axes whose condition does not hold are left out, and the points that then agree
    are one.

    The order is shuffled by `seed`, so that a budget that cuts the grid short does not leave a corner of it. A point
    that the history holds already, enqueued by a person say, is not proposed again. No list of the grid is made: a grid
    of 10^9 points costs no more than the part that is asked for.
    """

    def __init__(self, space: SearchSpace, seed: int, points: Mapping[str, int], budget: int | None) -> None:
        self._space = space
        self._points = fit_points(space, points, budget)
        self._random = random.Random(derive_seed(seed, "grid"))  # noqa: S311 - a shuffle, not a secret
        self._order: list[tuple[int, Key]] = []
        self._drawn: set[int] = set()
        self._keys = PerConfig(lambda config: config_key(space, config))

    def ask(self, history: Sequence[Observation], first: int, count: int) -> list[Config]:
        del first  # what was proposed is in the history, and points that others proposed are not to be lost
        tried = set(self._keys(history))
        proposals: list[Config] = []
        position = 0
        while len(proposals) < count and position < self._points.count:
            index, key = self._at(position)
            position += 1
            if key not in tried:
                tried.add(key)
                proposals.append(self._points[index])
        return proposals

    def promising(self, history: Sequence[Observation], paused: Collection[int]) -> None:
        """None: a grid knows nothing of losses."""

    def size(self) -> int:
        return self._points.count

    def _at(self, position: int) -> tuple[int, Key]:
        """The index and key of the point at `position` of the shuffled order; the order is drawn as far as needed."""
        while position >= len(self._order):
            index = self._draw()
            self._drawn.add(index)
            self._order.append((index, config_key(self._space, self._points[index])))
        return self._order[position]

    def _draw(self) -> int:
        """The next index not drawn before: by trial, and near the end, where trial is slow, from those left."""
        count = self._points.count
        if len(self._drawn) * 2 < count:
            while (index := self._random.randrange(count)) in self._drawn:
                pass
            return index
        left = [index for index in range(count) if index not in self._drawn]
        self._random.shuffle(left)
        self._order.extend((index, config_key(self._space, self._points[index])) for index in left[:-1])
        self._drawn.update(left)
        return left[-1]


def fit_points(space: SearchSpace, points: Mapping[str, int], budget: int | None) -> Points:
    """The grid over `space`; see `GridSampler` for how many points an axis gets."""
    unnamed = [name for name, axis in space.items() if name not in points and not isinstance(axis, Choice)]
    if not unnamed or budget is None:
        return Points(space, _values(space, points, DEFAULT_POINTS))
    grid = Points(space, _values(space, points, 2))
    for each in range(3, budget + 1):
        larger = Points(space, values := _values(space, points, each))
        if larger.count > budget:
            break
        grid = larger
        if all(len(values[name]) < each for name in unnamed):
            break  # every axis has given all it has
    return grid


def _values(space: SearchSpace, points: Mapping[str, int], default: int) -> dict[str, list[Value]]:
    return {name: axis.grid(points.get(name, default)) for name, axis in space.items()}
