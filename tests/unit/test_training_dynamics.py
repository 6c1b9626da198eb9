"""What is logged of steps: summaries by hand and by NumPy, decimated curves, the gradient noise scale."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from training_runs import Blobs, run

from tuner.training import Splits, Task
from tuner.training.dynamics import (
    COLUMNS,
    NORM_EVERY,
    POINTS,
    RATIO_EVERY,
    UNMEASURED,
    StepLog,
    curves,
    is_sampled,
    noise_scale,
    row,
    summary,
)

finite = st.floats(-1e3, 1e3, width=32)


def columns_of(losses, norms=None, **others):
    columns = {name: torch.zeros(len(losses), dtype=torch.float64) for name in COLUMNS}
    columns["grad_norm"] = torch.full((len(losses),), UNMEASURED, dtype=torch.float64)
    given = {"loss": losses, **({} if norms is None else {"grad_norm": norms}), **others}
    return columns | {name: torch.tensor(values, dtype=torch.float64) for name, values in given.items()}


def test_the_summary_by_hand():
    columns = columns_of(
        [1.0, 2.0, math.nan, 4.0],
        [1.0, UNMEASURED, math.inf, 5.0],
        nonfinite=[0, 0, 1, 0],
        skipped=[0, 1, 1, 0],
    )
    values = summary(columns, [10, 10, 10, 2], clip_norm=2.0)
    assert (values["nonfinite_steps"], values["skipped_steps"]) == (1, 2)
    assert math.isnan(values["train_loss"])
    assert (values["grad_norm_p50"], values["grad_norm_max"]) == (3.0, 5.0)
    assert values["clip_rate"] == pytest.approx(2 / 3)
    assert summary(columns_of([1.0, 4.0]), [9, 1], None)["train_loss"] == pytest.approx(1.3)
    assert "grad_norm_p50" not in summary(columns_of([1.0]), [1], None)
    assert math.isnan(summary(columns_of([1.0], [math.nan]), [1], None)["grad_norm_max"])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_percentiles_are_numpys(norms):
    values = summary(columns_of([0.0] * len(norms), norms), [1] * len(norms), None)
    expected = np.percentile(norms, [50, 90, 99, 100])
    found = [values[f"grad_norm_{name}"] for name in ("p50", "p90", "p99", "max")]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_log_keeps_the_rows_in_their_order():
    log = StepLog.of(3, torch.device("cpu"))
    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    log.add(row(torch.tensor(2.0), None, None, torch.tensor(8.0), zero, zero), 10, 5)
    log.add(row(torch.tensor(3.0, dtype=torch.float64), torch.tensor(7.0), one, one, one, one), 4, 2)
    columns = log.read()
    assert columns["loss"].tolist() == [2, 3]
    assert columns["grad_norm"].tolist() == [UNMEASURED, 7]
    assert columns["loss_scale"].tolist() == [8, 1]
    assert columns["skipped"].tolist() == columns["nonfinite"].tolist() == [0, 1]
    assert (log.sizes, log.small_sizes) == ([10, 4], [5, 2])


@given(st.lists(finite | st.sampled_from([math.nan, math.inf]), min_size=1, max_size=1500), st.integers(0, 10**6))
def test_decimation_keeps_each_bins_extremes(losses, first):
    n = len(losses)
    shown = curves(columns_of(losses), torch.arange(n) / n, first, POINTS)
    steps = [int(step) - first - 1 for step in shown["step"]]
    assert len({len(column) for column in shown.values()}) == 1
    assert len(steps) <= POINTS
    assert steps == sorted(set(steps))
    np.testing.assert_array_equal(shown["loss"], np.array(losses)[steps])
    np.testing.assert_array_equal(shown["lr"], (torch.arange(n) / n).double()[steps])
    if n <= POINTS:
        assert steps == list(range(n))
    ranks = [math.inf if not math.isfinite(loss) else loss for loss in losses]
    assert max(ranks[step] for step in steps) == max(ranks)
    assert min(ranks[step] for step in steps) == min(ranks)


@pytest.mark.parametrize("n", [POINTS + 1, 391, 12_345])
def test_no_spike_is_lost(n):
    spikes = torch.randperm(n, generator=torch.Generator().manual_seed(n))[:: n // 5]
    losses = torch.rand(n, generator=torch.Generator().manual_seed(1))
    bins = {int(spike) * (POINTS // 2) // n: int(spike) for spike in spikes}  # one spike in a bin
    losses[list(bins.values())] += 10
    shown = curves(columns_of(losses.tolist()), torch.zeros(n), 0, POINTS)
    assert {spike + 1 for spike in bins.values()} <= set(shown["step"])


def test_a_reports_curves_are_of_its_steps():
    trial = run({"batch_size": 2, "precision": "fp16", "initial_loss_scale": 128.0}, until=3, task=Blobs(rows=500))
    for number, shown in enumerate(trial.curves):
        assert set(shown) == {"step", "loss", "lr", "grad_norm", "loss_scale", "skipped"}
        assert len(shown["step"]) <= POINTS < 250
        assert number * 250 < shown["step"][0] < shown["step"][-1] <= (number + 1) * 250
        assert set(shown["loss_scale"]) == {128.0}
        assert set(shown["skipped"]) == {0.0}
    both = run({"batch_size": 2, "report_every": 2}, until=2, task=Blobs(rows=500)).curves
    assert POINTS < len(both[0]["step"]) <= 2 * POINTS


def test_norms_are_of_every_eighth_step_and_the_last():
    (shown,) = run({"batch_size": 20}, until=1).curves
    measured = [int(step) - 1 for step, norm in zip(shown["step"], shown["grad_norm"], strict=True) if norm == norm]
    assert measured == [*range(0, 10, NORM_EVERY), 9]
    (shown,) = run({"batch_size": 20, "clip_norm": 1.0}, until=1).curves
    assert all(math.isfinite(norm) for norm in shown["grad_norm"])


def test_the_update_ratio_is_sampled_on_few_steps_and_always_on_the_last():
    sampled = [step for step in range(391) if is_sampled(step, 390)]
    assert len(sampled) == 391 // RATIO_EVERY + 1
    assert sampled[-1] == 390
    assert [step for step in range(3) if is_sampled(step, 2)] == [2]


class Noisy(Task):
    """The model is a point w, the loss ½|w - x|²: a row's gradient is w - x, of covariance Cov(x), mean w - E x."""

    SPREAD, DISTANCE, DIM = 2.0, 0.5, 10

    def data(self):
        x = self.SPREAD * torch.randn(8192, self.DIM, generator=torch.Generator().manual_seed(3)) + self.DISTANCE
        return Splits((x, x), (x[:8], x[:8]))

    def model(self, config):
        return Point(self.DIM)

    def loss(self, outputs, targets):
        return 0.5 * (outputs - targets).square().sum(1).mean()


