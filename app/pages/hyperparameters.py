"""Hyperparameters: which matter, where the good values lie, what was never tried."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import choosing, reading, showing
from app.guarding import moving
from tuner.analysis import StudyView
from tuner.analysis.comparable import level_of, levels
from tuner.analysis.coverage import branches, coverage, samples
from tuner.analysis.edges import edges
from tuner.analysis.importances import FEWEST, REPEATS, importances
from tuner.analysis.slices import SHOWN, n_valued, parallel, slices
from tuner.analysis.surface import surface
from tuner.plots.coverage import coverage_figure
from tuner.plots.importances import importances_figure
from tuner.plots.parallel import parallel_figure
from tuner.plots.slices import slices_figure
from tuner.plots.surface import surface_figure

OWN = "each at its own end"
"""The choice not to compare at one resource."""


def page() -> None:
    """The page."""
    st.title("Hyperparameters")
    study = choosing.begun_study()
    if study is None:
        return
    moving(_live, reading.every(study))(study.name)


def _live(name: str) -> None:
    study = reading.view(name)
    left, right = st.columns([4, 2], vertical_alignment="bottom")
    view = left.segmented_control(
        "Look at", list(VIEWS), default=next(iter(VIEWS)), key="look", bind="query-params", required=True
    )
    level = _level(study, right)
    _edges(study, level)
    VIEWS[view](study, level)


def _level(study: StudyView, where: st.delta_generator.DeltaGenerator) -> int | None:
    """At which resource trials are compared."""
    unit = study.spec.scheduler.unit
    found = reading.worked_out(levels, study)
    usual = reading.worked_out(level_of, study)
    known = {f"{unit} {resource}": int(resource) for resource in found["resource"]}
    options = [*known, OWN]
    first = options.index(f"{unit} {usual}") if usual is not None else len(options) - 1
    counts = dict(zip(known, found["trials"], strict=True))
    chosen = choosing.one_of(
        "Trials compared at",
        options,
        "at",
        index=first,
        where=where,
        help="A loss at one resource says nothing of one at another. "
        + "; ".join(f"{name}: {counts[name]} trials" for name in list(known)[-8:]),
    )
    return known.get(chosen)


def _edges(study: StudyView, level: int | None) -> None:
    """What was found at the edges of the space, where anything was."""
    table = reading.worked_out(edges, study, level)
    for sentence in table.loc[table["found"].astype(bool), "sentence"]:
        st.warning(showing.plain(sentence), icon=":material/arrow_range:")


def _importances(study: StudyView, level: int | None) -> None:
    table = reading.worked_out(importances, study, level)
    if table.empty:
        showing.nothing(
            f"Importances need {FEWEST} trials that can be compared, with values that differ, and an axis that varies.",
            "Let the study go on, or compare trials at an earlier resource (above).",
        )
        return
    showing.figure(importances_figure(table), f"{study.name}-importances", table=table)
    n_trials, n_best = int(table["trials"].iloc[0]), int(table["best"].iloc[0])
    st.caption(
        f"PED-ANOVA (Watanabe et al. 2023) of {n_trials:,} trials, failed ones among the worst: how far the "
        f"{n_best:,} best (a tenth, ties and at least 5) lie elsewhere on an axis than all that were tried. Lines: 5th "
        f"to 95th percentile of {REPEATS} bootstrap samples of the trials. Marks: what {REPEATS} shuffles of the "
        "values stay below 19 times in 20; a pale bar is not beyond it. Interactions between axes are not seen."
    )


def _slices(study: StudyView, level: int | None) -> None:
    table = reading.worked_out(slices, study, level)
    if table.empty:
        _no_values(study)
        return
    log_y = False
    if (table["drawn"] > 0).all():
        log_y = st.toggle("Log value axis", key="log", bind="query-params")
    drawn = slices_figure(table, study.spec.space, study.spec.metric.name, study.spec.scheduler.unit, log_y=log_y)
    showing.figure(drawn, f"{study.name}-slices", table=table)
    beyond = int(table.loc[table["drawn"] != table["value"], "trial"].nunique())
    _shown(study, table["trial"].nunique(), level, f" Triangles: {beyond} values beyond the axis." if beyond else "")


def _parallel(study: StudyView, level: int | None) -> None:
    table = reading.worked_out(parallel, study, level)
    if table.empty:
        _no_values(study)
        return
    metric = study.spec.metric
    drawn = parallel_figure(table, study.spec.space, metric.name, metric.direction)
    showing.figure(drawn, f"{study.name}-parallel", table=table)
    _shown(
        study, len(table), level, " Drag along an axis to choose trials, click it to let go, drag its name to move it."
    )


def _pairs(study: StudyView, level: int | None) -> None:
    names = list(study.spec.space)
    if len(names) < 2:
        showing.nothing("The space has one axis: there are no pairs.", "The view **Slices** shows it.")
        return
    table = reading.worked_out(importances, study, level)
    ranked = [*table["axis"], *(name for name in names if name not in set(table["axis"]))]
    left, right = st.columns(2)
    x = choosing.one_of("Across", names, "x", index=names.index(ranked[0]), where=left)
    rest = [name for name in names if name != x]
    second = next(name for name in ranked if name != x)
    y = choosing.one_of("Up", rest, "y", index=rest.index(second), where=right)
    found = reading.worked_out(surface, study, x, y, level)
    if found.points.empty:
        showing.nothing(
            f"No trial that can be compared has both {showing.plain(x)} and {showing.plain(y)}.",
            "Choose other axes, or compare trials at another resource.",
        )
        return
    drawn = surface_figure(found, study.spec.space, x, y, study.spec.metric.name)
    showing.figure(drawn, f"{study.name}-pair", table=found.points)
    left_out = f" {found.left_out:,} trials lack one of the axes, or have it off." if found.left_out else ""
    st.caption(_quality(found.r2, found.needed, found.fitted, found.grid.empty) + left_out)


def _quality(r2: float, needed: float, fitted: int, hidden: bool) -> str:
    if r2 != r2:
        return f"{fitted} trials: too few, or too alike, for a surface."
    if hidden:
        return (
            f"No surface: over these two axes alone a model of {fitted} trials explains {max(r2, 0):.0%} of the "
            f"variance of the ranks of trials it was not shown, and chance gives up to {needed:.0%}."
        )
    return (
        f"Surface: the mean of a Gaussian process on the ranks of {fitted} trials over these two axes alone; it "
        f"explains {r2:.0%} of the variance of the ranks of trials it was not shown (leave-one-out R²; chance gives up "
        f"to {needed:.0%}). Blank where no trial is near."
    )


def _coverage(study: StudyView, level: int | None) -> None:  # noqa: ARG001 (all trials count, whatever they reached)
    parts = reading.worked_out(samples, study)
    showing.figure(coverage_figure(parts), f"{study.name}-samples", table=parts)
    st.caption(f"All {len(study.trials):,} trials, of whatever state. Crosses: parts in which nothing was tried.")
    table = reading.worked_out(coverage, study)
    numbers = st.column_config.NumberColumn
    showing.table(
        table,
        f"{study.name}-coverage",
        hide_index=True,
        column_config={
            "evenness": numbers(format="percent", help="Effective share of the axis that was sampled; even is 100 %."),
            "hole": numbers(format="percent", help="The largest stretch without a trial, as a share of the axis."),
            "hole_chance": numbers(format="percent", help="How often evenly random trials leave a hole so large."),
        },
    )
    found = reading.worked_out(branches, study)
    if found.empty:
        return
    st.subheader("Branches of conditions")
    never = found[found["trials"] == 0]
    if len(never):
        names = ", ".join(f"{row.depends_on} = {row.value} (for {row.axis})" for row in never.itertuples())
        st.warning(showing.plain(f"Never tried: {names}"), icon=":material/warning:")
    showing.table(found, f"{study.name}-branches", hide_index=True)


def _no_values(study: StudyView) -> None:
    showing.nothing(
        f"No trial has a finite value of {showing.plain(study.spec.metric.name)} here yet.",
        "Compare trials at another resource (above), or see on the page **Study** why they failed.",
    )


def _shown(study: StudyView, n: int, level: int | None, more: str = "") -> None:
    with_value = n if n < SHOWN else int(reading.worked_out(n_valued, study, level))
    thinned = f"The best and an even choice of the others: {n:,} of {with_value:,}" if n < with_value else f"{n:,}"
    st.caption(f"{thinned} trials with a value, of {len(study.trials):,}.{more}")


VIEWS: dict[str, Callable[[StudyView, int | None], None]] = {
    "Importances": _importances,
    "Slices": _slices,
    "Parallel coordinates": _parallel,
    "Pairs": _pairs,
    "Coverage": _coverage,
}
