"""The dynamics of one trial's training: a panel for each thing that was measured."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from tuner.analysis.dynamics import PANELS, Panel
from tuner.plots.panels import axes_of, legend_of, panels_layout
from tuner.plots.style import GREY, WARNING, Figure, colour, plain, translucent, with_unit

COLUMNS: Final = 2
MOST_EVENTS: Final = 40
"""So many events are drawn as lines across all panels."""

DASHES: Final = {
    "train_eval_loss": "dash",
    "train_loss": "dot",
    "grad_norm_max": "dot",
    "nonfinite_steps": "dot",
}
BANDS: Final = {"grad_norm_p90": 0.35, "grad_norm_p99": 0.2}
"""Percentiles that are drawn as the upper edge of a band, from the percentile before, with its opacity."""


def dynamics_figure(
    table: pd.DataFrame,
    references: pd.DataFrame,
    remarks: pd.DataFrame,
    trial: int,
    x: str,
    *,
    log_x: bool = False,
) -> Figure:
    """The tables of tuner.analysis.dynamics (`dynamics`, `references`) and of `remarks_along`, of trial `trial`.

    What was measured between reports is pale, behind what the reports say; dotted vertical lines are events, whose
    stars in the first panel say what happened. `x` is the axes' title.
    """
    shown = [panel for panel in PANELS if (table["panel"] == panel.name).any()]
    titles = [with_unit(panel.name, panel.unit) for panel in shown]
    logs = [place for place, panel in enumerate(shown) if panel.log]
    layout = panels_layout(x, titles, columns=COLUMNS, log_x=log_x, log_y=logs, legends=True)
    traces: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    for place, panel in enumerate(shown):
        traces += _panel(table[table["panel"] == panel.name], panel, place, colour(trial))
        shapes += _references(references[references["panel"] == panel.name], place)
        if panel.unit and not panel.log:
            layout[f"yaxis{'' if place == 0 else place + 1}"]["rangemode"] = "tozero"
    told = remarks.dropna(subset="x")[:MOST_EVENTS]
    if shown and len(told):
        traces.append(_stars(told, table[table["panel"] == shown[0].name]))
        shapes += [_upright(at, place) for place in range(len(shown)) for at in told["x"]]
    return Figure(traces, layout | {"shapes": shapes})


def _panel(rows: pd.DataFrame, panel: Panel, place: int, hue: str) -> list[dict[str, Any]]:
    alone = rows["series"].nunique() == 1
    shared = {"type": "scatter", "legend": legend_of(place), "showlegend": not alone, **axes_of(place)}
    steps = rows[rows["level"] == "step"]
    pale = {
        "x": steps["x"],
        "y": steps["value"],
        "mode": "markers" if panel.steps == "grad_norm" else "lines",
        "line": {"color": translucent(hue, 0.55), "width": 1},
        "marker": {"color": translucent(hue, 0.55), "size": 3},
        "name": "each step",
        "hovertemplate": "%{y:.4g} at %{x:.5g}<extra>step</extra>",
    }
    reported = rows[rows["level"] == "report"].groupby("series", sort=False)
    lines = [shared | _series(part, str(series), hue) for series, part in reported]
    return [shared | pale, *lines] if len(steps) else lines


def _series(part: pd.DataFrame, series: str, hue: str) -> dict[str, Any]:
    band = BANDS.get(series)
    few = len(part) == 1
    filled = {"fill": "tonexty", "fillcolor": translucent(hue, band)} if band and not few else {}
    return filled | {
        "x": part["x"],
        "y": part["value"],
        "mode": "markers" if few else "lines",
        "line": {"color": hue, "dash": DASHES.get(series, "solid"), "width": 0 if band and not few else 2},
        "marker": {"color": hue},
        "name": plain(series.removeprefix("grad_norm_")),
        "hovertemplate": f"{plain(series)} %{{y:.4g}} at %{{x:.5g}}<extra></extra>",
    }


def _references(references: pd.DataFrame, place: int) -> list[dict[str, Any]]:
    columns = (references["name"].astype(str), references["low"].astype(float), references["high"].astype(float))
    return [_reference(name, low, high, place) for name, low, high in zip(*columns, strict=True)]


def _reference(name: str, low: float, high: float, place: int) -> dict[str, Any]:
    axes = axes_of(place)
    chosen = name.startswith(("clip_norm", "batch_size"))
    hue = WARNING if chosen else GREY
    label = {"text": plain(name), "yanchor": "bottom", "font": {"color": hue, "size": 11}}
    shape = {
        "type": "line",
        "xref": f"{axes['xaxis']} domain",
        "yref": axes["yaxis"],
        "x0": 0,
        "x1": 1,
        "y0": low,
        "y1": high,
        "line": {"color": hue, "dash": "dash" if chosen else "dot", "width": 1.5},
        "layer": "below",
        "label": label | {"textposition": "end" if chosen else "start"},
    }
    if low == high:
        return shape
    band = {"type": "rect", "fillcolor": translucent(GREY, 0.15), "line": {"width": 0}}
    return shape | band | {"label": label | {"textposition": "bottom left"}}


def _upright(at: float, place: int) -> dict[str, Any]:
    axes = axes_of(place)
    line = {"type": "line", "xref": axes["xaxis"], "yref": f"{axes['yaxis']} domain", "x0": at, "x1": at}
    return line | {"y0": 0, "y1": 1, "line": {"color": GREY, "dash": "dot", "width": 1}}


def _stars(remarks: pd.DataFrame, first: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": remarks["x"],
        "y": [first["value"].max()] * len(remarks),
        "mode": "markers",
        "marker": {"symbol": "star", "size": 12, "color": GREY},
        "text": [plain(event) for event in remarks["event"]],
        "hovertemplate": "%{text}<extra>event</extra>",
        "name": "event",
        "legend": legend_of(0),
        "showlegend": True,
        **axes_of(0),
    }
