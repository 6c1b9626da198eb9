"""What the sampler `auto` may believe of a space, two ways of it; and what its model makes of a study by either."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from tuner.search.embedding import Embedding
from tuner.search.fidelity_process import FidelityProcess, Hyperparameters, Points, Prior, fit
from tuner.search.levels import thin
from tuner.search.past import Array, Past, Places
from tuner.search.scores import ranks, standing

MOST_FITTED = 80
"""Losses that the hyperparameters are fitted to; a fit costs the cube of it, and is made for every ask."""
MOST_KNOWN = 300
"""Losses that the process is conditioned on."""


@dataclass(frozen=True, slots=True)
class View:
    """What is believed of a space beforehand, what is made of losses, and where the best is sought."""

    prior: Prior
    by_rank: bool
    """Whether a trial counts once, by the rank of its best loss, or with every loss, to scale, at its resource."""
    n_anywhere: int
    """Candidates from the whole space."""
    rounds: tuple[tuple[float, float], ...]
    """Rounds of more candidates: near the best trials in the first one, then near the best candidates so far. How far
    each looks: the powers of ten between which the standard deviations lie, as shares of an axis.
    """


SMOOTH = View(Prior(2.0, 0.0005, 2.0), False, 150, ((-2.0, -0.3),) * 3 + ((-2.3, -1.0),) * 2 + ((-3.0, -1.5),))
"""Trends reach across the space, and are followed to the point, into a corner if they lead there."""
RANKED = View(Prior(0.5, 0.1, 1.0), True, 500, ())
"""Which trials are ahead says where to look, whatever their losses are: most may be at chance, some may have diverged.
Little is known away from what was tried.
"""
VIEWS = (SMOOTH, RANKED)
"""Proposals take turns with them: neither is good on all tasks, and losses do not tell soon enough which one is."""


@final
@dataclass(frozen=True)
class Outlook:
    """What a view makes of the losses so far: the process, and the score that is to be improved on. `first` is where on
    its curve a trial is judged first.
    """

    process: FidelityProcess
    limit: float
    first: float


@final
class Model:
    """Makes outlooks of a study's trials.

    With `by_level`, losses are those of resource r on the way to `max_resource`; without (no scheduler), every loss is
    that of a full training. What is kept between two calls is what the same data would give again.
    """

    def __init__(self, embedding: Embedding, by_level: bool, max_resource: int) -> None:
        self._embedding = embedding
        self._by_level = by_level
        self._max_resource = max_resource
        self._fitted: dict[View, tuple[bytes, Hyperparameters]] = {}

    def outlook(self, past: Past, view: View, judged: Places | None = None) -> Outlook:
        """What is known, the last losses of those `judged` among it; open trials are left out."""
        trials, times, scores = self._scored(past, view)
        furthest = np.lexsort((scores, -times))
        few, many = (furthest[thin(len(furthest), most // 2, most)] for most in (MOST_FITTED, MOST_KNOWN))
        by = self._fit(self._points(past, trials[few], times[few]), scores[few], view)
        if judged is not None:
            last = np.searchsorted(trials, judged, side="right") - 1
            many = np.array(list(dict.fromkeys([*many.tolist(), *last.tolist()])))
        process = FidelityProcess(by, self._points(past, trials[many], times[many]), scores[many])
        # The best rank is luck in part: what is to be improved on is the best that the process believes.
        limit = float(process.fitted().min() if view.by_rank else scores.min())
        return Outlook(process, limit, float(times.min()))

    def first_points(self, outlook: Outlook, trials: Places, units: Array) -> Points:
        """Where those trials will be judged first."""
        return self._placed(trials, units, np.full(len(trials), outlook.first))

    def ends(self, past: Past, trials: Places) -> Points:
        """The ends of full trainings of those trials."""
        return self._points(past, trials, np.ones(len(trials)))

    def _scored(self, past: Past, view: View) -> tuple[Places, Array, Array]:
        """What the view knows: trials, where along their curves, and the scores there, about standardised."""
        known = past.known
        if view.by_rank:
            scores = ranks(np.where(past.has_failed[known], math.inf, past.least))
            return known, np.ones(len(known)), scores
        losses = past.losses[known]
        if self._by_level:
            # A failed trial is worst where it failed, and at the end as well: else nothing would ever be known of the
            # end of a region that fails at the start, and it would stay worth a look.
            losses[past.has_failed[known], past.resources.index(self._max_resource)] = math.inf
        rows, columns = np.nonzero(~np.isnan(losses))
        times = np.array([self._time(resource) for resource in past.resources])
        return known[rows], times[columns], standing(losses[rows, columns])

    def _points(self, past: Past, trials: Places, times: Array) -> Points:
        return self._placed(trials, past.units[trials], times)

    def _placed(self, trials: Places, units: Array, times: Array) -> Points:
        return Points(self._embedding.features(units), times, trials.astype(np.float64))

    def _fit(self, points: Points, scores: Array, view: View) -> Hyperparameters:
        """Those of the last call, if the data are the same: answers that are asked for together share them."""
        data = b"".join(array.tobytes() for array in (points.x, points.t, points.trial, scores))
        if view not in self._fitted or self._fitted[view][0] != data:
            self._fitted[view] = (data, fit(points, scores, view.prior))
        return self._fitted[view][1]

    def _time(self, resource: int) -> float:
        if not self._by_level or self._max_resource == 1:
            return 1.0
        return min(math.log(resource) / math.log(self._max_resource), 1.0)
