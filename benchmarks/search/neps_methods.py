"""NePS's bracket methods, by its own ask and tell: Hyperband, and the same with a model once ten trainings are spent.

Without priors PriorBand samples as Hyperband does, until it mutates its incumbents. Its ifBO needs the weights of a
transformer that come from no package registry.
"""

from __future__ import annotations

import math
import random
from typing import Any

import neps
import numpy as np
import torch
from clock import Job
from problem import Problem

from tuner.space import Int, SearchSpace

KICK_IN = 10
"""Full trainings before PriorBand's model takes over: the number of its paper, §5.3."""


def make(name: str, problem: Problem, seed: int, budget: int) -> Neps:  # noqa: ARG001 (it takes no budget)
    random.seed(seed)  # it draws from all three global generators
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    kick_in = KICK_IN if name.endswith("+bo") else None
    optimizer = neps.algorithms.priorband(
        neps_space(problem.space, problem.max_resource), bayesian_optimization_kick_in_point=kick_in
    )
    return Neps(optimizer, problem.space)


def neps_space(space: SearchSpace, max_resource: int) -> neps.SearchSpace:
    """Our axes as NePS's, and the epoch as the fidelity; the benchmarks' spaces have numbers only."""
    axes: dict[str, Any] = {
        name: (neps.HPOInteger if isinstance(axis, Int) else neps.HPOFloat)(axis.low, axis.high, log=axis.log)
        for name, axis in space.items()
    }
    return neps.SearchSpace({**axes, "epoch": neps.HPOInteger(1, max_resource, is_fidelity=True)})


class Neps:
    """A trial of NePS is one rung of a configuration, CONFIG_RUNG. A NaN is told as an exception."""

    def __init__(self, optimizer: Any, space: SearchSpace) -> None:
        self._neps = neps.AskAndTell(optimizer)
        self._space = space

    def ask(self) -> Job:
        trial = self._neps.ask()
        config = {
            name: (int if isinstance(axis, Int) else float)(trial.config[name]) for name, axis in self._space.items()
        }
        number, _, _ = trial.id.partition("_")
        return Job(int(number), config, int(trial.config["epoch"]), trial)

    def tell(self, job: Job, resource: int, loss: float) -> bool:
        if math.isnan(loss):
            self._neps.tell(job.tag, FloatingPointError("the loss is NaN"))
            return False
        if resource == job.until:
            self._neps.tell(job.tag, loss)
        return True
