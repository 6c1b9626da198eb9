"""Gaps, their front and their correlations, held against values made by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from by_hand import study_spec
from scipy import stats

from tuner.analysis.generalization import (
    gap_along,
    gap_correlations,
    gaps,
    learning_curves,
    pareto_front,
    rank_correlation,
)
from tuner.plots.generalization import gap_along_figure, gaps_figure, learning_curves_figure, sharpness_figure
from tuner.plots.thinning import MOST_MARKS
from tuner.records import Report, TrialState, TrialSummary

SPACE = {
    "lr": {"float": [1e-4, 1.0], "log": True},
    "clip_norm": {"float": [0.1, 10.0], "log": True, "none": True},
    "batch_size": {"choice": [128, 32, 64]},
    "optimizer": {"choice": ["sgd", "adamw"]},
}


@dataclass
class Study:
    """What the tables ask of a StudyView."""

    trials: list[TrialSummary]
    told: list[Report] = field(default_factory=list)
    spec: Any = field(default_factory=lambda: study_spec(space=SPACE))

    def reports(self, trial: int) -> list[Report]:
        return [report for report in self.told if report.trial == trial]


def trial(number, val_loss, gap, resource=9, state=TrialState.COMPLETE, config=None, **metrics):
    config = config or {"lr": 10.0 ** -(number % 4), "clip_norm": None, "batch_size": 32, "optimizer": "sgd"}
    metrics = {"val_loss": val_loss, "train_eval_loss": val_loss - (gap or 0), **metrics}
    return TrialSummary(number, state, config, resource, 9, val_loss, gap=gap, metrics=metrics)


STUDY = Study(
    [
        trial(0, 0.5, 0.1),
        trial(1, 0.4, 0.2, sharpness=0.3),
        trial(2, 0.6, 0.15),
        trial(3, 0.9, -0.5),
        trial(4, 0.3, 0.01, resource=3, state=TrialState.PRUNED),
        trial(5, math.nan, math.nan, state=TrialState.FAILED),
        trial(6, 0.1, 0.0, state=TrialState.FAILED),
        trial(7, 0.2, None),
    ]
)


def test_the_front_is_of_trials_that_can_be_compared():
    table = gaps(STUDY, "furthest").set_index("trial")
    assert list(table.index) == [0, 1, 2, 3]
    assert table["front"].tolist() == [True, True, False, True]
    assert table["sharpness"].notna().tolist() == [False, True, False, False]
    assert table["batch_size"].tolist() == [32] * 4
    everything = gaps(STUDY, "all").set_index("trial")
    assert everything.index[everything["front"]].tolist() == [3, 4]


def test_a_front_keeps_equals_and_drops_what_is_dominated():
    one = np.array([1.0, 1.0, 2.0, 2.0, 3.0, 1.0])
    other = np.array([2.0, 2.0, 1.0, 2.0, 1.0, 3.0])
    assert pareto_front(one, other).tolist() == [True, True, True, False, False, False]
    assert pareto_front(np.zeros(0), np.zeros(0)).tolist() == []


def test_a_front_is_that_of_all_pairs():
    points = np.random.default_rng(0).integers(0, 8, (200, 2)).astype(float)
    dominated = [((points <= p).all(1) & (points < p).any(1)).any() for p in points]
    assert (pareto_front(points[:, 0], points[:, 1]) == ~np.array(dominated)).all()


def test_spearman_is_scipys_and_its_interval_is_bonett_and_wrights():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 9, 40).astype(float)
    y = x + rng.normal(0, 4, 40)
    rho, low, high = rank_correlation(x, y)
    assert rho == pytest.approx(stats.spearmanr(x, y).statistic)
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / 37)
    assert (math.atanh(low), math.atanh(high)) == pytest.approx((math.atanh(rho) - half, math.atanh(rho) + half))


@pytest.mark.parametrize("n", [0, 2, 5])
def test_few_trials_have_no_interval(n):
    rho, low, high = rank_correlation(np.arange(n, dtype=float), np.arange(n, dtype=float))
    assert math.isnan(low)
    assert math.isnan(high)
    assert math.isnan(rho) == (n < 3)


def test_a_perfect_and_a_constant_correlation():
    x = np.arange(20.0)
    assert rank_correlation(x, 2 * x) == pytest.approx((1, 1, 1), abs=1e-9)
    assert all(map(math.isnan, rank_correlation(x, np.ones(20))))


def test_the_gap_goes_with_ordered_axes_alone():
    trials = [
        trial(
            number,
            0.5,
            0.1 * number,
            config={
                "lr": 10.0 ** (-number / 5),
                "clip_norm": None if number % 2 else 1.0 + number / 4,
                "batch_size": (32, 64, 128)[number % 3],
                "optimizer": "sgd",
            },
        )
        for number in range(12)
    ]
    table = gap_correlations(Study(trials), "all").set_index("axis")
    assert sorted(table.index) == ["batch_size", "clip_norm", "lr"]
    assert table.loc["lr", "rho"] == pytest.approx(-1)
    assert table.loc["clip_norm", ["trials", "rho"]].tolist() == pytest.approx([6, 1])
    sizes = stats.spearmanr([(32, 64, 128)[n % 3] for n in range(12)], range(12)).statistic
    assert table.loc["batch_size", "rho"] == pytest.approx(sizes)
    assert table["rho"].abs().is_monotonic_decreasing


def test_a_gap_along_an_axis_leaves_out_who_does_not_have_it():
    study = Study([trial(0, 0.5, 0.1), trial(1, 0.5, 0.2, config={"lr": 0.1, "optimizer": "adamw"})])
    assert gap_along(study, "all", "clip_norm")[["trial", "position", "setting"]].values.tolist() == [[0, -1.0, "off"]]
    assert gap_along(study, "all", "optimizer")["setting"].tolist() == ["sgd", "adamw"]


def test_learning_curves_have_holes_where_nothing_was_reported():
    told = [Report(0, 0, 2, {"val_loss": 0.5}, 1.0), Report(0, 0, 1, {"val_loss": 0.6, "train_eval_loss": 0.4}, 1.0)]
    table = learning_curves(Study([], told), 0)
    assert table["resource"].tolist() == [1, 2]
    assert table["val_loss"].tolist() == [0.6, 0.5]
    assert table["train_eval_loss"].isna().tolist() == [False, True]


def test_no_trials():
    nothing = Study([])
    assert gaps(nothing, "furthest").empty
    assert gap_correlations(nothing, "all")["rho"].isna().all()
    assert gap_along(nothing, "all", "lr").empty


def test_figures_name_their_axes_and_draw_the_front_whole():
    drawn = gaps_figure(gaps(STUDY, "furthest"), "epoch")
    assert drawn.layout.xaxis.title.text == "val_loss"
    assert drawn.layout.yaxis.title.text == "gap (val_loss - train_eval_loss)"
    assert {trace.name: len(trace.x) for trace in drawn.data} == {"trials": 1, "Pareto front": 3}
    many = Study([trial(number, 1.0 + number, 0.001 * number) for number in range(MOST_MARKS + 500)])
    assert [len(trace.x) for trace in gaps_figure(gaps(many, "all"), "epoch").data] == [MOST_MARKS, 1]
    along = gap_along_figure(gap_along(STUDY, "all", "lr"), "lr <i>", STUDY.spec.space["lr"], "epoch")
    assert along.layout.xaxis.title.text == "lr &lt;i&gt; (log)"
    assert len(along.data[0].x) == 5


def test_curves_are_the_trials_with_its_onset():
    told = [Report(3, 0, n, {"val_loss": 1 / n, "train_eval_loss": 0.5 / n}, 1.0) for n in (1, 2, 3)]
    drawn = learning_curves_figure(learning_curves(Study([], told), 3), 3, "epoch", 2.0)
    assert [trace.name for trace in drawn.data] == ["gap", "val_loss", "train_eval_loss"]
    assert drawn.layout.xaxis.title.text == "epochs"
    assert drawn.layout.shapes[0].x0 == 2
    assert drawn.layout.annotations[0].text == "overfits from epoch 2"


def test_sharpness_over_batch_size_has_units():
    table = gaps(STUDY, "all")
    drawn = sharpness_figure(table[table["sharpness"].notna()], "epoch")
    assert (drawn.layout.xaxis.title.text, drawn.layout.yaxis.title.text) == (
        "batch_size [samples]",
        "sharpness [loss]",
    )
    assert drawn.layout.xaxis.ticktext == ("32",)
