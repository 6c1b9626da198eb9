"""The stack that records tables: each of its slots is the training that the trainer makes of the same configuration."""

import importlib.util

import pytest
import torch
from hand_trial import ROOT, HandTrial

from objectives.digits import Digits
from tuner.errors import TrialFailed
from tuner.training import train

EPOCHS = 3
CONFIGS = [
    {"lr": 1e-3, "weight_decay": 1e-2, "warmup": 0.1, "clip_norm": None, "schedule": "cosine"},
    {"lr": 1e-2, "weight_decay": 0.5, "warmup": 0.0, "clip_norm": 0.2, "schedule": "cosine"},
    {"lr": 3e-4, "weight_decay": 1e-6, "warmup": 0.3, "clip_norm": 1.0, "schedule": "cosine"},
    {"lr": 3e-3, "weight_decay": 0.1, "warmup": 0.0, "clip_norm": 10.0, "schedule": "constant"},
]
FAILING = {"lr": 1e30, "clip_norm": None, "schedule": "constant"}


@pytest.fixture(scope="module")
def stacked():
    """benchmarks/tables/stacked.py."""
    spec = importlib.util.spec_from_file_location("stacked", ROOT / "benchmarks" / "tables" / "stacked.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curves(stacked, configs, seeds, batch_size):
    """A report of each epoch for each slot: {metric: (epochs, slots)}."""
    configs = [{**config, "batch_size": batch_size} for config in configs]
    stack = stacked.Stack(Digits(), configs, seeds, horizon=EPOCHS, device="cpu", fast=False)
    epochs = list(stack.train(EPOCHS))
    return {name: torch.stack([epoch[name] for epoch in epochs]) for name in stacked.METRICS}


def alone(config, seed, batch_size):
    trial = HandTrial(EPOCHS, seed=seed)
    train(Digits(), {**config, "batch_size": batch_size}, trial)
    return trial.reports


@pytest.mark.parametrize(
    "batch_size", [32, 77, 256]
)  # of 1,078 rows: the last batch has 22 and 54; with 77, it is full
def test_a_slot_is_the_trial_that_is_trained_alone(stacked, batch_size):
    found = curves(stacked, CONFIGS, range(len(CONFIGS)), batch_size)
    for slot, config in enumerate(CONFIGS):
        reports = alone(config, slot, batch_size)
        for epoch in range(EPOCHS):
            expected = {name: reports[epoch + 1][name] for name in stacked.METRICS}
            assert {name: found[name][epoch, slot].item() for name in expected} == pytest.approx(expected, rel=1e-4)


def test_a_slot_owes_nothing_to_the_others(stacked):
    together, apart = (curves(stacked, configs, [7] * len(configs), 64) for configs in (CONFIGS, CONFIGS[1:2]))
    for name in stacked.METRICS:
        torch.testing.assert_close(together[name][:, 1], apart[name][:, 0], rtol=1e-4, atol=1e-6)


def test_a_slot_whose_training_fails_is_nan_from_there_on_and_alone_in_it(stacked):
    found = curves(stacked, [CONFIGS[0], FAILING], [0, 1], 64)
    with pytest.raises(TrialFailed):
        alone(FAILING, 1, 64)
    for values in found.values():
        assert values[:, 1].isnan().all()
        assert values[:, 0].isfinite().all()
    expected = alone(CONFIGS[0], 0, 64)[EPOCHS]["val_loss"]
    assert found["val_loss"][-1, 0].item() == pytest.approx(expected, rel=1e-4)


def test_seeds_give_trainings_of_their_own(stacked):
    losses = curves(stacked, [CONFIGS[0]] * 3, [1, 1, 2], 64)["train_loss"]
    assert losses[0, 0] == losses[0, 1] != losses[0, 2]


@pytest.mark.parametrize(
    ("setting", "named"),
    [({"label_smoothing": 0.1}, "label_smoothing"), ({"optimizer": "sgd"}, "sgd"), ({"beta1": 0.5}, "beta1")],
)
def test_what_a_stack_does_not_know_is_not_ignored(stacked, setting, named):
    with pytest.raises(ValueError, match=named):
        curves(stacked, [{**CONFIGS[0], **setting}], [0], 64)
