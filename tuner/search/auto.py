"""Multi-fidelity Bayesian search: a Gaussian process over (configuration, resource) says what to start next, and which
paused trial should go on whatever the scheduler thinks of it.

Every loss at every rung counts, those of stopped, paused and failed trials too; what is maximised is the expected
improvement at the end of a full training. What was measured and left out: docs/decisions/0009-multi-fidelity-search.md
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, ndtr
from threadpoolctl import ThreadpoolController

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.distinct import uniform
from tuner.search.embedding import Embedding
from tuner.search.fidelity_process import Array, FidelityProcess, Hyperparameters, Points, Prior, fit
from tuner.search.keys import PerConfig, config_key
from tuner.search.levels import STARTUP, thin
from tuner.search.scores import ranks, standing
from tuner.seeds import derive_seed
from tuner.space import SearchSpace
from tuner.space.scale import BELOW_ONE


@dataclass(frozen=True, slots=True)
class View:
    """What is believed of a space beforehand, what is made of losses, and where the best is sought."""

    prior: Prior
    by_rank: bool
    """Whether a trial counts once, by the rank of its best loss, or with every loss, to scale, at its resource."""
    n_anywhere: int
    """Candidates from the whole space."""
    rounds: tuple[tuple[float, float], ...]
    """Rounds of `N_NEAR` more candidates: near the best trials in the first one, then near the best candidates so far.
    How far each looks: the powers of ten between which the standard deviations lie, as shares of an axis.
    """


SMOOTH = View(Prior(2.0, 0.0005, 2.0), False, 150, ((-2.0, -0.3),) * 3 + ((-2.3, -1.0),) * 2 + ((-3.0, -1.5),))
"""Trends reach across the space, and are followed to the point, into a corner if they lead there."""
RANKED = View(Prior(0.5, 0.1, 1.0), True, 500, ())
"""Which trials are ahead says where to look, whatever their losses are: most may be at chance, some may have diverged.
Little is known away from what was tried.
"""
VIEWS = (SMOOTH, RANKED)
"""Proposals take turns with them: neither is good on all tasks, and losses do not tell soon enough which one is."""

RANDOM_SHARE = 0.1
"""Share of the proposals that are random where a scheduler stops trials: what the model will never believe."""
PROMISING = 0.25
"""A paused trial goes on, whatever the scheduler says, if it ends as the best with at least this probability."""
MOST_JUDGED = 64
"""So many paused trials are judged, the latest; and as many of the others, those with the best losses."""
MOST_FITTED = 80
"""Losses that the hyperparameters are fitted to; a fit costs the cube of it, and is made for every proposal."""
MOST_KNOWN = 300
"""Losses that the process is conditioned on."""
MOST_OPEN = 64
"""Trials without a loss yet, the latest, whose first ones are taken to be as expected."""
APART = 0.02
"""What the model proposes is at least so far from every one of these, along one axis at least, if a candidate is: where
many workers ask at once, hardly anything is learned from two that are nearly the same.
"""
N_NEAR = 100
"""Candidates of a round."""
N_BEST, N_LEADERS = 8, 4
"""So many best trials are looked around, and so many best candidates."""
AT_AN_END = 0.3
"""In half of the candidates of a round, so large a share of the axes is moved to one of its ends: where the best is in
a corner, small steps seldom find it.
"""


@dataclass(frozen=True)
class Past:
    """A study's trials, and the unit coordinates of each; None where its configuration lies outside the space."""

    trials: Sequence[Observation]
    units: Sequence[Sequence[float] | None]

    @cached_property
    def known(self) -> list[int]:
        """The trials that have losses."""
        return [index for index, seen in enumerate(self.trials) if seen.losses and self.units[index] is not None]

    @cached_property
    def open(self) -> list[int]:
        """The trials that are under way and have no loss yet, the latest `MOST_OPEN` of them."""
        places = [
            index
            for index, seen in enumerate(self.trials)
            if seen.open and not seen.losses and self.units[index] is not None
        ]
        return places[-MOST_OPEN:]

    @cached_property
    def is_enough(self) -> bool:
        """Whether there is anything to model: `STARTUP` trials with losses, two of them finite."""
        finite = sum(any(map(math.isfinite, self.trials[index].losses.values())) for index in self.known)
        return len(self.known) >= STARTUP and finite >= 2


