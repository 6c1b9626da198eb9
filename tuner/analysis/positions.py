"""Where configurations lie on the axes of their space, as numbers: what figures and statistics of axes are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.records import TrialSummary, Value
from tuner.space import Axis, Choice, Float, Int, SearchSpace
from tuner.space.scale import narrow

OFF: Final = -1.0
"""The position of "off", None on an axis with `none`."""


def positions(trials: Sequence[TrialSummary], space: SearchSpace) -> pd.DataFrame:
    """One row per trial (index: trial), one column per axis of the space, in its order.

    A Float or Int lies at the share of the way from low to high, in the logarithm where the axis is `log`; a Choice at
    its value's place in the list, from 0; OFF where the axis is off; NaN where a configuration does not have it.
    """
    columns = {
        name: axis_positions(axis, [trial.config.get(name, _ABSENT) for trial in trials])
        for name, axis in space.items()
    }
    return pd.DataFrame(columns, index=pd.Index([trial.number for trial in trials], name="trial"), dtype=float)


def axis_positions(axis: Axis, values: Sequence[object]) -> NDArray[np.float64]:
    """The positions of some values of one axis, as in `positions`."""
    if isinstance(axis, Choice):
        place = {(isinstance(value, bool), value): float(index) for index, value in enumerate(axis.values)}
        found = [place.get((isinstance(value, bool), value), math.nan) for value in values]  # type: ignore[arg-type]
        return np.array(found, dtype=np.float64)
    numbers = np.array(
        [float(value) if isinstance(value, int | float) else math.nan for value in values], dtype=np.float64
    )
    low, high = float(axis.low), float(axis.high)
    if low == high:
        share = np.where(np.isnan(numbers), math.nan, 0.5)
    elif axis.log and not narrow(low, high):
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (np.log(numbers) - math.log(low)) / (math.log(high) - math.log(low))
    else:
        share = (numbers / 2 - low / 2) / (high / 2 - low / 2)  # halves: the range itself may leave the floats
    off = np.array([value is None for value in values], dtype=bool)
    return np.where(off, OFF, share)


def value_at(axis: Axis, position: float) -> Value:
    """The way back: which value lies at a position (of an Int, a real number)."""
    if position == OFF:
        return None
    if isinstance(axis, Choice):
        return axis.values[round(position)]
    low, high = float(axis.low), float(axis.high)
    if axis.log and not narrow(low, high):
        return math.exp(math.log(low) + position * (math.log(high) - math.log(low)))
    return 2 * (low / 2 + position * (high / 2 - low / 2))


def ticks(axis: Axis, most: int = 5) -> list[tuple[float, str]]:
    """Positions along an axis and what stands there: about `most` round values and both ends, or all of a choice's."""
    if isinstance(axis, Choice):
        return [(float(index), text(value)) for index, value in enumerate(axis.values)]
    values = _round(axis, most)
    places = axis_positions(axis, values).tolist()
    kept = [
        index
        for index, place in enumerate(places)
        if index in (0, len(places) - 1) or (_APART / most < place < 1 - _APART / most)
    ]
    return [(places[index], text(values[index])) for index in kept]


_APART: Final = 0.4
"""What is nearer to an end than this share of the ticks' distance is not written beside it."""


def _round(axis: Float | Int, most: int) -> list[Value]:
    """Both ends of an axis of numbers, and round values between: powers of ten, or 1, 2, 5 of them apart."""
    low, high = float(axis.low), float(axis.high)
    size = axis.cardinality()
    if size is not None and size - axis.none <= most:
        return [value for value in axis.grid(size) if value is not None]
    if axis.log:
        first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
        if last - first < 1:
            return [value for value in axis.grid(most) if value is not None]
        between = [10.0**power for power in range(first, last + 1, max(1, math.ceil((last - first + 1) / most)))]
    else:
        rough = high / most - low / most
        unit = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
        step = next(times * unit for times in (1, 2, 5, 10) if times * unit >= rough)
        between = [step * index for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    numbers = [low, *(value for value in between if low < value < high), high]
    return [int(value) if isinstance(axis, Int) and value == int(value) else value for value in numbers]


def text(value: Value) -> str:
    """A value of an axis as a figure shows it; None is "off"."""
    if value is None:
        return "off"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


class _Absent:
    """Stands for a name that a configuration does not have."""


_ABSENT: Final = _Absent()
