"""Where in the space methods spent their samples: shares along each axis, and a plane of two axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tuner.plots.axes import drawn_at, of_figure
from tuner.plots.style import figure, plain, translucent
from tuner.plots.thinning import MOST_MARKS, spread
from tuner.space import Axis, Choice, SearchSpace

MOST = 4
"""Panels of a plane side by side."""


def spread_figure(
    table: pd.DataFrame, space: SearchSpace, axes: Sequence[str], colours: dict[str, str], counted: str
) -> go.Figure:
    """The table `spread` of tuner.analysis.spread: a row of panels per method, a column per axis; bars are shares,
    and each panel has its own scale.

    `counted` says of what they are shares.
    """
    methods = list(dict.fromkeys(table["method"]))
    drawn = _panels(len(methods), len(axes), shared_xaxes="columns", vertical_spacing=min(0.06, 0.4 / len(methods)))
    for row, method in enumerate(methods, 1):
        for column, name in enumerate(axes, 1):
            bars = table[(table["method"] == method) & (table["axis"] == name)]
            drawn.add_bar(
                x=bars["position"].map(drawn_at),
                y=bars["share"],
                width=bars["width"] * 0.92,
                marker={"color": colours[method], "line": {"width": 0}},
                name=plain(method),
                legendgroup=method,
                showlegend=column == 1,
                customdata=bars["values"].map(plain),
                hovertemplate="%{customdata}: %{y:.1%}<extra>" + f"{plain(method)}, {plain(name)}</extra>",
                row=row,
                col=column,
            )
            most = max(float(bars["share"].max()), 1e-9)
            drawn.update_yaxes(tickformat=".0%", nticks=3, range=[0, 1.08 * most], row=row, col=column)
            drawn.update_xaxes(**_narrow(name, space[name]), row=row, col=column)
    for column, name in enumerate(axes, 1):
        drawn.update_xaxes(title_text=of_figure(name, space[name])["title_text"], row=len(methods), col=column)
    drawn.update_yaxes(title_text=f"share of {plain(counted)}", row=(len(methods) + 1) // 2, col=1)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    drawn.update_layout(height=110 + 110 * len(methods), barmode="overlay", legend=legend)
    return drawn


def plane_figure(
    table: pd.DataFrame, space: SearchSpace, x: str, y: str, colours: dict[str, str], max_resource: int, unit: str
) -> go.Figure:
    """The table `samples` of tuner.analysis.spread in the plane of two axes, a panel per method.

    A larger point was trained further, of `max_resource` units. Rows that do not have one of the axes are left out. Of
    more than MOST_MARKS rows that many are drawn, spread evenly over the trials.
    """
    table = spread(table, "trial", MOST_MARKS)
    methods = list(dict.fromkeys(table["method"]))
    n_columns = min(len(methods), MOST)
    n_rows = -(-len(methods) // n_columns)
    titles = [plain(method) for method in methods]
    drawn = _panels(
        n_rows,
        n_columns,
        shared_xaxes="all",
        shared_yaxes="all",
        vertical_spacing=min(90 / (90 + 300 * n_rows), 0.4 / n_rows),
        subplot_titles=titles,
    )
    for place, method in enumerate(methods):
        row, column = divmod(place, n_columns)
        points = table[(table["method"] == method) & table[f"config.{x}"].notna() & table[f"config.{y}"].notna()]
        drawn.add_scatter(
            x=points[f"config.{x}"].map(drawn_at),
            y=points[f"config.{y}"].map(drawn_at),
            mode="markers",
            marker={
                "size": 4 + 6 * points["resource"] / max(max_resource, 1),
                "color": translucent(colours[method], 0.6),
                "line": {"width": 0},
            },
            name=plain(method),
            showlegend=False,
            customdata=points[["repeat", "trial", "resource", "value"]],
            hovertemplate="repeat %{customdata[0]}, trial %{customdata[1]}: %{customdata[3]:.5g} "
            + f"after %{{customdata[2]}} {plain(unit)}s<extra>{plain(method)}</extra>",
            row=row + 1,
            col=column + 1,
        )
        first = {} if column == 0 else {"title_text": None, "showticklabels": False}
        drawn.update_xaxes(**of_figure(x, space[x], 4), tickangle=0, showticklabels=True, row=row + 1, col=column + 1)
        drawn.update_yaxes(**of_figure(y, space[y]) | first, row=row + 1, col=column + 1)
    drawn.update_layout(height=90 + 300 * n_rows)
    return drawn


def _narrow(name: str, axis: Axis) -> dict[str, Any]:
    """The axis of a narrow panel: "off" takes the place of the tick beside it."""
    made = of_figure(name, axis, 3) | {"title_text": None, "tickangle": 0}
    if not isinstance(axis, Choice) and axis.none:
        made |= {end: [made[end][0], *made[end][2:]] for end in ("tickvals", "ticktext")}
    return made


def _panels(n_rows: int, n_columns: int, **options: Any) -> go.Figure:
    base = figure("", "")
    drawn = make_subplots(n_rows, n_columns, horizontal_spacing=min(0.06, 0.4 / n_columns), **options)
    drawn.update_layout(base.layout)
    drawn.update_xaxes(base.layout.xaxis.to_plotly_json())
    drawn.update_yaxes(base.layout.yaxis.to_plotly_json())
    return drawn
