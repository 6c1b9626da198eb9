"""Compare trials: the curves of up to twenty, and in what their configurations differ."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from app import choosing, reading, showing
from app.guarding import moving
from tuner.analysis import StudyView
from tuner.analysis.curves import Along, curves, marked, metrics_of, remarks_table, with_partners
from tuner.analysis.differences import differences, standing
from tuner.analysis.picking import FORMS, picked
from tuner.analysis.thinning import thinned
from tuner.plots.curves import curves_figure

MOST = 20
FIRST = "best 3"
"""What is shown before anybody has chosen."""
PICKS = ("best 5", "latest 5", "rungs")
POINTS = 20_000
"""So many points are drawn at most, over all lines."""


def page() -> None:
    """The page."""
    st.title("Compare trials")
    study = choosing.begun_study()
    if study is None:
        return
    text, pick = st.columns([3, 2], vertical_alignment="bottom")
    named = choosing.trials(f"Trials, {MOST} at most", f"{FIRST} (or {FORMS})", where=text)
    with pick, st.container(horizontal=True):
        for words in PICKS:
            label = "one per rung" if words == "rungs" else words
            st.button(label, key=f"pick-{words}", on_click=partial(choosing.set_to, "trials", words))
    moving(_live, reading.every(study))(study.name, named)


def _live(name: str, named: str) -> None:
    study = reading.view(name)
    picks = picked(named or FIRST, study.trials, study.spec.metric)
    numbers = picks.numbers or (() if named else picked("latest 3", study.trials, study.spec.metric).numbers)
    if picks.unknown and named:
        unknown = ", ".join(picks.unknown)
        st.warning(showing.plain(f"No trial is named by: {unknown}. There are 0 to {len(study.trials) - 1}."))
    if len(numbers) > MOST:
        st.warning(f"{len(numbers)} trials are named; the first {MOST} are shown.")
    chosen = numbers[:MOST]
    if not chosen:
        showing.nothing("No trial is chosen.", f"Write numbers, or what names them: {FORMS}.")
        return
    _curves(study, chosen)
    _differences(study, chosen)
    choosing.link(study=name, trials=",".join(map(str, chosen)))


def _curves(study: StudyView, chosen: tuple[int, ...]) -> None:
    reports = reading.worked_out(StudyView.reports, study, chosen)
    names = metrics_of(reports)
    if not names:
        showing.nothing("These trials have not reported anything yet.", "Their curves appear with the first report.")
        return
    metrics, along, x, logs, together, smoothing = _choices(study, names)
    if not metrics:
        showing.nothing("No metric is chosen.", "Choose one or more above.")
        return
    shown = with_partners(metrics, names) if together else metrics
    table = curves(reports, shown, along, smoothing)
    told = remarks_table(reading.worked_out(StudyView.remarks, study, chosen), [study.trials[n] for n in chosen])
    most = POINTS // max(len(chosen) * len(shown), 1)
    drawn = thinned(marked(table, told), ["trial", "metric"], "value", most)
    figure = curves_figure(drawn, x, log_x="x" in logs, log_y="y" in logs)
    showing.figure(figure, f"{study.name}-curves", table=table)
    _said(table, drawn, told, smoothing)


def _choices(study: StudyView, names: list[str]) -> tuple[list[str], Along, str, list[str], bool, float]:
    first = study.spec.metric.name if study.spec.metric.name in names else names[0]
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    metrics = left.multiselect("Metrics", names, default=[first], key="metrics", bind="query-params")
    along, x = choosing.along(study, names, where=right)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        together = st.toggle(
            "Train and validation together",
            key="together",
            bind="query-params",
            help="Beside val_loss its train_eval_loss (or train_loss), and so on, where they were reported.",
        )
        logs = st.pills("Log axes", ["x", "y"], selection_mode="multi", key="log", bind="query-params", width="content")
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.95,
            0.0,
            0.05,
            key="smoothing",
            bind="query-params",
            width=280,
            help="Exponential moving average: the weight of the past. 0 is off.",
        )
    return metrics, along, x, logs, together, smoothing


def _said(table: pd.DataFrame, drawn: pd.DataFrame, told: pd.DataFrame, smoothing: float) -> None:
    if smoothing:
        st.caption(f"Smoothed: an exponential moving average with weight {smoothing:g} on the past, over the reports.")
    if len(drawn) < len(table):
        st.caption(
            f"{len(drawn):,} of {len(table):,} points are drawn, no peak left out; the CSV has all.".replace(",", " ")
        )
    if not told.empty:
        with st.expander(f"What happened to them ({len(told)})", icon=":material/star:"):
            showing.table(told, "events", hide_index=True)


def _differences(study: StudyView, chosen: tuple[int, ...]) -> None:
    trials = [study.trials[number] for number in chosen]
    differing, shared = differences(trials)
    st.subheader("Side by side")
    units = {"resource": f"{study.spec.scheduler.unit}s", "seconds": "seconds [s]", "value": study.spec.metric.name}
    showing.table(standing(trials), f"{study.name}-chosen", hide_index=True, column_config=units)
    st.subheader("What differs between their configurations")
    if len(chosen) == 1:
        st.caption("One trial is chosen: everything is shared.")
    elif differing.empty:
        st.caption("Nothing: their configurations are the same.")
    else:
        showing.table(differing.rename(columns=_heading), f"{study.name}-differences")
    with st.expander(f"What all of them share ({len(shared)})"):
        showing.table(shared.rename(columns=_heading), f"{study.name}-shared")


def _heading(trial: int) -> str:
    return f"trial {trial}"
