"""The trainer as a whole, on tasks of a few rows."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tuner.errors import CheckpointError, DataError, SpecError, StopTrial
from tuner.training import Splits, Task, TrainerSettings, train
from tuner.training.checkpoint import load, save
from tuner.training.schedules import learning_rates

REPORTED = {
    *("epoch", "step", "samples", "seconds", "samples_per_second", "data_wait", "lr"),
    *("train_loss", "train_eval_loss", "val_loss", "val_accuracy", "gap"),
    *("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max", "clip_rate"),
    *("update_ratio", "weight_norm", "nonfinite_steps"),
}


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


class Trial:
    number, threads, device, folder = 0, 1, "cpu", Path()

    def __init__(self, until, *, start=0, horizon=None, seed=0, checkpoint=None, stop_at=None):
        self.start, self.until, self.horizon = start, until, horizon or until
        self.seed, self.checkpoint, self.stop_at = seed, checkpoint, stop_at
        self.metrics, self.states = [], []

    def report(self, resource, /, *, checkpoint, **metrics):
        assert resource == self.start + len(self.metrics) + 1
        self.metrics.append(metrics)
        self.states.append(checkpoint())
        if resource == self.stop_at:
            raise StopTrial


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
    for (place, x), (other, y) in zip(flat(a), flat(b), strict=True):
        assert place == other
        assert torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y, place


TIMES = {"seconds", "samples_per_second", "data_wait"}


def untimed(metrics):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in metrics]


SGD = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "schedule": "cosine", "warmup": 0.2}
ADAMW = {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1, "schedule": "cosine", "warmup": 0.3, "clip_norm": 0.5}


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


@pytest.mark.parametrize("config", [SGD, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("split", [(1,), (3,), (1, 2, 3)], ids=str)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(config, split, tmp_path):
    config = {**config, "batch_size": 48}  # 200 rows: the last batch is smaller
    whole = run(config, until=4)
    metrics, state, start = [], None, 0
    for until in (*split, 4):
        torch.manual_seed(until)  # whatever the process did before makes no difference
        part = run(config, until=until, start=start, horizon=4, checkpoint=state)
        size, sha256 = save(part.states[-1], tmp_path / "checkpoint")
        state, start = load(tmp_path / "checkpoint", sha256, size), until
        metrics += part.metrics
    assert untimed(metrics) == untimed(whole.metrics)
    assert_same_state(state, whole.states[-1])


def in_new_process(folder):
    """The last rung of `test_rungs_...`, as a worker that joins late would run it."""
    for name, config in (("sgd", SGD), ("adamw", ADAMW)):
        state = load(folder / f"{name}-3")
        save(run(config, until=9, start=3, checkpoint=state).states[-1], folder / f"{name}-9")


def test_rungs_in_several_processes_are_the_run_in_one_go(tmp_path):
    for name, config in (("sgd", SGD), ("adamw", ADAMW)):
        state, start = None, 0
        for until in (1, 3):
            save(
                run(config, until=until, start=start, horizon=9, checkpoint=state).states[-1],
                tmp_path / f"{name}-{until}",
            )
            state, start = load(tmp_path / f"{name}-{until}"), until
    here = Path(__file__)
    program = f"from pathlib import Path; from {here.stem} import *; in_new_process(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=here.parent)
    for name, config in (("sgd", SGD), ("adamw", ADAMW)):
        whole, state = run(config, until=9), load(tmp_path / f"{name}-9")
        assert_same_state(state, whole.states[-1])
        assert state["model"]["1.num_batches_tracked"] == 9 * 2
        assert not torch.equal(state["model"]["1.running_mean"], torch.zeros(16))


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
    rates = learning_rates(TrainerSettings.from_config(config), torch.arange(2 * n_steps), 2 * n_steps)
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


def test_a_checkpoint_is_a_copy():
    trial = run(ADAMW, until=2)
    first, second = (dict(flat(state)) for state in trial.states)
    assert any(not torch.equal(first[k], second[k]) for k in first if k.startswith("/model"))
    again = run(ADAMW, until=1, horizon=2)
    assert_same_state(trial.states[0], again.states[0])


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


def test_dynamics_count_what_they_say():
    free, tight = run({"lr": 0.01}), run({"lr": 0.01, "clip_norm": 1e-4})
    assert {row["clip_rate"] for row in free.metrics} == {0.0}
    assert {row["clip_rate"] for row in tight.metrics} == {1.0}
    for row in free.metrics:
        assert row["grad_norm_p50"] <= row["grad_norm_p90"] <= row["grad_norm_p99"] <= row["grad_norm_max"]
    assert free.metrics[0]["grad_norm_max"] == pytest.approx(tight.metrics[0]["grad_norm_max"], rel=0.5)
    state = free.states[-1]["model"]
    trained = [state[name] for name in ("0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias")]
    assert free.metrics[-1]["weight_norm"] == pytest.approx(sum((t.double() ** 2).sum() for t in trained).sqrt().item())


def test_the_update_ratio_is_the_measured_one():
    trial = run({"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "batch_size": 1000}, until=2)
    trained = ("0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias")
    first, second = (torch.cat([state["model"][name].flatten() for name in trained]) for state in trial.states)
    expected = ((second - first).norm() / first.norm()).item()
    assert trial.metrics[1]["update_ratio"] == pytest.approx(expected, rel=1e-4)


def test_measuring_changes_nothing_but_the_report():
    measured, bare = Trial(2), Trial(2)
    train(Blobs(), ADAMW, measured)
    train(Blobs(), ADAMW, bare, measure=False)
    assert_same_state(measured.states[-1], bare.states[-1])
    assert set(measured.metrics[0]) - set(bare.metrics[0]) == {
        *("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max", "clip_rate", "update_ratio"),
    }


def test_non_finite_steps_are_counted_and_reported():
    trial = run({"optimizer": "sgd", "lr": 1e30, "batch_size": 50}, until=1)
    assert trial.metrics[0]["nonfinite_steps"] >= 1
    assert math.isnan(trial.metrics[0]["val_loss"])


@pytest.mark.parametrize("config", [{**SGD, "clip_norm": 0.5}, ADAMW, {"lr": 0.01}], ids=["sgd", "adamw", "unclipped"])
def test_a_loss_that_turns_nan_within_an_epoch_is_counted_and_ends_nothing(config):
    class Breaking(Blobs):
        steps = 0

        def loss(self, outputs, targets):
            self.steps += not torch.is_inference_mode_enabled()
            return super().loss(outputs, targets) * (math.nan if self.steps == 4 else 1.0)

    trial = run({**config, "batch_size": 20}, until=2, task=Breaking())
    first, second = trial.metrics
    assert (first["nonfinite_steps"], second["nonfinite_steps"]) == (7, 10)
    assert (first["step"], second["step"]) == (10, 20)
    assert math.isfinite(first["grad_norm_max"])
    assert all(math.isnan(row[name]) for row in trial.metrics for name in ("val_loss", "train_loss", "weight_norm"))


def test_one_batch_can_be_overfitted():
    task = Blobs(rows=16, label_noise=0.5)
    trial = run({"lr": 0.02, "batch_size": 16, "dropout": 0.0}, until=150, task=task)
    assert trial.metrics[-1]["train_loss"] < 0.05
    assert trial.metrics[-1]["gap"] > 0.5


def test_the_gap_is_measured_with_dropout_off_on_as_many_rows():
    class Counting(Blobs):
        def __init__(self):
            super().__init__()
            self.seen = []

        def prepare(self, inputs):
            if torch.is_inference_mode_enabled():
                self.seen.append(len(inputs))
            return inputs

    task = Counting()
    trial = run({"lr": 1e-9, "dropout": 0.9}, task=task)
    assert task.seen == [60, 60] * 3
    evaluated = [row["train_eval_loss"] for row in trial.metrics]
    assert max(evaluated) - min(evaluated) < max(r["train_loss"] for r in trial.metrics) - min(evaluated)


def test_dropout_is_a_function_of_seed_and_epoch():
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
