"""Training dynamics of an epoch: measured on the device step by step, reduced and brought to the host once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tuner.training.clipping import global_norm

NORM_EVERY = 4
"""Clipping needs the norm of every step, and then all are kept. Without it every fourth step's norm is measured: one
more pass over the gradients is 4 to 5 % of a small step on a busy CPU.
"""
RATIO_EVERY = 32
"""‖Δw‖/‖w‖ takes a copy of the weights, so it is measured on every 32nd step of an epoch (and on its last)."""


@dataclass
class Dynamics:
    """What the steps of one epoch leave behind: scalars on the device."""

    losses: list[Tensor] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    gradient_norms: dict[int, Tensor] = field(default_factory=dict)
    """Step -> the norm of each parameter's gradient. The global norms are left for the epoch's end."""
    update_ratios: list[Tensor] = field(default_factory=list)
    data_seconds: float = 0.0

    def summary(self, clip_norm: float | None) -> dict[str, float]:
        """The epoch in numbers: one transfer from the device.

        train_loss              mean over the epoch's samples, each at the weights of its step
        grad_norm_p50/90/99/max of the global gradient norm before clipping, where measured and finite
        clip_rate               share of the steps whose norm was above clip_norm
        update_ratio            mean ‖Δw‖/‖w‖ over the sampled steps
        nonfinite_steps         steps whose loss or gradient norm was NaN or infinite
        """
        losses = torch.stack(self.losses).double()
        sizes = torch.tensor(self.sizes, dtype=torch.float64, device=losses.device)
        values = {"train_loss": (losses * sizes).sum() / sizes.sum()}
        finite = torch.isfinite(losses)
        if self.gradient_norms:
            norms = torch.stack(torch._foreach_norm(list(self.gradient_norms.values()))).double()
            steps = torch.tensor(list(self.gradient_norms), device=losses.device)
            finite[steps] &= torch.isfinite(norms)
            values |= _norm_summary(norms)
            clipped = norms > (math.inf if clip_norm is None else clip_norm)
            values["clip_rate"] = clipped.double().mean()
        if self.update_ratios:
            values["update_ratio"] = torch.stack(self.update_ratios).double().mean()
        values["nonfinite_steps"] = (~finite).sum()
        return to_floats(values)


def _norm_summary(norms: Tensor) -> dict[str, Tensor]:
    norms = torch.where(torch.isfinite(norms), norms, torch.nan)
    shares = torch.tensor([0.5, 0.9, 0.99, 1.0], dtype=norms.dtype, device=norms.device)
    names = ("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max")
    return dict(zip(names, torch.nanquantile(norms, shares).unbind(), strict=True))


def needs_norm(step: int, clip_norm: float | None) -> bool:
    """Whether the gradient norm is measured on `step` (from 0) of an epoch."""
    return clip_norm is not None or step % NORM_EVERY == 0


def is_sampled(step: int, n_steps: int) -> bool:
    """Whether the update ratio is measured on `step` (from 0) of an epoch of `n_steps`."""
    return step % RATIO_EVERY == RATIO_EVERY - 1 or step == n_steps - 1


def update_ratio(before: list[Tensor], after: list[Tensor]) -> Tensor:
    """‖after - before‖ / ‖before‖, all tensors taken as one vector; `before` is used up."""
    size = global_norm(before)
    torch._foreach_sub_(before, after)
    return global_norm(before) / size


def to_floats(values: dict[str, Tensor]) -> dict[str, float]:
    """Scalars of one device as Python floats, in one transfer."""
    return dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))


def memory_peak_mib(device: torch.device) -> dict[str, float]:
    """The most GPU memory that tensors took since the segment began, in MiB.

    Nothing on the CPU: the process's peak would be that of every trial before this one, too.
    """
    if device.type != "cuda":
        return {}
    return {"memory_peak_mib": torch.cuda.max_memory_allocated(device) / 2**20}
