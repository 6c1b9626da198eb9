"""Curves of chosen trials, in their colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tuner.plots.panels import axes_of, panels_layout
from tuner.plots.style import GREY, Figure, colour, dash, plain, translucent

OF_METRIC = ("solid", "dot", "dash", "dashdot", "longdash")
"""The dash of a panel's first metric, of its second, ..; where each panel has one, dashes tell trials apart."""


def curves_figure(table: pd.DataFrame, x: str, *, log_x: bool = False, log_y: bool = False) -> Figure:
    """The table of tuner.analysis.curves: a panel for what has one unit, in it a line per trial and metric, what was
    smoothed behind its average.

    `x` is the axis' title. Values that are not finite leave a hole in the line. Where the table has a column `event`,
    a star says on the lines where something happened, and its label what.
    """
    panels = list(dict.fromkeys(table["panel"]))
    metrics = {panel: list(dict.fromkeys(table["metric"][table["panel"] == panel])) for panel in panels}
    smoothed = not table["smooth"].equals(table["value"])
    titles = [_title(metrics[panel], smoothed=smoothed) for panel in panels]
    layout = panels_layout(
        x,
        titles,
        height=420 if len(panels) == 1 else 260,
        log_x=log_x,
        log_y=range(len(panels)) if log_y else (),
    )
    several = max(map(len, metrics.values()), default=1) > 1
    traces = _dashes(metrics) if several else []
    listed: set[int] = set()
    for _, rows in table.groupby(["trial", "metric"], sort=False):
        trial, metric, panel = int(rows["trial"].iloc[0]), str(rows["metric"].iloc[0]), str(rows["panel"].iloc[0])
        style = OF_METRIC[metrics[panel].index(metric) % len(OF_METRIC)] if several else dash(trial)
        traces += _line(rows, trial, metric, style, panels.index(panel), smoothed=smoothed, listed=trial not in listed)
        listed.add(trial)
    if "event" in table:
        traces += _marks(table[table["event"] != ""], panels)
    return Figure(traces, layout)


def _title(metrics: Sequence[str], *, smoothed: bool) -> str:
    return ", ".join(map(plain, metrics)) + ("<br><sup>smoothed; the values are pale</sup>" if smoothed else "")


def _dashes(metrics: dict[str, list[str]]) -> list[dict[str, Any]]:
    """What the dashes mean, for the legend."""
    return [
        {
            "type": "scatter",
            "x": [None],
            "y": [None],
            "mode": "lines",
            "line": {"color": GREY, "dash": OF_METRIC[place % len(OF_METRIC)], "width": 2},
            "name": plain(metric),
            "showlegend": True,
            "hoverinfo": "skip",
        }
        for named in metrics.values()
        if len(named) > 1
        for place, metric in enumerate(named)
    ]


def _line(
    rows: pd.DataFrame, trial: int, metric: str, style: str, place: int, *, smoothed: bool, listed: bool
) -> list[dict[str, Any]]:
    line = {"color": colour(trial), "dash": style, "width": 2}
    shared = {"type": "scatter", "legendgroup": str(trial), "x": rows["x"], **axes_of(place)}
    drawn = {
        "y": rows["smooth"],
        "mode": "lines" if len(rows) > 1 else "markers",
        "line": line,
        "marker": {"color": colour(trial)},
        "name": f"trial {trial}",
        "showlegend": listed,
        "customdata": rows["value"],
        "hovertemplate": f"{plain(metric)} %{{customdata:.5g}} at %{{x:.5g}}<extra>trial {trial}</extra>",
    }
    if not smoothed:
        return [shared | drawn]
    pale = line | {"color": translucent(colour(trial), 0.3), "width": 1}
    behind = {"y": rows["value"], "mode": "lines", "line": pale, "hoverinfo": "skip", "showlegend": False}
    return [shared | behind, shared | drawn]


def _marks(rows: pd.DataFrame, panels: list[str]) -> list[dict[str, Any]]:
    marks: list[dict[str, Any]] = []
    for place, panel in enumerate(panels):
        here = rows[rows["panel"] == panel]
        if here.empty:
            continue
        marks.append(
            {
                "type": "scatter",
                "x": here["x"],
                "y": here["smooth"],
                "mode": "markers",
                "marker": {"symbol": "star", "size": 12, "color": [colour(trial) for trial in here["trial"]]},
                "text": [plain(event).replace("\n", "<br>") for event in here["event"]],
                "customdata": here["trial"],
                "hovertemplate": "%{text}<extra>trial %{customdata}</extra>",
                "name": "event",
                "legendgroup": "event",
                "showlegend": not marks,
                **axes_of(place),
            }
        )
    return marks
