"""Loss and metrics over many examples, in evaluation mode."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tuner.training.data import Examples
from tuner.training.task import Task

EVALUATION_BATCH = 1000
"""Rows at a time: enough to keep the kernels busy, few enough that activations stay small."""


@torch.inference_mode()
def evaluate(task: Task, model: nn.Module, examples: Examples) -> dict[str, Tensor]:
    """{"loss": ..., and the task's metrics}: means over all `examples` as float64 scalars on the device.

    Dropout is off and batch statistics are the running ones; the model's mode is put back afterwards.
    """
    was_training = model.training
    model.eval()
    totals: dict[str, Tensor] = {}
    for first in range(0, len(examples), EVALUATION_BATCH):
        inputs = examples.inputs[first : first + EVALUATION_BATCH]
        targets = examples.targets[first : first + EVALUATION_BATCH]
        outputs = model(task.prepare(inputs))
        measures: Mapping[str, Tensor] = {"loss": task.loss(outputs, targets), **task.metrics(outputs, targets)}
        for name, mean in measures.items():
            totals[name] = totals.get(name, 0) + mean.double() * len(inputs)
    model.train(was_training)
    return {name: total / len(examples) for name, total in totals.items()}
