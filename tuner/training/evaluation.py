"""Loss and metrics over many examples, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from tuner.training.data import EvaluationSet
from tuner.training.ranks import ALONE, Ranks
from tuner.training.task import Task

ROWS = ""
"""The name under which the rows are counted: no metric has it."""


@torch.inference_mode()
def evaluate(
    task: Task,
    model: nn.Module,
    examples: EvaluationSet,
    *,
    batch: int,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """{"loss": ..., and the task's metrics}: means over all `examples` as float64 scalars on the device.

    `batch` rows at a time; each of the ranks takes its part. Dropout is off and batch statistics are the running ones;
    the model's mode is put back.
    """
    was_training = model.training
    model.eval()
    totals: dict[str, Tensor] = {}
    try:
        with autocast():
            for part in ranks.part(examples).batches(batch):
                measures = task.measures(model, task.prepare(part.inputs), part.targets)
                for name, mean in {**measures, ROWS: torch.ones((), device=part.inputs.device)}.items():
                    totals[name] = totals.get(name, 0) + mean.double() * len(part)
    finally:
        model.train(was_training)
    totals = ranks.total(totals)
    n_rows = totals.pop(ROWS)
    return {name: total / n_rows for name, total in totals.items()}


def evaluation_batch(device: torch.device) -> int:
    """Rows at a time: enough to keep the kernels busy, few enough that activations stay small."""
    return 4096 if device.type == "cuda" else 1000
