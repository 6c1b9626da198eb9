"""Curves of chosen trials as a table, and what is said of them."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from tuner.analysis.curves import curves, marked, metrics_of, panel_of, remarks_table, with_partners
from tuner.records import Failure, FailureKind, Report, TrialState, TrialSummary
from tuner.store import Remark


def report(trial: int, resource: int, seconds: float = 2.0, **metrics: float) -> Report:
    return Report(trial, 0, resource, metrics, seconds)


REPORTS = [
    report(0, 1, val_loss=4.0, step=10.0),
    report(1, 1, 0.5, val_loss=1.0),
    report(0, 3, val_loss=2.0, train_loss=1.0, step=30.0),
]


def test_a_row_per_report_and_metric_in_order():
    table = curves(REPORTS, ["val_loss", "train_loss"])
    assert list(table.columns) == ["trial", "resource", "x", "metric", "value", "panel", "smooth"]
    assert table[["trial", "resource", "x", "metric", "value"]].values.tolist() == [
        [0, 1, 1.0, "val_loss", 4.0],
        [1, 1, 1.0, "val_loss", 1.0],
        [0, 3, 3.0, "val_loss", 2.0],
        [0, 3, 3.0, "train_loss", 1.0],
    ]
    assert set(table["panel"]) == {"loss"}
    assert table["smooth"].equals(table["value"])


def test_seconds_are_those_of_the_trial_and_steps_those_it_reported():
    assert list(curves(REPORTS, ["val_loss"], "seconds")["x"]) == [2.0, 0.5, 4.0]
    steps = curves(REPORTS, ["val_loss"], "step")["x"]
    assert list(steps.dropna()) == [10.0, 30.0]
    assert steps.isna().sum() == 1


def test_smoothing_has_no_bias_at_its_start_and_passes_over_holes():
    reports = [report(0, at, loss=value) for at, value in enumerate([4.0, math.nan, 2.0, math.inf, 2.0], 1)]
    smooth = curves(reports, ["loss"], smoothing=0.5)["smooth"].tolist()
    # weights 1; then 1/2 and 1 over 3/2; then 1/4, 1/2 and 1 over 7/4
    expected = [4.0, math.nan, (0.5 * 4 + 2) / 1.5, math.nan, (0.25 * 4 + 0.5 * 2 + 2) / 1.75]
    assert smooth == pytest.approx(expected, nan_ok=True)


def test_trials_are_smoothed_apart():
    table = curves(REPORTS, ["val_loss"], smoothing=0.9)
    assert list(table["smooth"][table["trial"] == 1]) == [1.0]


def test_nothing_was_reported():
    table = curves([], ["val_loss"], "seconds", 0.5)
    assert table.empty
    assert table["smooth"].dtype == float
    assert metrics_of([]) == []


def test_metrics_in_the_order_in_which_they_came():
    assert metrics_of(REPORTS) == ["val_loss", "step", "train_loss"]


@pytest.mark.parametrize(
    ("metric", "panel"),
    [("val_loss", "loss"), ("train_eval_loss", "loss"), ("train_loss", "loss"), ("gap", "gap"), ("val_", "val_")],
)
def test_what_is_compared_shares_a_panel(metric, panel):
    assert panel_of(metric) == panel


def test_partners():
    names = ["train_loss", "val_loss", "train_eval_loss", "val_accuracy", "train_error", "val_error", "gap"]
    assert with_partners(["val_loss"], names) == ["val_loss", "train_eval_loss"]
    assert with_partners(["train_loss"], names) == ["train_loss", "val_loss"]
    assert with_partners(["val_error"], names) == ["val_error", "train_error"]
    assert with_partners(["val_accuracy", "gap"], names) == ["val_accuracy", "gap"]
    assert with_partners(["val_loss", "train_eval_loss"], names) == ["val_loss", "train_eval_loss"]


def test_what_happened_is_told_where_it_did():
    failed = TrialSummary(1, TrialState.FAILED, {}, 1, 9, failure=Failure(FailureKind.TIMEOUT, "too slow"))
    told = remarks_table([Remark(0, 3, "b"), Remark(0, 3, "c"), Remark(0, 1, "a")], [failed])
    assert told.values.tolist() == [[0, 1, "a"], [0, 3, "b"], [0, 3, "c"], [1, 1, "failed: too slow"]]
    assert list(marked(curves(REPORTS, ["val_loss"]), told)["event"]) == ["a", "failed: too slow", "b\nc"]


def test_where_nothing_happened():
    told = remarks_table([], [])
    assert list(told.columns) == ["trial", "resource", "event"]
    assert list(marked(curves(REPORTS, ["val_loss"]), told)["event"]) == ["", "", ""]
    assert marked(curves([], ["x"]), told).empty
    assert isinstance(told, pd.DataFrame)
