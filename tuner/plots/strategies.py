"""Methods of a comparison: the best so far over what was spent, when a target is reached, and how they rank."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tuner.plots.style import GREY, figure, plain, translucent


def bands_figure(
    bands: pd.DataFrame,
    colours: dict[str, str],
    x: str,
    y: str,
    *,
    runs: pd.DataFrame | None = None,
    log_x: bool = False,
    log_y: bool = False,
    view: tuple[float, float] | None = None,
) -> go.Figure:
    """The table of tuner.analysis.bands: a line per method, its interval as a band, and the runs as thin lines.

    `colours` are the methods', `x` and `y` the axes' titles; `view` are the values between which the figure opens. What
    is not finite leaves a hole.
    """
    drawn = figure(x, y, log_x=log_x, log_y=log_y, height=460)
    if view is not None and (view[0] > 0 or not log_y):
        drawn.update_yaxes(range=np.log10(view).tolist() if log_y else list(view))
    for method, rows in bands.groupby("method", sort=False):
        colour, name = colours[str(method)], plain(method)
        told = rows[np.isfinite(rows["low"]) & np.isfinite(rows["high"])]
        if len(told):
            _band(drawn, told, colour, name)
        if runs is not None:
            drawn.add_trace(_runs(runs[runs["method"] == method], colour, name))
        drawn.add_scatter(
            x=rows["budget"],
            y=rows["median"],
            mode="lines",
            line={"color": colour, "width": 2.5, "shape": "hv"},
            name=name,
            legendgroup=name,
            customdata=rows[["low", "high", "runs"]],
            hovertemplate="%{y:.5g} (%{customdata[0]:.5g} to %{customdata[1]:.5g}, %{customdata[2]} runs)"
            " at %{x:.5g}<extra>" + name + "</extra>",
        )
    return drawn


def _band(drawn: go.Figure, told: pd.DataFrame, colour: str, name: str) -> None:
    for edge, fill in (("low", None), ("high", "tonexty")):
        drawn.add_scatter(
            x=told["budget"],
            y=told[edge],
            fill=fill,
            fillcolor=translucent(colour, 0.15),
            line={"width": 0, "shape": "hv"},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            legendgroup=name,
        )


def _runs(rows: pd.DataFrame, colour: str, name: str) -> go.Scatter:
    parts = [part for _, part in rows.groupby("repeat")]
    xs = [x for part in parts for x in (*part["budget"], None)]
    values = [y if y is not None and np.isfinite(y) else None for part in parts for y in (*part["value"], None)]
    line = {"color": translucent(colour, 0.35), "width": 1, "shape": "hv"}
    return go.Scatter(
        x=xs, y=values, mode="lines", line=line, hoverinfo="skip", showlegend=False, legendgroup=name, name=name
    )


def reach_figure(curves: pd.DataFrame, colours: dict[str, str], x: str, *, log_x: bool = False) -> go.Figure:
    """The table `reach_curves` of tuner.analysis.reaching: a step line per method."""
    drawn = figure(x, "share of runs that have the target", log_x=log_x, height=340)
    drawn.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    drawn.update_layout(legend={"y": -0.32})
    for method, rows in curves.groupby("method", sort=False):
        name = plain(method)
        drawn.add_scatter(
            x=rows["budget"],
            y=rows["share"],
            mode="lines",
            line={"color": colours[str(method)], "width": 2.5, "shape": "hv"},
            name=name,
            hovertemplate="%{y:.0%} of the runs by %{x:.5g}<extra>" + name + "</extra>",
        )
    return drawn


def ranks_figure(
    ranks: pd.DataFrame, groups: pd.DataFrame, difference: float | None, colours: dict[str, str]
) -> go.Figure:
    """The tables `ranks` and `groups` of tuner.analysis.rankings as a critical-difference diagram (Demšar 2006).

    A row per method at its average rank; a bar below joins what cannot be told apart; `difference` is drawn to scale.
    """
    n = len(ranks)
    drawn = figure("average rank (1 is best)", "", height=130 + 30 * (n + len(groups)))
    drawn.update_yaxes(visible=False, range=[-len(groups) - 0.9, n + 0.4])
    drawn.update_xaxes(range=[0.8, max(n, 2) + 0.8], dtick=1, title_standoff=4)
    for place, (method, rank) in enumerate(zip(ranks["method"], ranks["rank"], strict=True)):
        drawn.add_scatter(
            x=[rank],
            y=[n - 1 - place],
            mode="markers+text",
            marker={"size": 12, "color": colours[method]},
            text=f"  {plain(method)}  {rank:.2f}  ",
            textposition="middle left" if rank > n / 2 + 1 else "middle right",
            showlegend=False,
            hovertemplate=f"{plain(method)}: {rank:.3g}<extra></extra>",
        )
    for place, (methods, low, high) in enumerate(groups.itertuples(index=False, name=None)):
        _bar(drawn, low - 0.04, high + 0.04, -1 - place, f"cannot be told apart: {plain(methods)}", 5)
    if difference is not None:
        _bar(drawn, 1, 1 + difference, n - 0.1, f"critical difference {difference:.2f}", 2)
        drawn.add_annotation(
            x=1, y=n - 0.1, text=f"critical difference {difference:.2f}", xanchor="left", yanchor="bottom",
            showarrow=False,
        )  # fmt: skip
    return drawn


def _bar(drawn: go.Figure, low: float, high: float, y: float, words: str, width: int) -> None:
    drawn.add_scatter(
        x=[low, high],
        y=[y, y],
        mode="lines",
        line={"color": GREY, "width": width},
        showlegend=False,
        hovertemplate=words + "<extra></extra>",
    )
