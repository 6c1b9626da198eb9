"""The dynamics of one trial's training: a panel for each thing that was measured."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from tuner.analysis.dynamics import PANELS, Panel
from tuner.plots.panels import axes_of, legend_of, panels_figure
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
    drawn = panels_figure(x, titles, columns=COLUMNS, log_x=log_x, log_y=logs, legends=True)
    for place, panel in enumerate(shown):
        _panel(drawn, table[table["panel"] == panel.name], panel, place, colour(trial))
        _references(drawn, references[references["panel"] == panel.name], place)
        drawn.update_yaxes(rangemode="tozero" if panel.unit and not panel.log else "normal", **_of(drawn, place))
    if shown:
        _events(drawn, remarks.dropna(subset="x")[:MOST_EVENTS], table[table["panel"] == shown[0].name], len(shown))
    return drawn


def _of(drawn: Figure, place: int) -> dict[str, Any]:
    return {"row": place // COLUMNS + 1, "col": place % COLUMNS + 1} if len(drawn.layout.yaxis.domain or ()) else {}


def _panel(drawn: Figure, rows: pd.DataFrame, panel: Panel, place: int, hue: str) -> None:
    steps = rows[rows["level"] == "step"]
    alone = rows["series"].nunique() == 1
    shared: dict[str, Any] = axes_of(place) | {"legend": legend_of(place), "showlegend": not alone}
    if len(steps):
        sparse = panel.steps == "grad_norm"
        drawn.add_scatter(
            x=steps["x"],
            y=steps["value"],
            mode="markers" if sparse else "lines",
            line={"color": translucent(hue, 0.4), "width": 1},
            marker={"color": translucent(hue, 0.4), "size": 3},
            name="each step",
            hovertemplate="%{y:.4g} at %{x:.5g}<extra>step</extra>",
            **shared,
        )
    for series, part in rows[rows["level"] == "report"].groupby("series", sort=False):
        _series(drawn, part, str(series), hue, shared)


def _series(drawn: Figure, part: pd.DataFrame, series: str, hue: str, shared: dict[str, Any]) -> None:
    band = BANDS.get(series)
    few = len(part) == 1
    drawn.add_scatter(
        x=part["x"],
        y=part["value"],
        mode="markers" if few else "lines",
        line={"color": hue, "dash": DASHES.get(series, "solid"), "width": 0 if band and not few else 2},
        marker={"color": hue},
        fill="tonexty" if band and not few else None,
        fillcolor=translucent(hue, band) if band else None,
        name=plain(series.removeprefix("grad_norm_")),
        hovertemplate=f"{plain(series)} %{{y:.4g}} at %{{x:.5g}}<extra></extra>",
        **shared,
    )


def _references(drawn: Figure, references: pd.DataFrame, place: int) -> None:
    axes = axes_of(place)
    columns = (references["name"].astype(str), references["low"].astype(float), references["high"].astype(float))
    for name, low, high in zip(*columns, strict=True):
        line = low == high
        chosen = name.startswith(("clip_norm", "batch_size"))
        hue = WARNING if chosen else GREY
        drawn.add_shape(
            type="line" if line else "rect",
            xref=f"{axes['xaxis']} domain",
            yref=axes["yaxis"],
            x0=0,
            x1=1,
            y0=low,
            y1=high,
            line={"color": hue, "dash": "dash" if chosen else "dot", "width": 1.5 if line else 0},
            fillcolor=translucent(GREY, 0.15) if not line else None,
            layer="below",
            label={
                "text": plain(name),
                "textposition": "end" if line else "bottom left",
                "yanchor": "bottom",
                "font": {"color": hue, "size": 11},
            },
        )


def _events(drawn: Figure, remarks: pd.DataFrame, first: pd.DataFrame, n_panels: int) -> None:
    if remarks.empty:
        return
    for place in range(n_panels):
        axes = axes_of(place)
        for at in remarks["x"]:
            drawn.add_shape(
                type="line",
                xref=axes["xaxis"],
                yref=f"{axes['yaxis']} domain",
                x0=at,
                x1=at,
                y0=0,
                y1=1,
                line={"color": GREY, "dash": "dot", "width": 1},
            )
    drawn.add_scatter(
        x=remarks["x"],
        y=[first["value"].max()] * len(remarks),
        mode="markers",
        marker={"symbol": "star", "size": 12, "color": GREY},
        text=[plain(event) for event in remarks["event"]],
        hovertemplate="%{text}<extra>event</extra>",
        name="event",
        **axes_of(0),
        legend=legend_of(0),
    )
