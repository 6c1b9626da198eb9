"""Bayesian optimisation with a Gaussian process, through Optuna's GPSampler (log expected improvement, Matérn 5/2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from optuna._gp.thread_limiting import limit_threads_in_optimization
from optuna.samplers import GPSampler
from optuna.trial import TrialState
from scipy.stats import norm

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.distinct import uniform
from tuner.search.judging import Judge
from tuner.search.keys import PerConfig
from tuner.search.levels import Judgement, Standing, thin
from tuner.search.optuna_space import OptunaSpace, Params
from tuner.search.optuna_view import OptunaView, frozen_trial, relative
from tuner.seeds import derive_seed
from tuner.space import SearchSpace

MOST_TRIALS = 200
"""Trials the process is fitted to: the best half of them, and as many spread evenly over the others. It costs n³."""
MOST_OPEN = 16
"""Open trials it is told of, the latest: each adds a dimension to the acquisition function's integral."""


class GpProposer:
    """Random until `judge` sees enough trials; then a fresh GPSampler, seeded by (seed, n), for every proposal.

    The process sees scores, not losses (`scores`): one diverged trial in raw losses would flatten all the others. It
    needs every axis in every trial, so absent and switched-off axes stand at the middle of their range.
    """

    def __init__(self, space: SearchSpace, seed: int, by_level: bool, random_share: float) -> None:
        self._space = space
        self._seed = seed
        self._judge = Judge(len(space), by_level)
        self._random_share = random_share
        self._optuna = OptunaSpace(space)
        self._view = OptunaView()
        middle = self._optuna.middle()
        self._params = PerConfig(
            lambda config: {**middle, **self._optuna.encode(config)} if space.contains(config) else None
        )

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        seed = derive_seed(self._seed, "ask", n, attempt)
        judgements = self._judge(history)
        if judgements is None or derive_seed(self._seed, "random", n) < self._random_share * 2**63:
            return uniform(self._space, seed)
        known: list[tuple[Judgement, Params]] = []
        is_open: list[Params] = []
        for judgement, params in zip(judgements, self._params(history), strict=True):
            if params is not None and judgement.standing is Standing.OPEN:
                is_open.append(params)
            elif params is not None and judgement.standing is not Standing.UNKNOWN:
                known.append((judgement, params))
        known.sort(key=lambda pair: pair[0].rank)
        kept = [known[place] for place in thin(len(known), MOST_TRIALS // 2, MOST_TRIALS)]
        losses = scores([judgement for judgement, _ in kept])
        trials = [
            frozen_trial(number, TrialState.COMPLETE, params, loss)
            for number, ((_, params), loss) in enumerate(zip(kept, losses, strict=True))
        ]
        for params in is_open[-MOST_OPEN:]:
            trials.append(frozen_trial(len(trials), TrialState.RUNNING, params))
        sampler = GPSampler(seed=seed % 2**32, n_startup_trials=0)
        study = self._view.show(trials, sampler)
        # Optuna limits torch to one thread in its inner loops only. Over the whole ask that is 3 to 6 times as fast on
        # busy cores, and the sums come out the same on machines with more of them.
        with limit_threads_in_optimization():
            return self._optuna.decode(relative(study, sampler, self._optuna.parameters, len(trials)))


def scores(judgements: Sequence[Judgement]) -> list[float]:
    """Losses made fit for a Gaussian: to scale where they are good, by rank where they are not.

    From the best loss to the limit (the judged trials' median), they are scaled to [-2, 0]: a process needs the shape
    of the valley, and on ranks alone it finds quadratic minima a hundred times less closely. Beyond the limit they are
    the normal scores of their ranks, in (0, 3): how bad is bad does not matter. The limit comes down to lower
    quantiles while it is a hundred times as far off as the quantile half as high: more than half may have diverged.
    """
    losses = np.array([j.loss for j in judgements if j.standing is Standing.JUDGED])
    best, share = float(losses.min()), 0.5
    limit = float(np.quantile(losses, share, method="lower"))
    while share > 0.1 and limit - best > 100 * (lower := np.quantile(losses, share / 2, method="lower") - best) > 0:
        share /= 2
        limit = best + float(lower)
    is_good = [j.standing is Standing.JUDGED and j.loss <= limit for j in judgements]
    beyond = sorted({j.rank for j, good in zip(judgements, is_good, strict=True) if not good})
    place = {rank: float(norm.ppf(0.5 + 0.5 * (index + 0.5) / len(beyond))) for index, rank in enumerate(beyond)}
    scale = 2 / (limit - best) if limit > best else 0.0
    return [(j.loss - limit) * scale if good else place[j.rank] for j, good in zip(judgements, is_good, strict=True)]
