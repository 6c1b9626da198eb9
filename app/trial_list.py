"""The live table of a study's trials: sorted, searched, pinned; its chosen rows lead to other pages."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import streamlit as st

from app import going, reading, showing
from tuner.analysis import StudyView
from tuner.analysis.trial_table import chosen_rows, trial_table
from tuner.records import TrialState

COMPARED = 20
"""So many trials the page Compare trials takes."""

HEIGHT = 420
ROW = 35


def show(study: StudyView) -> None:
    """The table, its filters, and what can be done with its chosen rows."""
    rows = reading.worked_out(trial_table, study)
    left, right = st.columns([3, 1])
    text = left.text_input(
        "Search",
        key="find",
        bind="query-params",
        placeholder="lr=0.01  optimizer=adam  out of memory  #7",
        help="All words must be there: in the state, in `name=value` of the searched axes (`off` where an axis is off "
        "or does not apply), or in the note. `#7` is trial 7.",
        icon=":material/search:",
    )
    written = right.text_input(
        "Pinned trials",
        key="pinned",
        bind="query-params",
        placeholder="3, 7",
        help="Numbers of trials that stay on top, whatever the filters say.",
        icon=":material/keep:",
    )
    states = st.pills(
        "State",
        [state.value for state in TrialState],
        selection_mode="multi",
        key="state",
        bind="query-params",
        label_visibility="collapsed",
    )
    pinned = [number for number in dict.fromkeys(map(int, re.findall(r"\d{1,9}", written or ""))) if number < len(rows)]
    found = chosen_rows(rows, text or "", tuple(states), tuple(pinned))
    if found.empty:
        showing.nothing("No trial is like that.", "Take a word out of the search, or a state.")
        return
    chosen = _table(study, found)
    st.caption(
        f"{len(found):,} of {len(rows):,} trials. A click on a column's head sorts by it; "
        "chosen rows can be compared, opened and pinned."
    )
    _lead_on(study, chosen, pinned)
    _tracebacks(study, chosen)


def _table(study: StudyView, found: pd.DataFrame) -> list[int]:
    """Show it; the numbers of the chosen rows, which stay chosen wherever their rows go."""
    name, mine = f"{study.name}-trials", f"chosen trials of {study.name}"
    shown = found["trial"].tolist()

    def choose() -> None:
        rows = st.session_state[name]["selection"]["rows"]
        st.session_state[mine] = [shown[row] for row in rows if row < len(shown)]

    chosen: list[int] = st.session_state.get(mine, [])
    places = sorted(shown.index(number) for number in chosen if number in set(shown))
    if name in st.session_state and list(st.session_state[name]["selection"]["rows"]) != places:
        st.session_state[name] = {"selection": {"rows": places, "columns": [], "cells": []}}
    columns = _columns(study, found)
    showing.table(
        found[[column for column in found.columns if column in columns]],
        name,
        column_config=columns,
        hide_index=True,
        height=min(HEIGHT, (len(found) + 1) * ROW + 3),
        placeholder="",
        on_select=choose,
        selection_mode="multi-row",
    )
    return [number for number in chosen if number in set(shown)]


def _columns(study: StudyView, found: pd.DataFrame) -> dict[str, Any]:
    """How each column looks; those that say nothing here are left out."""
    metric, unit = study.spec.metric, study.spec.scheduler.unit
    column = st.column_config
    which = "at the highest resource it reached" if metric.value == "last" else "the best of its reports"
    looks: dict[str, Any] = {
        "trial": column.NumberColumn("trial", pinned=True, format="%d"),
        "rank": column.NumberColumn(
            "rank", help="1 is the best; trials that were trained further come before the others."
        ),
        "state": column.TextColumn("state"),
        "value": column.NumberColumn(metric.name, format="%.5g", help=f"The trial's value: {which}."),
        "resource": column.ProgressColumn(
            f"{unit}s", format="%d", min_value=0, max_value=study.spec.scheduler.max_resource, color="blue"
        ),
    }
    for name in study.spec.axes:
        kind = found[f"config.{name}"].dtype.kind
        shape = column.NumberColumn(name, format="%.4g") if kind == "f" else column.Column(name)
        looks[f"config.{name}"] = shape
    if found["gap"].notna().any():
        looks["gap"] = column.NumberColumn("gap", format="%.4g", help="val_loss - train_eval_loss")
    looks["seconds"] = column.NumberColumn("time [s]", format="%.1f", help="Seconds of its reports.")
    if (found["segments"] > 1).any():
        looks["segments"] = column.NumberColumn("segments")
    looks["note"] = column.TextColumn("note", help="Why it failed, or why it ended.", width="large")
    return looks


def _lead_on(study: StudyView, chosen: list[int], pinned: list[int]) -> None:
    """What can be done with the chosen rows."""
    if not chosen:
        return
    compare, dynamics, pin, unpin, _ = st.columns([2, 2, 1, 1, 3])
    several = len(chosen) > 1
    what = f"Compare {len(chosen)} trials" if several else f"Curves of trial {chosen[0]}"
    if compare.button(
        what,
        icon=":material/stacked_line_chart:",
        disabled=len(chosen) > COMPARED,
        help=f"{COMPARED} at the most." if len(chosen) > COMPARED else None,
    ):
        going.to("compare", {"study": study.name, "trials": ", ".join(map(str, chosen))})
    label = "Training dynamics" if several else f"Dynamics of trial {chosen[0]}"
    if dynamics.button(
        label, icon=":material/ecg_heart:", disabled=several, help="Of one trial at a time." if several else None
    ):
        going.to("dynamics", {"study": study.name, "trial": chosen[0]})
    more = [*pinned, *(number for number in chosen if number not in pinned)]
    pin.button("Pin", icon=":material/keep:", on_click=_pin, args=(more,), disabled=more == pinned)
    fewer = [number for number in pinned if number not in chosen]
    unpin.button("Unpin", icon=":material/keep_off:", on_click=_pin, args=(fewer,), disabled=fewer == pinned)


def _pin(numbers: list[int]) -> None:
    st.session_state["pinned"] = ", ".join(map(str, numbers))


def _tracebacks(study: StudyView, chosen: list[int]) -> None:
    """Of the chosen trials that failed."""
    for number in chosen[:COMPARED]:
        failure = study.trials[number].failure
        if failure is not None:
            with st.expander(f"Trial {number} failed: {showing.plain(failure.kind)}", expanded=len(chosen) == 1):
                st.text(failure.message)
                if failure.details:
                    st.code(failure.details, language=None)
