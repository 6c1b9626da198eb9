"""Trials of a few rows for the trainer's tests: a task, a handle that keeps everything, bit-for-bit comparison."""

from pathlib import Path

import pytest
import torch
from hand_trial import HandTrial
from torch import nn

from tuner.errors import StopTrial
from tuner.training import Splits, Task, train

SGD = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "schedule": "cosine", "warmup": 0.2}
ADAMW = {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1, "schedule": "cosine", "warmup": 0.3, "clip_norm": 0.5}
TIMES = {"seconds", "samples_per_second", "data_wait"}


class Blobs(Task):
    """What a newcomer writes: two clouds of points, a small network with dropout."""

    def __init__(self, rows: int = 200, label_noise: float = 0.0):
        self.rows, self.label_noise = rows, label_noise

    def data(self):
        generator = torch.Generator().manual_seed(0)
        targets = torch.arange(self.rows + 60) % 2
        inputs = torch.randn(len(targets), 4, generator=generator) + targets[:, None]
        noisy = torch.rand(len(targets), generator=generator) < self.label_noise
        targets = torch.where(noisy, 1 - targets, targets)
        return Splits((inputs[60:], targets[60:]), (inputs[:60], targets[:60]))

    def model(self, config):
        return nn.Sequential(
            nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(config.get("dropout", 0.3)), nn.Linear(16, 2)
        )

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    def metrics(self, outputs, targets):
        return {"accuracy": (outputs.argmax(1) == targets).float().mean()}


class Trial(HandTrial):
    """Keeps the metrics, state, curves and events of every report, in their order."""

    folder = Path()

    def __init__(self, until, *, stop_at=None, unit="epoch", **segment):
        super().__init__(until, **{"folder": self.folder, **segment})
        self.stop_at, self.unit = stop_at, unit
        self.metrics, self.states, self.curves, self.events = [], [], [], []

    def report(self, resource, /, *, checkpoint=None, **metrics):
        super().report(resource, checkpoint=checkpoint, **metrics)
        self.metrics.append(metrics)
        self.states.append(self.kept)
        if resource == self.stop_at:
            raise StopTrial

    def attach(self, *, curves=None, events=()):
        self.curves.append(curves)
        self.events += events


def run(config, until=3, task=None, **options):
    trial = Trial(until, **options)
    train(task or Blobs(), config, trial)
    return trial


def flat(state, place=""):
    """[(place, value)] of a nested state."""
    if isinstance(state, dict):
        return [leaf for key, value in state.items() for leaf in flat(value, f"{place}/{key}")]
    return [(place, state)]


def assert_same_state(a, b):
    """Bit for bit, NaN and the sign of a zero included."""
    for (place, x), (other, y) in zip(flat(a), flat(b), strict=True):
        assert place == other
        assert bits(x) == bits(y), place


def bits(value):
    """What is compared of a leaf: a tensor's type, shape and bytes."""
    if not isinstance(value, torch.Tensor):
        return repr(value)
    return value.dtype, value.shape, value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def assert_same_reports(found, expected, absolute):
    """Reports by resource, but for times: within 1e-4 of themselves, or `absolute`."""
    assert found.keys() == expected.keys()
    for resource, metrics in expected.items():
        (ours,), (theirs,) = untimed([found[resource]]), untimed([metrics])
        assert ours == pytest.approx(theirs, rel=1e-4, abs=absolute, nan_ok=True)


def untimed(metrics):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in metrics]
