"""How every figure looks: colours, axes, hover; readable on a light page and on a dark one, also without colour vision.

A figure brings no background and no text colour of its own: the page, or the notebook, gives them.
"""

from __future__ import annotations

import html
from typing import Final

import plotly.graph_objects as go

from tuner.records import TrialState

Figure = go.Figure
"""Plotly's, by the name under which a page may speak of it."""

PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1", "#999933")
"""Okabe and Ito's colours for all kinds of colour vision, less the black and the yellow, which a page may swallow."""
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")
GREY: Final = "#8A8A8A"
WARNING: Final = "#D55E00"

STATE_COLOURS: Final = {
    TrialState.COMPLETE: "#009E73",
    TrialState.RUNNING: "#0072B2",
    TrialState.PAUSED: "#56B4E9",
    TrialState.WAITING: "#8A8A8A",
    TrialState.PRUNED: "#E69F00",
    TrialState.FAILED: "#D55E00",
}
STATE_SYMBOLS: Final = {
    TrialState.COMPLETE: "circle",
    TrialState.RUNNING: "triangle-right",
    TrialState.PAUSED: "square",
    TrialState.WAITING: "circle-open",
    TrialState.PRUNED: "diamond",
    TrialState.FAILED: "x",
}

BARE: Final = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "hovermode": "closest"}
"""The layout that every figure has: no background of its own."""

SCALE: Final = "Viridis"
"""For numbers: even in lightness, and the same to every eye."""


def colour(number: int) -> str:
    """The colour of trial `number`, the same in every figure."""
    return PALETTE[number % len(PALETTE)]


def dash(number: int) -> str:
    """The dash of its lines, which tells apart what shares a colour."""
    return DASHES[number // len(PALETTE) % len(DASHES)]


def colours_of(names: list[str]) -> dict[str, str]:
    """A colour for each of some methods, axes or metrics, by their order."""
    return {name: colour(index) for index, name in enumerate(names)}


def translucent(colour: str, opacity: float) -> str:
    """The colour `#RRGGBB` with an opacity in 0..1."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def plain(text: object) -> str:
    """A name or a value from a study as text: Plotly reads some HTML in what it shows."""
    return html.escape(str(text), quote=False)


def with_unit(name: str, unit: str = "") -> str:
    """An axis title: what is shown, and in which unit."""
    return f"{plain(name)} [{plain(unit)}]" if unit else plain(name)


def figure(x: str, y: str, *, log_x: bool = False, log_y: bool = False, height: int = 380) -> go.Figure:
    """An empty figure with titled axes."""
    made = go.Figure()
    made.update_layout(
        height=height,
        margin={"l": 76, "r": 16, "t": 24, "b": 48},
        **BARE,
        legend={"orientation": "h", "y": -0.2, "x": 0, "yanchor": "top"},
    )
    made.update_xaxes(title_text=x, **axis(log=log_x))
    made.update_yaxes(title_text=y, **axis(log=log_y))
    return made


def axis(*, log: bool) -> dict[str, object]:
    """How an axis looks, whatever is along it.

    Numbers fit the margins that a figure has; only an axis of words should ask for `automargin`, as Plotly then draws
    the figure again until everything fits. Nor are numbers hidden that reach over an axis' end, which takes as long.
    """
    grid = translucent(GREY, 0.25)
    lines = {"gridcolor": grid, "zerolinecolor": grid, "linecolor": translucent(GREY, 0.6), "showline": True}
    return {"type": "log" if log else "linear", "ticklabeloverflow": "allow", "exponentformat": "power", **lines}
