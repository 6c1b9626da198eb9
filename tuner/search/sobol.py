"""Quasi-random search: a scrambled Sobol sequence over the unit cube (Owen 1998; scipy.stats.qmc)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import qmc

from tuner.records import Config
from tuner.search._base import Observation
from tuner.seeds import derive_seed
from tuner.space import SearchSpace

BLOCK = 256
"""Points made at a time: a power of two, as the sequence's balance wants, and a multiple of it to start from."""


class SobolProposer:
    """The n-th proposal is the n-th point of the sequence that `seed` scrambles."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._block: tuple[int, list[list[float]]] = (-1, [])

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        del history, attempt
        block, offset = divmod(n, BLOCK)
        if self._block[0] != block:
            self._block = (block, self._points(block))
        return self._space.from_unit(self._block[1][offset])

    def _points(self, block: int) -> list[list[float]]:
        rng = np.random.default_rng(derive_seed(self._seed, "sobol"))
        engine = qmc.Sobol(len(self._space), scramble=True, seed=rng)
        if block:
            engine.fast_forward(block * BLOCK)
        points: list[list[float]] = np.minimum(engine.random(BLOCK), 1 - 2**-53).tolist()
        return points
