"""What makes two configurations the same, and a memory for what is worked out once per configuration."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import compress, count
from operator import attrgetter, is_not
from typing import Generic, TypeVar

from tuner.records import Config, Value
from tuner.search._base import Observation
from tuner.space import SearchSpace

Key = tuple[Hashable, ...]
"""Equal for configurations that agree on every axis; fixed values are the same in all and left out."""

_ABSENT = ("absent",)
T = TypeVar("T")


def config_key(space: SearchSpace, config: Config) -> Key:
    """The key of `config`. True is not 1 (as in `same_value`); an absent axis is not one that is None."""
    return tuple(_part(config[name]) if name in config else _ABSENT for name in space)


def _part(value: Value) -> Hashable:
    return ("bool", value) if isinstance(value, bool) else value


class PerConfig(Generic[T]):
    """`compute(config)` for every observation, worked out once as long as the caller hands in the same objects.

    The memory is by identity and position: a history that is built anew costs time, never another answer.
    """

    def __init__(self, compute: Callable[[Config], T]) -> None:
        self._compute = compute
        self._configs: list[Config] = []
        self._known: list[T] = []

    def __call__(self, history: Sequence[Observation]) -> list[T]:
        configs = list(map(_CONFIG, history))
        # One loop that is not Python's: a study of thousands of trials asks hundreds of times.
        for index in compress(count(), map(is_not, self._configs, configs)):
            self._known[index], self._configs[index] = self._compute(configs[index]), configs[index]
        n_known = len(self._configs)
        self._known += [self._compute(config) for config in configs[n_known:]]
        self._configs += configs[n_known:]
        return self._known[: len(history)]


_CONFIG = attrgetter("config")
