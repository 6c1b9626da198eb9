"""What happens around the training on simulated workers: what takes time, and what goes wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from tuner.errors import UserMistake
from tuner.records import Ending, Segment
from tuner.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class Mishap:
    """A segment ends as FAILED, or its worker is LOST, when its training has come to `resource`, which need not be
    whole.
    """

    ending: Ending
    resource: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What workers cost, in seconds, and how they fail. All zero by default: training alone takes time.

    What is random is a function of `seed` and of the worker, or of the trial and segment.
    """

    worker_start_seconds: float = 0.0
    """Before a worker's first segment, and again after it was lost."""
    segment_start_seconds: float = 0.0
    checkpoint_load_seconds: float = 0.0
    checkpoint_save_seconds: float = 0.0
    failure_probability: float = 0.0
    """That a segment ends in an exception."""
    loss_probability: float = 0.0
    """That a segment's worker is lost."""
    speed_spread: float = 0.0
    """The standard deviation of the logarithm of the workers' slowness; a training takes its seconds times that."""
    charge_sampler: float = 0.0
    """How many times over the seconds that the driver really took to hand out segments pass on the virtual clock. Above
    0 a study depends on how fast this machine is."""
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise UserMistake(f"Costs: {field.name} must be finite and not negative, got {value}")
        if self.failure_probability + self.loss_probability > 1:
            raise UserMistake(
                "Costs: failure_probability and loss_probability must not exceed 1 together, "
                f"got {self.failure_probability} and {self.loss_probability}"
            )

    def slowness(self, worker: int) -> float:
        """By which factor a worker's training takes longer; log-normal with median 1."""
        if not self.speed_spread:
            return 1.0
        rng = np.random.default_rng(derive_seed(self.seed, "slowness", worker))
        return math.exp(self.speed_spread * rng.standard_normal())

    def mishap(self, segment: Segment) -> Mishap | None:
        """What goes wrong with a segment, if anything does: somewhere on its way, uniformly."""
        if not self.failure_probability and not self.loss_probability:
            return None
        rng = np.random.default_rng(derive_seed(self.seed, "mishap", *segment.key))
        chance, share = rng.random(2)
        if chance >= self.failure_probability + self.loss_probability:
            return None
        ending = Ending.FAILED if chance < self.failure_probability else Ending.LOST
        return Mishap(ending, segment.start + (segment.until - segment.start) * float(share))


FREE = Costs()
"""Nothing but training takes time, and nothing goes wrong."""
