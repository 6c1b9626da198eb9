"""The figures of the page Search strategies."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from little_comparisons import SPACE

from tuner.analysis.bands import view_of
from tuner.plots.spread import plane_figure, spread_figure
from tuner.plots.strategies import bands_figure, ranks_figure, reach_figure
from tuner.plots.style import colours_of
from tuner.spec import StudySpec

METHODS = ["random", "asha+<b>"]
COLOURS = colours_of(METHODS)
BANDS = pd.DataFrame(
    [
        (method, budget, 6, 9 / budget, 8 / budget if budget > 1 else math.nan, 10 / budget if budget > 1 else math.nan)
        for method in METHODS
        for budget in (1.0, 2.0, 9.0)
    ],
    columns=["method", "budget", "runs", "median", "low", "high"],
)
SPEC = StudySpec.from_dict({"study": "s", "objective": "a:b", "metric": {"name": "loss"}, "space": SPACE})


def test_a_line_and_a_band_for_each_method():
    drawn = bands_figure(BANDS, COLOURS, "spent [epochs]", "best loss", view=(0.9, 5.0))
    lines = [trace for trace in drawn.data if trace.showlegend is None]
    assert [trace.name for trace in lines] == ["random", "asha+&lt;b&gt;"]
    assert [trace.line.color for trace in lines] == list(COLOURS.values())
    low, high = drawn.data[:2]
    assert (low.fill, high.fill) == (None, "tonexty")
    assert list(high.x) == [2, 9]
    assert drawn.layout.xaxis.title.text == "spent [epochs]"
    assert drawn.layout.yaxis.range == (0.9, 5.0)


def test_a_log_axis_opens_on_the_same_values():
    drawn = bands_figure(BANDS, COLOURS, "x", "y", log_y=True, view=(1.0, 100.0))
    assert drawn.layout.yaxis.range == (0, 2)
    assert bands_figure(BANDS, COLOURS, "x", "y", log_y=True, view=(-1.0, 1.0)).layout.yaxis.range is None


def test_runs_are_thin_lines_with_gaps_between_them():
    runs = pd.DataFrame(
        [("random", repeat, b, math.inf if b == 1 else 0.5) for repeat in (0, 1) for b in (1.0, 2.0)],
        columns=["method", "repeat", "budget", "value"],
    )
    drawn = bands_figure(BANDS, COLOURS, "x", "y", runs=runs)
    thin = next(trace for trace in drawn.data if trace.line.width == 1)
    assert thin.y == (None, 0.5, None, None, 0.5, None)


def test_the_view_is_of_what_comes_after_the_first_quarter():
    assert view_of(BANDS) == pytest.approx((8 / 9 - 1 / 90, 10 / 9 + 1 / 90))
    assert view_of(BANDS.assign(median=math.nan)) is None
    constant = BANDS.assign(median=2.0, low=math.nan, high=math.nan)
    assert view_of(constant) == (1.9, 2.1)


def test_shares_of_runs():
    curves = pd.DataFrame([("random", 0.0, 0.0), ("random", 4.0, 0.5)], columns=["method", "budget", "share"])
    drawn = reach_figure(curves, COLOURS, "trials started")
    assert drawn.data[0].line.shape == "hv"
    assert drawn.layout.yaxis.title.text == "share of runs that have the target"


def test_ranks_with_their_critical_difference():
    ranks = pd.DataFrame({"method": METHODS, "rank": [1.2, 1.8]})
    groups = pd.DataFrame([("random, asha+<b>", 1.2, 1.8)], columns=["methods", "low", "high"])
    drawn = ranks_figure(ranks, groups, 0.9, COLOURS)
    assert [trace.text for trace in drawn.data[:2]] == ["  random  1.20  ", "  asha+&lt;b&gt;  1.80  "]
    assert [tuple(trace.x) for trace in drawn.data[2:]] == [pytest.approx((1.16, 1.84)), (1, 1.9)]
    assert drawn.layout.annotations[0].text == "critical difference 0.90"
    assert len(ranks_figure(ranks, groups.iloc[:0], None, COLOURS).data) == 2


def test_a_panel_for_each_method_and_axis():
    rows = [
        (axis, method, place, 1.0, "<b>", 0.5)
        for axis in ("lr", "clip_norm")
        for method in METHODS
        for place in (-1, 0.5)
    ]
    table = pd.DataFrame(rows, columns=["axis", "method", "position", "width", "values", "share"])
    drawn = spread_figure(table, SPEC.space, ["lr", "clip_norm"], COLOURS, "trials")
    assert len(drawn.data) == 4
    assert [trace.showlegend for trace in drawn.data] == [True, False, True, False]
    assert list(drawn.data[0].customdata) == ["&lt;b&gt;"] * 2
    assert drawn.layout.yaxis.title.text == "share of trials"
    assert drawn.layout.xaxis4.title.text == "clip_norm (log)"


def test_a_plane_leaves_out_who_has_no_such_axis():
    table = pd.DataFrame(
        {
            "method": METHODS * 2,
            "repeat": 0,
            "trial": [0, 0, 1, 1],
            "resource": [2, 2, 0, 1],
            "value": 1.0,
            "config.lr": [0.1, 0.2, 0.3, 0.4],
            "config.momentum": [0.5, math.nan, 0.5, 0.5],
        }
    )
    drawn = plane_figure(table, SPEC.space, "lr", "momentum", COLOURS, 2, "epoch")
    assert [len(trace.x) for trace in drawn.data] == [2, 1]
    assert list(drawn.data[0].marker.size) == [10, 4]
    assert [note.text for note in drawn.layout.annotations] == ["random", "asha+&lt;b&gt;"]
    assert drawn.layout.xaxis.title.text == "lr (log)"
    assert drawn.layout.yaxis.title.text == "momentum"
