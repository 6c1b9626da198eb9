"""Two axes at once: the trials over what a model expects."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from tuner.analysis.surface import Surface
from tuner.plots.axes import RANKS, of_figure
from tuner.plots.style import GREY, figure, plain
from tuner.space import Choice, SearchSpace


def surface_figure(found: Surface, space: SearchSpace, x: str, y: str, metric: str) -> go.Figure:
    """The trials of tuner.analysis.surface in the colour of their rank, over the model's expected rank.

    Contours where both axes are numbers, else cells; without a surface where the model explained nothing.
    """
    drawn = figure("", "", height=520)
    if not found.grid.empty:
        drawn.add_trace(_surface(found, all(not isinstance(space[name], Choice) for name in (x, y))))
    points = found.points
    bar = {"title": {"text": "rank"}, "tickvals": [0, 0.5, 1], "ticktext": ["best", "middle", "worst"], "thickness": 12}
    places = [_spread(points, along, space[name]) for along, name in (("x", x), ("y", y))]
    drawn.add_scatter(
        x=places[0],
        y=places[1],
        mode="markers",
        marker={
            "color": points["rank"],
            "colorscale": RANKS,
            "reversescale": True,
            "cmin": 0,
            "cmax": 1,
            "colorbar": bar,
            "size": 9,
            "line": {"width": 1.2, "color": "#FFFFFF"},
        },
        customdata=points[["trial", "value", "rank"]],
        hovertemplate=f"trial %{{customdata[0]}}: {plain(metric)} %{{customdata[1]:.5g}}<br>"
        "rank %{customdata[2]:.2f} (0 the best)<extra></extra>",
        showlegend=False,
    )
    drawn.update_xaxes(of_figure(x, space[x]))
    drawn.update_yaxes(of_figure(y, space[y]))
    for update, name in ((drawn.update_xaxes, x), (drawn.update_yaxes, y)):
        if not isinstance(space[name], Choice):
            update(range=[-0.03, 1.03])  # trials with an axis that is off are not here
    drawn.update_layout(margin={"t": 16})
    return drawn


def _surface(found: Surface, smooth: bool) -> Any:
    table = found.grid.pivot_table(index="y", columns="x", values="rank", dropna=False)
    # A colour axis shared with points sends Plotly round in circles: it takes it for incompatible.
    colours = {"colorscale": RANKS, "reversescale": True, "zmin": 0, "zmax": 1, "showscale": False}
    common = {"x": table.columns, "y": table.index, "z": table.to_numpy(), "opacity": 0.55, **colours}
    hover = "expected rank %{z:.2f} (0 the best)<extra></extra>"
    if not smooth:
        return go.Heatmap(**common, hovertemplate=hover)
    contours = {"start": 0, "end": 1, "size": 0.1}
    line = {"width": 0.6, "color": GREY}
    return go.Contour(**common, contours=contours, autocontour=False, line=line, hovertemplate=hover, connectgaps=False)


def _spread(points: Any, along: str, axis: object) -> Any:
    """Points of a choice are spread a little, the same way each time, so that they can be told apart."""
    if not isinstance(axis, Choice):
        return points[along]
    factor = 0.618034 if along == "x" else 0.754878
    return points[along] + 0.6 * (points["trial"] * factor % 1 - 0.5)
