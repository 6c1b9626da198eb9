"""The whole trainer against a training loop in plain torch over the same batches; micro-batches against whole ones."""

import pytest
import torch
from torch import nn
from training_runs import Blobs, Trial, flat, run

from tuner.training.backends import cpu_threads
from tuner.training.ranks import ALONE
from tuner.training.run import Stretch, open_run

HORIZON = 3  # epochs of 7 steps: 200 rows by 32, the last batch smaller
ADAMW = {"optimizer": "adamw", "lr": 0.02, "beta1": 0.8, "beta2": 0.97, "eps": 1e-6, "weight_decay": 0.3}
UPDATES = {
    "adamw": ADAMW,
    "adamw, one cycle": {**ADAMW, "schedule": "one_cycle"},
    "adam": {**ADAMW, "optimizer": "adam"},
    "sgd": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "nesterov": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    "rmsprop": {"optimizer": "rmsprop", "lr": 0.005, "momentum": 0.5, "rms_decay": 0.9, "eps": 1e-6},
}
MECHANISMS = {
    "plain": {},
    "cosine after a warm-up": {"schedule": "cosine", "warmup": 0.3},
    "clipped by norm": {"clip_norm": 0.3},
    "clipped by value": {"clip_value": 0.02},
    "clipped by both": {"clip_value": 0.05, "clip_norm": 0.1},
    "smoothed": {"label_smoothing": 0.2},
    "scaled": {"lr_scaling": "sqrt"},
}


class Net(Blobs):
    """Without batch statistics and dropout: what a row gives does not depend on its batch."""

    n_classes = 2

    def model(self, config):
        return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.LayerNorm(16), nn.Linear(16, 2))


def torch_optimizer(model, config):
    """By the recipe: vectors are spared weight decay."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    spared = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": config.get("weight_decay", 0.0)}, {"params": spared}]
    betas = {"betas": (config.get("beta1"), config.get("beta2")), "eps": config.get("eps"), "weight_decay": 0.0}
    match config["optimizer"]:
        case "adamw":
            return torch.optim.AdamW(groups, **betas)
        case "adam":
            return torch.optim.Adam(groups, **betas)
        case "sgd":
            return torch.optim.SGD(groups, 0.1, config["momentum"], nesterov=config.get("nesterov", False))
    names = {"momentum": "momentum", "alpha": "rms_decay", "eps": "eps"}
    return torch.optim.RMSprop(groups, **{theirs: config[ours] for theirs, ours in names.items()})


def by_hand(config):
    """The weights after the horizon, and the loss of each step, by torch's own classes."""
    opened = open_run(Net(), config, Trial(HORIZON), ALONE, measure=False)
    model, (inputs, targets) = opened.model, Net().data().train
    optimizer = torch_optimizer(model, config)
    schedule = rates(opened)
    losses = []
    for epoch in range(1, HORIZON + 1):
        for rows in opened.batch_rows(epoch):
            optimizer.zero_grad()
            smoothing = config.get("label_smoothing", 0.0)
            loss = nn.functional.cross_entropy(model(inputs[rows]), targets[rows], label_smoothing=smoothing)
            loss.backward()
            if "clip_value" in config:
                nn.utils.clip_grad_value_(model.parameters(), config["clip_value"])
            if "clip_norm" in config:
                nn.utils.clip_grad_norm_(model.parameters(), config["clip_norm"])
            for group in optimizer.param_groups:
                group["lr"] = schedule[len(losses)]
            optimizer.step()
            losses.append(loss.item())
    return model.state_dict(), losses


def rates(opened):
    """The rate of each step: tested in test_schedules."""
    return opened.learning_rates(Stretch(0, opened.total_steps, HORIZON)).tolist()


def assert_close_weights(found, expected, tolerance=1e-5):
    for (name, ours), (other, theirs) in zip(flat(found), flat(expected), strict=True):
        assert name == other
        torch.testing.assert_close(
            ours, theirs, rtol=tolerance, atol=tolerance, msg=lambda text, at=name: f"{at}: {text}"
        )


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=MECHANISMS)
@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_the_trainer_is_torchs_loop(update, mechanism):
    config = {**update, **mechanism, "batch_size": 32}
    with cpu_threads(1):
        weights, losses = by_hand(config)
    trial = run(config, until=HORIZON, task=Net())
    assert_close_weights(trial.states[-1]["model"], weights)
    told = [loss for stretch in trial.curves for loss in stretch["loss"]]
    assert len(told) == 21
    assert told == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("micro_batch", [1, 5, 31, 100])
@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=MECHANISMS)
def test_accumulated_micro_batches_are_the_whole_batch(micro_batch, mechanism):
    config = {**ADAMW, **mechanism, "batch_size": 32}
    whole = run(config, until=HORIZON, task=Net())
    parts = run({**config, "micro_batch": micro_batch}, until=HORIZON, task=Net())
    assert_close_weights(parts.states[-1]["model"], whole.states[-1]["model"])
    assert parts.curves[-1]["loss"] == pytest.approx(whole.curves[-1]["loss"], rel=1e-4)
    assert parts.metrics[-1]["samples"] == whole.metrics[-1]["samples"]


def test_mixup_mixes_the_batch_before_it_is_split():
    config = {**ADAMW, "mixup": 0.4, "batch_size": 32}
    whole = run(config, until=HORIZON, task=Net())
    parts = run({**config, "micro_batch": 7}, until=HORIZON, task=Net())
    assert_close_weights(parts.states[-1]["model"], whole.states[-1]["model"])


def test_a_penalty_counts_once_in_a_batch():
    class Pulled(Net):
        def penalty(self, model):
            return 0.05 * model[0].weight.square().sum()

    config = {**UPDATES["sgd"], "batch_size": 32}
    whole = run(config, until=HORIZON, task=Pulled())
    parts = run({**config, "micro_batch": 7}, until=HORIZON, task=Pulled())
    assert_close_weights(parts.states[-1]["model"], whole.states[-1]["model"])
    free = run(config, until=HORIZON, task=Net())
    weights = [trial.states[-1]["model"]["0.weight"].norm() for trial in (whole, free)]
    assert weights[0] < 0.7 * weights[1]


def test_micro_batches_never_hold_more_rows():
    sizes = []

    class Watching(Net):
        def forward(self, model, inputs, progress):
            if progress is not None:
                sizes.append(len(inputs))
            return super().forward(model, inputs, progress)

    run({"batch_size": 32, "micro_batch": 10}, until=1, task=Watching())
    assert sizes == [10, 10, 10, 2] * 6 + [8]
