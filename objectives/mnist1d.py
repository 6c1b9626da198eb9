"""MNIST-1D (Greydanus & Kobak 2020): ten digits as signals of 40 points, where the kind of network matters.

In the paper, with 4,000 signals to train on and 1,000 to test: logistic regression 32 %, MLP 68 %, GRU 91 %, CNN 94 %,
people 96 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from objectives.config import count, probability, word
from objectives.data.mnist1d import LENGTH, training_signals
from objectives.difficulty import distance_to_class_mean
from objectives.models import cnn, mlp
from tuner.records import Config
from tuner.training import Splits, Task

N_TRAIN, N_VALIDATION = 3_200, 800
MEAN, STD = -0.005417, 0.154160
"""Of all points of the training split; a test recomputes them."""


class Mnist1d(Task):
    """3,200 of the 4,000 training signals train, the last 800 choose. The 1,000 test signals are not touched.

    A configuration may give the `model`:

    - `cnn` (the default): `layers` (3) stages of a convolution over 5 points and pooling, the first with `width` (16)
      channels, each with twice as many as the one before; `norm` (batch), `dropout` (0) before the last layer.
    - `gru`: a bidirectional GRU (Cho et al. 2014) with `layers` (1) of `width` (32) units a direction over the 40
      points, all of whose states the last layer reads; `dropout` (0) between layers and before the last.
    - `mlp`: `layers` (2) hidden layers, the first of `width` (128); `norm` (none), `dropout` (0) behind each.
    """

    wants_gpu: ClassVar[bool] = False  # a trial takes seconds on a core
    n_classes: ClassVar[int | None] = 10

    def data(self) -> Splits:
        signals, labels = (torch.tensor(array) for array in training_signals())
        return Splits(
            train=(signals[:N_TRAIN], labels[:N_TRAIN]),
            validation=(signals[-N_VALIDATION:], labels[-N_VALIDATION:]),
        )

    def prepare(self, inputs: Tensor) -> Tensor:
        """(rows, 40) as (rows, 1, 40): one channel, of mean 0 and deviation 1."""
        return ((inputs - MEAN) / STD).unsqueeze(1)

    def model(self, config: Config) -> nn.Module:
        kind = word(config, "model", "cnn", ("mlp", "cnn", "gru"))
        if kind == "mlp":
            return mlp(config, LENGTH, 10, width=128, layers=2)
        if kind == "gru":
            return GRUClassifier(count(config, "width", 32), count(config, "layers", 1), probability(config, "dropout"))
        return cnn(config, LENGTH, 10, dimensions=1, kernel=5, width=16)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"accuracy": (outputs.argmax(1) == targets).double().mean()}

    def difficulty(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Each signal's distance to the mean signal of its digit."""
        return distance_to_class_mean(inputs, targets, 10)


class GRUClassifier(nn.Module):
    """Logits (rows, 10) of signals (rows, 1, LENGTH), read from both ends."""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0  # torch warns where there is no between
        self.gru = nn.GRU(1, width, layers, batch_first=True, bidirectional=True, dropout=between)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(2 * width * LENGTH, 10))

    def forward(self, signals: Tensor) -> Tensor:
        states, _ = self.gru(signals.transpose(1, 2))
        logits: Tensor = self.head(states)
        return logits
