"""Tasks that ranks can import: a small classification, and ones whose second rank misbehaves in its third step."""

from __future__ import annotations

import os
import signal
import time

import torch
from torch import nn

from tuner.training import Splits, Task


class Points(Task):
    """89 points of three classes, so that the last batch of 32 is odd: 25; layer norm, no dropout."""

    n_classes = 3

    def data(self):
        generator = torch.Generator().manual_seed(0)
        targets = torch.arange(131) % 3
        inputs = torch.randn(len(targets), 5, generator=generator) + targets[:, None]
        return Splits((inputs[:89], targets[:89]), (inputs[89:], targets[89:]))

    def model(self, config):
        return nn.Sequential(nn.Linear(5, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 3))

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    def metrics(self, outputs, targets):
        return {"accuracy": (outputs.argmax(1) == targets).double().mean()}


class Misbehaving(Points):
    """Rank 1 does `what` in its third training step; every rank first leaves its process id in the trial's folder."""

    def __init__(self, what: str, folder: str) -> None:
        self.what, self.folder = what, folder

    def model(self, config):
        self._steps = 0
        with open(f"{self.folder}/{os.getpid()}.pid", "w"):  # noqa: PTH123
            return super().model(config)

    def augment(self, inputs):
        self._steps += 1
        if torch.distributed.get_rank() == 1 and self._steps == 3:
            print("rank 1 is about to go")
            MISDEEDS[self.what]()
        return inputs


def _raise():
    raise ValueError("the third step is one too many")


MISDEEDS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "hang": lambda: time.sleep(600),
    "raise": _raise,
}
