"""Curves of chosen trials, in their colours."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tuner.plots.style import colour, dash, figure, plain, translucent

OF_METRIC = ("solid", "dot", "dash", "dashdot", "longdash")
"""The dash of the first metric, of the second, ..; where there is one metric, dashes tell trials apart."""


def curves_figure(table: pd.DataFrame, x: str, *, log_x: bool = False, log_y: bool = False) -> go.Figure:
    """The table of tuner.analysis.curves: a line per trial and metric, what was smoothed behind its average.

    `x` is the axis' title. Values that are not finite leave a hole in the line.
    """
    metrics = list(dict.fromkeys(table["metric"]))
    smoothed = not table["smooth"].equals(table["value"])
    y = ", ".join(map(plain, metrics)) + (" (smoothed; the values themselves are pale)" if smoothed else "")
    drawn = figure(x, y, log_x=log_x, log_y=log_y, height=460)
    for (trial, metric), rows in table.groupby(["trial", "metric"], sort=False):
        style = dash(trial) if len(metrics) == 1 else OF_METRIC[metrics.index(metric) % len(OF_METRIC)]
        line = {"color": colour(trial), "dash": style, "width": 2}
        name = f"trial {trial}" if len(metrics) == 1 else f"trial {trial}, {plain(metric)}"
        if smoothed:
            pale = line | {"color": translucent(colour(trial), 0.3), "width": 1}
            drawn.add_scatter(x=rows["x"], y=rows["value"], mode="lines", line=pale, hoverinfo="skip", showlegend=False)
        drawn.add_scatter(
            x=rows["x"],
            y=rows["smooth"],
            mode="lines" if len(rows) > 1 else "markers",
            line=line,
            marker={"color": colour(trial)},
            name=name,
            customdata=rows[["resource", "value"]],
            hovertemplate="%{customdata[1]:.5g} at %{x:.5g}<extra>" + name + "</extra>",
        )
    return drawn
