"""How evenly the space was sampled: every axis as a strip."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tuner.plots.style import GREY, WARNING, figure, plain

MOST = 3.0
"""Parts with so many times the trials of an even spread, or more, are darkest."""


def coverage_figure(table: pd.DataFrame) -> go.Figure:
    """The table of tuner.analysis.coverage.samples: a bar per part of an axis; a cross where nothing was tried."""
    names = list(dict.fromkeys(table["axis"]))
    drawn = figure("place on the axis, in its own scale [share of the axis]", "", height=90 + 38 * len(names))
    drawn.add_bar(
        x=table["end"] - table["start"],
        base=table["start"],
        y=[plain(name) for name in table["axis"]],
        orientation="h",
        width=0.7,
        marker={
            "color": table["density"].clip(0, MOST),
            "colorscale": "Blues",
            "cmin": 0,
            "cmax": MOST,
            "line": {"width": 0.5, "color": GREY},
            "colorbar": {
                "title": {"text": "trials"},
                "tickvals": [0, 1, 2, 3],
                "ticktext": ["none", "even", "2 x", "3 x or more"],
                "thickness": 12,
            },
        },
        text=[plain(label) for label in table["label"]],
        textposition="none",
        customdata=table[["trials", "density"]],
        hovertemplate="%{y}, %{text}: %{customdata[0]} trials, %{customdata[1]:.2g} x an even spread<extra></extra>",
        showlegend=False,
    )
    empty = table[table["trials"] == 0]
    drawn.add_scatter(
        x=(empty["start"] + empty["end"]) / 2,
        y=[plain(name) for name in empty["axis"]],
        mode="markers",
        marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": WARNING}},
        text=[plain(label) for label in empty["label"]],
        hovertemplate="%{y}, %{text}: never tried<extra></extra>",
        showlegend=False,
    )
    drawn.update_yaxes(
        title_text="",
        type="category",
        automargin=True,
        showgrid=False,
        categoryorder="array",
        categoryarray=[*map(plain, names[::-1])],
    )
    drawn.update_xaxes(range=[0, 1])
    drawn.update_layout(barmode="overlay", margin={"t": 16})
    return drawn
