"""How far configurations are from one another, and which of many is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from tuner.records import Config
from tuner.space import NONE_SHARE, Choice, SearchSpace

_NUMBER, _OFF, _ABSENT = -1, -2, -3


@final
class Neighbours:
    """Points of a space. The distance of two is Euclidean over the axes, each of which counts 0..1.

    Numbers differ by their distance on the axis' unit interval (in log space where it is log). What has no such
    distance differs by 1: two values of a choice; a number and "off"; an axis that exists and one that does not.
    """

    def __init__(self, space: SearchSpace, configs: Sequence[Config]) -> None:
        self._space = space
        places = [self._place(config) for config in configs]
        shape = (len(places), len(space))
        self._kinds = np.array([kinds for kinds, _ in places], dtype=np.int32).reshape(shape)
        self._units = np.array([units for _, units in places], dtype=float).reshape(shape)

    def squares(self, config: Config) -> NDArray[np.float64]:
        """The squared distance of each point to `config`."""
        kinds, units = self._place(config)
        apart = np.abs(self._units - np.array(units))
        apart[self._kinds != np.array(kinds, dtype=np.int32)] = 1.0
        squares: NDArray[np.float64] = np.einsum("ij,ij->i", apart, apart)
        return squares

    def _place(self, config: Config) -> tuple[list[int], list[float]]:
        """Of each axis, what it is there (a choice's value, a number, "off", absent), and where, if it is a number."""
        kinds, units = [], []
        for name, axis in self._space.items():
            kind, unit = _NUMBER, 0.0
            if name not in config:
                kind = _ABSENT
            elif isinstance(axis, Choice):
                kind = axis.index(config[name])
            elif config[name] is None:
                kind = _OFF
            else:
                unit = axis.to_unit(config[name])
                unit = (unit - NONE_SHARE) / (1 - NONE_SHARE) if axis.none else unit
            kinds.append(kind)
            units.append(unit)
        return kinds, units
