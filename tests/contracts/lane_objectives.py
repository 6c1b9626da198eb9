"""Tasks for lanes under the executors' contract: they behave, or misbehave where their model is made, once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
from torch import nn

from tuner.training import Splits, Task

SPACE = {"lr": {"float": [1e-3, 0.1], "log": True}, "batch_size": {"choice": [16, 32]}}
FIXED = {"optimizer": "sgd", "momentum": 0.9}


class Clouds(Task):
    """Two clouds of points, which a line divides."""

    def data(self):
        generator = torch.Generator().manual_seed(0)
        targets = torch.arange(200) % 2
        inputs = torch.randn(200, 4, generator=generator) + targets[:, None]
        return Splits((inputs[60:], targets[60:]), (inputs[:60], targets[:60]))

    def model(self, config):
        return nn.Linear(4, 2)

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)


class Fragile(Clouds):
    """Has no model for large learning rates, and prints what it makes."""

    def model(self, config):
        print("a model")
        if config["lr"] > 0.03:
            raise ValueError("too fast for me")
        return super().model(config)


class Misbehaving(Clouds):
    """Does something in the process of its lane, once: when so many checkpoints are in the study's folder."""

    def __init__(self, folder: Path, n_checkpoints: int) -> None:
        self.folder, self.n_checkpoints = folder, n_checkpoints

    def model(self, config):
        marker = self.folder / "misbehaved"
        if not marker.exists() and len(list(self.folder.rglob("*.ckpt"))) >= self.n_checkpoints:
            time.sleep(0.5)  # let reports leave
            marker.write_text(str(os.getpid()))
            self.misbehave()
        return super().model(config)

    def misbehave(self) -> None:
        raise NotImplementedError


class Killed(Misbehaving):
    def misbehave(self):
        os.kill(os.getpid(), 9)
        time.sleep(60)


class Asleep(Misbehaving):
    def misbehave(self):
        time.sleep(600)
