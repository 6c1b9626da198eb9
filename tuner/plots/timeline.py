"""Segments on workers: a lane for each worker, a bar for each segment, idle time between them."""

from __future__ import annotations

from typing import Final

import pandas as pd
import plotly.graph_objects as go

from tuner.plots.style import GREY, WARNING, colour, figure, plain, translucent

LOOKS: Final = {
    "failed": ("x", "failed"),
    "lost": ("/", "worker went away"),
    "interrupted": ("/", "worker went away, or study interrupted"),
    "recalled": ("/", "stopped or paused by a person, and silent"),
    "running": (".", "running"),
}
"""The pattern of what did not end with a decision, and what the legend calls it."""

LANE: Final = 26
"""Height of a worker's lane, in pixels."""


def timeline_figure(table: pd.DataFrame, workers: pd.DataFrame, unit: str) -> go.Figure:
    """The tables of tuner.analysis.timeline (`merged` and `workers`).

    A bar has its trial's colour; one in which several segments were merged is grey. What failed, was cut short or
    still runs has a pattern. A lane's label states the share of its time in which the worker was idle, and how many
    times as long as others it takes, if `workers` has a column `slow` (and `factor`) that is true for it.
    """
    names = workers["worker"].tolist()
    drawn = figure("seconds of running [s]", "worker (idle share)", height=150 + LANE * max(len(names), 2))
    for row_kind, rows in table.groupby(_kind(table), sort=False):
        pattern, label = LOOKS.get(str(row_kind), ("", "segment"))
        many = rows["n_segments"] > 1
        drawn.add_bar(
            base=rows["start"],
            x=rows["end"] - rows["start"],
            y=rows["worker"].map(plain),
            orientation="h",
            name=label,
            marker={
                "color": [
                    translucent(GREY, 0.7) if merged else colour(trial)
                    for trial, merged in zip(rows["trial"], many, strict=True)
                ],
                "pattern": {"shape": pattern, "fgcolor": WARNING if pattern == "x" else "white", "size": 6},
                "line": {"width": 0},
            },
            text=_words(rows, unit),
            textposition="none",
            hovertemplate="%{text}<extra>%{y}</extra>",
            width=0.75,
        )
    drawn.update_layout(barmode="overlay", showlegend=len(drawn.data) > 1)
    drawn.update_yaxes(
        type="category",
        automargin=True,
        autorange="reversed",
        showgrid=False,
        tickvals=list(map(plain, names)),
        ticktext=[_lane(*row) for row in zip(names, workers["idle"], _slower(workers), strict=True)],
    )
    return drawn


def _kind(table: pd.DataFrame) -> pd.Series[str]:
    return table["ending"].where(table["ending"].isin(list(LOOKS)), "segment")


def _slower(workers: pd.DataFrame) -> list[str]:
    """What is said of slow workers; empty for the others."""
    if "slow" not in workers:
        return [""] * len(workers)
    told = zip(workers["slow"], workers["factor"], strict=True)
    return [f"takes {factor:.1f} times as long" if slow else "" for slow, factor in told]


def _lane(name: str, idle: float, slower: str) -> str:
    said = [*([] if idle != idle else [f"{idle:.0%} idle"]), *([slower] if slower else [])]  # NaN: nothing can be said
    return f"{plain(name)} ({', '.join(said)})" if said else plain(name)


def _words(rows: pd.DataFrame, unit: str) -> list[str]:
    """What a bar says when it is pointed at."""
    columns = ("trial", "segment", "from", "until", "start", "end", "ending", "n_segments")
    said = []
    for trial, segment, since, until, start, end, ending, n in rows[list(columns)].itertuples(index=False, name=None):
        length = f"{end - start:.4g} s"
        if n > 1:
            said.append(f"{n} segments, from trial {trial} on<br>{length}")
        else:
            said.append(
                f"trial {trial}, segment {segment}: {plain(unit)} {since} to {until}<br>{length}, {plain(ending)}"
            )
    return said
