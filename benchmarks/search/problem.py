"""What a search method is tried on: a space, and the learning curve of each of its configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.space import SearchSpace

Curve = NDArray[np.float64]
"""The validation loss after each unit of resource, 1 to max_resource; NaN where the training had diverged."""

Curves = Callable[[dict[str, Any]], Curve]
"""Answers the configuration of each trial of one study, once. Raises Exhausted when there is no curve left."""


class Exhausted(Exception):
    """Every row of a table has been given out."""


class Problem(Protocol):
    """One task of a benchmark."""

    benchmark: str
    task: str
    space: SearchSpace
    max_resource: int

    def curves(self) -> Curves:
        """The task's curves for a new study."""
        ...

    def score(self, loss: float) -> float:
        """How far `loss` is from the best known one, on a scale that makes sense over tasks; lower is better."""
        ...


def spread(tasks: Sequence[str], n: int) -> list[str]:
    """`n` of the tasks, evenly spread over their list."""
    n = min(n, len(tasks))
    return [tasks[index * len(tasks) // n] for index in range(n)]
