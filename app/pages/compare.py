"""Compare trials: the curves of up to twenty, and in what their configurations differ."""

from __future__ import annotations

import streamlit as st

from app import choosing, reading, showing
from tuner.analysis import StudyView, leaderboard
from tuner.analysis.curves import Along, curves, metrics_of
from tuner.analysis.differences import differences
from tuner.plots.curves import curves_figure

MOST = 20
FIRST = 3
"""So many of the best trials are shown before anybody has chosen."""

ALONG: dict[str, Along] = {"resource": "resource", "step": "step", "samples": "samples", "seconds": "seconds"}


def page() -> None:
    """The page."""
    st.title("Compare trials")
    study = choosing.study()
    if study is None:
        return
    if not study.trials:
        showing.nothing("This study has no trials yet.", "They appear here as soon as its workers have started.")
        return
    best = [trial.number for trial in leaderboard(study.trials, study.spec.metric)][:FIRST]
    chosen = st.multiselect(
        f"Trials, {MOST} at most",
        [trial.number for trial in study.trials],
        default=best or [study.trials[0].number],
        max_selections=MOST,
        key="trials",
        bind="query-params",
    )
    if not chosen:
        showing.nothing("No trial is chosen.", "Choose some above, or in the table of the page **Study**.")
        return
    every = 2.0 if study.record.holder is not None else None
    st.fragment(_live, run_every=every)(study.name, tuple(chosen))


def _live(name: str, chosen: tuple[int, ...]) -> None:
    study = reading.view(name)
    _curves(study, chosen)
    _differences(study, chosen)


def _curves(study: StudyView, chosen: tuple[int, ...]) -> None:
    reports = reading.worked_out(StudyView.reports, study, chosen)
    names = metrics_of(reports)
    if not names:
        showing.nothing("These trials have not reported anything yet.")
        return
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    first = study.spec.metric.name if study.spec.metric.name in names else names[0]
    metrics = left.multiselect("Metrics", names, default=[first], key="metrics", bind="query-params")
    there = [along for along in ALONG if along in ("resource", "seconds") or along in names]
    unit = study.spec.scheduler.unit
    along = middle.segmented_control(
        "Along",
        there,
        default="resource",
        key="along",
        bind="query-params",
        required=True,
        format_func=lambda along: f"{unit}s" if along == "resource" else along,
    )
    logs = right.pills("Log axes", ["x", "y"], selection_mode="multi", key="log", bind="query-params")
    smoothing = left.slider("Smoothing", 0.0, 0.95, 0.0, 0.05, key="smoothing", bind="query-params")
    if not metrics:
        showing.nothing("No metric is chosen.")
        return
    table = curves(reports, metrics, along, smoothing)
    x = unit if along == "resource" else "seconds of training [s]" if along == "seconds" else along
    showing.figure(curves_figure(table, x, log_x="x" in logs, log_y="y" in logs), f"{study.name}-curves", table=table)


def _differences(study: StudyView, chosen: tuple[int, ...]) -> None:
    differing, shared = differences([study.trials[number] for number in chosen])
    st.subheader("What differs")
    if len(chosen) == 1:
        st.caption("One trial is chosen: everything is shared.")
    elif differing.empty:
        st.caption("Nothing: their configurations are the same.")
    else:
        showing.table(differing, f"{study.name}-differences")
    with st.expander(f"What all of them share ({len(shared)})"):
        showing.table(shared, f"{study.name}-shared")
