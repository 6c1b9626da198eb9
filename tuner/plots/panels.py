"""Small multiples: panels above each other and beside each other, which share what lies along their x axes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from plotly.subplots import make_subplots

from tuner.plots.style import Figure, axis, figure

GAP = 0.1
"""Between columns, as a share of the width."""


def panels_figure(
    x: str,
    y: Sequence[str],
    *,
    columns: int = 1,
    height: int = 200,
    log_x: bool = False,
    log_y: Collection[int] = (),
    legends: bool = False,
) -> Figure:
    """An empty figure of one panel for each y title, row by row; those with a place in `log_y` have log axes.

    `height` is a panel's, in pixels. Zooming along x moves all of them. With `legends` each panel has a legend of its
    own above it (`legend_of`), else the figure has one on its right.
    """
    y = y or [""]
    columns = min(columns, len(y))
    rows = -(-len(y) // columns)
    between = 62 if legends else 44
    total = rows * height + (rows - 1) * between
    drawn = make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes="all",
        vertical_spacing=between / total if rows > 1 else 0,
        horizontal_spacing=GAP,
    )
    drawn.update_layout(figure("", "", height=total + 100).layout)
    drawn.update_xaxes(title_text="", **axis(log=log_x), showticklabels=True)
    for place, title in enumerate(y):
        row, column = divmod(place, columns)
        drawn.update_yaxes(title_text=title, **axis(log=place in log_y), row=row + 1, col=column + 1)
        if place + columns >= len(y):
            drawn.update_xaxes(title_text=x, row=row + 1, col=column + 1)
    for place in range(len(y), rows * columns):
        drawn.update_xaxes(visible=False, row=rows, col=place % columns + 1)
        drawn.update_yaxes(visible=False, row=rows, col=place % columns + 1)
    drawn.update_layout(_legends(drawn, len(y), total) if legends else _one_legend())
    return drawn


def axes_of(place: int) -> dict[str, str]:
    """What a trace is given to be in the panel at `place`."""
    number = "" if place == 0 else str(place + 1)
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def legend_of(place: int) -> str:
    """The name of that panel's own legend."""
    return "legend" if place == 0 else f"legend{place + 1}"


def _legends(drawn: Figure, n: int, height: int) -> dict[str, Any]:
    legends: dict[str, Any] = {}
    for place in range(n):
        number = "" if place == 0 else str(place + 1)
        left, top = drawn.layout[f"xaxis{number}"].domain[0], drawn.layout[f"yaxis{number}"].domain[1]
        legends[legend_of(place)] = {
            "orientation": "h",
            "x": left,
            "y": top + 2 / height,
            "xanchor": "left",
            "yanchor": "bottom",
            "font": {"size": 11},
            "bgcolor": "rgba(0,0,0,0)",
        }
    return legends | {"margin": {"l": 64, "r": 16, "t": 40, "b": 56}}


def _one_legend() -> dict[str, Any]:
    side = {"orientation": "v", "x": 1.01, "y": 1, "xanchor": "left", "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"}
    return {"legend": side}
