"""How an axis of a search space looks on an axis of a figure: positions, with what stands there as ticks."""

from __future__ import annotations

from typing import Any, Final

from tuner.analysis.positions import OFF, ticks
from tuner.plots.style import plain
from tuner.space import Axis, Choice

RANKS: Final = ((0.0, "#E69F00"), (0.5, "#9AA5AE"), (1.0, "#0072B2"))
"""From the worst (0) to the best (1): colours that stand out on light and on dark, to every eye."""

OFF_AT: Final = -0.12
"""Where "off" is drawn, beside an axis that runs from 0 to 1."""

LONGEST: Final = 14
"""Choices' names are cut to so many letters on an axis."""


def drawn_at(position: float) -> float:
    """Where a position is drawn."""
    return OFF_AT if position == OFF else position


def of_figure(name: str, axis: Axis, most: int = 5) -> dict[str, Any]:
    """The title, ticks and range for an axis of a figure."""
    marks = [(place, cut(text)) for place, text in ticks(axis, most)]
    if isinstance(axis, Choice):
        low, high = -0.5, len(axis.values) - 0.5
    else:
        low, high = (OFF_AT - 0.06 if axis.none else -0.05), 1.05
        marks = [(OFF_AT, "off"), *marks] if axis.none else marks
    return {
        "title_text": title(name, axis),
        "tickvals": [place for place, _ in marks],
        "ticktext": [plain(text) for _, text in marks],
        "range": [low, high],
        "type": "linear",
        "zeroline": False,
        "automargin": True,
    }


def title(name: str, axis: Axis) -> str:
    """The axis' name, and its scale where that is not the plain one."""
    return f"{plain(name)} (log)" if not isinstance(axis, Choice) and axis.log else plain(name)


def cut(text: str) -> str:
    """A name that fits beside its neighbours."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
