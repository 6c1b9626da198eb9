"""Out of memory: the same step once more, in micro-batches half as large; the same evaluation, so many rows at a time.

Nothing of the attempt that failed stays: gradients and buffers are those before it, and what is drawn is drawn again
from the same place. Weights and moments had not been touched yet. Ranks do not do this, as one alone cannot: there it
is a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from tuner.failures import out_of_memory
from tuner.training import buffers
from tuner.training.randomness import reseed
from tuner.training.room import Purpose
from tuner.training.run import Run

T = TypeVar("T")


def fitting_step(run: Run, kept: buffers.Kept, n_samples: int, attempt: Callable[[], T]) -> T:
    """`attempt` is the forward and backward pass of a step on `n_samples`, which does as `run.micro_size` says; `kept`
    are the buffers before it.
    """
    while True:
        run.optimizer.zero_grad()
        try:
            return attempt()
        except Exception as error:
            if not (may_repeat(run) and can_shrink(run, error, run.micro_size(n_samples))):
                raise
        # Only out here are the attempt's frames gone, and with them the activations that they held.
        buffers.restore(kept)
        shrink_step(run, n_samples)
        reseed(run.device, run.seed, "step", int(run.clock), run.ranks.rank)


def fitting_evaluation(run: Run, rows: int, resource: int, attempt: Callable[[int], T]) -> T:
    """`attempt` with `rows` at a time, or as many as fit: a mean over all rows is the same."""
    while True:
        n = run.room.rows("evaluation", rows)
        try:
            return attempt(n)
        except Exception as error:
            if not can_shrink(run, error, n):
                raise
        _shrink(run, "evaluation", n)
        fewer = run.room.rows("evaluation", n)
        run.happened(f"{run.unit} {resource}: out of memory in an evaluation by {n} rows: goes on by {fewer}")
        reseed(run.device, run.seed, "evaluation", resource, run.ranks.rank)


def can_shrink(run: Run, error: BaseException, n: int) -> bool:
    """Whether fewer than `n` rows at a time may mend `error`."""
    return run.ranks.alone and n > 1 and out_of_memory(error)


def shrink_step(run: Run, n_samples: int) -> None:
    """From now on, smaller micro-batches; tell people."""
    before = run.micro_size(n_samples)
    _shrink(run, "step", before)
    after = run.micro_size(n_samples)
    parts = -(-n_samples // after)
    event = f"step {int(run.clock)}: out of memory at micro-batch {before}: goes on with {after}, {parts} accumulated"
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in run.model.modules()):
        event += "; batch norm sees no more at a time"
    run.happened(event)


def may_repeat(run: Run) -> bool:
    """Whether a step can be taken once more: not while a CUDA graph records it, nor by one rank of several."""
    return run.ranks.alone and not (run.device.type == "cuda" and torch.cuda.is_current_stream_capturing())


def _shrink(run: Run, purpose: Purpose, n: int) -> None:
    run.room.too_large(purpose, n)
    run.room.let_go()
    run.optimizer.zero_grad()
    if run.device.type == "cuda":
        torch.cuda.empty_cache()
