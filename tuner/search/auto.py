"""Multi-fidelity Bayesian search: a Gaussian process over (configuration, resource) says what to start next, and which
paused trial should go on whatever the scheduler thinks of it.

Every loss at every rung counts, those of stopped, paused and failed trials too; what is maximised is the expected
improvement at the end of a full training. What was measured and left out: docs/decisions/0009-multi-fidelity-search.md
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import final

import numpy as np
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from tuner.records import Config
from tuner.search._base import Observation
from tuner.search.believer import Believer
from tuner.search.distinct import uniform
from tuner.search.embedding import Embedding
from tuner.search.keys import Key, PerConfig, config_key
from tuner.search.past import Archive, Array, Past, Places
from tuner.search.prospects import Prospects
from tuner.search.views import SMOOTH, VIEWS, Model, Outlook, View
from tuner.seeds import derive_seed
from tuner.space import SearchSpace

RANDOM_SHARE = 0.1
"""Share of the proposals that are random where a scheduler stops trials: what the model will never believe."""
PROMISING = 0.25
"""A paused trial goes on, whatever the scheduler says, if it ends as the best with at least this probability."""
MOST_JUDGED = 64
"""So many paused trials are judged, the latest; and as many of the others, those with the best losses."""
MOST_OPEN = 64
"""Trials without a loss yet, the latest, whose first ones are taken to be as expected."""
MOST_FOLLOWED = 32
"""After so many proposals of a batch new candidates are drawn: those around the best ones are used up by then."""
MOST_TAKEN = 128
"""So many trials without a loss yet count when candidates are drawn again: most of a large batch is its own."""
N_BEST = 8
"""So many best trials are looked around."""


@final
class AutoProposer:
    """Random until `STARTUP` trials were judged; then the candidate of the highest expected improvement.

    With `by_level`, losses are those of resource r on the way to `max_resource`; without (no scheduler), every loss is
    that of a full training. Deterministic: every answer is worked out anew from the history; what is kept between two
    is what the same data would give again.
    """

    def __init__(self, space: SearchSpace, seed: int, by_level: bool, max_resource: int) -> None:
        self.space = space
        self.embedding = Embedding(space)
        self.model = Model(self.embedding, by_level, max_resource)
        # Sums differ in the last bit with the number of threads, and small ones are slower.
        self.threads = ThreadpoolController()
        self._seed = seed
        self._by_level = by_level
        self._archive = Archive(space, max_resource)
        self._keys = PerConfig(lambda config: config_key(space, config))

    def propose(self, history: Sequence[Observation], n: int, attempt: int) -> Config:
        return self.batch(history).propose(n, attempt)

    def batch(self, history: Sequence[Observation]) -> AutoBatch:
        """Proposals that share the model and, for a while, the candidates."""
        return AutoBatch(self, self._archive(history), self._keys(history))

    def seed(self, n: int, attempt: int) -> int:
        """That of the n-th proposal."""
        return derive_seed(self._seed, "ask", n, attempt)

    def is_random(self, n: int) -> bool:
        """Whether the n-th proposal is a random one in any case."""
        return self._by_level and derive_seed(self._seed, "random", n) < RANDOM_SHARE * 2**63

    def view(self, n: int) -> View:
        """Of two proposals in a row each view makes one, in an order that is drawn: where every second proposal is made
        for the same worker, say, it has both.
        """
        pair, place = divmod(n, len(VIEWS))
        return VIEWS[(place + derive_seed(self._seed, "view", pair)) % len(VIEWS)]

    def unit(self, config: Config) -> Array:
        """Its unit coordinates; NaN outside of the space."""
        return self._archive.place_of(config)

    def promising(self, history: Sequence[Observation], paused: Collection[int]) -> int | None:
        """The paused trial that most probably ends as the best, if that is probable enough."""
        past = self._archive(history)
        if not past.is_enough:
            return None
        places = {place for place, seen in enumerate(history) if seen.number in paused}
        known = _above_the_rest(past, np.array(sorted(places), dtype=np.intp))
        if not len(known):
            return None
        latest, others = known[-MOST_JUDGED:], known[:-MOST_JUDGED]
        least = past.least[np.searchsorted(past.known, others)]
        judged = np.concatenate([others[np.argsort(least, kind="stable")[:MOST_JUDGED]], latest])
        with self.threads.limit(limits=1):
            outlook = self.model.outlook(past, SMOOTH, judged)
            under_way = past.under_way(MOST_OPEN, np.empty((0, len(self.space))))
            process = outlook.process.expecting(self.model.first_points(outlook, *under_way))
            mean, variance = process.predict(self.model.ends(past, judged))
        chances = ndtr((outlook.limit - mean) / np.sqrt(variance))
        first = int(np.argmax(chances))
        return history[judged[first]].number if chances[first] >= PROMISING else None


@final
class AutoBatch:
    """Proposals one after the other, by a model that expects of each what it believes.

    The first of each view is what it would be alone. The following ones are chosen among its candidates, whose
    variances are brought up to date; after `MOST_FOLLOWED` proposals, and where no candidate is left that is `APART`
    from what is under way, others are drawn.
    """

    def __init__(self, auto: AutoProposer, past: Past, keys: Sequence[Key]) -> None:
        self._auto = auto
        self._past = past
        self._tried = set(keys)
        self._taken = np.empty((0, len(auto.space)))
        self._outlooks: dict[View, Outlook] = {}
        self._prospects: dict[View, tuple[Prospects, int, int]] = {}
        """A view's candidates, how many proposals had been taken when they were drawn, and how many they know of."""

    def propose(self, n: int, attempt: int) -> Config:
        seed = self._auto.seed(n, attempt)
        if self._auto.is_random(n) or not self._past.is_enough:
            return uniform(self._auto.space, seed)
        with self._auto.threads.limit(limits=1):
            prospects = self._prospects_of(self._auto.view(n), seed)
        space, tried = self._auto.space, self._tried
        configs = (space.from_unit(prospects.units[place].tolist()) for place in prospects.best_first())
        first = next(configs)
        if config_key(space, first) not in tried:
            return first
        return next((config for config in configs if config_key(space, config) not in tried), first)

    def take(self, config: Config) -> None:
        self._taken = np.concatenate([self._taken, self._auto.unit(config)[None]])
        self._tried.add(config_key(self._auto.space, config))

    def _prospects_of(self, view: View, seed: int) -> Prospects:
        """The view's candidates, which know of all that was taken."""
        n_taken = len(self._taken)
        if view in self._prospects:
            prospects, drawn_at, known = self._prospects[view]
            if n_taken - drawn_at < MOST_FOLLOWED:
                self._follow(prospects, self._outlooks[view], known)
                self._prospects[view] = (prospects, drawn_at, n_taken)
                if prospects.has_any:
                    return prospects
        prospects = self._drawn(view, np.random.default_rng(seed))
        self._prospects[view] = (prospects, n_taken, n_taken)
        return prospects

    def _drawn(self, view: View, rng: np.random.Generator) -> Prospects:
        model, is_first = self._auto.model, view not in self._outlooks
        if is_first:
            self._outlooks[view] = model.outlook(self._past, view)
        outlook = self._outlooks[view]
        under_way = self._past.under_way(MOST_OPEN if is_first else MOST_TAKEN, self._taken)
        points = model.first_points(outlook, *under_way)
        if is_first:
            believer = Believer(outlook.process.expecting(points))
        else:
            believer = Believer(outlook.process)
            believer.expect(points)
        return Prospects(self._auto.embedding, view, believer, outlook.limit, _best(self._past), points, rng)

    def _follow(self, prospects: Prospects, outlook: Outlook, known: int) -> None:
        """Tell the candidates of what was taken since."""
        inside = known + np.flatnonzero(~np.isnan(self._taken[known:]).any(1))
        if len(inside):
            prospects.follow(self._auto.model.first_points(outlook, len(self._past) + inside, self._taken[inside]))


def _best(past: Past) -> Array:
    """The unit coordinates of the best trials."""
    return past.units[past.known[np.argsort(past.least, kind="stable")[:N_BEST]]]


def _above_the_rest(past: Past, paused: Places) -> Places:
    """Those of the `paused` trials whose last loss is better than a third of those at its rung, and than all others if
    it is the best: where losses are equal, at chance or at their least, there is no promise in any of them.
    """
    losses = past.losses[past.known]
    has_loss = ~np.isnan(losses)
    third = np.full(losses.shape[1], np.nan)
    for rung, all_there in enumerate(has_loss.T):
        if n := int(all_there.sum()):
            third[rung] = np.sort(losses[all_there, rung])[2 * n // 3]
    least = past.least.min()
    shared = least if int((past.least == least).sum()) > 1 else -math.inf
    own = np.searchsorted(past.known, paused[np.isin(paused, past.known)])
    last = has_loss.shape[1] - 1 - np.argmax(has_loss[own, ::-1], axis=1)
    loss = losses[own, last]
    above: Places = past.known[own[(shared < loss) & (loss < third[last])]]
    return above
