"""Which steps are not taken, and that nothing moves in them."""

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from training_runs import ADAMW, SGD, Blobs, assert_same_state, run

from tuner.training.guard import ENOUGH, WINDOW, Guard
from tuner.training.settings import GradientSettings

CPU = torch.device("cpu")
SKIP = {"nonfinite": "skip", "nonfinite_limit": 1000}


def judged(guard, loss=1.0, norm=1.0, scales=False):
    verdict = guard.judge(torch.tensor(loss), None if norm is None else torch.tensor(norm), scales=scales)
    return tuple(value.item() for value in verdict)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_verdict_on_what_is_not_finite(value):
    for scales, verdict in ((False, (1, 1, 0)), (True, (1, 0, 1))):
        guard = Guard(GradientSettings(**SKIP), CPU)
        assert judged(guard, loss=value, scales=scales) == verdict
        assert judged(guard, loss=value, norm=None, scales=scales) == verdict
        assert judged(guard, norm=abs(value), scales=scales) == verdict
        assert judged(guard, loss=value, norm=math.inf, scales=scales) == verdict
        assert judged(guard, scales=scales) == (0, 0, 0)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4))
def test_the_limit_halts_and_nothing_is_taken_after_it(bad, limit):
    guard = Guard(GradientSettings(nonfinite="skip", nonfinite_limit=limit), CPU)
    in_a_row, halted_at = 0, None
    for step, nan in enumerate(bad):
        skip, nonfinite, _ = judged(guard, math.nan if nan else 1.0)
        assert skip == (nan or halted_at is not None)
        assert nonfinite == nan
        in_a_row = in_a_row + 1 if nan else 0
        if halted_at is None and in_a_row == limit:
            halted_at = step
    halted, since, _ = guard.told().tolist()
    assert halted == (halted_at is not None)
    if halted_at is not None:
        assert len(bad) - 1 - since == halted_at


def test_to_fail_is_a_limit_of_one():
    guard = Guard(GradientSettings(nonfinite="fail"), CPU)
    assert judged(guard) == (0, 0, 0)
    assert judged(guard, math.nan) == (1, 1, 0)
    assert judged(guard) == (1, 0, 0)
    assert guard.told()[:2].tolist() == [1, 1]


positive = st.floats(0.125, 8, width=32)


@settings(deadline=None)
@given(
    st.lists(positive | positive.map(lambda norm: 64 * norm), max_size=3 * WINDOW), st.sampled_from([1.5, 4.0, 10.0])
)
def test_skip_above_is_a_multiple_of_the_median_of_the_last_norms_taken(norms, multiple):
    guard = Guard(GradientSettings(skip_above=multiple), CPU)
    taken = []
    for norm in norms:
        window = taken[-WINDOW:]
        absurd = len(taken) >= ENOUGH and norm > multiple * statistics.median_low(window)
        assert judged(guard, norm=norm) == (absurd, 0, 0)
        if not absurd:
            taken.append(norm)


def test_the_median_goes_on_from_a_checkpoint():
    config = GradientSettings(skip_above=3.0)
    guard, resumed = Guard(config, CPU), Guard(config, CPU)
    for norm in torch.linspace(1, 2, 30).tolist():
        judged(guard, norm=norm)
    resumed.load_state_dict(guard.state_dict())
    for norm in (4.0, 5.0, 1.0, 100.0):
        assert judged(resumed, norm=norm) == judged(guard, norm=norm)
    assert judged(resumed, norm=100.0) == (1, 0, 0)


class Disturbed(Blobs):
    """The loss is multiplied by `factor` at one step (from 0, of 40)."""

    def __init__(self, step, factor):
        super().__init__()
        self.step, self.factor = step, factor

    def forward(self, model, inputs, progress):
        outputs = model(inputs)
        if progress is None:
            return outputs
        return outputs * torch.where((progress * 40).round() == self.step, self.factor, 1.0)


