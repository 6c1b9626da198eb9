"""Whoever shares a lane: each trial is the one that the trainer makes of it alone, wherever its segments are trained.

Random configurations over every mechanism that lanes have, batch sizes and structures mixed, more trials than slots so
that slots are refilled in mid-run, neighbours that diverge, segments that move between lane and trainer.
"""

import math
from functools import partial

import pytest
import torch
from hand_trial import HandTrial
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from training_runs import assert_same_reports

from tuner.errors import StopTrial, TrialFailed
from tuner.training import Splits, Task, train
from tuner.training.lanes import Lane

assert_same = partial(assert_same_reports, absolute=5e-6)
EPOCHS = 3


class Points(Task):
    """Points of five classes in eight dimensions, 65 of them: with 32 at a time, the last batch has 33."""

    n_classes = 5

    def data(self):
        generator = torch.Generator().manual_seed(0)
        targets = torch.arange(105) % 5
        inputs = torch.randn(105, 8, generator=generator) + nn.functional.one_hot(targets, 8)
        return Splits((inputs[:65], targets[:65]), (inputs[65:], targets[65:]), {"again": (inputs[:9], targets[:9])})

    def model(self, config):
        hidden = config["hidden"]
        norm = nn.LayerNorm(hidden) if config["norm"] else nn.Identity()
        return nn.Sequential(
            *(nn.Linear(8, hidden), norm, nn.Tanh(), nn.Dropout(config["dropout"]), nn.Linear(hidden, 5)),
        )

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    def metrics(self, outputs, targets):
        return {"accuracy": (outputs.argmax(1) == targets).double().mean()}

    def forward(self, model, inputs, progress):
        outputs = model(inputs)
        return outputs if progress is None else outputs * (1 + progress)

    def penalty(self, model):
        return 1e-3 * model[0].weight.square().mean()

    def difficulty(self, inputs, targets):
        return inputs.square().sum(1)


def between(low, high):
    return st.floats(math.log10(low), math.log10(high)).map(lambda exponent: 10**exponent)


configs = st.fixed_dictionaries(
    {
        "hidden": st.sampled_from([4, 6]),
        "norm": st.booleans(),
        "dropout": st.sampled_from([0.0, 0.1, 0.5]),
        "optimizer": st.sampled_from(["adamw", "adam", "sgd", "rmsprop"]),
        "lr": between(1e-4, 1e-2),
        "batch_size": st.integers(9, 70),
        "weight_decay": st.just(0.0) | between(1e-4, 1e-1),
        "decay_biases_and_norms": st.booleans(),
        "layer_decay": st.sampled_from([1.0, 0.7]),
        "nesterov": st.booleans(),
        "momentum": st.floats(0, 0.95),
        "beta1": st.floats(0.5, 0.95),
        "beta2": st.floats(0.9, 0.999),
        "eps": st.just(
            1e-4
        ),  # with a smaller one, a gradient that is zero but for rounding makes a step of full length
        "clip_norm": st.none() | between(0.05, 5),
        "label_smoothing": st.just(0.0) | st.floats(0.01, 0.4),
        "schedule": st.sampled_from(["constant", "cosine", "linear", "step", "one_cycle"]),
        "warmup": st.floats(0, 0.4),
        "curriculum": st.none() | st.just(0.4),
        "report_every": st.sampled_from([1, 2]),
        "patience": st.none() | st.just(2),
    }
)
diverging = configs.map(lambda config: {**config, "lr": 1e30, "clip_norm": None})
lives = st.tuples(
    configs | configs | configs | diverging, st.integers(0, 2**40), st.lists(st.booleans(), min_size=2, max_size=2)
)


def alone(config, start, until, seed, checkpoint):
    trial = HandTrial(until, start=start, horizon=EPOCHS, seed=seed, checkpoint=checkpoint)
    try:
        train(Points(), config, trial)
    except TrialFailed as failure:
        return trial, failure
    return trial, None


class Life:
    """A trial and its segments; `in_lane` says of those before the last where they are trained."""

    def __init__(self, config, seed, in_lane):
        self.config, self.seed, self.in_lane = config, seed, [*in_lane, True]
        self.reports, self.failure, self.checkpoint, self.at = {}, None, None, 0
        self.over = False

    def next_segment(self):
        """The next segment for the lane; None if there is none left."""
        every = self.config["report_every"]
        while not self.over and self.at < EPOCHS:
            until = min(EPOCHS, self.at + every)
            if self.in_lane[self.at]:
                return HandTrial(until, start=self.at, horizon=EPOCHS, seed=self.seed, checkpoint=self.checkpoint)
            self.take(*alone(self.config, self.at, until, self.seed, self.checkpoint))
        return None

    def take(self, trial, failure):
        self.reports |= trial.reports
        self.failure, self.checkpoint, self.at = failure, trial.kept, max([self.at, *trial.reports])
        self.over = failure is not None or self.at < trial.until  # its patience may be at its end


def check(found, width):
    found = [Life(*each) for each in found]
    lane, aboard, waiting = Lane(Points(), width), {}, list(found)
    while waiting or lane.n_aboard:
        while waiting and lane.n_free > 0:
            life = waiting.pop(0)
            if (segment := life.next_segment()) is not None:
                lane.place(life.config, segment)
                aboard[id(segment)] = life, segment
        for trial, error in lane.run_to_boundary():
            assert not isinstance(error, StopTrial)
            life, segment = aboard.pop(id(trial))
            life.take(segment, error)
            waiting.append(life)
    assert not aboard
    for life in found:
        trial, failure = alone(life.config, 0, EPOCHS, life.seed, None)
        assert str(life.failure) == str(failure)
        assert_same(life.reports, trial.reports)


@settings(max_examples=15)
@given(st.lists(lives, min_size=2, max_size=6), st.integers(1, 5))
def test_a_slot_is_the_trial_that_is_trained_alone(found, width):
    check(found, width)


@pytest.mark.slow
@settings(max_examples=400)
@given(st.lists(lives, min_size=4, max_size=10), st.integers(2, 8))
def test_a_slot_is_the_trial_that_is_trained_alone_many_times(found, width):
    check(found, width)
