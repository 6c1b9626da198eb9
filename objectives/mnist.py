"""MNIST digits with a multilayer perceptron or a small CNN: the platform's first example and its yardstick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from objectives.config import word
from objectives.data.mnist import training_images
from objectives.difficulty import distance_to_class_mean
from objectives.models import cnn, mlp
from tuner.records import Config
from tuner.training import Splits, Task

N_TRAIN, N_VALIDATION = 50_000, 10_000
MEAN, STD = 33.3951, 78.6662
"""Of the pixels (0..255) of the first 50,000 images, the training split; a test recomputes them."""


class Mnist(Task):
    """Ten digits from 28 x 28 grey pixels; 50,000 images train, 10,000 choose. The test images are not touched.

    A configuration may give the `model`:

    - `mlp` (the default): `layers` (2) hidden layers, the first of `width` (256), each half as wide as the one before:
      784-256-128-10; `norm` (none), `dropout` (0) behind each.
    - `cnn`: `layers` (3) stages of a 3 x 3 convolution and pooling, the first with `width` (16) channels, each with
      twice as many as the one before; `norm` (batch), `dropout` (0) before the last layer.

    `norm` is batch, layer or none. `train_samples`: only the first so many train.
    """

    n_classes: ClassVar[int | None] = 10

    def __init__(self, train_samples: int = N_TRAIN) -> None:
        self.train_samples = train_samples

    def fetch(self) -> None:
        training_images()

    def data(self) -> Splits:
        images, labels = (torch.from_numpy(array) for array in training_images())
        inputs, targets = images.unsqueeze(1), labels.long()
        return Splits(
            train=(inputs[: self.train_samples], targets[: self.train_samples]),
            validation=(inputs[-N_VALIDATION:], targets[-N_VALIDATION:]),
        )

    def prepare(self, inputs: Tensor) -> Tensor:
        # Kept as bytes, a fourth of the memory: as fast as floats, since a step gathers fewer bytes.
        return torch.rsub(inputs.float(), -MEAN / STD, alpha=-1 / STD)  # (x - mean) / std in one pass

    def model(self, config: Config) -> nn.Module:
        if word(config, "model", "mlp", ("mlp", "cnn")) == "cnn":
            return cnn(config, 28, 10, dimensions=2, kernel=3, width=16)
        return mlp(config, 28 * 28, 10, width=256, layers=2)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"accuracy": (outputs.argmax(1) == targets).double().mean()}

    def difficulty(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Each image's distance to the mean image of its digit."""
        return distance_to_class_mean(inputs, targets, 10)


class Mnist10k(Mnist):
    """Mnist with the first 10,000 training images: a study of it is a benchmark's."""

    def __init__(self) -> None:
        super().__init__(train_samples=10_000)
