"""Slices: the trials' values against each axis of the space, side by side."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tuner.analysis.positions import OFF
from tuner.plots.axes import OFF_AT, of_figure
from tuner.plots.style import BARE, GREY, SCALE, axis, plain
from tuner.space import Choice, SearchSpace

COLUMNS: Final = 3
GAP: Final = 0.06
"""Between columns, as a share of the width."""
HEIGHT: Final = 200
"""Of a panel, in pixels; below it lies room for its axis."""
BELOW: Final = 66


def slices_figure(table: pd.DataFrame, space: SearchSpace, metric: str, unit: str, *, log_y: bool = False) -> go.Figure:
    """The table of tuner.analysis.slices: a panel per axis, a point per trial, lighter the further it was trained.

    Points of a choice are spread sideways so that they can be told apart. What lies beyond the fence is an open
    triangle at it. `unit` is that of the resource.
    """
    names = list(dict.fromkeys(table["axis"]))
    traces = [
        _points(table[table["axis"] == name], place, isinstance(space[name], Choice), plain(metric), unit)
        for place, name in enumerate(names)
    ]
    most = max(int(table["resource"].max()), 1)
    return go.Figure(traces, _layout(names, space, plain(metric), unit, most, log_y=log_y))


def _layout(names: list[str], space: SearchSpace, metric: str, unit: str, most: int, *, log_y: bool) -> dict[str, Any]:
    """A plain dictionary, all at once: Plotly takes a second to change a figure of panels piece by piece."""
    total = math.ceil(len(names) / COLUMNS) * (HEIGHT + BELOW)
    title = {"text": f"trained to<br>[{unit}s]"}
    bar = {"title": title, "thickness": 12, "len": min(1.0, 240 / total), "y": 1, "yanchor": "top"}
    layout: dict[str, Any] = {
        **BARE,
        "height": total + 24,
        "margin": {"l": 76, "r": 16, "t": 16, "b": 12},
        "showlegend": False,
        "coloraxis": {"colorscale": SCALE, "cmin": 0, "cmax": most, "colorbar": bar},
    }
    width = (1 - (COLUMNS - 1) * GAP) / COLUMNS
    for place, name in enumerate(names):
        row, column = divmod(place, COLUMNS)
        left, top = column * (width + GAP), 1 - row * (HEIGHT + BELOW) / total
        number = _number(place)
        layout[f"xaxis{number}"] = axis(log=False) | {
            **of_figure(name, space[name], 4),
            "domain": [left, left + width],
            "anchor": f"y{number}",
        }
        layout[f"yaxis{number}"] = axis(log=log_y) | {
            "domain": [max(top - HEIGHT / total, 0.0), top],
            "anchor": f"x{number}",
            "showticklabels": column == 0,
            **({"title": {"text": metric}} if column == 0 else {}),
            **({"matches": "y"} if place else {}),
        }
    return layout


def _number(place: int) -> str:
    """What Plotly writes behind the axes of a panel."""
    return str(place + 1) if place else ""


def _points(points: pd.DataFrame, place: int, spread: bool, metric: str, unit: str) -> go.Scatter:
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
        xaxis=f"x{_number(place)}",
        yaxis=f"y{_number(place)}",
    )