class AutoProposer:
    """Random until `STARTUP` trials were judged; then the candidate of the highest expected improvement.

    With `by_level`, losses are those of resource r on the way to `max_resource`; without (no scheduler), every loss is
    that of a full training. Deterministic: every answer is worked out anew from the history; what is kept between two
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
        self._fitted: dict[View, tuple[bytes, Hyperparameters]] = {}

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        seed = derive_seed(self._seed, "ask", n, attempt)
        is_random = self._by_level and derive_seed(self._seed, "random", n) < RANDOM_SHARE * 2**63
        past = self._past(history)
        if is_random or not past.is_enough:
            return uniform(self._space, seed)
        # Sums differ in the last bit with the number of threads, and small ones are slower.
        with self._threads.limit(limits=1):
            candidates, gains = self._weigh(past, self._view(n), np.random.default_rng(seed))
        gains = np.where(self._is_near_an_open_one(past, candidates), -np.inf, gains)
        tried = set(self._keys(history))
        configs = (self._space.from_unit(candidates[index].tolist()) for index in np.argsort(-gains, kind="stable"))
        first = next(configs)
        if config_key(self._space, first) not in tried:
            return first
        return next((config for config in configs if config_key(self._space, config) not in tried), first)

    def _view(self, n: int) -> View:
        """Of two proposals in a row each view makes one, in an order that is drawn: where every second proposal is made
        for the same worker, say, it has both.
        """
        pair, place = divmod(n, len(VIEWS))
        return VIEWS[(place + derive_seed(self._seed, "view", pair)) % len(VIEWS)]

    def promising(self, history: Sequence[Observation], paused: Collection[int]) -> int | None:
        """The paused trial that most probably ends as the best, if that is probable enough."""
        past = self._past(history)
        if not past.is_enough:
            return None
        known = self._above_the_rest(past, paused)
        if not known:
            return None
        latest, others = known[-MOST_JUDGED:], known[:-MOST_JUDGED]
        judged = [*sorted(others, key=lambda number: min(history[number].losses.values()))[:MOST_JUDGED], *latest]
        with self._threads.limit(limits=1):
            process, limit = self._process(past, SMOOTH, judged)
            at_end = self._points(past, judged, 1.0)
            mean, variance = process.predict(at_end)
        chances = ndtr((limit - mean) / np.sqrt(variance))
        first = int(np.argmax(chances))
        return judged[first] if chances[first] >= PROMISING else None

    def _past(self, history: Sequence[Observation]) -> Past:
        return Past(history, self._units(history))

    def _above_the_rest(self, past: Past, paused: Collection[int]) -> list[int]:
        """Those of the `paused` trials whose last loss is better than a third of those at its rung, and than all others
        if it is the best: where losses are equal, at chance or at their least, there is no promise in any of them.
        """
        losses = {index: past.trials[index].losses for index in past.known}
        at_rung: dict[int, list[float]] = {}
        for own in losses.values():
            for resource, loss in own.items():
                at_rung.setdefault(resource, []).append(loss)
        rest = {resource: sorted(all_there)[2 * len(all_there) // 3] for resource, all_there in at_rung.items()}
        leasts = [min(own.values()) for own in losses.values()]
        least = min(leasts)
        shared = least if leasts.count(least) > 1 else -math.inf
        last = {number: max(losses[number]) for number in sorted(paused) if number in losses}
        return [number for number, rung in last.items() if shared < losses[number][rung] < rest[rung]]

    def _weigh(self, past: Past, view: View, rng: np.random.Generator) -> tuple[Array, Array]:
        """Candidates, and the logarithm of what each is expected to improve on the best loss."""
        process, limit = self._process(past, view)
        candidates = self._embedding.units(rng.random((view.n_anywhere, len(self._space))))
        gains = self._gains(process, candidates, limit)
        around = self._best(past)
        for scales in view.rounds:
            near = self._near(around, scales, rng)
            candidates = np.concatenate([candidates, near])
            gains = np.concatenate([gains, self._gains(process, near, limit)])
            around = candidates[np.argsort(-gains, kind="stable")[:N_LEADERS]]
        return candidates, gains

    def _best(self, past: Past) -> Array:
        """The unit coordinates of the best trials."""
        losses = [(min(past.trials[index].losses.values()), index) for index in past.known]
        return np.array([past.units[index] for _, index in sorted(losses)[:N_BEST]])

    def _gains(self, process: FidelityProcess, units: Array, best: float) -> Array:
        """The logarithm of what a full training at each of `units` is expected to improve on `best`."""
        at_end = Points(self._embedding.features(units), np.ones(len(units)), np.full(len(units), -1.0))
        return log_expected_improvement(*process.predict(at_end), best)

    def _process(self, past: Past, view: View, judged: Sequence[int] = ()) -> tuple[FidelityProcess, float]:
        """The process, given what is known, the last losses of those `judged` among it, and what is open as it expects
        it; and the score that is to be improved on.
        """
        trials, times, scores = self._scored(past, view)
        points = self._points(past, trials, times)
        furthest = np.lexsort((scores, -points.t))
        few, many = (furthest[thin(len(furthest), most // 2, most)] for most in (MOST_FITTED, MOST_KNOWN))
        by = self._fit(points[few], scores[few], view)
        last = {number: place for place, number in enumerate(trials)}
        many = np.array(list(dict.fromkeys([*many.tolist(), *(last[number] for number in judged)])))
        process = FidelityProcess(by, points[many], scores[many])
        # The best rank is luck in part: what is to be improved on is the best that the process believes.
        limit = float(process.fitted().min() if view.by_rank else scores.min())
        if not past.open:
            return process, limit
        pending = self._points(past, past.open, points.t.min())
        expected, _ = process.predict(pending)
        return FidelityProcess(by, points[many] + pending, np.concatenate([scores[many], expected])), limit

    def _scored(self, past: Past, view: View) -> tuple[list[int], Sequence[float] | float, Array]:
        """What the view knows: trials, where along their curves, and the scores there, about standardised."""
        if view.by_rank:
            seen = [past.trials[index] for index in past.known]
            return past.known, 1.0, ranks([math.inf if one.failed else min(one.losses.values()) for one in seen])
        rows = [(index, *row) for index in past.known for row in sorted(past.trials[index].losses.items())]
        trials, rungs, losses = (list(column) for column in zip(*rows, strict=True))
        times = {rung: self._time(rung) for rung in set(rungs)}
        return trials, [times[rung] for rung in rungs], standing(losses)

    def _is_near_an_open_one(self, past: Past, candidates: Array) -> npt.NDArray[np.bool_]:
        """Which candidates lie within `APART` of a trial that is under way, along every axis."""
        if not past.open:
            return np.zeros(len(candidates), dtype=bool)
        under_way = self._points(past, past.open, 0.0).x
        apart = np.abs(self._embedding.features(candidates)[:, None] - under_way)
        near: npt.NDArray[np.bool_] = (apart.max(2) < APART).any(1)
        return near

    def _points(self, past: Past, trials: Sequence[int], times: float | Sequence[float]) -> Points:
        features = self._embedding.features(np.array([past.units[index] for index in trials], dtype=np.float64))
        return Points(
            features,
            np.broadcast_to(np.asarray(times, dtype=np.float64), len(trials)),
            np.array(trials, dtype=np.float64),
        )

    def _fit(self, points: Points, scores: Array, view: View) -> Hyperparameters:
        """Those of the last call, if the data are the same: answers that are asked for together share them."""
        data = b"".join(array.tobytes() for array in (points.x, points.t, points.trial, scores))
        if view not in self._fitted or self._fitted[view][0] != data:
            self._fitted[view] = (data, fit(points, scores, view.prior))
        return self._fitted[view][1]

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
