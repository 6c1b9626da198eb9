"""CMA-ES (Hansen 2016), through the `cmaes` library: numbers in the unit cube, choices at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cmaes import CMA
from numpy.typing import NDArray

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.judging import Judge
from tuner.search.keys import PerConfig
from tuner.search.levels import Judgement, Standing
from tuner.seeds import derive_seed
from tuner.space import Choice, SearchSpace

SIGMA = 0.25
"""The first step size: the cube's middle and its walls are two of them apart."""

Point = NDArray[np.float64]


@dataclass
class _Fold:
    """What the distribution has learned from `told`, the (place, rank) pairs of every generation in order."""

    cma: CMA
    told: list[list[tuple[list[float | None], int]]]
    restarts: int = 0


class CmaesProposer:
    """Folds the judged trials, by number, into generations of 4 + 3 ln(axes), and draws from what comes of it.

    The distribution is never stored: it is a function of the history, folded again from where the last ask's history
    agrees with this one's. Within a generation only ranks count, so that huge losses and failures do no harm. Where an
    axis is absent from a trial, its coordinate is a draw from the distribution itself, which teaches nothing. When the
    distribution has collapsed it starts again from a random mean. Optuna's CmaEsSampler keeps its state as pickles in
    trials, and cannot be rebuilt from them without those.
    """

    def __init__(self, space: SearchSpace, seed: int, by_level: bool) -> None:
        self._space = space
        self._seed = seed
        self._judge = Judge(len(space), by_level)
        self._axes = [index for index, axis in enumerate(space.values()) if not isinstance(axis, Choice)]
        self._n_dims = max(len(self._axes), 2)  # the library wants two; the second then means nothing
        self._places = PerConfig(self._place)
        self._fold: _Fold | None = None

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        seed = derive_seed(self._seed, "ask", n, attempt)
        units = np.random.default_rng(seed).random(len(self._space)).tolist()
        if self._axes:
            cma = self._folded(self._generations(history)).cma
            cma.reseed_rng(seed % 2**32)
            for index, unit in zip(self._axes, cma.ask().tolist(), strict=False):
                units[index] = min(unit, 1 - 2**-53)
        return self._space.from_unit(units)

    def _place(self, config: Config) -> list[float | None] | None:
        """The coordinates of the number axes, None where one is absent; None if the space has no such point."""
        if not self._space.contains(config):
            return None
        units = self._space.to_unit(config)
        names = list(self._space)
        return [units[index] if names[index] in config else None for index in self._axes]

    def _generations(self, history: Sequence[Observation]) -> list[list[tuple[list[float | None], int]]]:
        judgements = self._judge(history) or []
        judged: list[tuple[list[float | None], Judgement]] = [
            (place, judgement)
            for place, judgement in zip(self._places(history), judgements, strict=False)
            if place is not None and judgement.standing not in (Standing.OPEN, Standing.UNKNOWN)
        ]
        size = self._new(0).population_size
        generations = []
        for start in range(0, len(judged) - size + 1, size):
            members = judged[start : start + size]
            order = sorted({judgement.rank for _, judgement in members})
            generations.append([(place, order.index(judgement.rank)) for place, judgement in members])
        return generations

    def _folded(self, generations: list[list[tuple[list[float | None], int]]]) -> _Fold:
        fold = self._fold
        if fold is None or fold.told != generations[: len(fold.told)]:
            fold = self._fold = _Fold(self._new(0), [])
        for generation in generations[len(fold.told) :]:
            self._tell(fold, generation)
        return fold

    def _tell(self, fold: _Fold, generation: list[tuple[list[float | None], int]]) -> None:
        solutions: list[tuple[Point, float]] = []
        for member, (place, rank) in enumerate(generation):
            fold.cma.reseed_rng(derive_seed(self._seed, "absent", len(fold.told), member) % 2**32)
            point = fold.cma.ask()
            for index, unit in enumerate(place):
                if unit is not None:
                    point[index] = unit
            solutions.append((point, float(rank)))
        fold.cma.tell(solutions)
        fold.told.append(generation)
        if fold.cma.should_stop():
            fold.restarts += 1
            fold.cma = self._new(fold.restarts)

    def _new(self, restart: int) -> CMA:
        """The distribution before anything is known: at the priors or the middle, later somewhere at random."""
        mean = np.full(self._n_dims, 0.5)
        prior = self._space.prior()
        if restart:
            mean = np.random.default_rng(derive_seed(self._seed, "restart", restart)).random(self._n_dims)
        elif prior is not None:
            for index, unit in enumerate(self._place(prior) or []):
                mean[index] = 0.5 if unit is None else unit
        return CMA(mean=mean, sigma=SIGMA, bounds=np.tile([0.0, 1.0], (self._n_dims, 1)))
