"""A share of the proposals from a belief, the rest from any proposer: as large a share as the belief has earned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.belief import Belief
from tuner.search.distinct import Proposer
from tuner.search.keys import Key, PerConfig, config_key
from tuner.search.levels import Judgement, Standing, judge
from tuner.seeds import derive_seed
from tuner.space import SearchSpace

STARTUP = 4
"""Judged trials before the belief and the proposer are compared; until then they share equally."""
BEST_SHARE = 0.25
"""Which trials are a success: the best quarter."""
LARGEST_SHARE = 0.5
"""At the start, and at most: docs/decisions/0008-priors-and-memory.md."""
FADING = 10
"""After so many judged trials the odds of a belief that is as good as the proposer have halved."""


class GuidedProposer:
    """Proposals of `inner`, and draws from `belief` in between.

    The n-th draw is a function of (seed, n), so that the trials which came from the belief are known by their
    configurations, whatever was known when they were proposed; `first` are the believed configurations that were tried
    before any. How often one is drawn, `share_of` says: of n trials at comparable resources (`judge`), p is the
    probability that the belief's are among the best quarter more often than the others (both rates with a Beta(1, 1)
    prior), and the odds of a draw are (p / (1 - p))² · FADING / (FADING + n). So a wrong belief costs a few trials, and
    a right one fades when the proposer overtakes it. The idea is that of PriorBand (Mallik et al. 2023), which weighs a
    prior by the likelihood that the best configurations have under it.
    """

    def __init__(
        self, space: SearchSpace, seed: int, inner: Proposer, belief: Belief, first: Sequence[Config], *, by_level: bool
    ) -> None:
        self._space = space
        self._seed = seed
        self._inner = inner
        self._belief = belief
        self._by_level = by_level
        self._keys = PerConfig(lambda config: config_key(space, config))
        self._first = frozenset(config_key(space, config) for config in first)
        self._drawn: list[Key] = []

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        chance = derive_seed(self._seed, "share", n) / 2**63
        # The share is looked up only where it can matter: that takes as long as there are trials.
        if attempt == 0 and chance < LARGEST_SHARE and chance < self.share(history, n):
            return self._draw(n)
        return self._inner.propose(history, n, attempt)

    def share(self, history: Sequence[Observation], n: int) -> float:
        """The share that the n-th proposal has of coming from the belief, in 0..LARGEST_SHARE."""
        judgements = judge(history, len(self._space), self._by_level, STARTUP)
        if judgements is None:
            return LARGEST_SHARE
        believed = self._first.union(self._believed(n))
        judged = [
            (judgement, key in believed)
            for judgement, key in zip(judgements, self._keys(history), strict=True)
            if judgement.standing not in (Standing.OPEN, Standing.UNKNOWN)
        ]
        return share_of(judged)

    def _draw(self, n: int) -> Config:
        return self._belief.draw(derive_seed(self._seed, "belief", n))

    def _believed(self, n: int) -> Sequence[Key]:
        """The keys of the draws before the n-th."""
        while len(self._drawn) < n:
            self._drawn.append(config_key(self._space, self._draw(len(self._drawn))))
        return self._drawn[:n]


def share_of(judged: Sequence[tuple[Judgement, bool]]) -> float:
    """The belief's share, from how trials were judged and whether each is one of its own."""
    n_best = math.ceil(BEST_SHARE * len(judged))
    best = sorted(judged, key=lambda trial: trial[0].rank)[:n_best]
    n_own, n_best_own = sum(own for _, own in judged), sum(own for _, own in best)
    own = _rate(n_best_own, n_own)
    others = _rate(n_best - n_best_own, len(judged) - n_own)
    # Two Beta distributions as normal ones: what counts is which way it leans, not the third digit.
    p = NormalDist().cdf((own.mean - others.mean) / math.hypot(own.stdev, others.stdev))
    against = (1 - p) ** 2 * (FADING + len(judged)) / FADING
    return min(p**2 / (p**2 + against), LARGEST_SHARE)


def _rate(successes: int, trials: int) -> NormalDist:
    """Mean and spread of Beta(1 + successes, 1 + failures)."""
    a, n = 1 + successes, 2 + trials
    return NormalDist(a / n, math.sqrt(a * (n - a) / (n * n * (n + 1))))
