"""The trainer as a whole, on tasks of a few rows."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from training_runs import ADAMW, SGD, Blobs, Trial, assert_same_state, run, untimed

from tuner.errors import CheckpointError, DataError, SpecError, StopTrial
from tuner.training import Splits, TrainerSettings, train
from tuner.training.schedules import learning_rates

REPORTED = {
    *("epoch", "step", "samples", "seconds", "samples_per_second", "data_wait", "lr", "loss_scale"),
    *("train_loss", "train_eval_loss", "val_loss", "val_accuracy", "gap"),
    *("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max", "clip_rate", "clip_norm_recommended"),
    *("update_ratio", "weight_norm", "skipped_steps", "nonfinite_steps"),
}


def test_a_newcomers_task_trains_and_reports_plain_floats():
    trial = run({"lr": 0.05, "batch_size": 32, "dropout": 0.0, "clip_norm": 1.0}, until=5)
    assert [set(row) for row in trial.metrics] == [REPORTED] * 5
    assert all(type(value) is float and math.isfinite(value) for row in trial.metrics for value in row.values())
    last = trial.metrics[-1]
    assert last["val_accuracy"] > 0.75
    assert last["train_loss"] < trial.metrics[0]["train_loss"]
    assert (last["epoch"], last["step"], last["samples"]) == (5, 5 * 7, 5 * 200)
    assert last["gap"] == pytest.approx(last["val_loss"] - last["train_eval_loss"], abs=1e-12)
    assert 0 <= last["data_wait"] <= 1


class Double(Blobs):
    """Blobs in float64 throughout, or with a last layer that is (`mixed`)."""

    def __init__(self, mixed: bool):
        super().__init__()
        self.mixed = mixed

    def prepare(self, inputs):
        return inputs if self.mixed else inputs.double()

    def model(self, config):
        model = super().model(config)
        return nn.Sequential(model[:-1], Widen(), model[-1].double()) if self.mixed else model.double()


class Widen(nn.Module):
    def forward(self, x):
        return x.double()


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("config", [{**SGD, "clip_norm": 0.5}, ADAMW, {"lr": 0.01}], ids=["sgd", "adamw", "unclipped"])
def test_float64_models_train_as_float32_ones_do(config, mixed):
    config = {**config, "dropout": 0.0}
    wide, narrow = run(config, task=Double(mixed)).metrics, run(config).metrics
    # Only roughly: the bias before BatchNorm has a gradient of nothing but rounding, which adamw scales up.
    for name in ("val_loss", "grad_norm_max", "clip_rate", "update_ratio", "weight_norm"):
        assert [row[name] for row in wide] == pytest.approx([row[name] for row in narrow], rel=1e-2), name
    assert all(type(value) is float for row in wide for value in row.values())


@pytest.mark.parametrize("rows", [65, 33])
def test_a_batch_size_that_leaves_one_row_trains_batch_norm(rows):
    config = {**SGD, "batch_size": 32}
    trial = run(config, until=2, task=Blobs(rows))
    n_steps = rows // 32
    assert [row["step"] for row in trial.metrics] == [n_steps, 2 * n_steps]
    assert [row["samples"] for row in trial.metrics] == [rows, 2 * rows]
    assert trial.states[-1]["model"]["1.num_batches_tracked"] == 2 * n_steps
    schedule = TrainerSettings.from_config(config).schedule
    rates = learning_rates(schedule, torch.arange(2 * n_steps), 2 * n_steps, batch_size=32)
    assert trial.metrics[-1]["lr"] == rates[-1].item()


@pytest.mark.parametrize("config", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_deterministic_algorithms_may_be_demanded(config):
    free = run(config)
    torch.use_deterministic_algorithms(True)
    try:
        strict = run(config)
    finally:
        torch.use_deterministic_algorithms(False)
    assert untimed(strict.metrics) == untimed(free.metrics)
    assert_same_state(strict.states[-1], free.states[-1])


def test_the_schedule_is_laid_out_over_the_horizon():
    short, long = run(SGD, until=1, horizon=9), run(SGD, until=9, horizon=9)
    assert short.metrics[0]["lr"] == long.metrics[0]["lr"]
    assert long.metrics[-1]["lr"] < 0.002 < 0.05 < long.metrics[2]["lr"]


def test_seeds_make_trials_and_torchs_generator_is_left_alone():
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    a, b, c = run(SGD, seed=1), run(SGD, seed=1), run(SGD, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert untimed(a.metrics) == untimed(b.metrics) != untimed(c.metrics)


def test_a_stop_passes_through_and_leaves_nothing_altered():
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    trial = Trial(5, stop_at=2)
    trial.threads = threads + 1
    with pytest.raises(StopTrial):
        train(Blobs(), SGD, trial)
    assert len(trial.metrics) == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_one_batch_can_be_overfitted():
    task = Blobs(rows=16, label_noise=0.5)
    trial = run({"lr": 0.02, "batch_size": 16, "dropout": 0.0}, until=150, task=task)
    assert trial.metrics[-1]["train_loss"] < 0.05
    assert trial.metrics[-1]["gap"] > 0.5


def test_what_a_task_draws_is_a_function_of_seed_and_epoch():
    drawn = []

    class Drawing(Blobs):
        def prepare(self, inputs):
            if not torch.is_inference_mode_enabled():
                drawn.append(torch.rand(()).item())
            return inputs

    for seed in (0, 1, 0):
        run({"batch_size": 200}, task=Drawing(), seed=seed)
    assert len(set(drawn)) == 6
    assert drawn[:3] == drawn[6:]


def test_what_an_evaluation_draws_is_a_function_of_the_trials_seed():
    class Sampling(Blobs):
        def measures(self, model, inputs, targets):
            return {"loss": torch.rand(())}

    def losses(before, **segment):
        torch.manual_seed(before)
        state = torch.get_rng_state()
        trial = run({}, task=Sampling(), **segment)
        assert torch.equal(torch.get_rng_state(), state)
        return [row["val_loss"] for row in trial.metrics], trial.kept

    whole, _ = losses(1, until=3)
    first, state = losses(2, until=1, horizon=3)
    rest, _ = losses(3, until=3, start=1, checkpoint=state)
    assert first + rest == whole
    assert losses(1, until=3, seed=1)[0] != whole


def test_frozen_and_unused_parameters_are_left_alone():
    class Partly(Blobs):
        def model(self, config):
            model = super().model(config)
            model[0].weight.requires_grad_(False)
            model.extra = nn.Identity()
            model.extra.unused = nn.Parameter(torch.ones(3, 3))
            return model

    trial = run({**ADAMW, "batch_size": 32}, task=Partly(), until=2)
    first, second = (state["model"] for state in trial.states)
    assert torch.equal(first["0.weight"], second["0.weight"])
    assert torch.equal(second["extra.unused"], torch.ones(3, 3))
    assert not torch.equal(first["4.weight"], second["4.weight"])


def test_data_is_prepared_once_for_equal_tasks():
    calls = []

    class Once(Blobs):
        def data(self):
            calls.append(self.rows)
            return super().data()

    for rows in (100, 100, 120, 120):
        run({}, task=Once(rows), until=1)
    assert calls == [100, 120]


def test_mistakes_are_told():
    with pytest.raises(SpecError, match="lr"):
        run({"lr": -1.0})
    with pytest.raises(CheckpointError, match="epoch 2"):
        run(SGD, start=2)
    state = run(SGD, until=1).states[-1]
    with pytest.raises(CheckpointError, match="it is of epoch 1"):
        run(SGD, start=2, checkpoint=state)
    with pytest.raises(CheckpointError, match="exp_avg"):
        run(ADAMW, start=1, checkpoint=state)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        run(SGD, start=1, checkpoint={**state, "model": {}})

    class Uneven(Blobs):
        def data(self):
            splits = super().data()
            return Splits((splits.train[0], splits.train[1][:-1]), splits.validation)

    with pytest.raises(DataError, match="200 inputs and 199 targets"):
        run({}, task=Uneven())


def test_defining_a_task_and_keeping_a_plain_checkpoint_load_no_torch(tmp_path):
    program = f"""
import sys
from pathlib import Path
from tuner.training import Task, TrainerSettings
from tuner.training.checkpoint import load, save
save({{"a": [1, b"x"]}}, Path({str(tmp_path / "c")!r}))
assert load(Path({str(tmp_path / "c")!r})) == {{"a": [1, b"x"]}}
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
