"""Study: how it stands, its trials, its rungs, its workers, and what happened to it."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import choosing, reading, showing, trial_list
from app.guarding import moving
from tuner.analysis import StudyView, best_trial, counts
from tuner.analysis.best_so_far import best_so_far, trial_ends
from tuner.analysis.comparison import Axis
from tuner.analysis.events import events_table, failures_table
from tuner.analysis.progress import Progress, progress_of
from tuner.analysis.rungs import ladders, rung_values, rungs_table
from tuner.analysis.scales import suits_log
from tuner.analysis.stragglers import slow_words, stragglers, with_paces
from tuner.analysis.timeline import merged, timeline, workers
from tuner.plots.best_so_far import best_so_far_figure
from tuner.plots.rungs import rungs_figure
from tuner.plots.timeline import timeline_figure
from tuner.spec import dump_spec
from tuner.store import StudyState

LIVE = {StudyState.RUNNING: 2.0, StudyState.PAUSED: 2.0, StudyState.UNFINISHED: 10.0}
"""Seconds between two looks at a study that may go on."""

ALONG: dict[str, Axis] = {"trials": "trials", "time": "seconds", "resource": "units"}
QUIET: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off"}
SCALES = ("auto", "linear", "log")
GROUPS = 50
"""So many kinds of failure are shown."""


def page() -> None:
    """The page."""
    heading = st.empty()
    study = choosing.study()
    heading.title("Study" if study is None else showing.plain(study.name))
    if study is not None:
        moving(_live, LIVE.get(study.record.state))(study.name, study.record.state)


def _live(name: str, state: StudyState) -> None:
    study = reading.view(name)
    if study.record.state is not state:
        st.rerun()  # so that it is looked at as often as it now needs
    time, share = _header(study)
    if not study.trials:
        showing.nothing("This study has no trials yet.", "They appear here as soon as its workers have started.")
    else:
        _best(study)
        st.subheader("Trials")
        trial_list.show(study)
    _time(study, time, share)
    # What is quickest to show comes first: only the section that is open is worked out.
    sections = {"Events": _events, "Rungs": _rungs, "Workers": _workers, "Failures": _failures, "Spec": _spec}
    tabs = st.tabs(list(sections), key="section", bind="query-params")
    for tab, section in zip(tabs, sections.values(), strict=True):
        if tab.open:
            with tab:
                section(study)


def _header(study: StudyView) -> tuple[DeltaGenerator, DeltaGenerator]:
    """How the study stands; the places of its running time and its progress, which take longer to work out."""
    spec, record = study.spec, study.record
    best = best_trial(study.trials, spec.metric)
    by_state = " · ".join(f"{count:,} {state}" for state, count in counts(study.trials).items() if count)
    limit = f" of {study.budget.trials:,}" if study.budget.trials else ""
    unit = spec.scheduler.unit
    st.caption(
        f"{showing.plain(spec.objective)} · sampler {spec.sampler.name} · scheduler {spec.scheduler.name} · "
        f"{spec.metric.direction} {showing.plain(spec.metric.name)}"
        + (f" · {showing.plain(record.reason)}" if record.reason else "")
    )
    state, value, trials, spent, time = st.columns(5)
    owner = f"process {record.holder.pid} on {showing.plain(record.holder.host)}" if record.holder else "nobody runs it"
    state.metric("State", record.state.value, owner if record.state in LIVE else None, **QUIET)
    where = f"trial {best.number}, {unit} {best.resource}" if best else "no value yet"
    value.metric(
        f"Best {showing.plain(spec.metric.name)}", showing.number(best.value if best else None), where, **QUIET
    )
    trials.metric("Trials", f"{len(study.trials):,}{limit}")
    of_epochs = f"of {study.budget.epochs:,}" if study.budget.epochs else None
    units = sum(trial.resource for trial in study.trials)
    spent.metric(f"{unit.capitalize()}s spent", f"{units:,}", of_epochs, **QUIET)
    if by_state:
        st.caption(by_state)
    places = (time.empty(), st.empty())
    _show_time(study, st.session_state.get(_stood(study)), *places)
    return places


def _stood(study: StudyView) -> str:
    return f"progress of {study.name}"


def _time(study: StudyView, time: DeltaGenerator, share: DeltaGenerator) -> None:
    """Work out how far the study is, and show it."""
    stands = st.session_state[_stood(study)] = reading.worked_out(progress_of, study)
    _show_time(study, stands, time, share)


def _show_time(study: StudyView, stands: Progress | None, time: DeltaGenerator, share: DeltaGenerator) -> None:
    """What was worked out last, so that nothing moves while it is worked out again; room for it, if nothing was."""
    live = study.record.state in LIVE
    left = f"about {showing.duration(stands.seconds_left)} left" if stands and stands.seconds_left else None
    time.metric("Running time", showing.duration(stands.seconds) if stands else "...", left, **QUIET)
    if live:
        share.progress(stands.share if stands else 0.0, f"{stands.share:.0%} of the budget" if stands else "...")


def _best(study: StudyView) -> None:
    st.subheader("Best so far")
    unit, metric = study.spec.scheduler.unit, study.spec.metric
    left, right, _ = st.columns([1, 1, 2])
    along = left.segmented_control(
        "Along",
        list(ALONG),
        default="trials",
        required=True,
        key="over",
        bind="query-params",
        format_func=lambda along: f"{unit}s" if along == "resource" else along,
    )
    scale = right.segmented_control("Scale", SCALES, default="auto", required=True, key="scale", bind="query-params")
    table = reading.worked_out(best_so_far, study, ALONG[along])
    ends = reading.worked_out(trial_ends, study, ALONG[along])
    if ends.empty and table.empty:
        showing.nothing("No trial has a finite value yet.", "If all of them fail, the tab **Failures** says why.")
        return
    x = {"trials": "trials", "time": "running time [s]", "resource": f"spent over all trials [{unit}s]"}[along]
    log_y = scale == "log" or (scale == "auto" and suits_log(ends["value"]))
    drawn = best_so_far_figure(table, ends, x, metric.name, log_y=log_y)
    showing.figure(drawn, f"{study.name}-best-so-far", table=table)


def _rungs(study: StudyView) -> None:
    climbed = ladders(study)
    if not climbed:
        showing.nothing(
            f"The scheduler {study.spec.scheduler.name} has no rungs.",
            "With `scheduler: {name: asha}` or `hyperband` trials are judged at rungs, and this is where it shows.",
        )
        return
    left, right, _ = st.columns([1, 2, 1])
    bracket = 0
    if len(climbed) > 1:
        bracket = right.segmented_control(
            "Bracket",
            range(len(climbed)),
            default=0,
            required=True,
            key="bracket",
            bind="query-params",
            format_func=lambda index: f"from {study.spec.scheduler.unit} {climbed[index][0]}",
        )
    scale = left.segmented_control(
        "Scale of values", SCALES, default="auto", required=True, key="rung-scale", bind="query-params"
    )
    values = reading.worked_out(rung_values, study)
    table = rungs_table(study, values)
    values = values[values["bracket"] == bracket]
    table = table[table["bracket"] == bracket].drop(columns="bracket")
    if values.empty:
        showing.nothing("No trial has reached a rung yet.")
        return
    log_y = scale == "log" or (scale == "auto" and suits_log(values["value"]))
    drawn = rungs_figure(values, table, study.spec.scheduler.unit, study.spec.metric.name, log_y=log_y)
    showing.figure(drawn, f"{study.name}-rung-values", table=values)
    showing.table(
        table,
        f"{study.name}-rungs",
        hide_index=True,
        column_config={
            "share": st.column_config.NumberColumn("share that went on", format="percent"),
            "n_not_finite": st.column_config.NumberColumn("not finite"),
            "n_arrived": st.column_config.NumberColumn("arrived"),
            "n_went_on": st.column_config.NumberColumn("went on"),
            "rung": st.column_config.NumberColumn(f"rung [{study.spec.scheduler.unit}s]"),
        },
        placeholder="",
    )


def _workers(study: StudyView) -> None:
    segments = reading.worked_out(timeline, study)
    if segments.empty:
        showing.nothing("No segment has been given to a worker yet.")
        return
    table, gap = merged(segments)
    each = with_paces(workers(segments), reading.worked_out(stragglers, study))
    idle = 1 - each["busy"].sum() / max(each["there"].sum(), 1e-12)
    st.caption(
        f"{len(segments):,} segments on {len(each):,} workers, which were idle for {max(idle, 0.0):.1%} of their time. "
        "The time between two sessions is left out."
        + (
            f" Segments of a worker that follow each other within {showing.duration(gap)} are drawn as one, in grey."
            if gap
            else ""
        )
    )
    for sentence in slow_words(each):
        st.warning(showing.plain(sentence), icon=":material/hourglass:")
    drawn = timeline_figure(table, each, study.spec.scheduler.unit)
    showing.figure(drawn, f"{study.name}-timeline", table=segments)
    showing.table(
        each,
        f"{study.name}-workers",
        hide_index=True,
        column_config={
            "n_segments": st.column_config.NumberColumn("segments"),
            "busy": st.column_config.NumberColumn("busy [s]", format="%.1f"),
            "there": st.column_config.NumberColumn("there [s]", format="%.1f"),
            "idle": st.column_config.NumberColumn("idle", format="percent"),
            "factor": st.column_config.NumberColumn(
                "times as long",
                format="%.2f",
                help="As the other workers take for comparable trials, their configurations accounted for.",
            ),
            "chance": st.column_config.NumberColumn(
                "chance", format="%.2g", help="That one of equal workers would look as slow, whichever it is."
            ),
        },
    )


def _failures(study: StudyView) -> None:
    table = failures_table(study.trials)
    if table.empty:
        showing.nothing("No trial has failed.")
        return
    row: Any
    for row in table.head(GROUPS).itertuples(index=False):
        several = f"{row.n_trials:,} trials" if row.n_trials > 1 else f"trial {row.trials}"
        with st.expander(f"{several}: {showing.plain(row.kind)}: {showing.plain(row.message)[:200]}"):
            st.text(row.message)
            if row.n_trials > 1:
                st.caption(f"Trials {row.trials[:500]}")
            if row.details:
                st.code(row.details, language=None)
            else:
                st.caption("No lines were kept of it.")
    if len(table) > GROUPS:
        st.caption(f"{len(table) - GROUPS:,} other messages are in the file below.")
    showing.download(table, f"{study.name}-failures")


def _events(study: StudyView) -> None:
    table = reading.worked_out(events_table, study)
    if table.empty:
        showing.nothing("Nothing has happened yet.")
        return
    showing.table(
        table,
        f"{study.name}-events",
        hide_index=True,
        column_config={
            "time": st.column_config.DatetimeColumn("time (UTC)", format="YYYY-MM-DD HH:mm:ss"),
            "seconds": st.column_config.NumberColumn("running time [s]", format="%.1f"),
            "what": st.column_config.TextColumn("what", width="large"),
        },
        placeholder="",
    )


def _spec(study: StudyView) -> None:
    showing.nothing(
        "The spec as it was last revised.",
        "What was changed, and what was asked of the study since, such as a larger budget, is under **Events**.",
    )
    st.code(dump_spec(study.spec), language="yaml")
