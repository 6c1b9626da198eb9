"""TaskSet-8: real learning curves of eight text classifiers, 1,000 configurations of Adam each.

Metz, Maheswaranathan, Sun, Freeman, Poole, Sohl-Dickstein: TaskSet: A Dataset of Optimization Tasks, 2020. The tuner
sees the loss of the `valid` split. A full training is checkpoints 1 to 50: checkpoint 0 is the untrained network.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from problem import Curve, Exhausted

from tuner.space import Float, SearchSpace

CHANCE = math.log(2)
"""The loss of guessing one of two classes."""

SPACE = SearchSpace(
    {
        "learning_rate": Float(1e-8, 10, log=True),
        "beta1": Float(0, 1),
        "beta2": Float(0, 1),
        "epsilon": Float(1e-10, 1e3, log=True),
        "l1": Float(1e-8, 10, log=True),
        "l2": Float(1e-8, 10, log=True),
        "linear_decay": Float(1e-7, 1e-4, log=True),
        "exponential_decay": Float(1e-6, 1e-3, log=True),
    }
)


class TaskSet:
    """One task. A configuration is answered by the row nearest to it in the unit cube, and no row answers twice in a
    study: what one is told of a configuration is true of one in its neighbourhood.
    """

    benchmark = "taskset"
    space = SPACE

    def __init__(self, file: Path, task: str) -> None:
        with np.load(file) as data:
            names = [str(name) for name in data["hp_names"]]
            split = [str(name) for name in data["splits"]].index("valid")
            rows, curves = data[f"hp_{task}"], data[f"curves_{task}"]
        self.task = task
        self._places = np.array([SPACE.to_unit(dict(zip(names, row.tolist(), strict=True))) for row in rows])
        self._curves = curves[:, split, 1:].astype(np.float64)
        self.max_resource = self._curves.shape[1]
        self._best = float(np.nanmin(self._curves))

    @staticmethod
    def tasks(file: Path) -> list[str]:
        """The names of the file's tasks."""
        with np.load(file) as data:
            return [str(index) for index in range(len(data["task_names"]))]

    def curves(self) -> _UnusedRows:
        return _UnusedRows(self._places, self._curves)

    def score(self, loss: float) -> float:
        """Normalised regret, 0 (the best loss in the table) to 1 (chance, or worse)."""
        return min(max((loss - self._best) / (CHANCE - self._best), 0.0), 1.0)


class _UnusedRows:
    """The nearest row that has not been given out."""

    def __init__(self, places: Curve, curves: Curve) -> None:
        self._places = places
        self._curves = curves
        self._used = np.zeros(len(places), dtype=bool)

    def __call__(self, config: dict[str, Any]) -> Curve:
        if self._used.all():
            raise Exhausted
        distances = np.square(self._places - np.array(SPACE.to_unit(config))).sum(axis=1)
        row = int(np.argmin(np.where(self._used, np.inf, distances)))
        self._used[row] = True
        return self._curves[row]
