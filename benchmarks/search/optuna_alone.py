"""Optuna's samplers with its pruners, by its own ask and tell."""

from __future__ import annotations

import math
import warnings

import optuna
from clock import Job
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import Trial, TrialState
from problem import Problem

from tuner.space import Float, Int, SearchSpace

METHODS = ("optuna-tpe", "optuna-gp", "optuna-tpe+sha", "optuna-tpe+hyperband")

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.ERROR)


def make(name: str, problem: Problem, seed: int, budget: int) -> OptunaStudy:  # noqa: ARG001 (it takes no budget)
    sampler: BaseSampler = GPSampler(seed=seed) if name == "optuna-gp" else TPESampler(seed=seed)
    pruner: BasePruner = NopPruner()
    if name.endswith("+sha"):
        pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    elif name.endswith("+hyperband"):
        pruner = HyperbandPruner(min_resource=1, max_resource=problem.max_resource, reduction_factor=3)
    # HyperbandPruner draws its brackets from the study's name: without one, a study would not repeat.
    study = optuna.create_study(sampler=sampler, pruner=pruner, study_name=f"benchmark-{seed}")
    return OptunaStudy(study, problem)


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Our axes as Optuna's; the benchmarks' spaces have numbers only."""
    found: dict[str, BaseDistribution] = {}
    for name, axis in space.items():
        if isinstance(axis, Float):
            found[name] = FloatDistribution(axis.low, axis.high, log=axis.log)
        elif isinstance(axis, Int):
            found[name] = IntDistribution(axis.low, axis.high, log=axis.log)
        else:
            raise TypeError(f"no number: axis {name}")
    return found


class OptunaStudy:
    """Reports every unit, stops where the pruner says so; a NaN at the end fails the trial, as in `study.optimize`."""

    def __init__(self, study: optuna.Study, problem: Problem) -> None:
        self._study = study
        self._distributions = distributions(problem.space)
        self._until = problem.max_resource

    def ask(self) -> Job:
        trial = self._study.ask(self._distributions)
        return Job(trial.number, trial.params, self._until, trial)

    def tell(self, job: Job, resource: int, loss: float) -> bool:
        trial: Trial = job.tag
        if not isinstance(self._study.pruner, NopPruner):
            trial.report(loss, resource)
            if resource < job.until and trial.should_prune():
                self._study.tell(trial, state=TrialState.PRUNED)
                return False
        if resource == job.until:
            if math.isnan(loss):
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, loss)
        return True
