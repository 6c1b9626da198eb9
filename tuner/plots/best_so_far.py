"""The best so far, and where each trial ended."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tuner.plots.style import GREY, STATE_COLOURS, STATE_SYMBOLS, figure, plain
from tuner.plots.thinning import MOST_MARKS, spread
from tuner.records import TrialState

LINE = "#0072B2"


def best_so_far_figure(
    table: pd.DataFrame, ends: pd.DataFrame, x: str, metric: str, *, log_x: bool = False, log_y: bool = False
) -> go.Figure:
    """The tables of tuner.analysis.best_so_far: the incumbent as steps, and a mark for every trial's value.

    `x` is the axis' title, `metric` a name. Of more than MOST_MARKS trials that many are drawn, spread evenly over
    their values: the legend says so.
    """
    drawn = figure(x, plain(metric), log_x=log_x, log_y=log_y, height=400)
    shown = spread(ends, "value", MOST_MARKS)
    left_out = f" ({len(shown):,} of {len(ends):,} drawn)" if len(shown) < len(ends) else ""
    for kind in TrialState:
        rows = shown[shown["state"] == kind.value]
        if rows.empty:
            continue
        drawn.add_scatter(
            x=rows["spent"],
            y=rows["value"],
            mode="markers",
            name=f"{kind.value}{left_out}",
            marker={"color": STATE_COLOURS[kind], "symbol": STATE_SYMBOLS[kind], "size": 7, "opacity": 0.65},
            customdata=rows[["trial", "resource"]],
            hovertemplate="trial %{customdata[0]}: %{y:.5g} at resource %{customdata[1]}<extra>"
            + kind.value
            + "</extra>",
        )
    drawn.add_scatter(
        x=table["spent"],
        y=table["value"],
        mode="lines" if len(table) > 1 else "lines+markers",
        name="best so far",
        line={"color": LINE, "width": 3, "shape": "hv"},
        customdata=table[["trial", "resource"]],
        hovertemplate="%{y:.5g}, trial %{customdata[0]} at resource %{customdata[1]}<extra>best so far</extra>",
    )
    if table.empty and ends.empty:
        drawn.add_annotation(
            text="no finite value yet", showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"color": GREY}
        )
    return drawn