class Point(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        return self.w.expand_as(x)


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_the_noise_scale_is_that_of_a_known_covariance(micro_batch):
    still = {"optimizer": "sgd", "lr": 1e-12, "momentum": 0.0}  # w stays 0
    config = {**still, "batch_size": 16, "micro_batch": micro_batch, "noise_scale": True, "clip_norm": 1e9}
    measured = run(config, until=1, task=Noisy()).metrics[-1]["noise_scale"]
    x = Noisy().data().train[0].double()
    expected = (x.var(0).sum() / x.mean(0).square().sum()).item()  # tr(Σ) / |G|²
    assert expected == pytest.approx(Noisy.SPREAD**2 / Noisy.DISTANCE**2, rel=0.1)
    assert measured == pytest.approx(expected, rel=0.15)


def test_the_noise_scale_takes_only_what_was_measured():
    columns = columns_of([0.0] * 4, [2.0, UNMEASURED, math.inf, 3.0], small_norm=[3.0, 4.0, 5.0, 3.5])
    alone = columns_of([0.0], [2.0], small_norm=[3.0])
    assert noise_scale(columns, [8] * 3 + [2], [4, 4, 4, 2]) == noise_scale(alone, [8], [4])
    # |G|² = (8·4 - 4·9)/4 = -1 and tr(Σ) = (9 - 4)/(1/4 - 1/8) = 40
    assert noise_scale(alone, [8], [4]) == pytest.approx(-40)
    assert math.isnan(noise_scale(columns_of([0.0], [2.0], small_norm=[2.0]), [8], [8]))
