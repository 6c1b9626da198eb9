"""A curriculum: training begins with the easiest rows, and the others join them (Bengio et al. 2009)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tuner.errors import SpecError
from tuner.seeds import derive_seed
from tuner.training.randomness import shuffled
from tuner.training.settings import BatchSettings


def open_share(settings: BatchSettings, progress: float) -> float:
    """The share of the rows that are open at `progress` (the share of training done).

    It grows linearly from `curriculum` to 1 at `curriculum_until` (a pacing function of Hacohen & Weinshall 2019,
    section 2); 1 throughout without a curriculum.
    """
    if settings.curriculum is None or progress >= settings.curriculum_until:
        return 1.0
    return settings.curriculum + (1 - settings.curriculum) * progress / settings.curriculum_until


def easiest_first(scores: Tensor | None) -> Tensor:
    """The row numbers (int64) from the lowest score to the highest; rows of equal score stay in their order.

    `scores`: the task's `difficulty` (rows,). Raises SpecError if there are none, or one is NaN.
    """
    if scores is None:
        raise _mistake("the task does not say which rows are easy", "Define `difficulty` in the Task, over tensors")
    if scores.ndim != 1:
        raise _mistake(f"difficulty takes one score for each row, got {tuple(scores.shape)}", "Correct `difficulty`")
    if n_missing := int(scores.isnan().sum()):
        raise _mistake(f"difficulty is NaN for {n_missing:,} of {len(scores):,} rows", "Correct `difficulty`")
    return scores.argsort(stable=True)


def order_state(seed: int, epoch: int) -> int:
    """What `shuffled` draws the order of an epoch from, in which all rows are open."""
    return derive_seed(seed, "order", epoch)


def epoch_order(n: int, seed: int, epoch: int, easiest_first: Tensor | None, share: float) -> Tensor:
    """The `n` row numbers (int64, CPU) that an epoch reads, a function of (seed, epoch).

    With all rows open, a permutation of them. Else passes over the easiest ceil(share·n) rows, each pass a permutation
    of its own, the last one cut: an epoch is n rows in any case. Raises SpecError if `easiest_first` is not n rows.
    """
    if easiest_first is not None and len(easiest_first) != n:
        raise _mistake(f"difficulty gave {len(easiest_first):,} scores for {n:,} rows", "Correct `difficulty`")
    if easiest_first is None or share >= 1:
        return shuffled(torch.tensor([order_state(seed, epoch)]), n)[0]
    n_open = min(n, max(1, math.ceil(share * n - 1e-9)))  # 0.1 * 30 is a little more than 3
    n_passes = -(-n // n_open)
    generator = torch.Generator().manual_seed(derive_seed(seed, "curriculum", epoch))
    # Keys to sort by rather than a randperm each: with few rows open, there are many passes.
    keys = torch.rand((n_passes, n_open), dtype=torch.float64, generator=generator)
    return easiest_first.cpu()[keys.argsort(dim=1, stable=True).flatten()[:n]]


def _mistake(message: str, remedy: str) -> SpecError:
    return SpecError(message, path="curriculum", hint=f"{remedy}, or set curriculum: null.")
