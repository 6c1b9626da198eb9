"""Generalization: gaps against losses, axes and sharpness, and the curves of a trial."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tuner.plots.axes import drawn_at, of_figure
from tuner.plots.style import GREY, PALETTE, SCALE, WARNING, colour, dash, figure, plain, translucent
from tuner.plots.thinning import MOST_MARKS, spread
from tuner.space import Axis, Choice

_TRIAL = "trial %{customdata[0]} at %{customdata[1]}"


def gaps_figure(table: pd.DataFrame, unit: str) -> go.Figure:
    """The table of tuner.analysis.generalization: a point per trial, and the Pareto front as a line.

    Of more than MOST_MARKS trials those that are drawn are spread evenly over the gaps.
    """
    drawn = figure("val_loss", "gap (val_loss - train_eval_loss)", height=460)
    front = table[table["front"]].sort_values(["val_loss", "gap"])
    others = spread(table[~table["front"]], "gap", MOST_MARKS)
    for rows, name, size, shade in ((others, "trials", 7, 0.8), (front, "Pareto front", 10, 1.0)):
        drawn.add_scatter(
            x=rows["val_loss"],
            y=rows["gap"],
            mode="lines+markers" if rows is front else "markers",
            line={"color": PALETTE[1], "width": 1.5, "shape": "hv"},
            marker={"color": PALETTE[1] if rows is front else translucent(PALETTE[4], shade), "size": size},
            name=name,
            customdata=rows[["trial", "resource", "train_eval_loss"]],
            hovertemplate=f"{_TRIAL} {plain(unit)}s<br>val_loss %{{x:.5g}}, train_eval_loss %{{customdata[2]:.5g}}, "
            "gap %{y:.5g}<extra></extra>",
        )
    drawn.add_hline(y=0, line={"color": GREY, "width": 1, "dash": "dot"})
    return drawn


def gap_along_figure(table: pd.DataFrame, name: str, axis: Axis, unit: str) -> go.Figure:
    """The table `gap_along` of tuner.analysis.generalization: a point per trial, in the shade of its val_loss's rank.

    Points of a choice are spread sideways, so that they can be told apart.
    """
    shown = spread(table, "gap", MOST_MARKS)
    drawn = figure("", "gap (val_loss - train_eval_loss)", height=380)
    places = shown["position"].map(drawn_at).to_numpy(np.float64)
    if isinstance(axis, Choice):  # the same way each time: a golden-ratio sequence by the trial's number
        places = places + 0.5 * (shown["trial"].to_numpy() * 0.618034 % 1 - 0.5)
    bar = {"title": {"text": "val_loss,<br>rank"}, "tickvals": [0, 1], "ticktext": ["best", "worst"], "thickness": 12}
    drawn.add_scatter(
        x=places,
        y=shown["gap"],
        mode="markers",
        marker={
            "color": (shown["val_loss"].rank() - 1) / max(len(shown) - 1, 1),
            "colorscale": SCALE,
            "cmin": 0,
            "cmax": 1,
            "colorbar": bar,
            "size": 7,
        },
        customdata=shown[["trial", "resource", "val_loss"]],
        text=shown["setting"].map(plain),
        hovertemplate=f"{_TRIAL} {plain(unit)}s<br>{plain(name)} %{{text}}, gap %{{y:.5g}}, "
        "val_loss %{customdata[2]:.5g}<extra></extra>",
    )
    drawn.update_xaxes(**of_figure(name, axis))
    return drawn


def learning_curves_figure(table: pd.DataFrame, trial: int, unit: str, onset: float | None = None) -> go.Figure:
    """The table `learning_curves` of tuner.analysis.generalization: validation and training loss in the trial's colour,
    the gap between them shaded, and where the trial begins to overfit (`onset`, a resource) as a line. The running mean
    while training is hidden until the legend is asked for it.
    """
    drawn = figure(f"{plain(unit)}s", "loss", height=400)
    both = table[np.isfinite(table["val_loss"]) & np.isfinite(table["train_eval_loss"])]
    if len(both) > 1:
        drawn.add_scatter(
            x=pd.concat([both["resource"], both["resource"][::-1]]),
            y=pd.concat([both["val_loss"], both["train_eval_loss"][::-1]]),
            fill="toself",
            fillcolor=translucent(colour(trial), 0.12),
            line={"width": 0},
            mode="lines",
            name="gap",
            hoverinfo="skip",
        )
    for name, shape in (("val_loss", dash(0)), ("train_eval_loss", "dash"), ("train_loss", "dot")):
        if table[name].notna().any():
            drawn.add_scatter(
                x=table["resource"],
                y=table[name],
                mode="lines+markers" if len(table) < 60 else "lines",
                line={"color": GREY if name == "train_loss" else colour(trial), "dash": shape, "width": 2},
                marker={"size": 5},
                name=name,
                visible="legendonly" if name == "train_loss" else True,
                hovertemplate=f"{name} %{{y:.5g}} at {plain(unit)} %{{x}}<extra></extra>",
            )
    if onset is not None:
        drawn.add_vline(
            x=onset,
            line={"color": WARNING, "width": 2},
            annotation_text=f"overfits from {plain(unit)} {onset:g}",
            annotation_position="top right",
        )
    return drawn


def sharpness_figure(table: pd.DataFrame, unit: str) -> go.Figure:
    """Batch size against sharpness in the colour of the gap: rows of tuner.analysis.generalization that have both."""
    shown = spread(table, "sharpness", MOST_MARKS)
    sizes = sorted(shown["batch_size"].unique().tolist())
    drawn = figure("batch_size [samples]", "sharpness [loss]", log_x=True, height=380)
    drawn.add_scatter(
        x=shown["batch_size"],
        y=shown["sharpness"],
        mode="markers",
        marker={
            "color": shown["gap"],
            "colorscale": SCALE,
            "colorbar": {"title": {"text": "gap"}, "thickness": 12},
            "size": 8,
        },
        customdata=shown[["trial", "resource", "gap"]],
        hovertemplate=f"{_TRIAL} {plain(unit)}s<br>batch_size %{{x}}, sharpness %{{y:.4g}}, gap %{{customdata[2]:.5g}}"
        "<extra></extra>",
    )
    if len(sizes) <= 12:
        drawn.update_xaxes(tickvals=sizes, ticktext=[f"{size:g}" for size in sizes])
    return drawn
