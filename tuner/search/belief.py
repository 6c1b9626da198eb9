"""Where good configurations are believed to lie: a mixture over the unit cube.

A part of the mixture is what one source says (the axes' priors, a study remembered), and a kernel is one configuration
of it. Within a kernel the axes are independent: along one, a number is normal around its value, cut off where the axis
ends; a choice, or that an axis is off, is a category and gets an extra weight. Where nothing is said, it is uniform.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tuner.records import Config, Value
from tuner.space import NONE_SHARE, Axis, Choice, SearchSpace
from tuner.space.scale import BELOW_ONE, clamp

NUMBER_WEIGHT = 0.95
"""One number in twenty is drawn from the whole axis all the same."""


@dataclass(frozen=True, slots=True)
class Bump:
    """What is believed of one axis: with probability `weight` its coordinate is normal around `centre`, with standard
    deviation `spread`, within [low, high); otherwise it is uniform over [0, 1). An infinite spread is uniform, too.
    """

    low: float
    high: float
    centre: float
    spread: float
    weight: float

    def at(self, which: float, share: float) -> float:
        """The coordinate of two numbers of [0, 1): one says which case it is, the other is the quantile in it."""
        if which >= self.weight:
            return share
        if math.isinf(self.spread):
            return clamp(self.low + share * (self.high - self.low), 0.0, BELOW_ONE)
        normal = NormalDist(self.centre, self.spread)
        below, above = normal.cdf(self.low), normal.cdf(self.high)
        quantile = clamp(below + share * (above - below), 1e-300, BELOW_ONE)
        return clamp(normal.inv_cdf(quantile), self.low, min(self.high, BELOW_ONE))


Kernel = Sequence[Bump | None]
"""A belief for each axis of a space; None: anywhere."""


def bump(axis: Axis, value: Value, spread: float, weight: float) -> Bump:
    """The belief that `value` is good. `spread` is for numbers, a share of the axis; `weight` is for categories."""
    if isinstance(axis, Choice):
        n, index = len(axis.values), axis.index(value)
        return Bump(index / n, (index + 1) / n, axis.to_unit(value), math.inf, weight)
    if value is None:
        return Bump(0.0, NONE_SHARE, axis.to_unit(value), math.inf, weight)
    low = NONE_SHARE if axis.none else 0.0
    return Bump(low, 1.0, axis.to_unit(value), spread * (1 - low), NUMBER_WEIGHT)


class Belief:
    """Draws configurations. The `parts` weigh the same, and so do the kernels of a part."""

    def __init__(self, space: SearchSpace, parts: Sequence[Sequence[Kernel]]) -> None:
        self._space = space
        self._parts = parts

    def draw(self, seed: int) -> Config:
        """The configuration that `seed` draws: a function of the seed, whatever the study has seen."""
        rng = np.random.default_rng(seed)
        part = self._parts[int(rng.integers(len(self._parts)))]
        kernel = part[int(rng.integers(len(part)))]
        numbers = rng.random((len(self._space), 2)).tolist()
        return self._space.from_unit(
            [
                share if bump is None else bump.at(which, share)
                for bump, (which, share) in zip(kernel, numbers, strict=True)
            ]
        )
