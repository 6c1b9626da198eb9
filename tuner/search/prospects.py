"""Candidates for the next trial, and what each is expected to improve: drawn once, and kept true while some go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import final

import numpy as np
from scipy.special import erfcx, ndtr

from tuner.search.believer import Believer, Foreseen
from tuner.search.embedding import Embedding
from tuner.search.fidelity_process import Points
from tuner.search.past import Array
from tuner.search.views import View
from tuner.space.scale import BELOW_ONE

APART = 0.02
"""What the model proposes is at least so far from every trial under way, along one axis at least, if a candidate is:
where many workers ask at once, hardly anything is learned from two that are nearly the same.
"""
N_NEAR = 100
"""Candidates of a round."""
N_LEADERS = 4
"""So many best candidates are looked around."""
N_FOLLOWED = 256
"""So many candidates are kept when the first proposal has been taken."""
AT_AN_END = 0.3
"""In half of the candidates of a round, so large a share of the axes is moved to one of its ends: where the best is in
a corner, small steps seldom find it.
"""


@final
class Prospects:
    """Candidates of a view by what a believer foresees: some from anywhere, the others near the best trials (`around`,
    unit coordinates) or near the best candidates. `limit` is the score that is to be improved on.
    """

    def __init__(
        self,
        embedding: Embedding,
        view: View,
        believer: Believer,
        limit: float,
        around: Array,
        under_way: Points,
        rng: np.random.Generator,
    ) -> None:
        self._embedding = embedding
        self._limit = limit
        self._believer = believer
        self.units = np.empty((0, around.shape[1]))
        self._points = self._at_end(self.units)
        self._gains = np.empty(0)
        self._foreseen: Foreseen | None = None
        self._add(embedding.units(rng.random((view.n_anywhere, around.shape[1]))))
        for scales in view.rounds:
            self._add(self._near(around, scales, rng))
            around = self.units[np.argsort(-self._gains, kind="stable")[:N_LEADERS]]
        self._is_near = np.zeros(len(self.units), dtype=bool)
        self._avoid(under_way)

    def best_first(self) -> Iterator[int]:
        """Candidates by what they are expected to improve; those near a trial under way come last."""
        gains = np.where(self._is_near, -np.inf, self._gains)
        return iter(np.argsort(-gains, kind="stable").tolist())

    @property
    def has_any(self) -> bool:
        """Whether a candidate is left that is near no trial under way."""
        return not self._is_near.all()

    def follow(self, points: Points) -> None:
        """Trials whose first judgement will be at `points` are under way as well. The `N_FOLLOWED` best candidates are
        kept: none is worth more than before.
        """
        if self._foreseen is None:
            best = np.array(list(self.best_first())[:N_FOLLOWED])
            self.units, self._is_near, self._points = self.units[best], self._is_near[best], self._points[best]
            self._foreseen = self._believer.foresee(self._points)
        self._believer.expect(points)
        self._foreseen.update()
        self._gains = log_expected_improvement(self._foreseen.mean, self._foreseen.variance, self._limit)
        self._avoid(points)

    def _add(self, units: Array) -> None:
        points = self._at_end(units)
        mean, variance = self._believer.predict(points)
        self.units = np.concatenate([self.units, units])
        self._points = self._points + points
        self._gains = np.concatenate([self._gains, log_expected_improvement(mean, variance, self._limit)])

    def _at_end(self, units: Array) -> Points:
        """New trials' full trainings there."""
        return Points(self._embedding.features(units), np.ones(len(units)), np.full(len(units), -1.0))

    def _avoid(self, under_way: Points) -> None:
        """Note which candidates lie within `APART` of one of the trials, along every axis."""
        columns = np.ascontiguousarray(self._points.x.T)
        for one in under_way.x:
            self._is_near |= np.abs(columns - one[:, None]).max(0) < APART

    def _near(self, around: Array, scales: tuple[float, float], rng: np.random.Generator) -> Array:
        """Unit coordinates near those of `around`, moved along about half of the axes, some of them to an end."""
        near = np.repeat(around, -(-N_NEAR // len(around)), axis=0)
        each = (len(near), 1)
        moved = rng.random(near.shape) < 0.5
        near = near + moved * 10 ** rng.uniform(*scales, each) * rng.standard_normal(near.shape)
        at_an_end = (rng.random(near.shape) < AT_AN_END) & (rng.random(each) < 0.5)
        near = np.where(at_an_end, rng.integers(0, 2, near.shape), near)
        return self._embedding.units(np.clip(near, 0.0, BELOW_ONE))


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
