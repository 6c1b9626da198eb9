"""The figure of curves: its traces, titles and colours."""

from __future__ import annotations

import pytest

from tuner.analysis.curves import curves, marked, remarks_table
from tuner.plots.curves import curves_figure
from tuner.plots.panels import axes_of, panels_layout
from tuner.plots.style import Figure, colour
from tuner.records import Report
from tuner.store import Remark

REPORTS = [
    Report(trial, 0, at, {"val_loss": 1 / at, "train_eval_loss": 0.5 / at, "gap <b>": 0.5 / at}, 1.0)
    for trial in (1, 9)
    for at in (1, 2, 3)
]


def drawn(metrics, **options):
    return curves_figure(curves(REPORTS, metrics, smoothing=options.pop("smoothing", 0.0)), "epochs", **options)


def test_a_line_a_trial_in_its_colour_told_apart_by_its_dash():
    first, second = drawn(["val_loss"]).data
    assert (first.name, second.name) == ("trial 1", "trial 9")
    assert first.line.color == second.line.color == colour(1) == colour(9)
    assert first.line.dash != second.line.dash
    assert list(first.y) == [1, 1 / 2, 1 / 3]


def test_axes_say_what_is_along_them():
    figure = drawn(["val_loss"], log_x=True, log_y=True)
    assert figure.layout.xaxis.title.text == "epochs"
    assert figure.layout.yaxis.title.text == "val_loss"
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_train_and_validation_share_a_panel_and_another_unit_has_its_own():
    figure = drawn(["val_loss", "train_eval_loss", "gap <b>"])
    assert figure.layout.yaxis.title.text == "val_loss, train_eval_loss"
    assert figure.layout.yaxis2.title.text == "gap &lt;b&gt;"
    lines = [trace for trace in figure.data if "trial" in trace.name]
    assert [(trace.yaxis, trace.line.dash) for trace in lines[:3]] == [("y", "solid"), ("y", "dot"), ("y2", "solid")]
    listed = [trace.name for trace in figure.data if trace.showlegend]
    assert listed == ["val_loss", "train_eval_loss", "trial 1", "trial 9"]


def test_what_is_smoothed_says_so():
    figure = drawn(["val_loss"], smoothing=0.5)
    assert "smoothed" in figure.layout.yaxis.title.text
    pale, line = figure.data[:2]
    assert "0.3" in pale.line.color
    assert list(pale.y) == [1, 1 / 2, 1 / 3]
    assert list(line.y) != list(pale.y)


def test_a_star_where_something_happened():
    told = remarks_table([Remark(9, 2, "a <b>\nc")], [])
    stars = curves_figure(marked(curves(REPORTS, ["val_loss"]), told), "epochs").data[-1]
    assert (list(stars.x), list(stars.y)) == ([2.0], [0.5])
    assert stars.text == ("a &lt;b&gt;<br>c",)
    assert stars.marker.color == (colour(9),)


@pytest.mark.parametrize(("n", "columns"), [(1, 2), (3, 2), (4, 2), (5, 1)])
def test_panels_share_what_is_along_x(n, columns):
    layout = panels_layout("epochs", [f"y{i}" for i in range(n)], columns=columns, log_y=[0], legends=True)
    figure = Figure(layout=layout)
    titles = [figure.layout[f"xaxis{i or ''}"].title.text for i in (range(2, n + 1) if n > 1 else [])]
    assert (titles.count("epochs") + (figure.layout.xaxis.title.text == "epochs")) == min(n, columns)
    assert figure.layout.yaxis.type == "log"
    assert all(figure.layout[f"legend{i or ''}"].orientation == "h" for i in [0, *range(2, n + 1)])
    assert axes_of(0) == {"xaxis": "x", "yaxis": "y"}
    assert axes_of(2) == {"xaxis": "x3", "yaxis": "y3"}
