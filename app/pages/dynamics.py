"""Training dynamics: how the training of one trial went."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import choosing, reading, showing
from app.guarding import moving
from tuner.analysis import StudyView, best_trial
from tuner.analysis.curves import Along
from tuner.analysis.dynamics import PANELS, dynamics, left_out, references, telling
from tuner.analysis.headlines import headlines
from tuner.analysis.stretches import Stretches, remarks_along
from tuner.plots.dynamics import MOST_EVENTS, dynamics_figure
from tuner.records import Report, TrialSummary


def page() -> None:
    """The page."""
    st.title("Training dynamics")
    study = choosing.begun_study()
    if study is None:
        return
    left, middle, right = st.columns([2, 3, 2], vertical_alignment="bottom")
    usual = _usual(study)
    number = left.number_input(
        f"Trial, 0 to {len(study.trials) - 1}",
        0,
        len(study.trials) - 1,
        None,
        key="trial",
        bind="query-params",
        placeholder=f"{'latest' if usual.value is None else 'best'}: {usual.number}",
    )
    measured = study.trials[usual.number if number is None else number].metrics
    along, x = choosing.along(study, measured, where=middle)
    steps = right.toggle("Steps between reports", value=True, key="steps", bind="query-params")
    moving(_live, reading.every(study))(study.name, number, along, x, steps)


def _usual(study: StudyView) -> TrialSummary:
    """The trial that is shown until somebody chooses."""
    return best_trial(study.trials, study.spec.metric) or study.trials[-1]


def _live(name: str, number: int | None, along: Along, x: str, steps: bool) -> None:
    study = reading.view(name)
    trial = _usual(study) if number is None else study.trials[number]
    _who(study, trial)
    reports = reading.worked_out(StudyView.reports, study, trial.number)
    if not reports:
        showing.nothing(
            f"Trial {trial.number} has not reported anything.",
            "It appears here with its first report; or choose another trial.",
        )
        return
    details = reading.worked_out(StudyView.details, study, trial.number) if steps else []
    table = dynamics(reports, details, along)
    if table.empty:
        names = ", ".join(f"`{metric}`" for panel in PANELS for metric in panel.metrics)
        showing.nothing(
            "Nothing of what is shown here was reported by this trial, or none of it was finite.",
            f"The built-in trainer reports it by itself; a function of your own may report any of these: {names}.",
        )
        return
    _headlines(headlines(reports, trial.config))
    _figure(study, trial, table, reports, along, x)
    choosing.link(study=name, trial=str(trial.number))


def _figure(
    study: StudyView, trial: TrialSummary, table: pd.DataFrame, reports: list[Report], along: Along, x: str
) -> None:
    told = reading.worked_out(StudyView.remarks, study, (trial.number,))
    remarks = remarks_along(told, Stretches.of(reports, along))
    shown = telling(table, trial.config)
    name = f"{study.name}-{trial.number}"
    if shown.empty:
        showing.nothing("There is nothing to draw: see below.")
    else:
        figure = dynamics_figure(shown, references(reports, trial.config), remarks, trial.number, x)
        showing.figure(figure, f"{name}-dynamics", key="dynamics", table=table)
    missing = left_out(table, trial.config)
    if not missing.empty:
        listed = "; ".join(f"{row.panel} ({row.why})" for row in missing.itertuples())
        st.caption(showing.plain(f"Not shown: {listed}."))
    if not remarks.empty:
        st.subheader("Events")
        if len(remarks) > MOST_EVENTS:
            st.caption(f"The first {MOST_EVENTS} are marked in the figure.")
        showing.table(remarks, f"{name}-events", hide_index=True)


def _who(study: StudyView, trial: TrialSummary) -> None:
    """Which trial it is, in a line; its configuration folded away."""
    unit = study.spec.scheduler.unit
    value = f"{study.spec.metric.name} {showing.number(trial.value)}" if trial.value is not None else "no value yet"
    where = f"{unit} {trial.resource} of {study.spec.scheduler.max_resource}"
    st.markdown(f"**Trial {trial.number}**: {trial.state.value}, {where}, {showing.plain(value)}")
    if trial.failure:
        st.error(showing.plain(f"{trial.failure.kind.value}: {trial.failure.message}"))
    with st.expander("Its configuration"):
        st.table(
            {showing.plain(name): showing.plain(value) for name, value in trial.config.items()}, border="horizontal"
        )


def _headlines(table: pd.DataFrame) -> None:
    with st.container(horizontal=True, gap="medium"):
        for measure, value, unit in zip(table["measure"], table["value"].astype(float), table["unit"], strict=True):
            value, unit = (100 * value, "%") if unit.startswith("share") else (value, unit)
            st.metric(measure, f"{value:,.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}", width="content")