def steps_of(task, config, until=40):
    return run({**config, "batch_size": 20, "dropout": 0.0}, until=until, horizon=40, unit="step", task=task)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize(
    "more", [{}, {"clip_norm": 0.1}, {"precision": "fp16", "initial_loss_scale": 256.0}, {"precision": "bf16"}], ids=str
)
def test_a_skipped_step_moves_nothing_in_model_and_optimizer(optimizer, more):
    config = {**SKIP, **more, "optimizer": optimizer, "lr": 0.01, "weight_decay": 0.1, "momentum": 0.9}
    trial = steps_of(Disturbed(5, math.nan), config, until=8)
    before, after, later = trial.states[4], trial.states[5], trial.states[6]
    for part in ("model", "optimizer"):
        assert_same_state(before[part], after[part])
    assert not torch.equal(after["model"]["0.weight"], later["model"]["0.weight"])
    assert [row["skipped_steps"] for row in trial.metrics] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert [row["nonfinite_steps"] for row in trial.metrics] == [0, 0, 0, 0, 0, "fp16" not in more.values(), 0, 0]
    assert all(math.isfinite(row["val_loss"]) for row in trial.metrics)


@pytest.mark.parametrize("config", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_a_spike_is_skipped_where_it_is_above_the_median_and_taken_where_it_is_not(config):
    task = Disturbed(25, -300.0)
    tight, loose = (steps_of(task, {**config, "skip_above": multiple}) for multiple in (20.0, 1e6))
    assert [row["step"] for row in tight.metrics if row["skipped_steps"]] == [26]
    assert sum(row["skipped_steps"] for row in loose.metrics) == 0
    assert sum(row["nonfinite_steps"] for row in tight.metrics + loose.metrics) == 0
    assert torch.equal(tight.states[24]["model"]["0.weight"], tight.states[25]["model"]["0.weight"])
    spike, usual = tight.metrics[25]["grad_norm_max"], statistics.median(row["grad_norm_max"] for row in tight.metrics)
    assert spike > 20 * usual


def test_a_spike_among_the_first_steps_has_no_median_to_be_measured_by():
    trial = steps_of(Disturbed(ENOUGH - 1, -300.0), {**SGD, "skip_above": 20.0}, until=ENOUGH)
    assert trial.last["grad_norm_max"] > 20 * statistics.median(row["grad_norm_max"] for row in trial.metrics)
    assert sum(row["skipped_steps"] for row in trial.metrics) == 0


def test_the_median_is_trusted_from_the_first_step_on_that_has_enough_before_it():
    trial = steps_of(Disturbed(ENOUGH, -300.0), {**SGD, "skip_above": 20.0}, until=ENOUGH + 1)
    assert [row["skipped_steps"] for row in trial.metrics] == [0.0] * ENOUGH + [1.0]


class Poisoned(Blobs):
    """Inputs are NaN at step 5 of 40: they pass through the batch norm, whose statistics follow what it sees."""

    def forward(self, model, inputs, progress):
        if progress is not None:
            inputs = torch.where((progress * 40).round() == 5, math.nan, inputs)
        return model(inputs)


@pytest.mark.parametrize("more", [SKIP, {"precision": "fp16"}], ids=["skip", "fp16"])
def test_a_skipped_step_leaves_running_statistics_alone(more):
    trial = steps_of(Poisoned(), {**SGD, **more}, until=8)
    assert_same_state(trial.states[4]["model"], trial.states[5]["model"])
    assert all(math.isfinite(row["val_loss"]) for row in trial.metrics)
    assert trial.metrics[5]["skipped_steps"] == 1


def test_a_bowl_by_hand():
    """Gradient descent on ½(Σw - 3)², a step left out."""

    class Bowl(Blobs):
        def model(self, config):
            return nn.Linear(4, 1, bias=False)

        def forward(self, model, inputs, progress):
            outputs = model.weight.sum() * torch.ones(len(inputs))
            return outputs if progress is None or round(progress.item() * 4) != 2 else outputs * math.nan

        def loss(self, outputs, targets):
            return 0.5 * (outputs - 3).square().mean()

        def metrics(self, outputs, targets):
            return {}

    config = {**SKIP, "optimizer": "sgd", "momentum": 0.0, "lr": 0.05, "batch_size": 20}
    trial = run(config, until=4, unit="step", task=Bowl())
    sums = [state["model"]["weight"].sum().item() for state in trial.states]
    errors = [total - 3 for total in sums]
    assert errors[1] == pytest.approx(errors[0] * (1 - 4 * 0.05), rel=1e-5)  # four weights move alike
    assert errors[2] == errors[1]
    assert errors[3] == pytest.approx(errors[2] * (1 - 4 * 0.05), rel=1e-5)
