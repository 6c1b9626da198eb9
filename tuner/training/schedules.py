"""The learning rate as a pure function of the step: warm-up, then constant or cosine."""

from __future__ import annotations

import torch
from torch import Tensor

from tuner.training.settings import TrainerSettings


def warmup_steps(warmup: float, total_steps: int) -> int:
    """How many steps the warm-up takes: the share `warmup` of `total_steps`, rounded."""
    return round(warmup * total_steps)


def learning_rates(settings: TrainerSettings, steps: Tensor, total_steps: int) -> Tensor:
    """The learning rate of each of `steps` (int64, counted from 0, any shape) of `total_steps`; float32, same shape.

    Warm-up: lr·(s+1)/(W+1) for s < W, so that the first step already moves and step W is the first at the peak.
    Cosine (Loshchilov & Hutter 2017, without restarts): lr·½(1+cos(π·(s-W)/(T-W))), zero from step T on.
    """
    warm = warmup_steps(settings.warmup, total_steps)
    position = steps.double()
    rising = ((position + 1) / (warm + 1)).clamp(max=1.0)
    if settings.schedule == "constant":
        return (settings.lr * rising).float()
    progress = ((position - warm) / max(1, total_steps - warm)).clamp(0.0, 1.0)
    return (settings.lr * rising * (1 + torch.cos(torch.pi * progress)) / 2).float()
