"""How fine a grid fits a number of trials."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.records import Value
from tuner.search.points import Points
from tuner.space import Choice, SearchSpace


def finest(space: SearchSpace, n_trials: int, given: Mapping[str, int]) -> dict[str, int]:
    """Points for each axis but the choices, as `sampler.points` takes them: the finest grid of at most `n_trials`.

    In turns, in the order of the space, an axis gets one more value as long as the whole grid still fits; the axes
    named first are the finer ones. `given` points stay as they are; a choice gives all of its values. Where even the
    coarsest grid does not fit, it is the coarsest: the budget then cuts it short, in random order.
    """
    points = {name: 1 for name, axis in space.items() if not isinstance(axis, Choice)} | dict(given)
    growing = [name for name in points if name not in given]
    size, before = n_points(space, points), 0
    while size > before:
        before = size
        for name in growing:
            finer = points | {name: points[name] + 1}
            if size < (grown := n_points(space, finer)) <= n_trials:
                points, size = finer, grown
    return points


def n_points(space: SearchSpace, points: Mapping[str, int]) -> int:
    """How many configurations the grid with these points has."""
    return Points(space, _values(space, points)).count


def in_words(space: SearchSpace, points: Mapping[str, int]) -> str:
    """The resolution, such as "lr 5 x batch_size 4 (20 points)"."""
    values = _values(space, points)
    axes = " x ".join(f"{name} {len(values[name])}" for name in space)
    return f"{axes} ({n_points(space, points)} points)"


def _values(space: SearchSpace, points: Mapping[str, int]) -> dict[str, list[Value]]:
    return {name: axis.grid(points.get(name, 1)) for name, axis in space.items()}
