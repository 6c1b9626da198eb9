"""Small multiples: panels above each other and beside each other, which share what lies along their x axes.

Their layout is a plain dictionary, and a figure is made of it once, with all of its traces and shapes: Plotly takes a
second to change a figure of a dozen panels piece by piece.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from tuner.plots.style import BARE, axis

GAP = 0.1
"""Between columns, as a share of the width."""


def panels_layout(
    x: str,
    y: Sequence[str],
    *,
    columns: int = 1,
    height: int = 200,
    log_x: bool = False,
    log_y: Collection[int] = (),
    legends: bool = False,
) -> dict[str, Any]:
    """The layout of a figure of one panel for each y title, row by row; those with a place in `log_y` have log axes.

    `height` is a panel's, in pixels. Zooming along x moves all of them. With `legends` each panel has a legend of its
    own above it (`legend_of`), else the figure has one on its right.
    """
    y = y or [""]
    columns = min(columns, len(y))
    rows = -(-len(y) // columns)
    between = 62 if legends else 44
    total = rows * height + (rows - 1) * between
    layout: dict[str, Any] = {**BARE, "height": total + 100}
    layout["margin"] = {"l": 76, "r": 16, "t": 40 if legends else 24, "b": 56}
    for place, title in enumerate(y):
        row, column = divmod(place, columns)
        top = 1 - row * (height + between) / total
        width = (1 - (columns - 1) * GAP) / columns
        left = column * (width + GAP)
        number = _number(place)
        last = place + columns >= len(y)
        layout[f"xaxis{number}"] = axis(log=log_x) | {
            "domain": [left, left + width],
            "anchor": f"y{number}",
            "title": {"text": x if last else ""},
            **({"matches": "x"} if place else {}),
        }
        layout[f"yaxis{number}"] = axis(log=place in log_y) | {
            "nticks": 6,
            "domain": [max(top - height / total, 0.0), top],
            "anchor": f"x{number}",
            "title": {"text": title},
        }
        if legends:
            layout[legend_of(place)] = _above(left, top + 2 / total)
    return layout if legends else layout | {"legend": _BESIDE}


def axes_of(place: int) -> dict[str, str]:
    """What a trace is given to be in the panel at `place`."""
    return {"xaxis": f"x{_number(place)}", "yaxis": f"y{_number(place)}"}


def legend_of(place: int) -> str:
    """The name of that panel's own legend."""
    return f"legend{_number(place)}"


def _number(place: int) -> str:
    return "" if place == 0 else str(place + 1)


_BESIDE = {"orientation": "v", "x": 1.01, "y": 1, "xanchor": "left", "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"}


def _above(left: float, bottom: float) -> dict[str, Any]:
    place = {"orientation": "h", "x": left, "y": bottom, "xanchor": "left", "yanchor": "bottom"}
    return place | {"font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)"}
