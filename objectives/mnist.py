"""MNIST digits with a multilayer perceptron: the platform's first example and its yardstick."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from objectives.data.mnist import training_images
from tuner.errors import SpecError
from tuner.records import Config
from tuner.training import Splits, Task

N_TRAIN, N_VALIDATION = 50_000, 10_000
MEAN, STD = 33.3951, 78.6662
"""Of the pixels (0..255) of the first 50,000 images, the training split; a test recomputes them."""


class Mnist(Task):
    """Ten digits from 28 x 28 grey pixels; 50,000 images train, 10,000 choose. The test images are not touched.

    A configuration may give the model's `width` (of the first hidden layer, 256), `layers` (hidden ones, 2; each half
    as wide as the one before: 784-256-128-10) and `dropout` (0). `train_samples`: only the first so many train.
    """

    def __init__(self, train_samples: int = N_TRAIN) -> None:
        self.train_samples = train_samples

    def fetch(self) -> None:
        training_images()

    def data(self) -> Splits:
        images, labels = (torch.from_numpy(array) for array in training_images())
        inputs, targets = images.flatten(1), labels.long()
        return Splits(
            train=(inputs[: self.train_samples], targets[: self.train_samples]),
            validation=(inputs[-N_VALIDATION:], targets[-N_VALIDATION:]),
        )

    def prepare(self, inputs: Tensor) -> Tensor:
        # Kept as bytes, a fourth of the memory: as fast as floats, since a step gathers fewer bytes.
        return torch.rsub(inputs.float(), -MEAN / STD, alpha=-1 / STD)  # (x - mean) / std in one pass

    def model(self, config: Config) -> nn.Module:
        width, layers = _count(config, "width", 256), _count(config, "layers", 2)
        dropout = config.get("dropout", 0.0)
        if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise SpecError(f"must be a number of at least 0 and below 1, got {dropout!r}", path="dropout")
        modules: list[nn.Module] = []
        size = 28 * 28
        for depth in range(layers):
            wide = max(10, width >> depth)
            modules += [nn.Linear(size, wide), nn.ReLU()]
            if dropout:
                modules.append(nn.Dropout(dropout))
            size = wide
        return nn.Sequential(*modules, nn.Linear(size, 10))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"accuracy": (outputs.argmax(1) == targets).double().mean()}


class Mnist10k(Mnist):
    """Mnist with the first 10,000 training images: a study of it is a benchmark's."""

    def __init__(self) -> None:
        super().__init__(train_samples=10_000)


def _count(config: Config, name: str, default: int) -> int:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(f"must be a whole number of at least 1, got {value!r}", path=name)
    return value
