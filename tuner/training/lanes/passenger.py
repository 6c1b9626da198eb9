"""A segment in its slot, as the host sees it: where it stands, what it has left behind, what it reports."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tuner.errors import StopTrial
from tuner.objective import TrialHandle
from tuner.records import Config, Decision
from tuner.training import dynamics
from tuner.training.curriculum import order_state
from tuner.training.data import n_rest
from tuner.training.dynamics import StepLog
from tuner.training.run import Run, Stretch
from tuner.training.trainer import conclude, summarise


@dataclass
class Passenger:
    """`run` keeps the books of the trial, and is what the trainer would have opened; its model is emptied once it has
    boarded. A stretch (up to a report) is trained in legs, each within an epoch: a leg has an order of rows, and a rate
    for each of its steps.
    """

    config: Config
    run: Run
    trial: TrialHandle
    stretches: deque[Stretch]
    step: int
    legs: deque[Stretch] = field(default_factory=deque)
    rates: Tensor = field(default_factory=lambda: torch.empty(0))
    started: float = 0.0
    waits: bool = False
    """Whether it rests at a report until a decision has come."""
    _log: list[Tensor] = field(default_factory=list)
    _ratios: list[Tensor] = field(default_factory=list)

    @property
    def stretch(self) -> Stretch:
        """The present one."""
        return self.stretches[0]

    @property
    def leg(self) -> Stretch:
        """The present one."""
        return self.legs[0]

    @property
    def left(self) -> int:
        """Steps that it can take before the host has to look."""
        return 0 if self.waits or not self.legs else self.leg.last - self.step

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to train."""
        return not self.stretches or self.run.patience.spent

    @property
    def pending(self) -> bool:
        """Whether a decision has to come before it may go on."""
        return bool(getattr(self.trial, "pending", False))

    @property
    def stop(self) -> StopTrial | None:
        """That it was told to stop, if it was."""
        told = getattr(self.trial, "told", Decision.CONTINUE)
        return None if told is Decision.CONTINUE else StopTrial(f"the trial was told to {told}")

    @property
    def leaves(self) -> bool:
        """Whether it needs no slot: there is nothing to train, or it is to stop."""
        return self.is_done or self.stop is not None

    def begin(self) -> None:
        """The next stretch begins."""
        self.waits = False
        self.legs = deque(self.run.epochs(self.stretch))
        self.rates = self.run.learning_rates(self.stretch)
        self._log, self._ratios = [], []
        self.started = time.perf_counter()

    @property
    def order_state(self) -> int | None:
        """What the present epoch's order of rows is drawn from; None if it is `run.order`'s own, by a curriculum."""
        run, epoch = self.run, self.leg.resource
        return order_state(run.seed, epoch) if run.open_share(epoch) >= 1 else None

    def leg_rates(self) -> Tensor:
        """The learning rate of each step of the present leg."""
        return self.rates[self.leg.first - self.stretch.first : self.leg.last - self.stretch.first]

    def end_leg(self, log: Tensor, ratios: Tensor) -> bool:
        """Take in the `log` (steps or more, 2) and the update ratios of a leg that is over; whether the stretch is."""
        leg = self.legs.popleft()
        self._log.append(log[: leg.last - leg.first])
        self._ratios.append(ratios[: len(sampled_steps(leg.first, leg.last, self.stretch))])
        return not self.legs

    def sampled(self, n: int) -> list[int]:
        """At which of the next `n` steps (from 0) its update ratio is measured."""
        return [step - self.step for step in sampled_steps(self.step, self.step + min(n, self.left), self.stretch)]

    def metrics(self, measured: dict[str, float]) -> dict[str, float]:
        """The report of the present stretch, which is over: as the trainer makes it."""
        run, steps = self.run, torch.cat(self._log).double()
        rows = torch.zeros((len(steps), len(dynamics.COLUMNS)), dtype=torch.float64)
        rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = steps[:, 0], steps[:, 1], dynamics.UNMEASURED, 1.0
        sizes = self._sizes()
        run.clock.fill_(self.step)
        log = StepLog(rows, sizes, sizes, [torch.cat(self._ratios)])
        values = summarise(run, self.stretch, log, self.rates, self.started)
        return values | conclude(run, self.stretch.resource, measured)

    def checkpoint(self) -> dict[str, Any]:
        """What a checkpoint holds besides the states of model and optimizer, as things stand."""
        return self.run.checkpoint_of(self.stretch.resource, {}, {})

    def unload(self) -> None:
        """Forget the weights, but for their shapes: they are in the slot."""
        moments = [tensor for tensors in self.run.optimizer.tensors().values() for tensor in tensors.values()]
        for tensor in [*self.run.model.parameters(), *moments]:
            tensor.data = tensor.data.new_zeros(()).expand(tensor.shape)

    def _sizes(self) -> list[int]:
        """The rows of each batch of the stretch."""
        run, stretch = self.run, self.stretch
        size = run.settings.batches.batch_size
        epoch = [size] * (run.steps_per_epoch - 1) + [n_rest(len(run.data.train), size)]
        first = stretch.first % run.steps_per_epoch
        n = stretch.last - stretch.first
        return (epoch * (-(-(first + n) // len(epoch))))[first : first + n]


def sampled_steps(first: int, last: int, stretch: Stretch) -> list[int]:
    """The steps from `first` to `last` (exclusive) of a stretch whose update ratio the trainer measures."""
    every = dynamics.RATIO_EVERY
    found = list(range(first + (every - 1 - first) % every, last, every))
    end = stretch.last - 1
    return [*found, end] if first <= end < last and end not in found else found
