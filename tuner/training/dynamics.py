"""Training dynamics between two reports: a row a step on the device, reduced and brought to the host once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tuner.training.clipping import global_norm

NORM_EVERY = 8
"""Clipping needs the norm of every step, and then all are kept. Without it every eighth step's norm is measured,
and that of a stretch's last step: one more pass over the gradients is 4 to 5 % of a small step on a busy CPU.
"""
RATIO_EVERY = 64
"""‖Δw‖/‖w‖ takes a copy of the weights, so it is measured on every 64th step (and on the last of a stretch)."""
POINTS = 200
"""Steps of an epoch that a curve shows at most."""

COLUMNS = ("loss", "grad_norm", "small_norm", "loss_scale", "skipped", "nonfinite")
"""What a step leaves behind; small_norm is its first micro-batch's. A norm that was not measured is -1."""
UNMEASURED = -1.0


@dataclass
class StepLog:
    """The steps of one stretch. `rows`: (n_steps, len(COLUMNS)) float32 on the device, filled step by step."""

    rows: Tensor
    sizes: list[int] = field(default_factory=list)
    """Samples of each step so far, over all ranks."""
    small_sizes: list[int] = field(default_factory=list)
    """Samples of each step's first micro-batch."""
    update_ratios: list[Tensor] = field(default_factory=list)
    data_seconds: float = 0.0

    @classmethod
    def of(cls, n_steps: int, device: torch.device) -> StepLog:
        """An empty one."""
        return cls(torch.full((n_steps, len(COLUMNS)), UNMEASURED, device=device))

    def add(self, row: Tensor, n_samples: int, n_small: int) -> None:
        """A step's row, the samples of its batch, and those of its first micro-batch."""
        self.rows[len(self.sizes)].copy_(row)
        self.sizes.append(n_samples)
        self.small_sizes.append(n_small)

    def read(self) -> dict[str, Tensor]:
        """The columns of the steps so far, on the host: waits for the device."""
        rows = self.rows[: len(self.sizes)].double().cpu()
        return dict(zip(COLUMNS, rows.unbind(1), strict=True))


def row(
    loss: Tensor, norm: Tensor | None, small_norm: Tensor | None, scale: Tensor, skip: Tensor, nonfinite: Tensor
) -> Tensor:
    """A step's row of the log: (len(COLUMNS),) float32."""
    unmeasured = None if norm is not None and small_norm is not None else torch.full_like(scale, UNMEASURED)
    norms = [unmeasured if value is None else value.float() for value in (norm, small_norm)]
    return torch.stack([loss.detach().float(), *(norm for norm in norms if norm is not None), scale, skip, nonfinite])


def summary(columns: Mapping[str, Tensor], sizes: Sequence[int], clip_norm: float | None) -> dict[str, float]:
    """The stretch in numbers; `columns` on the host.

    train_loss              mean over the samples, each at the weights of its step
    grad_norm_p50/90/99/max of the global gradient norm before clipping, where measured and finite
    clip_rate               share of the steps whose norm was above clip_norm
    skipped_steps           steps that were not taken, for whatever reason
    nonfinite_steps         steps whose loss or gradient norm was NaN or infinite (overflows of float16 apart)
    """
    weights = np.asarray(sizes, dtype=np.float64)
    values = {
        "train_loss": float((columns["loss"].numpy() * weights).sum() / weights.sum()),
        "skipped_steps": float(columns["skipped"].numpy().sum()),
        "nonfinite_steps": float(columns["nonfinite"].numpy().sum()),
    }
    norms = columns["grad_norm"].numpy()
    norms = norms[norms != UNMEASURED]
    if len(norms):
        values["clip_rate"] = float((norms > (math.inf if clip_norm is None else clip_norm)).mean())
        values |= _percentiles(norms)
    return values


def _percentiles(norms: npt.NDArray[np.float64]) -> dict[str, float]:
    names = ("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max")
    ordered = np.sort(norms[np.isfinite(norms)])
    if not len(ordered):
        return dict.fromkeys(names, math.nan)
    places = np.array([0.5, 0.9, 0.99, 1.0]) * (len(ordered) - 1)
    return dict(zip(names, np.interp(places, np.arange(len(ordered)), ordered).tolist(), strict=True))


