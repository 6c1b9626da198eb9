"""Every question of the pre-flight finds the fault that it is there for, and passes a sound task."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from tuner.training import Splits, Task
from tuner.training.findings import Verdict
from tuner.training.preflight import preflight


class Sound(Task):
    """Three clouds of points."""

    n_classes = 3

    def data(self):
        generator = torch.Generator().manual_seed(0)
        targets = torch.arange(600) % 3
        inputs = torch.randn(600, 6, generator=generator)
        inputs[:, :3] += 3 * nn.functional.one_hot(targets, 3)
        inputs = (inputs - inputs[:450].mean(0)) / inputs[:450].std(0)
        return Splits((inputs[:450], targets[:450]), (inputs[450:], targets[450:]))

    def model(self, config):
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)


class Softmaxed(Sound):
    def model(self, config):
        return nn.Sequential(*super().model(config), nn.Softmax(1))


class NotLogged(Sound):
    def loss(self, outputs, targets):
        return nn.functional.nll_loss(outputs, targets)


class LoggedTwiceIsFine(Sound):
    def model(self, config):
        return nn.Sequential(*super().model(config), nn.LogSoftmax(1))

    def loss(self, outputs, targets):
        return nn.functional.nll_loss(outputs, targets)


class Shuffled(Sound):
    def data(self):
        (inputs, targets), validation = super().data()[:2]
        return Splits((inputs, targets[torch.randperm(450, generator=torch.Generator().manual_seed(1))]), validation)


class Zeroed(Sound):
    def model(self, config):
        model = super().model(config)
        nn.init.zeros_(model[0].weight)
        return model


class Alike(Sound):
    def model(self, config):
        model = super().model(config)
        nn.init.constant_(model[0].weight, 0.1)
        return model


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)).detach())


class Detached(Sound):
    def model(self, config):
        return Cut()


class Raw(Sound):
    def prepare(self, inputs):
        return 255 * inputs + 1000


class OutOfRange(Sound):
    n_classes = 2

    def model(self, config):
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


class Repeated(Sound):
    def data(self):
        train, _ = super().data()[:2]
        return Splits(train, (train[0][:150], train[1][:150]))


class FromDatasets(Sound):
    def data(self):
        train, validation = super().data()[:2]
        return Splits(TensorDataset(*train), TensorDataset(*validation))


class Deaf(Sound):
    """A loss that hangs on nothing the model says."""

    def loss(self, outputs, targets):
        return (outputs * 0).sum() + 1.0


class Broken(Sound):
    def loss(self, outputs, targets):
        raise ValueError("no such loss")


def verdicts(task):
    return {finding.check: finding for finding in preflight(task, {"batch_size": 32}).findings}


def test_a_sound_task_passes():
    found = verdicts(Sound())
    assert {finding.verdict for finding in found.values()} == {Verdict.FINE}, found
    assert "ms for 32 samples" in found["a step"].evidence


def test_datasets_are_asked_the_same():
    found, expected = verdicts(FromDatasets()), verdicts(Sound())
    assert list(found) == list(expected)
    assert {finding.verdict for finding in found.values()} == {Verdict.FINE}, found


def test_log_probabilities_under_nll_are_fine():
    assert verdicts(LoggedTwiceIsFine())["loss and outputs"].verdict is Verdict.FINE


@pytest.mark.parametrize(
    ("task", "check", "verdict"),
    [
        (Softmaxed, "loss and outputs", Verdict.WRONG),
        (NotLogged, "loss and outputs", Verdict.WRONG),
        (Shuffled, "labels and inputs", Verdict.WARNING),
        (Zeroed, "first weights", Verdict.WRONG),
        (Alike, "first weights", Verdict.WRONG),
        (Detached, "gradients", Verdict.WRONG),
        (Raw, "scale of the prepared inputs", Verdict.WARNING),
        (OutOfRange, "labels", Verdict.WRONG),
        (Repeated, "rows of validation that are in train, too", Verdict.WRONG),
        (Deaf, "one batch", Verdict.WRONG),
        (NotLogged, "initial loss", Verdict.WARNING),
        (Broken, "initial loss", Verdict.WRONG),
    ],
)
def test_a_fault_is_found(task, check, verdict):
    found = verdicts(task())[check]
    assert found.verdict is verdict, found
    assert found.remedy
