"""Curves of chosen trials, in their colours."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tuner.plots.panels import axes_of, panels_figure
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
    drawn = panels_figure(
        x,
        titles,
        height=420 if len(panels) == 1 else 260,
        log_x=log_x,
        log_y=range(len(panels)) if log_y else (),
    )
    several = max(map(len, metrics.values()), default=1) > 1
    if several:
        _explain_dashes(drawn, metrics)
    listed: set[int] = set()
    for _, rows in table.groupby(["trial", "metric"], sort=False):
        trial, metric, panel = int(rows["trial"].iloc[0]), str(rows["metric"].iloc[0]), str(rows["panel"].iloc[0])
        style = OF_METRIC[metrics[panel].index(metric) % len(OF_METRIC)] if several else dash(trial)
        _line(drawn, rows, trial, metric, style, panels.index(panel), smoothed=smoothed, listed=trial not in listed)
        listed.add(trial)
    if "event" in table:
        _mark(drawn, table[table["event"] != ""], panels)
    return drawn


def _title(metrics: Sequence[str], *, smoothed: bool) -> str:
    return ", ".join(map(plain, metrics)) + ("<br><sup>smoothed; the values are pale</sup>" if smoothed else "")


def _explain_dashes(drawn: Figure, metrics: dict[str, list[str]]) -> None:
    for named in filter(lambda named: len(named) > 1, metrics.values()):
        for place, metric in enumerate(named):
            line = {"color": GREY, "dash": OF_METRIC[place % len(OF_METRIC)], "width": 2}
            drawn.add_scatter(x=[None], y=[None], mode="lines", line=line, name=plain(metric), hoverinfo="skip")


def _line(
    drawn: Figure,
    rows: pd.DataFrame,
    trial: int,
    metric: str,
    style: str,
    place: int,
    *,
    smoothed: bool,
    listed: bool,
) -> None:
    line = {"color": colour(trial), "dash": style, "width": 2}
    shared = axes_of(place) | {"legendgroup": str(trial), "x": rows["x"]}
    if smoothed:
        pale = line | {"color": translucent(colour(trial), 0.3), "width": 1}
        drawn.add_scatter(y=rows["value"], mode="lines", line=pale, hoverinfo="skip", showlegend=False, **shared)
    drawn.add_scatter(
        y=rows["smooth"],
        mode="lines" if len(rows) > 1 else "markers",
        line=line,
        marker={"color": colour(trial)},
        name=f"trial {trial}",
        showlegend=listed,
        customdata=rows[["resource", "value"]],
        hovertemplate=f"{plain(metric)} %{{customdata[1]:.5g}} at %{{x:.5g}}<extra>trial {trial}</extra>",
        **shared,
    )


def _mark(drawn: Figure, rows: pd.DataFrame, panels: list[str]) -> None:
    for place, panel in enumerate(panels):
        here = rows[rows["panel"] == panel]
        if here.empty:
            continue
        drawn.add_scatter(
            x=here["x"],
            y=here["smooth"],
            mode="markers",
            marker={"symbol": "star", "size": 12, "color": [colour(trial) for trial in here["trial"]]},
            text=[plain(event).replace("\n", "<br>") for event in here["event"]],
            customdata=here["trial"],
            hovertemplate="%{text}<extra>trial %{customdata}</extra>",
            name="event",
            legendgroup="event",
            showlegend=panel == rows["panel"].iloc[0],
            **axes_of(place),
        )
