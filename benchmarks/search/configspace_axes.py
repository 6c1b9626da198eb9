"""Our spaces as ConfigSpace's, for the peers that use it; the benchmarks' spaces have numbers only."""

from __future__ import annotations

from typing import Any

from ConfigSpace import Configuration, ConfigurationSpace
from ConfigSpace.hyperparameters import UniformFloatHyperparameter, UniformIntegerHyperparameter

from tuner.space import Int, SearchSpace


def configspace(space: SearchSpace, seed: int) -> ConfigurationSpace:
    """The same axes, bounds and scales."""
    made = ConfigurationSpace(seed=seed)
    for name, axis in space.items():
        kind = UniformIntegerHyperparameter if isinstance(axis, Int) else UniformFloatHyperparameter
        made.add(kind(name, lower=axis.low, upper=axis.high, log=axis.log))
    return made


def plain(space: SearchSpace, config: Configuration) -> dict[str, Any]:
    """The configuration as ours; rounding on a logarithmic scale may have left the bounds by a last bit."""
    return {
        name: (int if isinstance(axis, Int) else float)(min(max(config[name], axis.low), axis.high))
        for name, axis in space.items()
    }
