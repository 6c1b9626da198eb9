"""Where in the space the methods of a comparison spent their samples."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import choosing, reading, showing
from tuner.analysis.compared import Comparison
from tuner.analysis.spread import Weight, samples, spread
from tuner.plots.spread import plane_figure, spread_figure
from tuner.plots.style import colours_of
from tuner.plots.thinning import MOST_MARKS

MOST_AXES = 6
"""So many axes are shown side by side before anybody has chosen."""


def show(comparison: Comparison) -> None:
    """Along each axis, and in the plane of two."""
    st.subheader("Where the samples went")
    space = comparison.plan.spec.space
    names = list(space)
    if not names:
        showing.nothing("The space has no axes.")
        return
    left, right = st.columns([4, 2], vertical_alignment="bottom")
    axes = left.multiselect("Axes", names, default=names[:MOST_AXES], key="axes", bind="query-params")
    unit = comparison.plan.spec.scheduler.unit
    weight = right.segmented_control(
        "Counted by",
        ["trials", "units"],
        default="trials",
        key="by",
        bind="query-params",
        required=True,
        format_func=lambda weight: f"{unit}s" if weight == "units" else weight,
    )
    if axes:
        table = reading.worked_out(spread, comparison, weight)
        drawn = reading.worked_out(_spread_drawn, comparison, weight, tuple(axes))
        showing.figure(drawn, f"{comparison.name}-spread", table=table)
        st.caption(
            "All repeats of a method together, also what a run began beyond its budget. "
            "Each panel has a scale of its own."
        )
    if len(names) > 1:
        _plane(comparison, names)


def _spread_drawn(comparison: Comparison, weight: Weight, axes: tuple[str, ...]) -> Any:
    """The figure, which is kept: of all of the page it takes the longest to draw."""
    spec = comparison.plan.spec
    counted = f"{spec.scheduler.unit}s" if weight == "units" else "trials"
    table = reading.worked_out(spread, comparison, weight)
    return spread_figure(table, spec.space, axes, colours_of(list(comparison.plan.methods)), counted)


def _plane(comparison: Comparison, names: list[str]) -> None:
    spec = comparison.plan.spec
    columns = st.columns(3)
    x = choosing.one_of("Across", names, "x", where=columns[0])
    y = choosing.one_of("Up", [name for name in names if name != x], "y", where=columns[1])
    table = reading.worked_out(samples, comparison)
    repeats = sorted(table["repeat"].unique().tolist())
    repeat = choosing.one_of("Repeat", repeats, "repeat", where=columns[2])
    shown = table[table["repeat"] == repeat]
    drawn = plane_figure(
        shown,
        spec.space,
        x,
        y,
        colours_of(list(comparison.plan.methods)),
        spec.scheduler.max_resource,
        spec.scheduler.unit,
    )
    showing.figure(drawn, f"{comparison.name}-plane", table=shown)
    thinned = f" {MOST_MARKS:,} of {len(shown):,} are drawn." if len(shown) > MOST_MARKS else ""
    st.caption(
        f"One run of each method, a point per trial; a larger one was trained for more {spec.scheduler.unit}s.{thinned}"
    )
