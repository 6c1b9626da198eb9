"""A training batch as the model is given it: prepared, augmented, mixed."""

from __future__ import annotations

import torch

from tuner.training.augmentation import rotate_and_shift
from tuner.training.examples import Examples
from tuner.training.regularisation import Mixed, mix
from tuner.training.run import Run


def varied(run: Run, batch: Examples) -> Mixed:
    """`batch` prepared and varied at random, from torch's generators: the trainer seeds them for each step."""
    regularisation = run.settings.regularisation
    inputs = run.task.augment(run.task.prepare(batch.inputs))
    if regularisation.rotate or regularisation.shift:
        inputs = rotate_and_shift(inputs, regularisation.rotate, regularisation.shift)
    if run.settings.speed.channels_last and inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return mix(inputs, batch.targets, regularisation.mixup)
