"""Stopping anywhere and going on from the checkpoint is not stopping: over every mechanism of the trainer.

State, reports (but times), curves and events are the same bit for bit, and so is the failure of a trial that fails.
Stops are at multiples of report_every, where the uninterrupted run reports, too.
"""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from training_runs import Trial, assert_same_state, untimed

from tuner.errors import TrialFailed
from tuner.training import Splits, Task, train
from tuner.training.checkpoint import pack, unpack


class Images(Task):
    """Pictures of 5 x 5 in three classes, as bytes; `poison` is how likely a step is to be fed NaN."""

    n_classes = 3

    def __init__(self, poison: float):
        self.poison = poison

    def data(self):
        generator = torch.Generator().manual_seed(0)
        targets = torch.arange(33) % 3
        inputs = torch.randint(0, 200, (33, 1, 5, 5), generator=generator) + 25 * targets[:, None, None, None]
        inputs = inputs.byte()
        return Splits((inputs[:24], targets[:24]), (inputs[24:], targets[24:]), {"again": (inputs[:5], targets[:5])})

    def model(self, config):
        return nn.Sequential(
            *(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(18, 8), nn.LayerNorm(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3)),
        )

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    def prepare(self, inputs):
        return inputs.float() / 255

    def augment(self, inputs):
        poisoned = torch.rand(()) < self.poison
        return torch.where(poisoned, torch.nan, inputs + 0.1 * torch.randn_like(inputs))

    def forward(self, model, inputs, progress):
        outputs = model(inputs)
        return outputs if progress is None else outputs * (1 + progress)

    def difficulty(self, inputs, targets):
        return inputs.float().mean((1, 2, 3))


def share(high, low=0.0):
    return st.floats(low, high, allow_subnormal=False)


def optional(values):
    return st.none() | values


UPDATES = {
    "optimizer": st.sampled_from(["sgd", "adam", "adamw", "rmsprop"]),
    "momentum": share(0.95, 0.1),
    "nesterov": st.booleans(),
    "beta1": share(0.99),
    "beta2": share(0.9999),
    "eps": st.sampled_from([1e-8, 1e-3]),
    "weight_decay": share(0.5),
    "decay_biases_and_norms": st.booleans(),
    "layer_decay": share(1.0, 0.3),
    "freeze": st.integers(0, 2),
    "unfreeze_at": share(1.0),
    "lookahead": optional(st.integers(1, 4)),
    "averaging": st.sampled_from(["none", "ema", "polyak"]),
    "ema_decay": share(0.99),
    "average_from": share(0.9),
}
RATES = {
    "lr": share(0.3, 1e-4),
    "schedule": st.sampled_from(["constant", "step", "exponential", "cosine", "linear", "one_cycle"]),
    "warmup": share(1.0),
    "final_lr": share(1.0, 0.01),
    "lr_scaling": st.sampled_from(["none", "linear", "sqrt"]),
}
GRADIENTS = {
    "clip_norm": optional(share(10.0, 0.01)),
    "clip_value": optional(share(1.0, 0.001)),
    "skip_above": optional(share(3.0, 1.01)),
    "nonfinite": st.sampled_from(["fail", "skip", "lower_precision"]),
    "nonfinite_limit": st.integers(1, 3),
    "noise_scale": st.booleans(),
    "precision": st.sampled_from(["fp32", "bf16", "fp16"]),
    "initial_loss_scale": st.sampled_from([1.0, 65536.0, 2.0**40]),
    "loss_scale_growth": st.integers(1, 3),
    "overflow_limit": st.integers(1, 3),
}
THE_REST = {
    "batch_size": st.integers(2, 12),
    "micro_batch": optional(st.integers(1, 5)),
    "curriculum": optional(share(1.0, 0.1)),
    "curriculum_until": share(1.0, 0.1),
    "label_smoothing": st.sampled_from([0.0, 0.1]),
    "mixup": st.sampled_from([0.0, 0.4]),
    "rotate": st.sampled_from([0.0, 30.0]),
    "shift": st.sampled_from([0.0, 0.2]),
    "patience": optional(st.integers(1, 2)),
    "min_delta": st.sampled_from([0.0, 0.05]),
    "report_every": st.sampled_from([1, 1, 2]),
    "evaluation_batch": optional(st.integers(2, 9)),
    "sharpness": st.none() | st.just(0.05),
    "hessian": st.booleans(),
    "channels_last": st.booleans(),
}
configs = st.fixed_dictionaries(UPDATES | RATES | GRADIENTS | THE_REST)


def in_segments(task, config, unit, horizon, stops, seed):
    """The reports, curves and events of all segments; the last state; what the trial failed of."""
    reports, curves, events, start, state, failure = [], [], [], 0, None, None
    for until in stops:
        torch.manual_seed(until)  # whatever the process did before makes no difference
        trial = Trial(until, start=start, horizon=horizon, seed=seed, checkpoint=state, unit=unit)
        try:
            train(task, config, trial)
        except TrialFailed as error:
            failure = (str(error), error.details)
        reports += untimed(trial.metrics)
        curves += trial.curves
        events += trial.events
        state = unpack(pack(trial.kept)) if trial.reports else state
        if failure or until not in trial.reports:  # its patience is spent
            break
        start = until
    return reports, curves, events, state, failure


@settings(max_examples=30, deadline=None)
@given(configs, st.sampled_from([0.0, 0.1, 0.4]), st.sampled_from(["epoch", "step"]), st.integers(0, 99), st.data())
def test_resuming_anywhere_is_not_stopping(config, poison, unit, seed, data):
    every = config["report_every"]
    n_reports = data.draw(st.integers(2, 4) if unit == "epoch" else st.integers(3, 12), "reports")
    stops = data.draw(st.sets(st.integers(1, n_reports - 1), min_size=1, max_size=3), "reports before a stop")
    horizon, stops = n_reports * every, [stop * every for stop in sorted(stops)]
    whole = in_segments(Images(poison), config, unit, horizon, [horizon], seed)
    parts = in_segments(Images(poison), config, unit, horizon, [*stops, horizon], seed)
    assert repr(parts[0]) == repr(whole[0])
    assert repr(parts[1:3]) == repr(whole[1:3])
    assert parts[4] == whole[4]
    if whole[3] is not None and whole[4] is None:
        assert_same_state(parts[3], whole[3])
