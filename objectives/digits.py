"""scikit-learn's 8 x 8 digits with a multilayer perceptron: a real task whose study takes 20 seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from objectives.data.digits import training_digits, validation_digits
from objectives.difficulty import distance_to_class_mean
from objectives.models import mlp
from tuner.records import Config
from tuner.training import Splits, Task

MEAN, STD = 4.893046, 6.023052
"""Of the pixels (0..16) of the training split; a test recomputes them."""


class Digits(Task):
    """Three fifths of the 1,797 images train, a fifth chooses, and a fifth is a test that is not touched.

    A configuration may give `layers` (1) of hidden units, the first `width` (64) wide, each other half as wide as the
    one before; `norm` (batch, layer or none; none) and `dropout` (0).
    """

    wants_gpu: ClassVar[bool] = False  # a step is too small for one
    n_classes: ClassVar[int | None] = 10

    def data(self) -> Splits:
        return Splits(train=_tensors(training_digits()), validation=_tensors(validation_digits()))

    def prepare(self, inputs: Tensor) -> Tensor:
        """(rows, 1, 8, 8) of mean 0 and deviation 1."""
        return (inputs.float() - MEAN) / STD

    def model(self, config: Config) -> nn.Module:
        return mlp(config, 8 * 8, 10, width=64, layers=1)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"accuracy": (outputs.argmax(1) == targets).double().mean()}

    def difficulty(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Each image's distance to the mean image of its digit."""
        return distance_to_class_mean(inputs, targets, 10)


def _tensors(arrays: tuple[object, object]) -> tuple[Tensor, Tensor]:
    images, labels = (torch.tensor(array) for array in arrays)
    return images.unsqueeze(1), labels
