"""Syne Tune's multi-fidelity methods: its schedulers, told of trials as its tuner tells them."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
from clock import Job
from problem import Problem
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import Domain, lograndint, loguniform, randint, uniform
from syne_tune.optimizer.baselines import ASHACQR, BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision, TrialScheduler

from tuner.space import Int, SearchSpace

logging.disable(logging.ERROR)

KINDS = {"syne-tune-bohb": BOHB, "syne-tune-asha-cqr": ASHACQR}


def make(name: str, problem: Problem, seed: int, budget: int) -> SyneTune:  # noqa: ARG001 (it takes no budget)
    np.random.seed(seed)  # its brackets come from numpy's global state
    scheduler = KINDS[name](
        domains(problem.space),
        metric="loss",
        time_attr="epoch",
        max_t=problem.max_resource,
        grace_period=1,
        reduction_factor=3,
        random_seed=seed,
    )
    return SyneTune(scheduler, problem.max_resource)


def domains(space: SearchSpace) -> dict[str, Domain]:
    """Our axes as Syne Tune's; the benchmarks' spaces have numbers only."""
    return {
        name: (lograndint if axis.log else randint)(axis.low, axis.high)
        if isinstance(axis, Int)
        else (loguniform if axis.log else uniform)(axis.low, axis.high)
        for name, axis in space.items()
    }


class SyneTune:
    """Every scheduler of this version stops trials and resumes none. A NaN fails the trial: its models take none."""

    def __init__(self, scheduler: TrialScheduler, max_resource: int) -> None:
        self._scheduler = scheduler
        self._until = max_resource
        self._n_trials = 0

    def ask(self) -> Job:
        suggestion = self._scheduler.suggest()
        config: dict[str, Any] = dict(suggestion.config)
        trial = Trial(trial_id=self._n_trials, config=config, creation_time=datetime.now(UTC))
        self._scheduler.on_trial_add(trial)
        self._n_trials += 1
        return Job(trial.trial_id, {name: _plain(value) for name, value in config.items()}, self._until, trial)

    def tell(self, job: Job, resource: int, loss: float) -> bool:
        if math.isnan(loss):
            self._scheduler.on_trial_error(job.tag)
            return False
        result = {"loss": loss, "epoch": resource}
        if resource == job.until:
            self._scheduler.on_trial_complete(job.tag, result)
            return False
        return self._scheduler.on_trial_result(job.tag, result) == SchedulerDecision.CONTINUE


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
