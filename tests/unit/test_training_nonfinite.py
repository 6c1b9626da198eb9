"""A loss or gradient that is not finite: the trial ends, and says at which step, in which module, and why."""

import math

import pytest
import torch
from torch import nn
from training_runs import ADAMW, SGD, Blobs, Trial, assert_same_state, run

from tuner.errors import TrialFailed
from tuner.records import FailureKind
from tuner.training import Splits, train

CONFIG = {"lr": 0.01, "batch_size": 20, "dropout": 0.0}  # 10 steps an epoch


class Log(nn.Module):
    """log|x|: of 0, it is -inf."""

    def forward(self, x):
        return x.abs().log()


class Root(nn.Module):
    """x + 0·√|x|: as it was, but for the derivative of the root at 0, which is infinite: 0 times that is NaN."""

    def forward(self, x):
        return x + 0 * x.abs().sqrt()


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


class At(Blobs):
    """Inputs are 0 at one step (from 0); `middle` stands between the first layer, which has no bias, and the last."""

    def __init__(self, step, middle):
        super().__init__()
        self.step, self.middle, self.n_seen = step, middle, 0

    def forward(self, model, inputs, progress):
        if progress is not None:
            self.n_seen = round(progress.item() * 20)  # of 2 epochs
            inputs = torch.where(torch.tensor(self.n_seen == self.step), torch.zeros_like(inputs), inputs)
        return model(inputs)

    def model(self, config):
        return nn.Sequential(nn.Linear(4, 8, bias=False), self.middle, nn.Linear(8, 2))


def failure(config, task, until=2, **options):
    trial = Trial(until, **options)
    with pytest.raises(TrialFailed) as raised:
        train(task, {**CONFIG, **config}, trial)
    assert raised.value.kind == FailureKind.NON_FINITE
    return raised.value, trial


@pytest.mark.parametrize("step", [0, 3, 7, 12, 19])
@pytest.mark.parametrize("more", [{}, {"clip_norm": 1.0}, {"micro_batch": 6}], ids=["plain", "clipped", "accumulated"])
def test_a_logarithm_of_zero_is_found_at_its_step_and_module(step, more):
    error, trial = failure(more, At(step, Log()))
    assert f"not finite at step {step + 1} (epoch {step // 10 + 1})" in str(error)
    assert "first in the module 1 (Log)" in str(error)
    assert "logarithm or root of 0" in error.details
    assert len(trial.metrics) == step // 10


@pytest.mark.parametrize("step", [0, 8, 9, 16, 19])
def test_an_infinite_derivative_is_found_at_a_step_whose_norm_is_measured(step):
    error, _ = failure({}, At(step, Root()))
    assert f"not finite at step {step + 1} " in str(error)
    assert "first in the gradient of 0.weight" in str(error)


@pytest.mark.parametrize("more", [{"clip_norm": 1.0}, {"skip_above": 50.0}], ids=["clip_norm", "skip_above"])
@pytest.mark.parametrize("step", [1, 5, 18])
def test_an_infinite_derivative_is_found_at_any_step_where_all_norms_are_measured(step, more):
    error, _ = failure(more, At(step, Root()))
    assert f"not finite at step {step + 1} " in str(error)
    assert "first in the gradient of 0.weight" in str(error)


def test_infinite_derivatives_between_measured_norms_are_found_one_step_later_and_told_as_such():
    error, _ = failure({}, At(5, Root()))
    assert "not finite at step 7 (epoch 1): first in the weights 0.weight" in str(error)
    assert "a gradient before was not finite" in error.details


def test_of_several_gradients_the_one_that_backward_came_to_first_is_named():
    class Deep(At):
        def model(self, config):
            return nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(8, 8, bias=False), self.middle, nn.Linear(8, 2))

    error, _ = failure({}, Deep(8, Root()))
    assert "first in the gradient of 1.weight" in str(error)


def test_the_replay_draws_what_the_step_drew():
    class Unlucky(Blobs):
        def augment(self, inputs):
            return torch.where(torch.rand(()) < 0.1, math.nan, inputs)

    for seed in range(5):
        error, _ = failure({}, Unlucky(), until=20, seed=seed)
        assert "first in the module 0 (Linear)" in str(error)


