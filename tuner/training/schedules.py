"""The learning rate as a pure function of the step: a warm-up, then one of six schedules.

Momentum is never cycled with the rate, not by one_cycle either: of Smith's policy only the learning rate is here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tuner.training.settings import ScheduleSettings

DIV_FACTOR, FINAL_DIV_FACTOR = 25.0, 1e4
"""Of one_cycle: the peak over the first rate, and the first rate over the last, as torch's OneCycleLR has them."""


def peak_lr(settings: ScheduleSettings, batch_size: int) -> float:
    """The rate at the schedule's peak, scaled by b = batch_size / base_batch_size as `lr_scaling` says.

    linear: lr·b (Goyal et al. 2017, section 2.1); sqrt: lr·√b, which keeps the variance of an update (Krizhevsky 2014;
    Hoffer et al. 2017). `batch_size` is the samples of one update: micro-batches and ranks together.
    """
    ratio = batch_size / settings.base_batch_size
    return settings.lr * {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[settings.lr_scaling]


def n_warmup_steps(settings: ScheduleSettings, total_steps: int) -> int:
    """How many steps the warm-up takes, W: `warmup_steps`, or else the share `warmup` of `total_steps`, rounded."""
    return round(settings.warmup * total_steps) if settings.warmup_steps is None else settings.warmup_steps


def needs_horizon(settings: ScheduleSettings) -> bool:
    """Whether a step's rate depends on `total_steps`, so that a trial with a longer horizon is another trial."""
    return settings.schedule != "constant" or settings.warmup > 0


def learning_rates(settings: ScheduleSettings, steps: Tensor, total_steps: int, batch_size: int) -> Tensor:
    """The learning rate of each of `steps` (int64, counted from 0, any shape) of `total_steps`; float32, same shape.

    Warm-up: (s+1)/(W+1) of the schedule's first rate for s < W, so that the first step already moves and step W is the
    schedule's first. The schedule runs over the n = max(1, T-W) steps that are left; beyond them it stays as it ends.
    """
    warm = n_warmup_steps(settings, total_steps)
    n = max(1, total_steps - warm)
    position = steps.double()
    rising = ((position + 1) / (warm + 1)).clamp(max=1.0)
    factor = _SCHEDULES[settings.schedule](settings, (position - warm).clamp(0, n), n)
    return (peak_lr(settings, batch_size) * rising * factor).float()


# Each schedule: the factor on the peak rate at `position` steps (float64, 0..n) of its n.


def _constant(settings: ScheduleSettings, position: Tensor, n: int) -> Tensor:  # noqa: ARG001 - all take the same
    return torch.ones_like(position)


def _step(settings: ScheduleSettings, position: Tensor, n: int) -> Tensor:
    """γ to the number of drops so far; a drop at share m comes with step m·n, rounded."""
    # m·n < s + ½ is round(m·n) <= s, and no rounding error of m·n turns a drop at a whole step into a late one.
    if settings.step_every is not None:
        n_drops = ((position + 0.5) / (settings.step_every * n)).ceil() - 1
    else:
        at = torch.tensor(settings.drops(), dtype=position.dtype, device=position.device) * n
        n_drops = (at < position.unsqueeze(-1) + 0.5).sum(-1).double()
    return torch.pow(settings.gamma, n_drops)


def _exponential(settings: ScheduleSettings, position: Tensor, n: int) -> Tensor:
    return torch.pow(settings.final_lr, position / n)


def _cosine(settings: ScheduleSettings, position: Tensor, n: int) -> Tensor:
    """Loshchilov & Hutter 2017, without restarts: from 1 to `final_lr`, which comes after the last step."""
    return _annealed(1.0, settings.final_lr, position / n)


def _linear(settings: ScheduleSettings, position: Tensor, n: int) -> Tensor:
    return 1 + (settings.final_lr - 1) * position / n


def _one_cycle(settings: ScheduleSettings, position: Tensor, n: int) -> Tensor:
    """Smith & Topin 2018 in torch's form: up to the peak at step cycle_peak·n - 1, down to the least at step n - 1."""
    peak = settings.cycle_peak * n - 1
    position = position.clamp(max=n - 1)
    first = 1 / DIV_FACTOR
    down = _annealed(1.0, first / FINAL_DIV_FACTOR, (position - peak) / (n - 1 - peak))
    if peak <= 0:  # too few steps to rise in
        return down
    return torch.where(position <= peak, _annealed(first, 1.0, position / peak), down)


def _annealed(start: float, end: float, progress: Tensor) -> Tensor:
    return end + (start - end) * (1 + torch.cos(torch.pi * progress)) / 2


_SCHEDULES: dict[str, Callable[[ScheduleSettings, Tensor, int], Tensor]] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
    "linear": _linear,
    "one_cycle": _one_cycle,
}
