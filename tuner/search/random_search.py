"""Random search (Bergstra and Bengio 2012): every configuration is drawn uniformly, in log space where the axis is."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.distinct import uniform
from tuner.seeds import derive_seed
from tuner.space import SearchSpace


class RandomProposer:
    """The n-th proposal is a function of (seed, n) alone.

    numpy over the unit cube rather than Optuna's RandomSampler: docs/decisions/0002-samplers.md has the measurement.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._seed = seed

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        del history
        return uniform(self._space, derive_seed(self._seed, "ask", n, attempt))