def noise_scale(columns: Mapping[str, Tensor], sizes: Sequence[int], small_sizes: Sequence[int]) -> float:
    """The simple gradient noise scale, tr(Σ)/|G|² (McCandlish et al. 2018, appendix A.1), in samples.

    Of each measured step, the squared gradient norms of the whole batch (B samples) and of its first micro-batch (b)
    give unbiased estimates |G|² = (B|G_B|² - b|G_b|²)/(B - b) and tr(Σ) = (|G_b|² - |G_B|²)/(1/b - 1/B); their means
    over the stretch are divided. NaN where nothing was measured; it may be negative where noise drowns the gradient.
    """
    big, small = torch.tensor(sizes, dtype=torch.float64), torch.tensor(small_sizes, dtype=torch.float64)
    norm, small_norm = columns["grad_norm"], columns["small_norm"]
    usable = (small < big) & (norm != UNMEASURED) & (small_norm != UNMEASURED)
    usable &= torch.isfinite(norm) & torch.isfinite(small_norm)
    if not usable.any():
        return math.nan
    big, small, square, small_square = (values[usable] for values in (big, small, norm**2, small_norm**2))
    signal = ((big * square - small * small_square) / (big - small)).mean()
    noise = ((small_square - square) / (1 / small - 1 / big)).mean()
    return (noise / signal).item() if signal != 0 else math.nan


def curves(columns: Mapping[str, Tensor], rates: Tensor, first_step: int, points: int) -> dict[str, tuple[float, ...]]:
    """The steps of a stretch as at most `points` points: step, loss, lr, grad_norm, loss_scale, skipped.

    Where there are more steps than points, each of `points`/2 equal bins shows the steps of its least and its greatest
    loss: so no spike is lost (min-max decimation). A norm that was not measured, and what is not finite, is NaN.
    """
    losses, norms = columns["loss"].numpy(), columns["grad_norm"].numpy()
    chosen = _extremes(losses, points)
    shown = {
        "loss": losses,
        "lr": rates.double().cpu().numpy(),
        "grad_norm": np.where(norms == UNMEASURED, np.nan, norms),
        "loss_scale": columns["loss_scale"].numpy(),
        "skipped": columns["skipped"].numpy(),
    }
    steps = tuple((first_step + 1.0 + chosen).tolist())
    return {"step": steps} | {name: tuple(values[chosen].tolist()) for name, values in shown.items()}


def _extremes(losses: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.int64]:
    n = len(losses)
    if n <= points:
        return np.arange(n)
    ranked = np.nan_to_num(losses, nan=math.inf, posinf=math.inf)
    edges = np.round(np.arange(points // 2 + 1) * n / (points // 2)).astype(np.int64)
    places = edges[:-1, None] + np.arange(np.diff(edges).max())
    inside = places < edges[1:, None]
    binned = ranked[np.minimum(places, n - 1)]
    least = np.where(inside, binned, math.inf).argmin(1)
    greatest = np.where(inside, binned, -math.inf).argmax(1)
    return np.unique(np.concatenate([edges[:-1] + least, edges[:-1] + greatest]))


@overload
def needs_norm(step: int) -> bool: ...
@overload
def needs_norm(step: Tensor) -> Tensor: ...
def needs_norm(step: int | Tensor) -> bool | Tensor:
    """Whether the gradient norm is measured on `step` (from 0) for the log alone."""
    return step % NORM_EVERY == 0


@overload
def is_sampled(step: int, last: int) -> bool: ...
@overload
def is_sampled(step: Tensor, last: Tensor) -> Tensor: ...
def is_sampled(step: int | Tensor, last: int | Tensor) -> bool | Tensor:
    """Whether the update ratio is measured on `step` of a stretch whose last step is `last` (global numbers)."""
    return (step % RATIO_EVERY == RATIO_EVERY - 1) | (step == last)


class UpdateRatio:
    """‖Δw‖/‖w‖ of a step, all parameters taken as one vector. Holds one copy of the weights, made at first use."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._parameters = [parameter.detach() for parameter in parameters]
        self._before: list[Tensor] = []

    def before(self) -> None:
        """To be called before a step that is measured."""
        if not self._before:
            self._before = [torch.empty_like(parameter) for parameter in self._parameters]
        torch._foreach_copy_(self._before, self._parameters)  # one launch, where clones would be one each

    def after(self) -> Tensor:
        """The ratio, after the step: a scalar on the device."""
        size = global_norm(self._before)
        torch._foreach_sub_(self._before, self._parameters)
        return global_norm(self._before) / size


def to_floats(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars of one device as Python floats, in one transfer."""
    return dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))


def memory_peak_mib(device: torch.device) -> dict[str, float]:
    """The most GPU memory that tensors took since the segment began, in MiB.

    Nothing on the CPU: the process's peak would be that of every trial before this one, too.
    """
    if device.type != "cuda":
        return {}
    return {"memory_peak_mib": torch.cuda.max_memory_allocated(device) / 2**20}
