"""SMAC3's multi-fidelity facade (Hyperband with a random forest), by its own ask and tell."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from clock import Job
from ConfigSpace import Configuration
from configspace_axes import configspace, plain
from problem import Problem
from smac import MultiFidelityFacade, Scenario
from smac.runhistory import StatusType, TrialValue

N_TRIALS = 10_000
"""More evaluations than the budget has units: the clock ends the study."""


def make(name: str, problem: Problem, seed: int, budget: int) -> Smac:  # noqa: ARG001 (one method)
    return Smac(problem, seed)


class Smac:
    """Its rungs are its own, max_resource / 3^k, rounded to whole units. A NaN is told as a crash that cost as
    much as the worst training so far: its own default, infinity, ends in an error of its random forest.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="smac-")
        scenario = Scenario(
            configspace(problem.space, seed),
            name="benchmark",
            output_directory=Path(self._folder.name),
            deterministic=True,
            min_budget=1,
            max_budget=problem.max_resource,
            n_trials=N_TRIALS,
            seed=seed,
        )
        self._smac = MultiFidelityFacade(scenario, _never_called, logging_level=50, overwrite=True)
        self._space = problem.space
        self._trials: dict[Configuration, int] = {}
        self._worst = 1.0

    def ask(self) -> Job:
        info = self._smac.ask()
        trial = self._trials.setdefault(info.config, len(self._trials))
        return Job(trial, plain(self._space, info.config), max(1, round(info.budget)), info)

    def tell(self, job: Job, resource: int, loss: float) -> bool:
        if math.isnan(loss):
            self._smac.tell(job.tag, TrialValue(self._worst, status=StatusType.CRASHED), save=False)
            return False
        self._worst = max(self._worst, loss)
        if resource == job.until:
            self._smac.tell(job.tag, TrialValue(loss), save=False)
        return True


def _never_called(config: Configuration, budget: float, seed: int) -> float:
    raise NotImplementedError("evaluations are asked for and told")
