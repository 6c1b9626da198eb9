"""No configuration twice: the one place where proposals are kept apart from what was tried and from one another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np

from tuner.records import Config, Value
from tuner.search._base import Observation
from tuner.search.batches import Batch, Proposer, batch_of
from tuner.search.keys import Key, PerConfig, config_key
from tuner.search.points import Points, all_points
from tuner.seeds import derive_seed
from tuner.space import SearchSpace


@runtime_checkable
class Promoter(Protocol):
    """Has an opinion on who goes on. Deterministic in its arguments."""

    def promising(self, history: Sequence[Observation], paused: Collection[int]) -> int | None:
        """See `Sampler.promising`."""
        ...


class DistinctSampler:
    """A Sampler out of a Proposer: its proposals, redrawn where they repeat what was tried.

    In this order, until a configuration is new: the proposer's `attempts` tries; `RANDOM_TRIES` uniform draws; any
    point left of a space of at most `MOST_POINTS` points. When every point of the space was tried, one that is not open
    now; when all are open, the proposer's first. Later proposals of one ask see the earlier ones as open trials, so
    `ask(n)` gives what n asks of one would; where a proposer makes its own batches (`Batching`), about what they would,
    and a shorter ask still gives the beginning of a longer one. Who goes on is left to the scheduler, unless the
    proposer is a `Promoter`, or what it wraps, which is `inner` then.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        proposer: Proposer,
        attempts: int = 1,
        *,
        inner: Proposer | None = None,
    ) -> None:
        self._space = space
        self._seed = seed
        self._proposer = proposer
        self._attempts = attempts
        asked = inner or proposer
        self._promoter = asked if isinstance(asked, Promoter) else None
        self._keys = PerConfig(lambda config: config_key(space, config))
        self._remainder = _Remainder(space)

    def ask(self, history: Sequence[Observation], first: int, count: int) -> list[Config]:
        keys = self._keys(history)
        taken: list[Key] = []
        tried = set(keys)

        def is_open() -> set[Key]:
            return {*taken, *(key for key, observation in zip(keys, history, strict=True) if observation.open)}

        batch = batch_of(self._proposer, history)
        proposals: list[Config] = []
        for n in range(first, first + count):
            config = self._next(batch, n, tried, is_open)
            batch.take(config)
            taken.append(config_key(self._space, config))
            tried.add(taken[-1])
            proposals.append(config)
        return proposals

    def promising(self, history: Sequence[Observation], paused: Collection[int]) -> int | None:
        return None if self._promoter is None else self._promoter.promising(history, paused)

    def size(self) -> int | None:
        return None

    def _next(self, batch: Batch, n: int, tried: set[Key], is_open: Callable[[], set[Key]]) -> Config:
        first: Config | None = None
        for attempt in range(self._attempts):
            config = batch.propose(n, attempt)
            if config_key(self._space, config) not in tried:
                return config
            first = first or config
        for attempt in range(RANDOM_TRIES):
            config = uniform(self._space, derive_seed(self._seed, "redraw", n, attempt))
            if config_key(self._space, config) not in tried:
                return config
        assert first is not None
        rng = np.random.default_rng(derive_seed(self._seed, "remainder", n))
        return self._remainder.draw(tried, rng) or self._remainder.draw(is_open(), rng) or first


RANDOM_TRIES = 16
MOST_POINTS = 100_000


class _Remainder:
    """What is left of a small finite space. Listed when first needed, which is seldom."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._points: Points | None = None
        self._keys: Final[list[Key]] = []
        self._listed = False

    def draw(self, without: set[Key], rng: np.random.Generator) -> dict[str, Value] | None:
        """A point of the space that is not among `without`, uniformly; None if none is left, or the space is large."""
        if not self._listed:
            self._listed = True
            self._points = all_points(self._space)
            if self._points is not None and self._points.count <= MOST_POINTS:
                self._keys.extend(config_key(self._space, config) for config in self._points)
        left = [index for index, key in enumerate(self._keys) if key not in without]
        if not left:
            return None
        assert self._points is not None
        return self._points[left[int(rng.integers(len(left)))]]


def uniform(space: SearchSpace, seed: int) -> dict[str, Value]:
    """A configuration drawn uniformly over the unit cube of `space`."""
    return space.from_unit(np.random.default_rng(seed).random(len(space)).tolist())
