"""What a study knows before its first trial: the axes' priors, and the studies it remembers (`warm_start`)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tuner.records import Config, Value
from tuner.search.belief import Belief, Kernel, bump
from tuner.space import SearchSpace
from tuner.spec import Memory, StudySpec

SPREADS = {"low": 0.30, "medium": 0.15, "high": 0.05}
"""sure -> the standard deviation around a prior, as a share of its axis."""
WEIGHTS = {"low": 0.40, "medium": 0.65, "high": 0.90}
"""sure -> the extra weight of a favoured choice."""
WIDEST, NARROWEST = 0.30, 0.03
"""The spreads around a remembered configuration."""


def believed_configs(spec: StudySpec) -> list[Config]:
    """The configurations that are believed to be best: the axes' priors, then the best of each study remembered, with
    the prior, or the middle, of an axis that it lacks.
    """
    space = spec.space
    prior = space.prior()
    rest = {name: axis.from_unit(0.5) if axis.prior is None else axis.prior for name, axis in space.items()}
    configs = [] if prior is None else [prior]
    for memory in spec.memory:
        config = space.complete({**rest, **memory.configs[0]})
        configs += [] if config in configs else [config]
    return list(configs)


def belief_of(spec: StudySpec) -> Belief | None:
    """The belief that a spec's priors and memory come to; None if it has neither."""
    space = spec.space
    parts = [_remembered(space, memory) for memory in spec.memory]
    if space.prior() is not None:
        parts.append([_prior(space)])
    return Belief(space, parts) if parts else None


def _prior(space: SearchSpace) -> Kernel:
    return [
        None if axis.prior is None else bump(axis, axis.prior, SPREADS[axis.sure], WEIGHTS[axis.sure])
        for axis in space.values()
    ]


def _remembered(space: SearchSpace, memory: Memory) -> list[Kernel]:
    """A kernel around each configuration: the narrower, the more trials they are the best of; but along an axis on
    which they lie apart, as wide as that, since it does not matter much there.
    """
    least = 0.5 / math.sqrt(memory.trials)
    spreads = {}
    for name, axis in space.items():
        units = [axis.to_unit(config[name]) for config in memory.configs if name in config]
        spreads[name] = min(max(least, NARROWEST, float(np.std(units))), WIDEST) if units else WIDEST
    return [_kernel(space, config, spreads) for config in memory.configs]


def _kernel(space: SearchSpace, config: Mapping[str, Value], spreads: Mapping[str, float]) -> Kernel:
    return [
        bump(axis, config[name], spreads[name], WEIGHTS["medium"]) if name in config else None
        for name, axis in space.items()
    ]