def test_too_high_a_rate_is_found_in_the_weights():
    error, _ = failure({"optimizer": "sgd", "lr": 1e38}, Blobs())
    assert "the learning rate is too high" in str(error)
    assert "lr 1e+38" in error.details


def test_large_weights_are_blamed_on_the_rate():
    class Squared(Blobs):
        def loss(self, outputs, targets):
            return (outputs - targets[:, None]).square().mean()

    error, _ = failure({"optimizer": "sgd", "lr": 1e3, "momentum": 0.0}, Squared(), until=20)
    assert "the learning rate is too high" in str(error)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("part", ["inputs", "targets"])
def test_wrong_data_is_told_apart(part, value):
    class Broken(Blobs):
        def data(self):
            (inputs, targets), validation = super().data()[:2]
            pair = {"inputs": inputs.clone(), "targets": targets.float()[:, None]}
            pair[part][17] = value
            return Splits((pair["inputs"], pair["targets"]), (validation[0], validation[1].float()[:, None]))

        def loss(self, outputs, targets):
            return (outputs[:, :1] - targets).square().mean()

        def metrics(self, outputs, targets):
            return {}

    error, trial = failure({}, Broken())
    assert f"first in the {part}; the data holds NaN or infinite values" in str(error)
    assert "(epoch 1)" in str(error)
    assert trial.metrics == []


class Large(Blobs):
    """10^6 on the way, which float16 does not have."""

    def model(self, config):
        return nn.Sequential(nn.Linear(4, 8), Times(1e6), nn.Linear(8, 8), Times(1e-6), nn.Linear(8, 2))


class Narrow(nn.Module):
    """1 + 2⁻¹⁰ is 1 in bfloat16."""

    def forward(self, x):
        return x + 0.1 / (torch.ones_like(x) + 2**-10 - 1)


def test_what_only_half_precision_breaks_on_is_told():
    error, _ = failure({"precision": "bf16"}, At(99, Narrow()))
    assert "first in the module 1 (Narrow)" in str(error)
    assert "the same step is finite in float32 (precision: fp32)" in str(error)


def test_overflows_of_float16_fail_nothing():
    trial = run({**CONFIG, "precision": "fp16"}, until=2, task=Large())
    assert trial.metrics[0]["skipped_steps"] == 10
    assert trial.metrics[0]["nonfinite_steps"] == 0


class Breaking(Blobs):
    """Inputs are NaN at the steps named (from 0, of 20)."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = set(steps)

    def forward(self, model, inputs, progress):
        if progress is not None and round(progress.item() * 20) in self.steps:
            inputs = inputs * math.nan
        return model(inputs)


def test_skipping_goes_on_until_the_limit_and_names_the_last_of_the_row():
    config = {"nonfinite": "skip", "nonfinite_limit": 3}
    error, trial = failure(config, Breaking(2, 3, 11, 12, 13))
    assert "not finite at step 14 (epoch 2, the last of 3 in a row)" in str(error)
    assert trial.metrics[0]["nonfinite_steps"] == trial.metrics[0]["skipped_steps"] == 2


@pytest.mark.parametrize("config", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_the_row_of_non_finite_steps_is_counted_across_segments(config):
    config = {**CONFIG, **config, "nonfinite": "skip", "nonfinite_limit": 3}
    first = run(config, until=1, horizon=2, task=Breaking(8, 9, 10))
    error, _ = failure(config, Breaking(8, 9, 10), start=1, checkpoint=first.kept)
    assert "not finite at step 11 (epoch 2" in str(error)


def test_explaining_leaves_torchs_generator_alone():
    before = torch.get_rng_state()
    failure({}, At(3, Log()))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_was_reported_before_a_failure_is_what_would_have_been():
    _, trial = failure({}, Breaking(13))
    free = run(CONFIG, until=2, task=Breaking())
    assert_same_state(trial.states[0], free.states[0])
