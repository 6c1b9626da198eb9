"""Importances of hyperparameters, with their intervals and what chance alone gives."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tuner.plots.style import GREY, PALETTE, figure, plain, translucent


def importances_figure(table: pd.DataFrame) -> go.Figure:
    """The table of tuner.analysis.importances: a bar per axis with its interval; beyond the grey mark chance ends."""
    names = [plain(name) for name in table["axis"]]
    drawn = figure("importance for being among the best trials [share of the sum]", "", height=110 + 34 * len(table))
    drawn.add_bar(
        x=table["importance"],
        y=names,
        orientation="h",
        width=0.6,
        marker={"color": [PALETTE[0] if sure else translucent(PALETTE[0], 0.35) for sure in _sure(table)]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": table["high"] - table["importance"],
            "arrayminus": table["importance"] - table["low"],
            "color": GREY,
            "thickness": 1.5,
            "width": 4,
        },
        customdata=table[["low", "high", "chance"]],
        hovertemplate="%{y}: %{x:.2f} (%{customdata[0]:.2f} to %{customdata[1]:.2f}); chance alone: up to "
        "%{customdata[2]:.2f}<extra></extra>",
        name="importance, 90 % interval",
    )
    drawn.add_scatter(
        x=table["chance"],
        y=names,
        mode="markers",
        marker={"symbol": "line-ns", "size": 20, "line": {"width": 2.5, "color": PALETTE[5]}},
        hovertemplate="chance alone: up to %{x:.2f} in 19 of 20 shuffles<extra></extra>",
        name="chance alone stays below this",
    )
    drawn.update_yaxes(autorange="reversed", title_text="", type="category", automargin=True, showgrid=False)
    drawn.update_xaxes(range=[0, min(1.05, 1.1 * float(table[["high", "chance"]].to_numpy().max()))])
    drawn.update_layout(legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 40}, bargap=0.3)
    return drawn


def _sure(table: pd.DataFrame) -> list[bool]:
    return (table["importance"] > table["chance"]).tolist()
