"""Studies: all that the store holds, and the comparisons."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import going, reading, showing
from app.guarding import moving
from tuner.analysis.overview import UNREADABLE, comparisons_table, matching, outline_progress, studies_table
from tuner.analysis.progress import Progress
from tuner.records import TrialState
from tuner.store import StudyOutline, StudyState

EVERY = 2.0
"""Seconds between two looks, while somebody runs a study; else five times as many."""

ROW = 35
HEIGHT = 560


def page() -> None:
    """The page."""
    st.title("Studies")
    held = any(outline.holder is not None for outline in reading.store().outlines())
    moving(_live, EVERY if held else 5 * EVERY)()


def _live() -> None:
    outlines = reading.store().outlines()
    if outlines:
        _studies(outlines)
    else:
        showing.nothing("There are no studies in this store yet.", "Run one: `tune run search_spaces/mnist.yaml`.")
    _comparisons()


def _studies(outlines: list[StudyOutline]) -> None:
    runs = {run.study for run in reading.store().comparisons.runs()}
    left, right = st.columns([3, 1], vertical_alignment="center")
    text = left.text_input(
        "Search",
        key="find-study",
        bind="query-params",
        placeholder="name, metric, owner",
        label_visibility="collapsed",
        icon=":material/search:",
    )
    everything = runs and right.toggle("Runs of comparisons, too", key="runs", bind="query-params")
    states = st.pills(
        "State",
        [*(state.value for state in StudyState), UNREADABLE],
        selection_mode="multi",
        key="study-state",
        bind="query-params",
        label_visibility="collapsed",
    )
    listed = [outline for outline in outlines if everything or outline.name not in runs]
    table = studies_table(listed, runs, {o.name: known for o in listed if (known := _progress(o)) is not None})
    found = matching(table, text or "", tuple(states))
    hidden = len(outlines) - len(listed)
    if found.empty:
        why = "No study is like that." if listed else "All studies of this store are runs of comparisons."
        showing.nothing(why, "Take a word out of the search, or a state." if listed else "The switch above shows them.")
    else:
        _table(found)
    st.caption(
        f"{len(found):,} of {len(listed):,} studies"
        + (f"; runs of comparisons that are not listed: {hidden:,}" if hidden else "")
        + ". Choose one to open it."
    )


def _progress(outline: StudyOutline) -> Progress | None:
    """Of a study that has not ended."""
    if outline.spec is None or outline.state.ended:
        return None
    ticks = reading.last_tick(outline.name, outline.created)
    return outline_progress(outline, ticks, reading.store().commands(outline.name))


def _table(found: pd.DataFrame) -> None:
    column = st.column_config
    looks = {
        "study": column.TextColumn("study", pinned=True),
        "state": column.TextColumn("state"),
        "share": column.ProgressColumn("progress", format="percent", min_value=0.0, max_value=1.0, color="blue"),
        "best": column.NumberColumn("best", format="%.5g"),
        "metric": column.TextColumn("metric"),
        "curve": column.LineChartColumn(
            "best so far", color="blue", help="Over the trials that have a value, by number."
        ),
        "left": column.TextColumn("time left"),
        "trials": column.NumberColumn("trials", width="small"),
        **{
            state.value: column.NumberColumn(state.value, width="small")
            for state in TrialState
            if found[state.value].any()
        },
        "owner": column.TextColumn("owner", help="Who writes the study now."),
        "updated": column.DatetimeColumn("updated (UTC)", format="YYYY-MM-DD HH:mm:ss"),
        "message": column.TextColumn("message", help="Why it ended, or why it cannot be read.", width="large"),
    }
    if found["run"].any():
        looks["run"] = column.CheckboxColumn("run of a comparison")
    left = [showing.duration(seconds) if seconds == seconds else "" for seconds in found["seconds_left"]]
    shown = found.assign(left=left, share=found["share"].round(2))
    chosen = showing.table(
        shown[list(looks)],
        "studies",
        column_config=looks,
        hide_index=True,
        height=min(HEIGHT, (len(shown) + 1) * ROW + 3),
        placeholder="",
        on_select="rerun",
        selection_mode="single-row",
    )
    for place in chosen.selection.rows[:1]:
        row = shown.iloc[place]
        if row["state"] == UNREADABLE:
            st.error(showing.plain(row["message"]))
        else:
            going.to("study", {"study": row["study"]})


def _comparisons() -> None:
    table = comparisons_table(reading.store())
    st.subheader("Comparisons")
    if table.empty:
        showing.nothing(
            "There are no comparisons of search methods in this store.",
            "Run one: `tune compare search_spaces/synthetic.yaml --methods random,tpe --repeats 10`.",
        )
        return
    column = st.column_config
    chosen = showing.table(
        table,
        "comparisons",
        column_config={
            "n_done": column.NumberColumn("runs done"),
            "n_runs": column.NumberColumn("of"),
            "methods": column.TextColumn("methods", width="large"),
            "created": column.DatetimeColumn("created (UTC)", format="YYYY-MM-DD HH:mm:ss"),
            "message": column.TextColumn("message", help="Why it cannot be read.", width="large")
            if table["message"].any()
            else None,
        },
        placeholder="",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
    )
    for place in chosen.selection.rows[:1]:
        row = table.iloc[place]
        if row["state"] == UNREADABLE:
            st.error(showing.plain(row["message"]))
        else:
            going.to("strategies", {"comparison": row["comparison"]})
