"""Parallel coordinates: each trial a line through its settings, coloured by how it ranks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tuner.analysis.positions import OFF, ticks
from tuner.plots.axes import OFF_AT, RANKS, cut, title
from tuner.plots.style import figure, plain
from tuner.space import Axis, Choice, SearchSpace

ABSENT: Final = -0.24
"""Where a line passes an axis that the trial does not have, beside an axis that runs from 0 to 1."""


def parallel_figure(table: pd.DataFrame, space: SearchSpace, metric: str, direction: str) -> go.Figure:
    """The table of tuner.analysis.slices.parallel. Drag along an axis to choose trials, its name to move it.

    Colour and the last axis are by rank, so that an outlier flattens nothing; their ticks are values of the metric.
    Axes run from low to high in their own scale; "off" and "not there" (the condition does not hold) lie below.
    """
    drawn = figure("", "", height=440)
    worst_to_best = table["rank"].to_numpy()
    marks = _rank_ticks(table)
    dimensions = [_dimension(name, space[name], table[f"at {name}"].to_numpy(dtype=float)) for name in space]
    places, texts = [place for place, _ in marks], [text for _, text in marks]
    dimensions.append(
        {
            "label": plain(metric),
            "values": 1 - worst_to_best,
            "range": [0, 1],
            "tickvals": [1 - place for place in places],
            "ticktext": texts,
        }
    )
    better = "lower" if direction == "minimize" else "higher"
    drawn.add_trace(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": 1 - worst_to_best,
                "colorscale": RANKS,
                "cmin": 0,
                "cmax": 1,
                "showscale": True,
                "colorbar": {
                    "title": {"text": f"{plain(cut(metric))}<br>by rank,<br>{better} is<br>better"},
                    "tickvals": [1 - place for place in places],
                    "ticktext": texts,
                    "thickness": 12,
                },
            },
            unselected={"line": {"opacity": 0.08}},
            labelangle=-20 if len(space) > 6 else 0,
            uirevision="kept",
        )
    )
    drawn.update_layout(margin={"l": 70, "r": 40, "t": 60 if len(space) <= 6 else 90, "b": 28}, uirevision="kept")
    return drawn


def _dimension(name: str, axis: Axis, places: Any) -> dict[str, Any]:
    marks = [(place, cut(text)) for place, text in ticks(axis)]
    off, absent = places == OFF, np.isnan(places)
    if isinstance(axis, Choice):
        unit = max(len(axis.values) - 1, 1)
        places, marks = places / unit, [(place / unit, text) for place, text in marks]
    elif axis.none:
        places = np.where(off, OFF_AT, places)
        marks = [(OFF_AT, "off"), *marks]
    low = OFF_AT if not isinstance(axis, Choice) and axis.none else 0.0
    if absent.any():
        low = ABSENT
        places = np.where(absent, ABSENT, places)
        marks = [(ABSENT, "not there"), *marks]
    return {
        "label": title(name, axis),
        "values": places,
        "range": [low, 1.0],
        "tickvals": [place for place, _ in marks],
        "ticktext": [text for _, text in marks],
    }


def _rank_ticks(table: pd.DataFrame) -> list[tuple[float, str]]:
    """The metric's value at the best rank, the quartiles, and the worst."""
    ordered = table.sort_values("rank")
    rank, value = ordered["rank"].to_numpy(), ordered["value"].to_numpy()
    at = [int(np.abs(rank - share).argmin()) for share in (0, 0.25, 0.5, 0.75, 1)]
    return [(float(rank[index]), f"{value[index]:.3g}") for index in dict.fromkeys(at)]
