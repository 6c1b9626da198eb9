"""A share of the proposals from a belief, the rest from any proposer: as large a share as the belief has earned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from statistics import NormalDist
from typing import final

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.batches import Proposer, batch_of
from tuner.search.belief import Belief
from tuner.search.judging import Judge
from tuner.search.keys import Key, PerConfig, config_key
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
        self.seed = seed
        self.inner = inner
        self._belief = belief
        self._judge = Judge(len(space), by_level, STARTUP)
        self._keys = PerConfig(lambda config: config_key(space, config))
        self._first = frozenset(config_key(space, config) for config in first)
        self._drawn: list[Key] = []

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        return self.batch(history).propose(n, attempt)

    def batch(self, history: Sequence[Observation]) -> GuidedBatch:
        """Proposals that share what is known of the belief, and `inner`'s batch."""
        return GuidedBatch(self, history)

    def draw(self, n: int) -> Config:
        """The n-th of the belief's own."""
        return self._belief.draw(derive_seed(self.seed, "belief", n))

    def best_to_worst(self, history: Sequence[Observation]) -> list[Key] | None:
        """The keys of the trials that were judged or failed; None while too little is known."""
        places = self._judge.best_to_worst(history)
        keys = self._keys(history)
        return None if places is None else [keys[place] for place in places]

    def believed(self, n: int) -> set[Key]:
        """The keys of what the belief has come to before the n-th proposal."""
        return {*self._first, *self.drawn(0, n)}

    def drawn(self, first: int, n: int) -> Sequence[Key]:
        """The keys of the draws from the `first`-th to before the n-th."""
        while len(self._drawn) < n:
            self._drawn.append(config_key(self._space, self.draw(len(self._drawn))))
        return self._drawn[first:n]


@final
class GuidedBatch:
    """Draws from the belief and proposals of the other's batch. Those that are taken, which are open, change nothing of
    the belief's share.
    """

    def __init__(self, guided: GuidedProposer, history: Sequence[Observation]) -> None:
        self._guided = guided
        self._history = history
        self._inner = batch_of(guided.inner, history)
        self._share: tuple[int, float] | None = None
        """That of the n-th proposal, with n."""

    def propose(self, n: int, attempt: int) -> Config:
        chance = derive_seed(self._guided.seed, "share", n) / 2**63
        # The share is looked up only where it can matter: that takes as long as there are trials.
        if attempt == 0 and chance < LARGEST_SHARE and chance < self.share(n):
            return self._guided.draw(n)
        return self._inner.propose(n, attempt)

    def take(self, config: Config) -> None:
        self._inner.take(config)

    def share(self, n: int) -> float:
        """The share that the n-th proposal has of coming from the belief, in 0..LARGEST_SHARE."""
        if self._share is None:
            self._share = (n, self._share_at(n))
        last, share = self._share
        # A draw that was not yet there the last time may be one of the trials: the space may be small.
        if n != last and (n < last or not self._tried.isdisjoint(self._guided.drawn(last, n))):
            share = self._share_at(n)
        self._share = (n, share)
        return share

    @cached_property
    def _ranked(self) -> list[Key] | None:
        return self._guided.best_to_worst(self._history)

    @cached_property
    def _tried(self) -> set[Key]:
        return set(self._ranked or ())

    def _share_at(self, n: int) -> float:
        if self._ranked is None:
            return LARGEST_SHARE
        return share_of([*map(self._guided.believed(n).__contains__, self._ranked)])


def share_of(own: Sequence[bool]) -> float:
    """The belief's share; `own` says of each judged trial, from best to worst, whether it is one of the belief's."""
    n, n_best, n_own = len(own), math.ceil(BEST_SHARE * len(own)), sum(own)
    n_best_own = sum(own[:n_best])
    theirs, others = _rate(n_best_own, n_own), _rate(n_best - n_best_own, n - n_own)
    # Two Beta distributions as normal ones: what counts is which way it leans, not the third digit.
    p = NormalDist().cdf((theirs.mean - others.mean) / math.hypot(theirs.stdev, others.stdev))
    against = (1 - p) ** 2 * (FADING + n) / FADING
    return min(p**2 / (p**2 + against), LARGEST_SHARE)


def _rate(successes: int, trials: int) -> NormalDist:
    """Mean and spread of Beta(1 + successes, 1 + failures)."""
    a, n = 1 + successes, 2 + trials
    return NormalDist(a / n, math.sqrt(a * (n - a) / (n * n * (n + 1))))
