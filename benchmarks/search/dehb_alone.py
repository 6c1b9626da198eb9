"""DEHB: differential evolution with Hyperband, by its own ask and tell."""

from __future__ import annotations

import math
import tempfile

from clock import Job
from configspace_axes import configspace, plain
from dehb import DEHB
from problem import Problem


def make(name: str, problem: Problem, seed: int, budget: int) -> Dehb:  # noqa: ARG001 (one method, no budget)
    return Dehb(problem, seed)


class Dehb:
    """Its rungs are its own, max_resource / 3^k, rounded to whole units. A NaN is infinitely unfit."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dehb-")
        self._dehb = DEHB(
            cs=configspace(problem.space, seed),
            f=None,
            dimensions=len(problem.space),
            min_fidelity=1,
            max_fidelity=problem.max_resource,
            eta=3,
            n_workers=1,  # of its own, which stay idle: the clock has the workers
            seed=seed,
            output_path=self._folder.name,
            save_freq="end",
            log_level="ERROR",
        )
        self._space = problem.space

    def ask(self) -> Job:
        info = self._dehb.ask()
        until = max(1, round(info["fidelity"]))
        return Job(int(info["config_id"]), plain(self._space, info["config"]), until, info)

    def tell(self, job: Job, resource: int, loss: float) -> bool:
        if resource == job.until or math.isnan(loss):
            fitness = math.inf if math.isnan(loss) else loss
            self._dehb.tell(job.tag, {"fitness": fitness, "cost": float(resource)})
            return False
        return True
