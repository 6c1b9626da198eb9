"""How long a unit of resource is going to take, from a segment's first steps."""

from __future__ import annotations

import time
from typing import final

import torch

from tuner.objective import TrialHandle
from tuner.training.run import Run

FIRST, LAST = 5, 25
"""The steps of a segment between which the time is taken: the first ones pay for start-up."""


@final
class Pace:
    """Tells the trial once; evaluation is not counted."""

    def __init__(self, run: Run, trial: TrialHandle) -> None:
        self._run, self._trial = run, trial
        self._before = trial.start * run.steps_per_unit
        self._since = 0.0

    def after_step(self, step: int) -> None:
        """To be called after each step (a global number, from 0)."""
        done = step + 1 - self._before
        if done not in (FIRST, LAST):
            return
        if self._run.device.type == "cuda":
            torch.cuda.synchronize(self._run.device)
        now = time.perf_counter()
        if done == LAST:
            self._trial.pace((now - self._since) / (LAST - FIRST) * self._run.steps_per_unit)
        self._since = now
