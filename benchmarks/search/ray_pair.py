"""Ray Tune's OptunaSearch with its AsyncHyperBandScheduler: its own classes, and stand-ins for its trials."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import optuna
from clock import Job
from optuna_alone import distributions
from problem import Problem
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

METHODS = ("ray-optuna+asha",)

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.ERROR)


def make(name: str, problem: Problem, seed: int, budget: int) -> RayPair:  # noqa: ARG001 (one method, no budget)
    np.random.seed(seed)  # the scheduler draws its brackets from numpy's global state
    searcher = OptunaSearch(distributions(problem.space), metric="loss", mode="min", seed=seed + 1)  # 0 is dropped
    scheduler = AsyncHyperBandScheduler(
        metric="loss", mode="min", grace_period=1, max_t=problem.max_resource, reduction_factor=3
    )
    return RayPair(searcher, scheduler, problem.max_resource)


class RayPair:
    """Calls searcher and scheduler in the order in which Tune's controller does.

    That is: the scheduler hears of a result first; the searcher hears of it unless the trial is to stop; a trial that
    stops is complete for both.
    """

    def __init__(self, searcher: OptunaSearch, scheduler: AsyncHyperBandScheduler, max_resource: int) -> None:
        self._searcher = searcher
        self._scheduler = scheduler
        self._until = max_resource
        self._n_trials = 0

    def ask(self) -> Job:
        trial = SimpleNamespace(trial_id=f"{self._n_trials:05d}")
        config = self._searcher.suggest(trial.trial_id)
        self._scheduler.on_trial_add(None, trial)
        self._n_trials += 1
        return Job(self._n_trials - 1, config, self._until, trial)

    def tell(self, job: Job, resource: int, loss: float) -> bool:
        trial = job.tag
        result = {"training_iteration": resource, "loss": loss}
        goes_on = self._scheduler.on_trial_result(None, trial, result) != TrialScheduler.STOP
        if goes_on:
            self._searcher.on_trial_result(trial.trial_id, result)
        if not goes_on or resource == job.until:
            self._scheduler.on_trial_complete(None, trial, result)
            self._searcher.on_trial_complete(trial.trial_id, result)
        return goes_on
