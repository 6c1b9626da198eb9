"""Number types: the loss scale against torch's GradScaler, half precision against float32, and the ways out of it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from training_runs import Blobs, run

from tuner.errors import SpecError, TrialFailed
from tuner.training.precision import Precision
from tuner.training.settings import PrecisionSettings

CPU = torch.device("cpu")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5), st.sampled_from([1.0, 65536.0, 3.0, 2.0**-10]))
def test_the_loss_scale_is_that_of_torchs_grad_scaler(overflows, growth, initial):
    ours = Precision(PrecisionSettings(precision="fp16", initial_loss_scale=initial, loss_scale_growth=growth), CPU)
    theirs = torch.amp.GradScaler("cpu", init_scale=initial, growth_interval=growth)
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], 0.01)
    for number, overflow in enumerate(overflows):
        optimizer.zero_grad()
        loss = (weight * (math.inf if overflow else 1.0)).sum()
        before, scaled = weight.detach().clone(), ours.scaled(loss)
        reference = theirs.scale(loss)
        assert torch.equal(scaled, reference)
        reference.backward()
        assert ours.unscaled(weight.grad.norm()).isfinite().item() is not overflow
        theirs.step(optimizer)
        theirs.update()
        ours.update(torch.tensor(float(overflow)))
        assert ours.scale.item() == theirs.get_scale(), number
        assert torch.equal(weight, before) is overflow
    in_a_row = next((n for n, overflow in enumerate(reversed(overflows)) if not overflow), len(overflows))
    assert ours.overflows.item() == in_a_row


def test_other_types_scale_nothing():
    for name in ("fp32", "bf16"):
        precision = Precision(PrecisionSettings(precision=name), CPU)
        precision.update(torch.tensor(1.0))
        assert (precision.scale.item(), precision.overflows.item()) == (1.0, 0.0)
        assert precision.scaled(torch.tensor(3.0)).item() == 3.0
    with pytest.raises(SpecError, match="tf32") as error:
        Precision(PrecisionSettings(precision="tf32"), CPU)
    assert error.value.path == "precision"


CONFIG = {"lr": 0.02, "batch_size": 32, "dropout": 0.0}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_reaches_the_accuracy_of_float32(precision):
    half = run({**CONFIG, "precision": precision}, until=6)
    full = run(CONFIG, until=6)
    assert full.last["val_accuracy"] > 0.8
    assert half.last["val_accuracy"] >= full.last["val_accuracy"] - 0.04
    assert half.last["val_loss"] == pytest.approx(full.last["val_loss"], rel=0.05)
    assert half.last["val_loss"] != full.last["val_loss"]  # it did compute in another type
    assert half.last["skipped_steps"] == 0
    assert {tensor.dtype for name, tensor in half.kept["model"].items() if "weight" in name} == {torch.float32}


class Typed(Blobs):
    """Notes the number type of its outputs in training, and in evaluation."""

    def __init__(self):
        super().__init__()
        self.seen = {True: [], False: []}

    def forward(self, model, inputs, progress):
        outputs = model(inputs)
        self.seen[progress is not None].append(outputs.dtype)
        return outputs


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_the_forward_pass_computes_in_the_type_that_is_named(precision, dtype):
    task = Typed()
    run({**CONFIG, "precision": precision}, until=1, task=task)
    assert set(task.seen[True]) == set(task.seen[False]) == {dtype}


def test_the_loss_scale_backs_off_until_it_fits_and_what_overflowed_is_skipped():
    config = {**CONFIG, "precision": "fp16", "initial_loss_scale": 2.0**25, "overflow_limit": 100}
    trial = run(config, until=6)
    skipped = sum(row["skipped_steps"] for row in trial.metrics)
    assert skipped >= 5
    assert trial.last["loss_scale"] == 2.0 ** (25 - skipped)
    assert sum(row["nonfinite_steps"] for row in trial.metrics) == 0
    scales, skips = ([value for shown in trial.curves for value in shown[name]] for name in ("loss_scale", "skipped"))
    assert scales == [2.0 ** (25 - sum(skips[:step])) for step in range(6 * 7)]
    assert trial.kept["optimizer"]["0.weight"]["step"] == 6 * 7 - skipped
    assert trial.last["val_accuracy"] > 0.75
    assert trial.events == []


def test_the_loss_scale_grows():
    trial = run({**CONFIG, "precision": "fp16", "initial_loss_scale": 4.0, "loss_scale_growth": 3}, until=2)
    scales = [scale for shown in trial.curves for scale in shown["loss_scale"]]
    assert scales == [4.0 * 2 ** (step // 3) for step in range(14)]
    assert trial.kept["precision"]["scale"] == 4.0 * 2**4


@pytest.mark.parametrize(
    "clipping", [{"clip_norm": 0.05}, {"clip_value": 0.01}, {"clip_value": 0.01, "clip_norm": 0.02}]
)
def test_clipping_sees_gradients_without_their_scale(clipping):
    config = {**CONFIG, **clipping, "optimizer": "sgd", "momentum": 0.0, "lr": 0.5}
    half, full = run({**config, "precision": "fp16"}, until=1), run(config, until=1)
    start = run({**config, "lr": 1e-30}, until=1).kept["model"]["0.weight"]
    moved, expected = (trial.kept["model"]["0.weight"] - start for trial in (half, full))
    torch.testing.assert_close(moved, expected, rtol=0.05, atol=0.02 * expected.abs().max().item())
    assert half.last["grad_norm_max"] == pytest.approx(full.last["grad_norm_max"], rel=0.02)


class Large(Blobs):
    """Activations of some 10^5, which float16 does not have and bfloat16 does."""

    def model(self, config):
        return nn.Sequential(nn.Linear(4, 16), Times(1e6), nn.Linear(16, 16), Times(1e-6), nn.Linear(16, 2))


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def test_repeated_overflow_falls_back_to_bfloat16_with_an_event():
    trial = run({**CONFIG, "precision": "fp16", "overflow_limit": 10}, until=4, task=Large())
    assert len(trial.events) == 1
    assert "14 overflows in a row, precision: fp16 -> bf16" in trial.events[0]  # seen by the second report
    assert trial.kept["precision"]["name"] == "bf16"
    assert [row["skipped_steps"] for row in trial.metrics] == [7, 7, 0, 0]
    assert [row["nonfinite_steps"] for row in trial.metrics] == [0, 0, 0, 0]
    assert [row["loss_scale"] for row in trial.metrics[2:]] == [1.0, 1.0]
    assert [math.isfinite(row["val_loss"]) for row in trial.metrics] == [False, True, True, True]
    assert trial.kept["optimizer"]["0.weight"]["step"] == 14


def test_a_trial_that_fell_back_goes_on_in_bfloat16():
    config = {**CONFIG, "precision": "fp16", "overflow_limit": 10}
    first = run(config, until=2, horizon=3, task=Large())
    second = run(config, until=3, start=2, horizon=3, checkpoint=first.kept, task=Large())
    assert second.kept["precision"]["name"] == "bf16"
    assert second.last["skipped_steps"] == 0


class Narrow(Blobs):
    """1 + 2⁻¹⁰ is 1 in bfloat16, so that dividing by what it is above 1 breaks there, and not in float32."""

    def forward(self, model, inputs, progress):
        outputs = model(inputs)
        return outputs if progress is None else outputs + 0.1 / (torch.ones_like(outputs) + 2**-10 - 1)


def test_lower_precision_leaves_half_precision_at_the_next_look():
    config = {**CONFIG, "precision": "bf16", "nonfinite": "lower_precision"}
    trial = run(config, until=3, task=Narrow())
    assert len(trial.events) == 1
    assert "precision: bf16 -> fp32" in trial.events[0]
    assert [row["nonfinite_steps"] for row in trial.metrics] == [7, 0, 0]
    assert [row["skipped_steps"] for row in trial.metrics] == [7, 0, 0]
    assert trial.kept["precision"]["name"] == "fp32"


def test_in_float32_lower_precision_has_nowhere_to_go_and_fails_at_the_limit():
    class Hopeless(Blobs):
        def augment(self, inputs):
            return inputs * math.nan

    config = {**CONFIG, "nonfinite": "lower_precision", "nonfinite_limit": 5}
    with pytest.raises(TrialFailed, match="the last of 5 in a row"):
        run(config, until=3, task=Hopeless())
