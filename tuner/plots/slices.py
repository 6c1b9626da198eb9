"""Slices: the trials' values against each axis of the space, side by side."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tuner.analysis.positions import OFF
from tuner.plots.axes import OFF_AT, of_figure
from tuner.plots.style import GREY, SCALE, figure, plain
from tuner.space import Choice, SearchSpace

COLUMNS: Final = 3


def slices_figure(table: pd.DataFrame, space: SearchSpace, metric: str, unit: str, *, log_y: bool = False) -> go.Figure:
    """The table of tuner.analysis.slices: a panel per axis, a point per trial, lighter the further it was trained.

    Points of a choice are spread sideways so that they can be told apart. What lies beyond the fence is an open
    triangle at it. `unit` is that of the resource.
    """
    names = list(dict.fromkeys(table["axis"]))
    rows = math.ceil(len(names) / COLUMNS)
    height = 90 + 250 * rows
    base = figure("", "", height=height)
    drawn = make_subplots(rows=rows, cols=COLUMNS, shared_yaxes=True, vertical_spacing=80 / height)
    drawn.update_layout(base.layout)
    most = max(int(table["resource"].max()), 1)
    for index, name in enumerate(names):
        row, column = index // COLUMNS + 1, index % COLUMNS + 1
        points = table[table["axis"] == name]
        drawn.add_trace(_points(points, isinstance(space[name], Choice), plain(metric), unit), row, column)
        drawn.update_xaxes(base.layout.xaxis.to_plotly_json() | of_figure(name, space[name], 4), row=row, col=column)
        drawn.update_yaxes(base.layout.yaxis.to_plotly_json(), row=row, col=column)
        if column == 1:
            drawn.update_yaxes(title_text=plain(metric), row=row, col=column)
    drawn.update_yaxes(type="log" if log_y else "linear")
    bar = {
        "title": {"text": f"trained to<br>[{unit}s]"},
        "thickness": 12,
        "len": min(1.0, 300 / height),
        "y": 1,
        "yanchor": "top",
    }
    drawn.update_layout(
        coloraxis={"colorscale": SCALE, "cmin": 0, "cmax": most, "colorbar": bar},
        showlegend=False,
        margin={"r": 16, "t": 16, "b": 56},
    )
    return drawn


def _points(points: pd.DataFrame, spread: bool, metric: str, unit: str) -> go.Scatter:
    places = points["position"].where(points["position"] != OFF, OFF_AT).to_numpy()
    if spread:  # the same way each time: a golden-ratio sequence by the trial's number
        places = places + 0.5 * (points["trial"].to_numpy() * 0.618034 % 1 - 0.5)
    beyond = points["value"].to_numpy() != points["drawn"].to_numpy()
    up = points["value"].to_numpy() > points["drawn"].to_numpy()
    symbols = np.where(beyond, np.where(up, "triangle-up-open", "triangle-down-open"), "circle")
    text = [plain(value) for value in points["setting"]]
    return go.Scatter(
        x=places,
        y=points["drawn"],
        mode="markers",
        marker={
            "color": points["resource"],
            "coloraxis": "coloraxis",
            "symbol": symbols,
            "size": 7,
            "opacity": 0.85,
            "line": {"width": 0.5, "color": GREY},
        },
        text=text,
        customdata=points[["trial", "value", "resource", "state"]],
        hovertemplate=f"trial %{{customdata[0]}}: {metric} %{{customdata[1]:.5g}} at %{{text}}<br>"
        f"%{{customdata[3]}}, trained to {unit} %{{customdata[2]}}<extra></extra>",
        showlegend=False,
    )
