"""Multi-fidelity Bayesian search: a Gaussian process over (configuration, resource) says what to start next.

Every loss at every rung counts, those of stopped, paused and failed trials too; what is maximised is the expected
improvement at the end of a full training. What was measured and left out: docs/decisions/0009-multi-fidelity-search.md
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import erfcx, ndtr
from threadpoolctl import ThreadpoolController

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.distinct import uniform
from tuner.search.embedding import Embedding
from tuner.search.fidelity_process import Array, FidelityProcess, Hyperparameters, Points, fit
from tuner.search.keys import PerConfig, config_key
from tuner.search.levels import STARTUP, thin
from tuner.seeds import derive_seed
from tuner.space import SearchSpace
from tuner.space.scale import BELOW_ONE

RANDOM_SHARE = 0.1
"""Share of the proposals that are random where a scheduler stops trials: what the model will never believe."""
MOST_FITTED = 80
"""Losses that the hyperparameters are fitted to; a fit costs the cube of it, and is made for every proposal."""
MOST_KNOWN = 300
"""Losses that the process is conditioned on."""
MOST_OPEN = 64
"""Trials without a loss yet, the latest, whose losses are taken to be as expected."""
N_ANYWHERE, N_NEAR = 150, 100
"""Candidates: so many from the whole space, and so many more in each round: near the best trials in the first one, then
near the best candidates so far.
"""
N_BEST, N_LEADERS = 8, 4
"""So many best trials are looked around, and so many best candidates."""
ROUNDS = ((-2.0, -0.3),) * 3 + ((-2.3, -1.0),) * 2 + ((-3.0, -1.5),)
"""How far each round looks: the powers of ten between which the standard deviations lie, as shares of an axis."""
AT_AN_END = 0.3
"""In half of the candidates of a round, so large a share of the axes is moved to one of its ends: where the best is in
a corner, small steps seldom find it.
"""


class AutoProposer:
    """Random until `STARTUP` trials were judged; then the candidate of the highest expected improvement.

    With `by_level`, losses are those of resource r on the way to `max_resource`; without (no scheduler), every loss is
    that of a full training. Deterministic: every proposal is worked out anew from the history; what is kept between two
    is what the same data would give again.
    """

    def __init__(self, space: SearchSpace, seed: int, by_level: bool, max_resource: int) -> None:
        self._space = space
        self._seed = seed
        self._by_level = by_level
        self._max_resource = max_resource
        self._embedding = Embedding(space)
        self._units = PerConfig(lambda config: space.to_unit(config) if space.contains(config) else None)
        self._keys = PerConfig(lambda config: config_key(space, config))
        self._threads = ThreadpoolController()
        self._fitted: tuple[bytes, Hyperparameters] | None = None

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        seed = derive_seed(self._seed, "ask", n, attempt)
        units = self._units(history)
        losses = [seen.losses for seen, unit in zip(history, units, strict=True) if seen.losses and unit is not None]
        n_finite = sum(any(map(math.isfinite, own.values())) for own in losses)
        is_random = self._by_level and derive_seed(self._seed, "random", n) < RANDOM_SHARE * 2**63
        if len(losses) < STARTUP or n_finite < 2 or is_random:
            return uniform(self._space, seed)
        with self._threads.limit(
            limits=1
        ):  # sums differ in the last bit with the number of threads, and small ones are slower
            candidates, gains = self._weigh(history, np.random.default_rng(seed))
        tried = set(self._keys(history))
        configs = (self._space.from_unit(candidates[index].tolist()) for index in np.argsort(-gains, kind="stable"))
        first = next(configs)
        if config_key(self._space, first) not in tried:
            return first
        return next((config for config in configs if config_key(self._space, config) not in tried), first)

    def _weigh(self, history: Sequence[Observation], rng: np.random.Generator) -> tuple[Array, Array]:
        """Candidates, and the logarithm of what each is expected to improve on the best loss."""
        units = self._units(history)
        known = [
            (index, self._time(resource), loss)
            for index, observation in enumerate(history)
            if units[index] is not None
            for resource, loss in sorted(observation.losses.items())
        ]
        scores = standing([loss for _, _, loss in known])
        order = np.argsort(scores, kind="stable")
        process = self._process(history, known, scores)
        best = list(dict.fromkeys(known[place][0] for place in order))[:N_BEST]
        limit = float(scores.min())
        candidates = self._embedding.units(rng.random((N_ANYWHERE, len(self._space))))
        gains = self._gains(process, candidates, limit)
        around = np.array([units[index] for index in best])
        for scales in ROUNDS:
            near = self._near(around, scales, rng)
            candidates = np.concatenate([candidates, near])
            gains = np.concatenate([gains, self._gains(process, near, limit)])
            around = candidates[np.argsort(-gains, kind="stable")[:N_LEADERS]]
        return candidates, gains

    def _gains(self, process: FidelityProcess, units: Array, best: float) -> Array:
        """The logarithm of what a full training at each of `units` is expected to improve on `best`."""
        at = Points(self._embedding.features(units), np.ones(len(units)), np.full(len(units), -1.0))
        return log_expected_improvement(*process.predict(at), best)

    def _process(
        self, history: Sequence[Observation], known: list[tuple[int, float, float]], scores: Array
    ) -> FidelityProcess:
        """The process, given what is known, and what is open as it expects it."""
        units = self._units(history)
        rows = np.array([units[index] for index, _, _ in known])
        points = Points(
            self._embedding.features(rows),
            np.array([time for _, time, _ in known]),
            np.array([float(index) for index, _, _ in known]),
        )
        furthest = np.lexsort((scores, -points.t))
        few, many = (furthest[thin(len(furthest), most // 2, most)] for most in (MOST_FITTED, MOST_KNOWN))
        by = self._fit(points[few], scores[few])
        process = FidelityProcess(by, points[many], scores[many])
        is_open = [i for i, seen in enumerate(history) if seen.open and not seen.losses and units[i] is not None]
        if not is_open:
            return process
        is_open = is_open[-MOST_OPEN:]
        first = min(time for _, time, _ in known)
        pending = Points(
            self._embedding.features(np.array([units[index] for index in is_open])),
            np.full(len(is_open), first),
            np.array([float(index) for index in is_open]),
        )
        expected, _ = process.predict(pending)
        return FidelityProcess(by, points[many] + pending, np.concatenate([scores[many], expected]))

    def _fit(self, points: Points, scores: Array) -> Hyperparameters:
        """Those of the last call, if the data are the same: proposals that are asked for together share them."""
        data = b"".join(array.tobytes() for array in (points.x, points.t, points.trial, scores))
        if self._fitted is None or self._fitted[0] != data:
            self._fitted = (data, fit(points, scores))
        return self._fitted[1]

    def _near(self, around: Array, scales: tuple[float, float], rng: np.random.Generator) -> Array:
        """Unit coordinates near those of `around`, moved along about half of the axes, some of them to an end."""
        near = np.repeat(around, -(-N_NEAR // len(around)), axis=0)
        each = (len(near), 1)
        moved = rng.random(near.shape) < 0.5
        near = near + moved * 10 ** rng.uniform(*scales, each) * rng.standard_normal(near.shape)
        at_an_end = (rng.random(near.shape) < AT_AN_END) & (rng.random(each) < 0.5)
        near = np.where(at_an_end, rng.integers(0, 2, near.shape), near)
        return self._embedding.units(np.clip(near, 0.0, BELOW_ONE))

    def _time(self, resource: int) -> float:
        if not self._by_level or self._max_resource == 1:
            return 1.0
        return min(math.log(resource) / math.log(self._max_resource), 1.0)


WORST = 2.0
"""A loss so many times as far beyond the limit as the best is below it is as bad as any, infinity included."""


def standing(losses: Sequence[float]) -> Array:
    """Losses made fit for a Gaussian: to scale from the best to a limit, compressed beyond it, standardised.

    The limit is the median, or the lowest of its halvings (quantiles 1/4, 1/8, 1/16) while it is 30 times as far off
    as the next: more than half may have diverged, and a loss of 1e18 must not flatten the others.
    """
    values = np.array(losses, dtype=np.float64)
    values /= max(1.0, float(np.abs(values[np.isfinite(values)]).max()) / 1e100)  # so that no difference overflows
    finite = np.sort(values[np.isfinite(values)])
    best, share = finite[0], 0.5
    limit = np.quantile(finite, share, method="lower")
    while share > 0.1 and limit - best > 30 * (lower := np.quantile(finite, share / 2, method="lower") - best) > 0:
        share, limit = share / 2, best + lower
    scale = limit - best if limit > best else 1.0
    beyond = (np.minimum(values, limit + WORST * scale) - limit) / scale
    scaled = np.where(beyond <= 0, beyond, np.log1p(np.maximum(beyond, 0.0)) / 2)
    return np.asarray((scaled - scaled.mean()) / (scaled.std() + 1e-9))


def log_expected_improvement(mean: Array, variance: Array, best: float) -> Array:
    """The logarithm of E[max(best - y, 0)] for normal y, also where that is too small for a float (LogEI, Ament et al.
    2023): log σ + log φ(z) + log(1 + z Φ(z)/φ(z)), z = (best - μ)/σ.
    """
    sd = np.sqrt(variance)
    z = (best - mean) / sd
    below = np.minimum(z, 0.0)
    ratio = math.sqrt(math.pi / 2) * erfcx(-below / math.sqrt(2))  # Φ(z)/φ(z)
    left = np.log(np.maximum(1 + below * ratio, 1 / (below**2 + 3)))  # the latter is its lower bound, and its limit
    above = np.maximum(z, 0.0)
    right = np.log(np.exp(-0.5 * above**2) + above * ndtr(above) * math.sqrt(2 * math.pi))
    return np.asarray(np.log(sd) - 0.5 * math.log(2 * math.pi) + np.where(z < 0, left - 0.5 * below**2, right))
