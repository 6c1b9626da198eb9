"""Trials as a person names them, side by side; and lines with fewer points."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tuner.analysis.differences import differences, standing
from tuner.analysis.picking import picked
from tuner.analysis.thinning import extremes, thinned
from tuner.records import TrialState, TrialSummary
from tuner.spec import Metric

VALUES = [(1, 0.5), (9, 0.3), (3, 0.4), (9, 0.2), (1, None), (3, 0.1)]  # of trial 0, 1, ..: resource, value
TRIALS = [TrialSummary(n, TrialState.COMPLETE, {}, at, 9, value=value) for n, (at, value) in enumerate(VALUES)]


@pytest.mark.parametrize(
    ("text", "numbers", "unknown"),
    [
        ("", (), ()),
        ("3, 1", (3, 1), ()),
        ("3 1;2\n0", (3, 1, 2, 0), ()),
        ("1-3, 2", (1, 2, 3), ()),
        ("1 - 2", (1, 2), ()),
        ("4-99", (4, 5), ()),
        ("9-99", (), ("9-99",)),
        ("best 2", (3, 1), ()),
        ("BEST2, best", (3, 1), ()),
        ("latest 2", (5, 4), ()),
        ("rungs", (3, 5, 0), ()),
        ("6, 3-1, worst 5, -2", (), ("6", "3-1", "worst5", "-2")),
        ("999999999999999999999", (), ("999999999999999999999",)),
    ],
)
def test_a_text_names_trials(text, numbers, unknown):
    picks = picked(text, TRIALS, Metric(name="loss"))
    assert (picks.numbers, picks.unknown) == (numbers, unknown)


def test_of_no_trials_none_is_named():
    assert picked("best 3", [], Metric(name="loss")).unknown == ("best3",)
    assert picked("best 3, 0", [TRIALS[4]], Metric(name="loss")).numbers == (0,)


def test_a_line_keeps_its_peaks():
    values = np.zeros(10_000)
    values[[1234, 8000]] = 5.0, -5.0
    values[3000:3200] = math.nan
    places = extremes(values, 100)
    assert len(places) <= 100
    assert {0, 1234, 8000, 9999} <= set(places)
    assert list(places) == sorted(set(places))
    assert list(extremes([1.0, math.nan], 2)) == [0, 1]
    assert len(extremes(np.full(500, math.nan), 10)) <= 10
    assert list(extremes([])) == []


def test_lines_of_a_table_are_thinned_apart():
    table = pd.DataFrame({"line": [0, 1] * 50, "y": [float(i == 40) for i in range(100)]}, index=range(100, 200))
    fewer = thinned(table, ["line"], "y", 10)
    assert fewer["line"].value_counts().max() <= 10
    assert 140 in fewer.index
    assert fewer.index.is_monotonic_increasing
    assert thinned(table, ["line"], "y", 100) is table


def test_what_differs_and_what_is_shared():
    configs = [{"lr": 0.1, "off": None, "n": 1, "same": "a"}, {"lr": 0.2, "n": True, "same": "a", "extra": 0}]
    differing, shared = differences([TrialSummary(n + 3, TrialState.COMPLETE, c, 1, 9) for n, c in enumerate(configs)])
    assert list(differing.columns) == [3, 4]
    assert differing.astype(object).to_dict("index") == {
        "lr": {3: 0.1, 4: 0.2},
        "n": {3: 1, 4: True},
        "extra": {3: None, 4: 0},
    }
    assert shared.to_dict("index") == {"off": {3: None, 4: None}, "same": {3: "a", 4: "a"}}


def test_nothing_differs_of_one_trial():
    differing, shared = differences([TrialSummary(0, TrialState.COMPLETE, {"lr": 0.1}, 1, 9)])
    assert differing.empty
    assert list(shared.index) == ["lr"]


def test_how_trials_stand():
    table = standing([TRIALS[4], TRIALS[1]])
    assert list(table["trial"]) == [4, 1]
    assert table["value"].dtype == table["gap"].dtype == float
    assert list(table["resource"]) == [1, 9]
