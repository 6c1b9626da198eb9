"""Rungs as a picture: what each trial had at each rung, and what became of it there."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from tuner.plots.style import GREY, figure, plain, translucent
from tuner.plots.thinning import MOST_MARKS, spread

LINES: Final = 300
"""So many trials have a line from rung to rung: those that came furthest."""

LOOKS: Final = {
    "went on": ("#0072B2", "triangle-up"),
    "complete": ("#009E73", "circle"),
    "running": ("#56B4E9", "triangle-right"),
    "waits": ("#8A8A8A", "circle-open"),
    "stopped": ("#E69F00", "diamond"),
    "failed": ("#D55E00", "x"),
}
"""Colour and symbol of each fate of tuner.analysis.rungs."""


def rungs_figure(values: pd.DataFrame, table: pd.DataFrame, unit: str, metric: str, *, log_y: bool) -> go.Figure:
    """The tables of tuner.analysis.rungs, of one bracket: a column of marks per rung, the rung's counts below it.

    What is not finite cannot be drawn. Of more than MOST_MARKS marks that many are drawn, spread over each rung's
    values.
    """
    rungs = table["rung"].tolist()
    drawn = figure(f"rung [{plain(unit)}s]", plain(metric), log_y=log_y, height=440)
    finite = values[np.isfinite(values["value"])]
    if log_y:
        finite = finite[finite["value"] > 0]
    finite = finite.assign(x=_places(finite, rungs))
    shown = _thin(finite)
    _draw_ways(drawn, shown)
    left_out = f" ({len(shown):,} of {len(finite):,} drawn)" if len(shown) < len(finite) else ""
    for fate, (colour, symbol) in LOOKS.items():
        rows = shown[shown["fate"] == fate]
        if len(rows):
            drawn.add_scatter(
                x=rows["x"],
                y=rows["value"],
                mode="markers",
                name=f"{fate}{left_out}",
                marker={"color": colour, "symbol": symbol, "size": 8, "opacity": 0.75},
                customdata=rows[["trial", "rung"]],
                hovertemplate=f"trial %{{customdata[0]}}: %{{y:.5g}} at {plain(unit)} %{{customdata[1]}}"
                f"<extra>{fate}</extra>",
            )
    _draw_medians(drawn, table, log_y=log_y)
    drawn.update_layout(legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 48})  # the counts are below
    drawn.update_xaxes(
        tickvals=list(range(len(rungs))), ticktext=_labels(table), range=[-0.5, len(rungs) - 0.5], showgrid=False
    )
    return drawn


def _labels(table: pd.DataFrame) -> list[str]:
    last = len(table) - 1
    return [
        f"{rung:,}<br>{n:,} arrived" + ("" if place == last else f"<br>{on:,} went on")
        for place, (rung, n, on) in enumerate(zip(table["rung"], table["n_arrived"], table["n_went_on"], strict=True))
    ]


def _places(values: pd.DataFrame, rungs: list[int]) -> npt.NDArray[np.float64]:
    """The rung's place, and beside it by the trial's number, so that marks do not hide each other."""
    places = {rung: float(index) for index, rung in enumerate(rungs)}
    place = values["rung"].map(places).to_numpy(dtype=np.float64)
    golden = (math.sqrt(5.0) - 1) / 2
    beside: npt.NDArray[np.float64] = (values["trial"].to_numpy(dtype=np.float64) * golden) % 1.0 - 0.5
    found: npt.NDArray[np.float64] = place + 0.5 * beside
    return found


def _thin(values: pd.DataFrame) -> pd.DataFrame:
    if len(values) <= MOST_MARKS:
        return values
    share = MOST_MARKS / len(values)
    return pd.concat([spread(rows, "value", max(int(len(rows) * share), 50)) for _, rows in values.groupby("rung")])


def _draw_ways(drawn: go.Figure, shown: pd.DataFrame) -> None:
    """A faint line for each of the trials that went furthest, in one trace."""
    n_rungs = shown.groupby("trial")["rung"].transform("size")
    several = shown[n_rungs > 1].assign(n_rungs=n_rungs)
    kept = several.drop_duplicates("trial").sort_values("n_rungs", ascending=False, kind="stable")["trial"][:LINES]
    x: list[float | None] = []
    y: list[float | None] = []
    for _, way in several[several["trial"].isin(kept)].sort_values("rung", kind="stable").groupby("trial"):
        x += [*way["x"], None]
        y += [*way["value"], None]
    if x:
        line = {"color": translucent(GREY, 0.35), "width": 1}
        drawn.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False, name="ways")


def _draw_medians(drawn: go.Figure, table: pd.DataFrame, *, log_y: bool) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    for place, median in enumerate(table["median"]):
        if np.isfinite(median) and (median > 0 or not log_y):
            x += [place - 0.35, place + 0.35, None]
            y += [median, median, None]
    if x:
        line = {"color": GREY, "width": 2, "dash": "dot"}
        drawn.add_scatter(
            x=x, y=y, mode="lines", line=line, name="median", hovertemplate="median %{y:.5g}<extra></extra>"
        )
